#include "common/metrics/metrics.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/model/labels.h"

namespace vedette::metrics {
namespace {

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "metrics: %s\n", what.c_str());
  std::abort();
}

// How Prometheus' clients write a bound in le: the shortest text that reads back, "+Inf" at the
// end.
std::string BoundText(double bound) {
  return bound == std::numeric_limits<double>::infinity() ? "+Inf" : StrCat(bound);
}

using Names = std::vector<std::string>;

LabelsBuilder Base(std::string_view name, const Names& names, const Names& values) {
  LabelsBuilder builder;
  builder.Set(kMetricNameLabel, name);
  for (size_t i = 0; i < names.size(); ++i) builder.Set(names[i], values[i]);
  return builder;
}

void AppendSamples(MetricFamily& out, const Names& names, const Names& values, const Counter& c) {
  out.samples.push_back({.labels = Base(out.name, names, values).Build(), .value = c.value()});
}

void AppendSamples(MetricFamily& out, const Names& names, const Names& values, const Gauge& g) {
  out.samples.push_back({.labels = Base(out.name, names, values).Build(), .value = g.value()});
}

void AppendSamples(MetricFamily& out, const Names& names, const Names& values, const Histogram& h) {
  const double sum = h.sum();  // Before the counts: a mean then errs low, not absurdly high.
  const std::vector<uint64_t> counts = h.CumulativeCounts();
  LabelsBuilder builder = Base(out.name + "_bucket", names, values);
  for (size_t i = 0; i < counts.size(); ++i) {
    const bool last = i == h.bounds().size();
    builder.Set("le", BoundText(last ? std::numeric_limits<double>::infinity() : h.bounds()[i]));
    out.samples.push_back({.labels = builder.Build(), .value = double(counts[i])});
  }
  out.samples.push_back({.labels = Base(out.name + "_sum", names, values).Build(), .value = sum});
  out.samples.push_back(
      {.labels = Base(out.name + "_count", names, values).Build(), .value = double(counts.back())});
}

void AppendSamples(MetricFamily& out, const Names& names, const Names& values, const Summary& s) {
  const Summary::Values v = s.values();
  LabelsBuilder builder = Base(out.name, names, values);
  for (size_t i = 0; i < v.quantiles.size(); ++i) {
    builder.Set("quantile", StrCat(Summary::kQuantiles[i]));
    out.samples.push_back({.labels = builder.Build(), .value = v.quantiles[i]});
  }
  out.samples.push_back({.labels = Base(out.name + "_sum", names, values).Build(), .value = v.sum});
  out.samples.push_back(
      {.labels = Base(out.name + "_count", names, values).Build(), .value = double(v.count)});
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)) {
  if (!bounds_.empty() && bounds_.back() == std::numeric_limits<double>::infinity()) {
    bounds_.pop_back();
  }
  if (!std::is_sorted(bounds_.begin(), bounds_.end())) Die("histogram bounds do not rise");
  counts_ = std::make_unique<std::atomic<uint64_t>[]>(bounds_.size() + 1);
}

void Histogram::Observe(double v) {
  // A NaN is below nothing: lower_bound would put it first, and the first bucket would lie.
  const size_t bucket =
      v != v ? bounds_.size()
             : size_t(std::lower_bound(bounds_.begin(), bounds_.end(), v) - bounds_.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(v, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::CumulativeCounts() const {
  std::vector<uint64_t> out;
  out.reserve(bounds_.size() + 1);
  uint64_t total = 0;
  for (size_t i = 0; i <= bounds_.size(); ++i) {
    total += counts_[i].load(std::memory_order_relaxed);
    out.push_back(total);
  }
  return out;
}

std::vector<double> DefaultSecondsBuckets() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

std::vector<double> ExponentialBuckets(double first, double factor, int count) {
  std::vector<double> out;
  for (int i = 0; i < count; ++i, first *= factor) out.push_back(first);
  return out;
}

// One family: of the five kinds exactly one is set.
struct Registry::Entry {
  std::string help;
  MetricType type;
  Names label_names;
  std::unique_ptr<Family<Counter>> counters;
  std::unique_ptr<Family<Gauge>> gauges;
  std::unique_ptr<Family<Histogram>> histograms;
  std::unique_ptr<Family<Summary>> summaries;
  ValueFn value;
};

struct Registry::State {
  mutable Mutex mu;
  // Entries are never removed, so Collect may read one outside the lock.
  std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries VEDETTE_GUARDED_BY(mu);
  std::map<int, std::shared_ptr<const Callback>> callbacks VEDETTE_GUARDED_BY(mu);
  int next_callback VEDETTE_GUARDED_BY(mu) = 1;
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Registry::Entry& Registry::Find(std::string_view name, std::string_view help, MetricType type,
                                const Names& label_names, const std::function<void(Entry&)>& fill) {
  if (!IsLegacyMetricName(name)) Die(StrCat("no metric name: ", Quoted(name)));
  MutexLock lock(state_->mu);
  auto it = state_->entries.find(name);
  if (it == state_->entries.end()) {
    auto entry = std::make_unique<Entry>();
    entry->help = help;
    entry->type = type;
    entry->label_names = label_names;
    fill(*entry);
    it = state_->entries.emplace(name, std::move(entry)).first;
  }
  Entry& entry = *it->second;
  if (entry.type != type || entry.label_names != label_names) {
    Die(StrCat(name, " is there already with another kind or other labels"));
  }
  return entry;
}

Family<Counter>& Registry::AddCounterFamily(std::string_view name, std::string_view help,
                                            Names label_names) {
  Entry& entry = Find(name, help, MetricType::kCounter, label_names, [&](Entry& e) {
    e.counters =
        std::make_unique<Family<Counter>>(label_names, [] { return std::make_unique<Counter>(); });
  });
  if (entry.counters == nullptr) Die(StrCat(name, " is there already as a function"));
  return *entry.counters;
}

Family<Gauge>& Registry::AddGaugeFamily(std::string_view name, std::string_view help,
                                        Names label_names) {
  Entry& entry = Find(name, help, MetricType::kGauge, label_names, [&](Entry& e) {
    e.gauges =
        std::make_unique<Family<Gauge>>(label_names, [] { return std::make_unique<Gauge>(); });
  });
  if (entry.gauges == nullptr) Die(StrCat(name, " is there already as a function"));
  return *entry.gauges;
}

Family<Histogram>& Registry::AddHistogramFamily(std::string_view name, std::string_view help,
                                                Names label_names, std::vector<double> bounds) {
  return *Find(name, help, MetricType::kHistogram, label_names, [&](Entry& e) {
            e.histograms = std::make_unique<Family<Histogram>>(
                label_names, [bounds] { return std::make_unique<Histogram>(bounds); });
          }).histograms;
}

Family<Summary>& Registry::AddSummaryFamily(std::string_view name, std::string_view help,
                                            Names label_names, const Clock& clock) {
  return *Find(name, help, MetricType::kSummary, label_names, [&](Entry& e) {
            e.summaries = std::make_unique<Family<Summary>>(
                label_names, [&clock] { return std::make_unique<Summary>(clock); });
          }).summaries;
}

Counter& Registry::AddCounter(std::string_view name, std::string_view help) {
  return AddCounterFamily(name, help, {}).With({});
}

Gauge& Registry::AddGauge(std::string_view name, std::string_view help) {
  return AddGaugeFamily(name, help, {}).With({});
}

Histogram& Registry::AddHistogram(std::string_view name, std::string_view help,
                                  std::vector<double> bounds) {
  return AddHistogramFamily(name, help, {}, std::move(bounds)).With({});
}

void Registry::AddGaugeFn(std::string_view name, std::string_view help, ValueFn value) {
  Find(name, help, MetricType::kGauge, {}, [&](Entry& e) { e.value = std::move(value); });
}

void Registry::AddCounterFn(std::string_view name, std::string_view help, ValueFn value) {
  Find(name, help, MetricType::kCounter, {}, [&](Entry& e) { e.value = std::move(value); });
}

int Registry::AddCallback(Callback callback) {
  MutexLock lock(state_->mu);
  const int id = state_->next_callback++;
  state_->callbacks.emplace(id, std::make_shared<const Callback>(std::move(callback)));
  return id;
}

void Registry::RemoveCallback(int id) {
  MutexLock lock(state_->mu);
  state_->callbacks.erase(id);
}

std::vector<MetricFamily> Registry::Collect() const {
  std::vector<std::pair<std::string, const Entry*>> entries;
  std::vector<std::shared_ptr<const Callback>> callbacks;
  {
    MutexLock lock(state_->mu);
    for (const auto& [name, entry] : state_->entries) entries.emplace_back(name, entry.get());
    for (const auto& [id, callback] : state_->callbacks) callbacks.push_back(callback);
  }
  std::vector<MetricFamily> out;
  for (const auto& [name, entry] : entries) {
    MetricFamily family;
    family.name = name;
    family.metadata.type = entry->type;
    family.metadata.help = entry->help;
    const auto append = [&](const Names& values, const auto& metric) {
      AppendSamples(family, entry->label_names, values, metric);
    };
    if (entry->counters) entry->counters->ForEach(append);
    if (entry->gauges) entry->gauges->ForEach(append);
    if (entry->histograms) entry->histograms->ForEach(append);
    if (entry->summaries) entry->summaries->ForEach(append);
    if (entry->value) {
      family.samples.push_back({.labels = Base(name, {}, {}).Build(), .value = entry->value()});
    }
    if (!family.samples.empty()) out.push_back(std::move(family));
  }
  for (const auto& callback : callbacks) (*callback)(out);
  std::stable_sort(out.begin(), out.end(),
                   [](const MetricFamily& a, const MetricFamily& b) { return a.name < b.name; });
  return out;
}

}  // namespace vedette::metrics
