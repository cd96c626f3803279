#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/alert.h"
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
};

// What was last told about a group through one integration.
struct NotificationLogEntry {
  int64_t t_ms = 0;
  std::vector<uint64_t> firing;    // Fingerprints, sorted.
  std::vector<uint64_t> resolved;  // Likewise.
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

std::string Encode(const StoredAlert& v);
std::string Encode(const Silence& v);
std::string Encode(const NotificationLogEntry& v);
std::string Encode(const NotificationEvent& v);

// kDataLoss for bytes that none of the above wrote.
Result<StoredAlert> DecodeAlert(std::string_view bytes);
Result<Silence> DecodeSilence(std::string_view bytes);
Result<NotificationLogEntry> DecodeLogEntry(std::string_view bytes);
Result<NotificationEvent> DecodeEvent(std::string_view bytes);

}  // namespace vedette::alerting
