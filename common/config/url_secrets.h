#pragma once

#include <string>
#include <string_view>

namespace vedette::config {

// `text` as it may be shown: in every URL in it the password of user:password@ becomes xxxxx, and so
// does the value of a parameter whose name says that it is a secret (?token=...).
std::string HideUrlSecrets(std::string_view text);

// The same pieces of one URL never reach the log from now on.
void RegisterUrlSecrets(std::string_view url);

// Of this user and password, neither the password nor the header that carries both (Basic ...).
void RegisterPassword(std::string_view username, std::string_view password);

}  // namespace vedette::config
