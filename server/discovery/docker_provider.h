#pragma once

#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// docker_sd: the containers of a Docker daemon, one target for each network and TCP port.
class DockerProvider final : public Provider {
 public:
  DockerProvider(config::DockerSdConfig config, HttpPort http)
      : config_(std::move(config)), http_(std::move(http)) {}

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "docker"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  const config::DockerSdConfig config_;
  const HttpPort http_;
};

}  // namespace vedette::discovery
