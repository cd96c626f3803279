#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::agent {

using LabelPairs = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// MetricSink is where a collector puts what it found: families, and in each its samples. Borrowed
// for the length of one Collect(). The same family may be opened again; its samples are then
// together.
//
//   sink.Family("node_cpu_seconds_total", MetricType::kCounter, "Seconds a CPU spent in each
//   mode."); sink.Add({{"cpu", "0"}, {"mode", "idle"}}, 1234.5);
class MetricSink {
 public:
  void Family(std::string_view name, MetricType type, std::string_view help);
  void Add(LabelPairs labels, double value);
  void Add(std::span<const Label> labels, double value);
  // A line of a flattened histogram or summary: `suffix` is "_bucket", "_sum", "_count" or "".
  void AddPart(std::string_view suffix, LabelPairs labels, double value);
  // A family that comes whole, as a relayed application's do.
  void AddFamily(MetricFamily family);

  // Short forms for a family of one sample without labels.
  void Gauge(std::string_view name, std::string_view help, double value);
  void Counter(std::string_view name, std::string_view help, double value);

  // What was collected, families in the order they were first opened.
  std::vector<MetricFamily> Take();

 private:
  MetricFamily& current();

  std::vector<MetricFamily> families_;
  size_t current_ = 0;
};

// A Collector reads one corner of the machine. Collect() runs on a collection thread, one call at a
// time per collector, and returns within its deadline or is reported as failed; a failed collector
// costs its own metrics and nobody else's. What it put into the sink before it failed is kept.
class Collector {
 public:
  virtual ~Collector() = default;
  // The word of --collector.<name>, such as "loadavg".
  virtual std::string_view name() const = 0;
  virtual Status Collect(MetricSink& sink) = 0;
};

}  // namespace vedette::agent
