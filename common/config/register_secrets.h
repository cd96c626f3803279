#pragma once

#include <string>

namespace vedette::config {

// From now on no secret of this configuration file (prometheus.yml, alertmanager.yml) appears in the
// log: what MaskSecrets would hide, the passwords of URLs, Basic headers made of them, and what the
// secrets' own files hold (password_file, api_url_file ...) at this moment. A file that cannot be
// read or is no YAML has none.
void RegisterSecrets(const std::string& path);

}  // namespace vedette::config
