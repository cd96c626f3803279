#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

// Under which keys alerting keeps its things in storage::KeyValue. Between its own files only.
namespace vedette::alerting {

inline constexpr std::string_view kAlertPrefix = "alert/";
inline constexpr std::string_view kSilencePrefix = "silence/";
inline constexpr std::string_view kLogPrefix = "notification_log/";
inline constexpr std::string_view kHistoryPrefix = "notification_history/";
inline constexpr std::string_view kAlertHistoryPrefix = "alert_history/";

// Sixteen digits, so that keys sort as numbers do.
inline std::string Hex(uint64_t v) {
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(v));
  return buffer;
}

}  // namespace vedette::alerting
