#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// kubernetes_sd: nodes, pods, services, endpoints and endpoint slices, with Prometheus' labels. The
// API is listed every refresh interval rather than watched; without api_server the pod's own
// service account is used.
class KubernetesProvider final : public Provider {
 public:
  using Environment = std::function<std::string(const std::string& name)>;

  KubernetesProvider(config::KubernetesSdConfig config, HttpPort http, Environment env)
      : config_(std::move(config)), http_(std::move(http)), env_(std::move(env)) {}

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "kubernetes"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  // Every object of a kind, over all pages, as one text of a JSON list each.
  Result<std::vector<std::string>> List(const std::string& base, const std::string& kind,
                                        const std::string& selector_role,
                                        const std::string& scope) const;
  std::vector<std::string> Namespaces() const;

  const config::KubernetesSdConfig config_;
  const HttpPort http_;
  const Environment env_;
};

}  // namespace vedette::discovery
