#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::agent {

using LabelPairs = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// By family: labels that were given with an empty value, as the exporters show them in text.
using BlankLabels = std::map<std::string, std::vector<std::string>, std::less<>>;

// MetricSink is where a collector puts what it found: families, and in each its samples. Borrowed
// for the length of one Collect(). The same family may be opened again; its samples are then
// together.
//
//   sink.Family("node_cpu_seconds_total", MetricType::kCounter, "Seconds a CPU spent in each
//   mode."); sink.Add({{"cpu", "0"}, {"mode", "idle"}}, 1234.5);
// A collector says much the same at each collection. A sink that begins with what an earlier one of
// the same collector took keeps its memory: a family that is opened and a sample that is added as
// before costs a compare, and only the value is written. What is not said again is not there.
class MetricSink {
 public:
  MetricSink() = default;
  explicit MetricSink(std::vector<MetricFamily> earlier) : families_(std::move(earlier)) {}

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

  // A label that text shows with an empty value on those samples of a family that have it not. Add
  // says so of every label that comes with an empty value.
  void AddBlank(std::string_view family, std::string_view label);

  // The same of several labels, on every family whose samples have the label `having`.
  void AddBlanks(std::string_view having, const std::vector<std::string>& labels);

  // What was collected, families in the order they were first opened.
  std::vector<MetricFamily> Take();
  BlankLabels TakeBlanks() { return std::exchange(blanks_, {}); }

 private:
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };

  MetricFamily& current();
  // Where the family is that was opened by this name, or opened().
  size_t Find(std::string_view name);
  // Makes families_[opened()] the one of this name, an earlier one where there is one, and current.
  void Open(std::string_view name);
  size_t opened() const { return counts_.size(); }
  void AddLabels(std::string_view name, std::span<const Label> labels, double value);
  FamilySample& NextSample();

  // Those that were opened, then what is left of the earlier ones. No name twice.
  std::vector<MetricFamily> families_;
  // Samples added so far, of each family that was opened; those behind them are earlier ones.
  std::vector<size_t> counts_;
  std::unordered_map<std::string, size_t, NameHash, std::equal_to<>> index_;  // Into families_, of the
                                                                             // first of many.
  size_t current_ = 0;
  BlankLabels blanks_;
  std::vector<Label> pairs_, wanted_;  // Of AddPart and AddLabels, kept for their memory.
};

// A Collector reads one corner of the machine. Collect() runs on a collection thread, one call at a
// time per collector, and returns within its deadline or is reported as failed; a failed collector
// costs its own metrics and nobody else's. What it put into the sink before it failed is kept.
class Collector {
 public:
  virtual ~Collector() = default;
  // The word of --collector.<name>, such as "loadavg".
  virtual std::string_view name() const = 0;
  // What it reads: files, calls or daemons, in a few words.
  virtual std::string_view reads() const { return {}; }
  // Whether it runs without being asked for by --collector.<name>.
  virtual bool on_by_default() const { return true; }
  // Whether Collect() waits for somebody else, such as a database, rather than for the kernel: such
  // collectors run side by side, the others one after the other.
  virtual bool waits() const { return false; }
  virtual Status Collect(MetricSink& sink) = 0;
};

}  // namespace vedette::agent
