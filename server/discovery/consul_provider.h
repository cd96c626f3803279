#pragma once

#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// consul_sd: the instances of the catalogue's services, each with the state of its checks.
class ConsulProvider final : public Provider {
 public:
  ConsulProvider(config::ConsulSdConfig config, HttpPort http)
      : config_(std::move(config)), http_(std::move(http)) {}

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "consul"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  HttpCall CallTo(const std::string& path, bool health) const;

  const config::ConsulSdConfig config_;
  const HttpPort http_;
};

}  // namespace vedette::discovery
