#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/collector/collector.h"
#include "agent/probe/module.h"

// What the probers share. Private to this package.
namespace vedette::agent {

// One probe under way: when it has to end, where its metrics go, and what it says for &debug=true.
class ProbeRun {
 public:
  using Clock = std::chrono::steady_clock;

  ProbeRun(int64_t timeout_ms, MetricSink& out)
      : sink(out), end_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}

  int64_t left_ms() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
    return left.count() > 0 ? left.count() : 0;
  }
  // A line of the log. Returns false, so that a prober fails with `return run.Fail(...)`.
  bool Fail(std::string_view why) {
    log.append(why).append("\n");
    return false;
  }

  MetricSink& sink;
  std::string log;

 private:
  Clock::time_point end_;
};

inline double SecondsSince(ProbeRun::Clock::time_point begin) {
  return std::chrono::duration<double>(ProbeRun::Clock::now() - begin).count();
}

// Each adds its own metrics and says whether the target is well.
bool ProbeHttp(const HttpModule& module, const std::string& target, ProbeRun& run);
bool ProbeTcp(const TcpModule& module, const std::string& target, ProbeRun& run);
bool ProbeIcmp(const IcmpModule& module, const std::string& target, ProbeRun& run);
bool ProbeDns(const DnsModule& module, const std::string& target, ProbeRun& run);
bool ProbeGrpc(const GrpcModule& module, const std::string& target, ProbeRun& run);

}  // namespace vedette::agent
