#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/host/host_files.h"

namespace vedette::agent {

// What is known of a host collector before it runs. All literals.
struct CollectorFacts {
  std::string_view name;
  std::string_view reads;  // Files, calls or daemons; for docs/collectors.md.
  bool on_by_default = true;
};

inline constexpr bool kOff = false;

// A collector that is one function. State between runs lives in what the function captures.
class FunctionCollector final : public Collector {
 public:
  FunctionCollector(const CollectorFacts& facts, std::function<Status(MetricSink&)> collect)
      : facts_(facts), collect_(std::move(collect)) {}

  std::string_view name() const override { return facts_.name; }
  std::string_view reads() const override { return facts_.reads; }
  bool on_by_default() const override { return facts_.on_by_default; }
  Status Collect(MetricSink& sink) override { return collect_(sink); }

 private:
  const CollectorFacts facts_;
  const std::function<Status(MetricSink&)> collect_;
};

using Collectors = std::vector<std::unique_ptr<Collector>>;

inline void Add(Collectors& out, const CollectorFacts& facts,
                std::function<Status(MetricSink&)> collect) {
  out.push_back(std::make_unique<FunctionCollector>(facts, std::move(collect)));
}

// The common case: a function without state over the host's files.
inline void Add(Collectors& out, const CollectorFacts& facts, const HostPtr& host,
                Status (*collect)(const Host&, MetricSink&)) {
  Add(out, facts, [host, collect](MetricSink& sink) { return collect(*host, sink); });
}

}  // namespace vedette::agent
