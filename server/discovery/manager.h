#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/config/discovery.h"
#include "common/model/target_group.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// DiscoveryManager runs the discovery of every job and publishes what all of them know together.
//
//   DiscoveryManager manager({.publish = [&](TargetGroupsSnapshot s) { scrape.SetTargets(s); },
//                             .http = http_port});
//   Status s = manager.ApplyConfig({{"node", job.discovery}, ...});
//   ...
//   manager.Stop();
//
// A job whose configuration did not change keeps its providers and targets over ApplyConfig. One
// thread a provider (a slow API holds up nobody else), one for inotify, one that publishes:
// changes within `debounce_ms` become one snapshot. Thread-safe.
class DiscoveryManager {
 public:
  struct Options {
    // Called from the publishing thread, one call at a time, never under a lock.
    std::function<void(TargetGroupsSnapshot)> publish;
    HttpPort http;  // Needed by every mechanism that asks somebody's API.
    // Of AWS' own variables; null: the process' own.
    std::function<std::string(const std::string& name)> env;
    Events events;
    int64_t debounce_ms = 250;
  };

  explicit DiscoveryManager(Options options);
  ~DiscoveryManager();  // Stops.
  DiscoveryManager(const DiscoveryManager&) = delete;
  DiscoveryManager& operator=(const DiscoveryManager&) = delete;

  // Replaces the set of jobs. Jobs that are gone are stopped before this returns. Refuses, and
  // changes nothing, when a mechanism is not available in this build.
  Status ApplyConfig(const std::map<std::string, config::DiscoveryConfig>& jobs);

  // What was last published; never null.
  TargetGroupsSnapshot snapshot() const;

  // Stops providers, then the watcher, then publishing. Nothing is published after it returns.
  void Stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::discovery
