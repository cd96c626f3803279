#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/metrics/summary.h"
#include "common/model/metric_family.h"

// How Vedette counts itself, and how C++ users may.
//
//   Registry registry;
//   Counter& scrapes = registry.AddCounter("vedette_scrapes_total", "Scrapes begun.");
//   scrapes.Increment();
//   Family<Counter>& errors = registry.AddCounterFamily("vedette_errors_total", "By kind.",
//   {"kind"}); errors.With({"timeout"}).Increment(); std::vector<MetricFamily> now =
//   registry.Collect();
//
// An increment is one or two atomic operations and never a lock; With() takes the family's lock for
// one lookup, so a hot path keeps the reference, which stays valid as long as the registry (or
// until Remove). All of it is thread-safe.
namespace vedette::metrics {

class Counter {
 public:
  void Increment() { whole_.fetch_add(1, std::memory_order_relaxed); }
  void Add(std::integral auto n) { whole_.fetch_add(uint64_t(n), std::memory_order_relaxed); }
  void Add(double v) {  // Requires v >= 0.
    parts_.fetch_add(v, std::memory_order_relaxed);
  }
  double value() const {
    return double(whole_.load(std::memory_order_relaxed)) + parts_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> whole_{0};  // Apart, so that the usual case needs no compare-and-swap.
  std::atomic<double> parts_{0};
};

class Gauge {
 public:
  void Set(double v) { value_.store(v, std::memory_order_relaxed); }
  void Add(double v) { value_.fetch_add(v, std::memory_order_relaxed); }
  void Increment() { Add(1); }
  void Decrement() { Add(-1); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Classic buckets. A reader beside writers may see an observation in its bucket and not yet in the
// sum; counts never go back, and _count always equals the +Inf bucket.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // Upper bounds, rising, without +Inf.

  void Observe(double v);
  const std::vector<double>& bounds() const { return bounds_; }
  // Cumulative, one a bound and then +Inf.
  std::vector<uint64_t> CumulativeCounts() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

// 5 ms to 10 s: what a request usually takes.
std::vector<double> DefaultSecondsBuckets();
std::vector<double> ExponentialBuckets(double first, double factor, int count);

// One metric a combination of label values. At most `max_children` combinations: beyond it they all
// share one whose label values are "_overflow_", so that a hostile label cannot eat the memory.
template <typename Metric>
class Family {
 public:
  Family(std::vector<std::string> label_names, std::function<std::unique_ptr<Metric>()> make,
         size_t max_children = 10'000)
      : label_names_(std::move(label_names)), make_(std::move(make)), max_children_(max_children) {}

  // As many values as the family has label names.
  Metric& With(std::vector<std::string> values) VEDETTE_EXCLUDES(mu_) {
    values.resize(label_names_.size());
    MutexLock lock(mu_);
    auto it = children_.find(values);
    if (it == children_.end()) {
      if (children_.size() >= max_children_) values.assign(label_names_.size(), "_overflow_");
      it = children_.try_emplace(std::move(values)).first;
      if (it->second == nullptr) it->second = make_();
    }
    return *it->second;
  }
  // Forgets one combination; references to it must no longer be in use.
  void Remove(const std::vector<std::string>& values) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    children_.erase(values);
  }
  void ForEach(const std::function<void(const std::vector<std::string>&, const Metric&)>& visit)
      const VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    for (const auto& [values, metric] : children_) visit(values, *metric);
  }
  const std::vector<std::string>& label_names() const { return label_names_; }

 private:
  const std::vector<std::string> label_names_;
  const std::function<std::unique_ptr<Metric>()> make_;
  const size_t max_children_;
  mutable Mutex mu_;
  std::map<std::vector<std::string>, std::unique_ptr<Metric>> children_ VEDETTE_GUARDED_BY(mu_);
};

// Registry owns metrics and hands them out as families. Asking twice for one name with the same
// kind and label names gives the same metric; with another kind is a bug and ends the process.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& AddCounter(std::string_view name, std::string_view help);
  Gauge& AddGauge(std::string_view name, std::string_view help);
  Histogram& AddHistogram(std::string_view name, std::string_view help,
                          std::vector<double> bounds = DefaultSecondsBuckets());

  Family<Counter>& AddCounterFamily(std::string_view name, std::string_view help,
                                    std::vector<std::string> label_names);
  Family<Gauge>& AddGaugeFamily(std::string_view name, std::string_view help,
                                std::vector<std::string> label_names);
  Family<Histogram>& AddHistogramFamily(std::string_view name, std::string_view help,
                                        std::vector<std::string> label_names,
                                        std::vector<double> bounds = DefaultSecondsBuckets());
  // The clock outlives the registry.
  Family<Summary>& AddSummaryFamily(std::string_view name, std::string_view help,
                                    std::vector<std::string> label_names, const Clock& clock);

  // A value asked for at every Collect.
  using ValueFn = std::function<double()>;
  void AddGaugeFn(std::string_view name, std::string_view help, ValueFn value);
  void AddCounterFn(std::string_view name, std::string_view help, ValueFn value);

  // Appends whole families at every Collect; runs under no lock of the registry, and RemoveCallback
  // waits for nobody, so what it refers to must outlive the registry or hold itself alive.
  using Callback = std::function<void(std::vector<MetricFamily>& out)>;
  int AddCallback(Callback callback);
  void RemoveCallback(int id);

  // Everything, by name.
  std::vector<MetricFamily> Collect() const;

 private:
  struct Entry;
  struct State;
  Entry& Find(std::string_view name, std::string_view help, MetricType type,
              const std::vector<std::string>& label_names, const std::function<void(Entry&)>& fill);
  std::unique_ptr<State> state_;
};

// process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes,
// process_virtual_memory_max_bytes, process_open_fds, process_max_fds, process_start_time_seconds,
// process_threads, process_network_receive_bytes_total, process_network_transmit_bytes_total: read
// from `proc_root` at every Collect.
void AddProcessMetrics(Registry& registry, std::string proc_root = "/proc");
// <prefix>_build_info 1 with version and compiler.
void AddBuildInfo(Registry& registry, std::string_view prefix, std::string_view version);

}  // namespace vedette::metrics
