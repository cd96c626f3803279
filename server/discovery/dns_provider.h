#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/dns_lookup.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// dns_sd: the records of names. A name whose servers fail keeps the targets it had; one that does
// not exist has none.
class DnsProvider final : public Provider {
 public:
  using Resolve =
      std::function<Result<std::vector<DnsRecord>>(const std::string&, config::DnsRecordType)>;

  explicit DnsProvider(config::DnsSdConfig config, Resolve resolve = nullptr);

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "dns"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  const config::DnsSdConfig config_;
  const Resolve resolve_;
  std::map<std::string, TargetGroup> last_good_;
};

}  // namespace vedette::discovery
