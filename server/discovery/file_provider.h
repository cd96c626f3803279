#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// file_sd: target groups from files. A file that cannot be read or parsed keeps the groups it had;
// a file that is gone takes its groups with it.
class FileProvider final : public Provider {
 public:
  explicit FileProvider(config::FileSdConfig config, Events events = {})
      : config_(std::move(config)), events_(std::move(events)) {}

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "file"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }
  std::vector<std::string> watched_directories() const override;

 private:
  const config::FileSdConfig config_;
  const Events events_;
  std::map<std::string, std::vector<TargetGroup>> last_good_;  // By path.
};

}  // namespace vedette::discovery
