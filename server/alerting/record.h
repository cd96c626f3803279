#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/time_interval.h"
#include "common/model/alert.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"

// What alerting keeps in storage::KeyValue, as bytes: a version byte, then fixed 64-bit
// little-endian numbers and strings behind a 32-bit length, in the order of the struct.
namespace vedette::alerting {

struct StoredAlert {
  Alert alert;
  int64_t updated_at_ms = 0;
  bool timeout = false;  // ends_at_ms was made up from resolve_timeout.
};

struct Silence {
  std::string id;
  std::vector<Matcher> matchers;
  int64_t starts_at_ms = 0;
  int64_t ends_at_ms = 0;
  int64_t updated_at_ms = 0;
  std::string created_by;
  std::string comment;
  Labels annotations;
  // It holds only inside these hours: "every Sunday from 02:00 to 04:00".
  std::optional<config::TimeInterval> recurrence;
  int64_t remind_before_ms = 0;  // An alert so long before the end; 0: none.
};

// What was last told about a group through one integration.
struct NotificationLogEntry {
  int64_t t_ms = 0;
  std::vector<uint64_t> firing;    // Fingerprints, sorted.
  std::vector<uint64_t> resolved;  // Likewise.
  std::string receipt;             // The integration's own; SendOutcome says what for.
};

// One line of history.
struct NotificationEvent {
  int64_t t_ms = 0;
  std::string receiver;
  std::string integration;  // "slack[0]"
  std::string group_key;
  std::string outcome;  // "sent", "failed"
  std::string error;
  uint32_t firing = 0;
  uint32_t resolved = 0;
  uint32_t attempts = 0;
};

// One line of what became of alerts.
struct AlertEvent {
  int64_t t_ms = 0;
  bool resolved = false;
  Alert alert;
};

std::string Encode(const StoredAlert& v);
std::string Encode(const Silence& v);
std::string Encode(const NotificationLogEntry& v);
std::string Encode(const NotificationEvent& v);
std::string Encode(const AlertEvent& v);

// kDataLoss for bytes that none of the above wrote.
Result<StoredAlert> DecodeAlert(std::string_view bytes);
Result<Silence> DecodeSilence(std::string_view bytes);
Result<NotificationLogEntry> DecodeLogEntry(std::string_view bytes);
Result<NotificationEvent> DecodeEvent(std::string_view bytes);
Result<AlertEvent> DecodeAlertEvent(std::string_view bytes);

}  // namespace vedette::alerting
