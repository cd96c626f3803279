#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/discovery.h"
#include "common/model/target_group.h"

namespace vedette::discovery {

// What discovery counts, handed out so that the metrics registry stays elsewhere. Called from
// discovery's threads, several at a time.
struct Events {
  // A look that failed; the targets found before stay.
  std::function<void(std::string_view mechanism, std::string_view job, const Status& why)>
      refresh_failed;
  // A look that succeeded and how long it took.
  std::function<void(std::string_view mechanism, std::string_view job, double seconds)> refreshed;
  // A look that found something else than the one before; prometheus_sd_received_updates_total.
  std::function<void(std::string_view mechanism, std::string_view job)> updated;
  // A file that could be read, with its modification time; prometheus_sd_file_mtime_seconds.
  std::function<void(std::string_view path, double mtime_seconds)> file_read;
  // How many raw targets a job has after an update; prometheus_sd_discovered_targets.
  std::function<void(std::string_view job, size_t targets)> discovered;
};

// A Provider looks for targets whenever its manager asks. One thread owns it at a time.
class Provider {
 public:
  virtual ~Provider() = default;

  // Every group known now. A failure changes nothing: the manager keeps the last answer.
  // A provider that can partly fail (one file of many) reports the failure by `problem`, and
  // answers with what it has, the last good content included.
  virtual Result<std::vector<TargetGroup>> Refresh(Status& problem) = 0;

  virtual std::string_view mechanism() const = 0;  // "file", "http"
  virtual int64_t refresh_interval_ms() const = 0;

  // Files whose change is worth a look before the interval ends: directories to be watched.
  virtual std::vector<std::string> watched_directories() const { return {}; }
};

}  // namespace vedette::discovery
