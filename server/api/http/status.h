#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "server/api/http/call.h"

namespace vedette::api {

struct BuildInfo {
  std::string version;
  std::string revision;
  std::string branch;
  std::string build_user;
  std::string build_date;
};

struct RuntimeInfo {
  int64_t start_time_ms = 0;
  int64_t now_ms = 0;
  std::string working_directory;
  std::string hostname;
  bool reload_config_success = false;
  int64_t last_config_time_ms = 0;
  uint64_t corruption_count = 0;
  int threads = 0;
  std::string storage_retention;
};

struct NamedCount {
  std::string name;
  uint64_t value = 0;
};

// How the tables lie in the levels of the store, and how it keeps up with what is written.
struct StoreInfo {
  struct Level {
    std::string family;
    int level = 0;
    uint64_t files = 0;
    uint64_t bytes = 0;
  };
  std::vector<Level> levels;
  uint64_t memtable_bytes = 0;
  uint64_t pending_compaction_bytes = 0;
  uint64_t running_compactions = 0;
  uint64_t running_flushes = 0;
  uint64_t delayed_write_rate = 0;  // Bytes per second. 0: writes are not held back.
  bool writes_stopped = false;
};

// What /api/v1/status/tsdb shows; lists are sorted, largest first.
struct TsdbInfo {
  uint64_t series = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  int64_t min_time_ms = 0;
  int64_t max_time_ms = 0;
  std::vector<NamedCount> series_by_metric;
  std::vector<NamedCount> values_by_label;
  std::vector<NamedCount> bytes_by_label;
  std::vector<NamedCount> series_by_pair;
  // Vedette's own: what the storage costs.
  std::vector<NamedCount> series_by_job;
  uint64_t disk_bytes = 0;
  uint64_t head_memory_bytes = 0;
  uint64_t index_memory_bytes = 0;
  StoreInfo store;
};

// Who answers. All functions are thread-safe and outlive the door.
struct StatusBackends {
  BuildInfo build;
  std::function<RuntimeInfo()> runtime;
  std::function<std::vector<std::pair<std::string, std::string>>()> flags;
  std::function<std::string()> config_yaml;  // Secrets hidden.
  std::function<TsdbInfo(size_t limit)> tsdb;
  std::function<std::vector<MetricFamily>()> self_metrics;
  std::function<std::vector<std::string>()> features;  // Names given to --enable-feature.
  int max_notification_readers = 16;                   // --web.max-notifications-subscribers
};

// /api/v1/status/*, /api/v1/features, /api/v1/notifications: the server about itself. Thread-safe.
class StatusDoor {
 public:
  explicit StatusDoor(StatusBackends backends) : b_(std::move(backends)) {}

  Reply Build(const Call& call) const;
  Reply Runtime(const Call& call) const;
  Reply Flags(const Call& call) const;
  Reply Config(const Call& call) const;
  Reply Tsdb(const Call& call) const;
  Reply TsdbBlocks(const Call& call) const;
  Reply WalReplay(const Call& call) const;
  Reply SelfMetrics(const Call& call) const;
  // `role` is what the asker may do: "viewer" or "operator".
  Reply Features(std::string_view role) const;
  Reply Notifications(const Call& call) const;
  // The same as server-sent events: those that hold now, and then every change. 204 when there are
  // too many readers.
  Reply NotificationsLive(const Call& call) const;
  Reply OpenApi(const Call& call) const;

 private:
  const StatusBackends b_;
  // Shared with streams, which end after the door when the server stops.
  const std::shared_ptr<std::atomic<int>> notification_readers_ =
      std::make_shared<std::atomic<int>>(0);
};

}  // namespace vedette::api
