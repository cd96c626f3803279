#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/model/notification.h"

namespace vedette::notify {

// Alertmanager's webhook message as JSON, with at most `max_alerts` alerts (0: all) and the number
// left out. "4" is the version that everybody reads.
std::string WebhookMessage(const Notification& n, const std::string& external_url,
                           uint64_t max_alerts, std::string_view version);

}  // namespace vedette::notify
