#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/collector/collector.h"

namespace vedette::agent {

// A collector that is one function. State between runs lives in what the function captures.
class FunctionCollector final : public Collector {
 public:
  FunctionCollector(std::string_view name, std::function<Status(MetricSink&)> collect)
      : name_(name), collect_(std::move(collect)) {}

  std::string_view name() const override { return name_; }
  Status Collect(MetricSink& sink) override { return collect_(sink); }

 private:
  const std::string_view name_;  // A literal.
  const std::function<Status(MetricSink&)> collect_;
};

using Collectors = std::vector<std::unique_ptr<Collector>>;

inline void Add(Collectors& out, std::string_view literal_name,
                std::function<Status(MetricSink&)> collect) {
  out.push_back(std::make_unique<FunctionCollector>(literal_name, std::move(collect)));
}

}  // namespace vedette::agent
