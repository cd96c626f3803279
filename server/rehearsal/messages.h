#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/config/alertmanager.h"
#include "common/model/notification.h"

namespace vedette::rehearsal {

// One message that a receiver would have got.
struct Message {
  int64_t t_ms = 0;
  std::string receiver;
  std::string integration;  // slack[0]
  std::string group_key;
  std::string reason;
  size_t firing = 0;
  size_t resolved = 0;
  std::string body;  // As it would cross the wire, secrets masked.
};

// Recorder makes the receivers of a configuration with nobody at the other end: what they send is
// written down. One thread.
class Recorder {
 public:
  // `clock` outlives what is made. Templates are read from their files.
  Result<std::map<std::string, std::vector<Integration>>> MakeReceivers(
      const config::AlertmanagerConfig& config, const std::string& external_url,
      const Clock& clock);

  std::vector<Message>& messages() { return messages_; }

 private:
  std::vector<std::string> secrets_;
  std::string body_;  // Of the send that is running.
  std::vector<Message> messages_;
};

}  // namespace vedette::rehearsal
