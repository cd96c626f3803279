#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/alert.h"
#include "common/model/labels.h"

namespace vedette {

// One message about a group of alerts, on its way from who decided that it must be told
// (server/alerting) to who knows how (server/notify).
struct Notification {
  std::string receiver;
  std::string group_key;  // {}/{severity="page"}:{alertname="DiskFull"}
  Labels group_labels;
  Labels route_labels;
  std::vector<Alert> alerts;  // Firing ones have ends_at_ms 0. At least one.
  int64_t now_ms = 0;         // When it was decided.
  std::string reason;         // Why now: "firing", "resolved", "changed", "repeat".
  std::string receipt;        // What sending the message before this one gave, if it still matters.

  bool firing() const {
    for (const Alert& a : alerts) {
      if (!a.resolved_at(now_ms)) return true;
    }
    return false;
  }
};

// What became of one attempt to tell.
struct SendOutcome {
  Status status;
  bool retry = false;          // Trying again may help: the network, a 5xx, a 429.
  int64_t retry_after_ms = 0;  // Not before this time has passed; the other side's own wish.
  // Of a success: what the next message of this group may need, kept with the notification log
  // (which message it was, so that the next one can change it).
  std::string receipt;
};

// One way of telling that a receiver has: "slack", the second one of receiver "team".
struct Integration {
  std::string name;  // "slack", "webhook", ...
  int index = 0;     // Among those of its kind in the receiver.
  bool send_resolved = true;
  // Makes one attempt, within its own time-out; called from several threads. `timeout_ms` is what
  // the group's deadline leaves.
  std::function<SendOutcome(const Notification&, int64_t timeout_ms)> send;
};

// Alertmanager's identity of an alert: FNV-1a over the sorted label set. 16 hex digits when shown.
uint64_t AlertFingerprint(const Labels& labels);
std::string AlertFingerprintText(const Labels& labels);

}  // namespace vedette
