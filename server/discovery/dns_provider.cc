#include "server/discovery/dns_provider.h"

#include <utility>

#include "common/base/strings.h"
#include "server/discovery/label_name.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kTimeoutMs = 10'000;

}  // namespace

DnsProvider::DnsProvider(config::DnsSdConfig config, Resolve resolve)
    : config_(std::move(config)),
      resolve_(resolve ? std::move(resolve)
                       : [](const std::string& name, config::DnsRecordType type) {
                           return LookUp(name, type, kTimeoutMs);
                         }) {}

Result<std::vector<TargetGroup>> DnsProvider::Refresh(Status& problem) {
  std::vector<TargetGroup> groups;
  for (const std::string& name : config_.names) {
    const Result<std::vector<DnsRecord>> records = resolve_(name, config_.type);
    if (records.ok()) {
      TargetGroup group{.source = name};
      for (const DnsRecord& record : *records) {
        const std::string port =
            StrCat(config_.type == config::DnsRecordType::kSrv ? record.port : config_.port);
        LabelsBuilder labels;
        labels.Set("__address__", JoinHostPort(record.target, port));
        labels.Set("__meta_dns_name", name);
        switch (config_.type) {
          case config::DnsRecordType::kSrv:
            labels.Set("__meta_dns_srv_record_target", record.target + ".");
            labels.Set("__meta_dns_srv_record_port", port);
            break;
          case config::DnsRecordType::kMx:
            labels.Set("__meta_dns_mx_record_target", record.target + ".");
            break;
          case config::DnsRecordType::kNs:
            labels.Set("__meta_dns_ns_record_target", record.target + ".");
            break;
          case config::DnsRecordType::kA:
          case config::DnsRecordType::kAaaa:
            break;
        }
        group.targets.push_back(labels.Build());
      }
      last_good_[name] = std::move(group);
    } else if (problem.ok()) {
      problem = records.status();
    }
    if (const auto at = last_good_.find(name); at != last_good_.end()) {
      groups.push_back(at->second);
    }
  }
  return groups;
}

}  // namespace vedette::discovery
