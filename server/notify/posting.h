#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/receivers.h"
#include "common/model/notification.h"
#include "server/notify/http_port.h"
#include "server/notify/message.h"
#include "server/notify/receiver.h"

namespace vedette::notify {

// Most receivers are one request: this is what they share.
struct Posting {
  std::string name;                     // "discord"
  Escape escape = Escape::kNone;        // Of labels in what `compose` expands.
  std::vector<std::string_view> texts;  // Every template, to be checked now.
  // The request for one notification. kNotFound (a secret file that is being rotated) is tried
  // again; a failed template is not, and comes out of `expand`.
  std::function<Result<HttpPost>(const Notification&, Expander& expand)> compose;
  // Looks into an answer of 2xx for services that refuse inside of it. May be empty.
  std::function<SendOutcome(const HttpReply&)> judge;
};
Result<Integration> MakePosting(const config::IntegrationConfig& config,
                                const NotifyContext& context, Posting posting);

// How long one attempt may take: the integration's own limit, within what the group leaves.
int64_t TimeoutOf(const config::IntegrationConfig& config, int64_t left_ms);

// One incident a group: a key that is the same every time and fits everywhere. 64 hex digits.
std::string HashOfGroup(std::string_view group_key);

// a%20b: for a part of a URL, or a value of a form.
std::string PercentEncode(std::string_view text);
std::string FormBody(std::span<const std::pair<std::string, std::string>> fields);

std::vector<std::string> SplitTrimmed(std::string_view text, char separator);

}  // namespace vedette::notify
