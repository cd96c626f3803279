#include "server/rehearsal/scratch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"

namespace vedette::rehearsal {
namespace {

class Writer final : public storage::TimelineWriter {
 public:
  explicit Writer(MemoryStorage& memory) : memory_(memory) {}

  Result<uint32_t> AddSeries(const Labels& labels) override {
    layout_.push_back(labels);
    return static_cast<uint32_t>(layout_.size() - 1);
  }

  Labels LabelsAt(uint32_t position) const override { return layout_.at(position); }

  Result<storage::CommitStats> Commit(const storage::Row& row) override {
    storage::CommitStats stats;
    std::set<uint32_t> histograms;
    for (const storage::HistogramAt& h : row.histograms) {
      memory_.Add(layout_.at(h.position), row.t_ms, h.histogram);
      histograms.insert(h.position);
      ++stats.appended;
    }
    for (size_t p = 0; p < row.values.size(); ++p) {
      if (IsAbsent(row.values[p]) || histograms.contains(static_cast<uint32_t>(p))) continue;
      memory_.Add(layout_.at(p), row.t_ms, row.values[p]);
      ++stats.appended;
    }
    return stats;
  }

 private:
  MemoryStorage& memory_;
  std::vector<Labels> layout_;
};

// Which of the two a selector reads.
enum class Side : uint8_t { kMemory, kBase, kBoth };

class Both final : public storage::Querier {
 public:
  Both(std::unique_ptr<storage::Querier> memory, std::unique_ptr<storage::Querier> base,
       const std::set<std::string>& produced, int64_t min_t_ms, int64_t max_t_ms)
      : memory_(std::move(memory)),
        base_(std::move(base)),
        produced_(produced),
        min_t_ms_(min_t_ms),
        max_t_ms_(max_t_ms) {}

  std::unique_ptr<storage::SeriesSet> Select(const storage::SelectHints& hints,
                                             std::span<const Matcher> matchers) override {
    switch (SideOf(matchers)) {
      case Side::kMemory:
        return memory_->Select(hints, matchers);
      case Side::kBase:
        return base_->Select(hints, matchers);
      case Side::kBoth:
        break;
    }
    // Rare: a selector without a name of its own. One copy in one order.
    storage::SelectHints whole = hints;  // Series are put together by all of their labels.
    whole.labels.reset();
    merged_.push_back(std::make_unique<MemoryStorage>());
    MemoryStorage& merged = *merged_.back();
    for (storage::Querier* side : {memory_.get(), base_.get()}) {
      std::unique_ptr<storage::SeriesSet> set = side->Select(whole, matchers);
      while (set->Next()) {
        const storage::SeriesColumns& s = set->at();
        if (side == base_.get() && produced_.contains(std::string(s.labels.metric_name())))
          continue;
        for (size_t i = 0; i < s.t_ms.size(); ++i) {
          if (!s.histograms.empty() && s.histograms[i] != nullptr) {
            merged.Add(s.labels, s.t_ms[i], s.histograms[i]);
          } else {
            merged.Add(s.labels, s.t_ms[i], s.values[i]);
          }
        }
      }
      if (!set->status().ok()) return set;  // It says why at the first question.
    }
    queriers_.push_back(*merged.Open(min_t_ms_, max_t_ms_));
    return queriers_.back()->Select(hints, matchers);
  }

  Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher> matchers,
                                           storage::NameLimit* limit) override {
    return base_->SeriesLabels(matchers, limit);
  }
  Result<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers,
                                              storage::NameLimit* limit) override {
    return base_->LabelNames(matchers, limit);
  }
  Result<std::vector<std::string>> LabelValues(const std::string& name,
                                               std::span<const Matcher> matchers,
                                               storage::NameLimit* limit) override {
    return base_->LabelValues(name, matchers, limit);
  }

 private:
  Side SideOf(std::span<const Matcher> matchers) const {
    for (const Matcher& m : matchers) {
      if (m.name() != kMetricNameLabel || m.op() != Matcher::Op::kEqual) continue;
      return produced_.contains(m.value()) ? Side::kMemory : Side::kBase;
    }
    return Side::kBoth;
  }

  const std::unique_ptr<storage::Querier> memory_, base_;
  const std::set<std::string>& produced_;
  const int64_t min_t_ms_, max_t_ms_;
  std::vector<std::unique_ptr<MemoryStorage>> merged_;
  std::vector<std::unique_ptr<storage::Querier>> queriers_;
};

}  // namespace

Result<std::optional<std::string>> ScratchKeyValue::Get(std::string_view key) const {
  const auto found = pairs_.find(key);
  if (found == pairs_.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Status ScratchKeyValue::Apply(std::span<const Change> changes, bool) {
  for (const Change& c : changes) {
    if (c.value) {
      pairs_.insert_or_assign(c.key, *c.value);
    } else {
      pairs_.erase(c.key);
    }
  }
  return {};
}

Status ScratchKeyValue::Scan(
    std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  for (auto it = pairs_.lower_bound(prefix); it != pairs_.end() && it->first.starts_with(prefix);
       ++it) {
    if (!visit(it->first, it->second)) break;
  }
  return {};
}

std::unique_ptr<storage::TimelineWriter> ScratchStorage::OpenTimeline(const std::string&) {
  return std::make_unique<Writer>(memory_);
}

Result<storage::CommitStats> ScratchStorage::Write(std::span<const storage::SeriesBatch> batch) {
  storage::CommitStats stats;
  for (const storage::SeriesBatch& one : batch) {
    for (const Sample& s : one.samples) memory_.Add(one.labels, s.t_ms, s.value);
    for (const auto& h : one.histograms) memory_.Add(one.labels, h.t_ms, h.histogram);
    stats.appended += one.samples.size() + one.histograms.size();
  }
  return stats;
}

Result<std::unique_ptr<storage::Querier>> ScratchStorage::Open(int64_t min_t_ms,
                                                               int64_t max_t_ms) const {
  if (base_ == nullptr) return memory_.Open(min_t_ms, max_t_ms);
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<storage::Querier> memory,
                           memory_.Open(min_t_ms, max_t_ms));
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<storage::Querier> base, base_->Open(min_t_ms, max_t_ms));
  return std::unique_ptr<storage::Querier>(
      std::make_unique<Both>(std::move(memory), std::move(base), produced_, min_t_ms, max_t_ms));
}

}  // namespace vedette::rehearsal
