#include "agent/probe/probe.h"

#include <algorithm>
#include <utility>

#include "agent/probe/prober.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

class ProbeCollector final : public Collector {
 public:
  ProbeCollector(ProbeModule module, ProbeTarget target, int64_t timeout_ms)
      : module_(std::move(module)),
        target_(std::move(target)),
        timeout_ms_(timeout_ms),
        name_(StrCat("probe ", target_.module, " ", target_.target)) {}

  std::string_view name() const override { return name_; }
  bool waits() const override { return true; }

  Status Collect(MetricSink& sink) override {
    ProbeResult result = RunProbe(module_, target_.target, timeout_ms_);
    for (MetricFamily& family : result.families) {
      for (FamilySample& sample : family.samples) {
        LabelsBuilder labels(sample.labels);
        labels.Set("module", target_.module);
        labels.Set("target", target_.target);
        sample.labels = labels.Build();
      }
      sink.AddFamily(std::move(family));
    }
    return {};
  }

 private:
  const ProbeModule module_;
  const ProbeTarget target_;
  const int64_t timeout_ms_;
  const std::string name_;
};

}  // namespace

ProbeResult RunProbe(const ProbeModule& module, const std::string& target, int64_t timeout_ms) {
  if (module.timeout_ms > 0) timeout_ms = std::min(timeout_ms, module.timeout_ms);
  MetricSink sink;
  ProbeRun run(timeout_ms, sink);
  const auto begin = ProbeRun::Clock::now();
  ProbeResult result;
  if (module.prober == "http") {
    result.success = ProbeHttp(module.http, target, run);
  } else if (module.prober == "tcp") {
    result.success = ProbeTcp(module.tcp, target, run);
  } else if (module.prober == "icmp") {
    result.success = ProbeIcmp(module.icmp, target, run);
  } else if (module.prober == "dns") {
    result.success = ProbeDns(module.dns, target, run);
  } else {
    result.success = ProbeGrpc(module.grpc, target, run);
  }
  sink.Gauge("probe_duration_seconds", "What the probe took, in seconds.", SecondsSince(begin));
  sink.Gauge("probe_success", "1 if the target is as the module wants it.",
             result.success ? 1 : 0);
  result.families = sink.Take();
  result.log = std::move(run.log);
  return result;
}

Result<ProbeTarget> ParseProbeTarget(std::string_view text, const ProbeModules& modules) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    return InvalidArgument(StrCat("--probe.target=", text,
                                  ": expected MODULE=TARGET, such as http_2xx=https://example.com"));
  }
  ProbeTarget target{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
  if (!modules.contains(target.module)) {
    return InvalidArgument(
        StrCat("--probe.target=", text, ": there is no module ", Quoted(target.module)));
  }
  return target;
}

std::unique_ptr<Collector> MakeProbeCollector(const ProbeModule& module, ProbeTarget target,
                                              int64_t timeout_ms) {
  return std::make_unique<ProbeCollector>(module, std::move(target), timeout_ms);
}

}  // namespace vedette::agent
