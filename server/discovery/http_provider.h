#pragma once

#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// http_sd: asks a URL for the same list that file_sd reads from a file.
class HttpProvider final : public Provider {
 public:
  HttpProvider(config::HttpSdConfig config, HttpPort http)
      : config_(std::move(config)), http_(std::move(http)) {}

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "http"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  const config::HttpSdConfig config_;
  const HttpPort http_;
};

}  // namespace vedette::discovery
