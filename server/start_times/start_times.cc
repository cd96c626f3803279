#include "server/start_times/start_times.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"

namespace vedette {
namespace {

using storage::NameLimit;
using storage::SelectHints;
using storage::SeriesBatch;
using storage::SeriesColumns;
using storage::SeriesRef;
using storage::SeriesSet;

// Companions known by ref, some 50 bytes each: beyond it they are learnt anew.
constexpr size_t kMostKnownCompanions = 4 << 20;

Labels CompanionOf(const Labels& labels) {
  LabelsBuilder b(labels);
  b.Set(StartTimes::kStartTimeLabel, "1");
  return b.Build();
}

bool HasStarts(const SeriesBatch& b) {
  const auto told = [](int64_t start_ms) { return start_ms != 0; };
  return std::ranges::any_of(b.sample_starts, told) ||
         std::ranges::any_of(b.histogram_starts, told);
}

// The samples of its companion.
std::vector<Sample> StartsOf(const SeriesBatch& b) {
  std::vector<Sample> out;
  for (size_t i = 0; i < b.sample_starts.size(); ++i) {
    if (b.sample_starts[i] == 0) continue;
    out.push_back({b.samples[i].t_ms, static_cast<double>(b.sample_starts[i])});
  }
  for (size_t i = 0; i < b.histogram_starts.size(); ++i) {
    if (b.histogram_starts[i] == 0) continue;
    out.push_back({b.histograms[i].t_ms, static_cast<double>(b.histogram_starts[i])});
  }
  return out;
}

std::vector<Matcher> And(std::span<const Matcher> matchers, std::string_view companion) {
  std::vector<Matcher> out(matchers.begin(), matchers.end());
  out.push_back(Matcher::Equal(StartTimes::kStartTimeLabel, companion));
  return out;
}

// The start timestamps of one series, ascending in time.
struct Starts {
  std::vector<int64_t> t_ms;
  std::vector<int64_t> start_ms;
};

// The samples of `inner` with the start timestamps that `companions` holds. Companions are read
// whole before the first series: they come in another order.
class JoinedSet final : public SeriesSet {
 public:
  JoinedSet(std::unique_ptr<SeriesSet> inner, std::unique_ptr<SeriesSet> companions)
      : inner_(std::move(inner)) {
    static const std::vector<std::string> kMark = {std::string(StartTimes::kStartTimeLabel)};
    while (companions->Next()) {
      const SeriesColumns& c = companions->at();
      Starts& s = starts_[c.labels.Without(kMark)];
      for (size_t i = 0; i < c.t_ms.size(); ++i) {
        s.t_ms.push_back(c.t_ms[i]);
        s.start_ms.push_back(IsStale(c.values[i]) ? 0 : static_cast<int64_t>(c.values[i]));
      }
    }
    status_ = companions->status();
    bytes_ = companions->bytes_decoded();
  }

  bool Next() override {
    if (!status_.ok() || !inner_->Next()) return false;
    now_ = inner_->at();
    const auto it = starts_.find(now_.labels);
    if (it == starts_.end()) return true;
    const Starts& s = it->second;
    joined_.assign(now_.t_ms.size(), 0);
    size_t k = 0;
    for (size_t i = 0; i < now_.t_ms.size(); ++i) {
      while (k < s.t_ms.size() && s.t_ms[k] < now_.t_ms[i]) ++k;
      if (k < s.t_ms.size() && s.t_ms[k] == now_.t_ms[i]) joined_[i] = s.start_ms[k];
    }
    now_.start_ms = joined_;
    return true;
  }
  const SeriesColumns& at() const override { return now_; }
  Status status() const override { return status_.ok() ? inner_->status() : status_; }
  std::vector<std::string> warnings() const override { return inner_->warnings(); }
  uint64_t bytes_decoded() const override { return bytes_ + inner_->bytes_decoded(); }

 private:
  const std::unique_ptr<SeriesSet> inner_;
  std::unordered_map<Labels, Starts, LabelsHash> starts_;
  std::vector<int64_t> joined_;
  SeriesColumns now_;
  Status status_;
  uint64_t bytes_ = 0;
};

class Joiner final : public storage::Querier {
 public:
  explicit Joiner(std::unique_ptr<storage::Querier> inner) : inner_(std::move(inner)) {}

  std::unique_ptr<SeriesSet> Select(const SelectHints& hints,
                                    std::span<const Matcher> matchers) override {
    if (!hints.start_times) return inner_->Select(hints, And(matchers, ""));
    SelectHints whole = hints;  // Series find their companions by all of their labels.
    whole.labels.reset();
    std::unique_ptr<SeriesSet> samples = inner_->Select(whole, And(matchers, ""));
    SelectHints companions = whole;
    companions.presence_only = false;
    companions.limit = 0;
    companions.start_times = false;
    return std::make_unique<JoinedSet>(std::move(samples),
                                       inner_->Select(companions, And(matchers, "1")));
  }

  Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher> matchers,
                                           NameLimit* limit) override {
    return inner_->SeriesLabels(And(matchers, ""), limit);
  }

  Result<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers,
                                              NameLimit* limit) override {
    if (!matchers.empty()) return inner_->LabelNames(And(matchers, ""), limit);
    // Without a selector the index knows the names as they are: one more may be asked for than
    // wanted, to make up for the one that goes.
    NameLimit wider;
    if (limit != nullptr && limit->limit > 0) wider.limit = limit->limit + 1;
    Result<std::vector<std::string>> names = inner_->LabelNames(matchers, &wider);
    if (!names.ok()) return names;
    std::erase(*names, StartTimes::kStartTimeLabel);
    if (limit != nullptr) {
      limit->truncated = wider.truncated;
      if (limit->limit > 0 && names->size() > limit->limit) {
        names->resize(limit->limit);
        limit->truncated = true;
      }
    }
    return names;
  }

  Result<std::vector<std::string>> LabelValues(const std::string& name,
                                               std::span<const Matcher> matchers,
                                               NameLimit* limit) override {
    if (name == StartTimes::kStartTimeLabel) return std::vector<std::string>();
    return inner_->LabelValues(name, matchers, limit);
  }

 private:
  const std::unique_ptr<storage::Querier> inner_;
};

// Writes the rows of one timeline, and the starts of its samples into another.
class TimelineWithStarts final : public storage::TimelineWriter {
 public:
  TimelineWithStarts(storage::Appender& appender, std::string owner)
      : appender_(appender), owner_(std::move(owner)), samples_(appender.OpenTimeline(owner_)) {}

  Result<uint32_t> AddSeries(const Labels& labels) override { return samples_->AddSeries(labels); }
  Labels LabelsAt(uint32_t position) const override { return samples_->LabelsAt(position); }

  Result<storage::CommitStats> Commit(const storage::Row& row) override {
    Result<storage::CommitStats> stats = samples_->Commit(row);
    if (stats.ok()) Stored(row);
    return stats;
  }

  storage::TimelineWriter& samples() { return *samples_; }
  // The samples of the row are in the storage.
  void Stored(const storage::Row& row) {
    if (!row.starts.empty() || companions_ != nullptr) KeepStarts(row);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  void KeepStarts(const storage::Row& row) {
    values_.assign(values_.size(), kAbsent);
    for (const storage::StartAt& start : row.starts) {
      const uint32_t at = CompanionAt(start.position);
      if (at != kNone) values_[at] = static_cast<double>(start.start_ms);
    }
    // A series that ends takes its companion along.
    for (uint32_t p = 0; p < companion_of_.size() && p < row.values.size(); ++p) {
      if (companion_of_[p] != kNone && IsStale(row.values[p])) values_[companion_of_[p]] = kStaleNan;
    }
    if (companions_ == nullptr || std::ranges::all_of(values_, IsAbsent)) return;
    (void)companions_->Commit(  // The samples are what counts.
        {.t_ms = row.t_ms, .values = values_, .backfill = row.backfill, .optional = row.optional});
  }

  // kNone where a budget is used up.
  uint32_t CompanionAt(uint32_t position) {
    if (companion_of_.size() <= position) companion_of_.resize(position + 1, kNone);
    uint32_t& at = companion_of_[position];
    if (at != kNone) return at;
    if (companions_ == nullptr) companions_ = appender_.OpenTimeline(owner_);
    const Result<uint32_t> added =
        companions_->AddSeries(CompanionOf(samples_->LabelsAt(position)));
    if (!added.ok()) return kNone;
    at = *added;
    values_.resize(std::max<size_t>(values_.size(), at + 1), kAbsent);
    return at;
  }

  storage::Appender& appender_;
  const std::string owner_;
  const std::unique_ptr<storage::TimelineWriter> samples_;
  std::unique_ptr<storage::TimelineWriter> companions_;  // Made with the first start.
  std::vector<uint32_t> companion_of_;                   // By position of the series.
  std::vector<double> values_;                           // By position of the companion.
};

}  // namespace

std::unique_ptr<storage::TimelineWriter> StartTimes::OpenTimeline(const std::string& owner) {
  return std::make_unique<TimelineWithStarts>(appender_, owner);
}

Result<storage::CommitStats> StartTimes::CommitTogether(
    std::span<const storage::WriterRow> rows, std::span<const storage::KeyValue::Change> notes) {
  std::vector<storage::WriterRow> samples;
  samples.reserve(rows.size());
  for (const storage::WriterRow& r : rows) {
    samples.push_back({&static_cast<TimelineWithStarts&>(*r.writer).samples(), r.row});
  }
  Result<storage::CommitStats> stats = appender_.CommitTogether(samples, notes);
  for (const storage::WriterRow& r : rows) {
    if (stats.ok()) static_cast<TimelineWithStarts&>(*r.writer).Stored(r.row);
  }
  return stats;
}

Result<storage::CommitStats> StartTimes::Write(std::span<const SeriesBatch> batch) {
  Result<storage::CommitStats> stats = appender_.Write(batch);
  if (!stats.ok()) return stats;
  std::deque<std::vector<Sample>> kept;  // Stands still while it grows.
  std::vector<SeriesBatch> companions;
  for (const SeriesBatch& b : batch) {
    if (!HasStarts(b)) continue;
    kept.push_back(StartsOf(b));
    companions.push_back({.labels = CompanionOf(b.labels), .samples = kept.back()});
  }
  if (!companions.empty()) (void)appender_.Write(companions);  // The samples are what counts.
  return stats;
}

Result<storage::CommitStats> StartTimes::WriteKnown(std::span<const SeriesBatch> batch,
                                                    std::span<SeriesRef> refs) {
  std::vector<size_t> told;  // Places in the batch.
  for (size_t i = 0; i < batch.size(); ++i) {
    if (HasStarts(batch[i])) told.push_back(i);
  }
  if (told.empty()) return appender_.WriteKnown(batch, refs);
  std::vector<SeriesRef> companions(told.size());
  {
    MutexLock lock(mu_);
    for (size_t k = 0; k < told.size(); ++k) {
      const auto it = companion_of_.find(refs[told[k]]);
      if (it != companion_of_.end()) companions[k] = it->second;
    }
  }
  for (size_t k = 0; k < told.size(); ++k) {
    if (companions[k] == 0 && batch[told[k]].labels.empty()) {
      return NotFound("the first start timestamp of a series needs its labels");
    }
  }
  Result<storage::CommitStats> stats = appender_.WriteKnown(batch, refs);
  if (!stats.ok()) return stats;
  std::vector<std::vector<Sample>> kept(told.size());
  std::vector<SeriesBatch> written(told.size());
  for (size_t k = 0; k < told.size(); ++k) {
    kept[k] = StartsOf(batch[told[k]]);
    written[k].samples = kept[k];
    if (companions[k] == 0) written[k].labels = CompanionOf(batch[told[k]].labels);
  }
  const bool stored = appender_.WriteKnown(written, companions).ok();  // The samples are what counts.
  MutexLock lock(mu_);
  if (companion_of_.size() > kMostKnownCompanions) companion_of_.clear();
  for (size_t k = 0; k < told.size(); ++k) {
    const SeriesRef ref = refs[told[k]];
    if (ref == 0) continue;
    if (stored && companions[k] != 0) {
      companion_of_[ref] = companions[k];
    } else {
      companion_of_.erase(ref);
    }
  }
  return stats;
}

Result<std::unique_ptr<storage::Querier>> StartTimes::Open(int64_t min_t_ms,
                                                           int64_t max_t_ms) const {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<storage::Querier> inner,
                           queryable_.Open(min_t_ms, max_t_ms));
  return std::unique_ptr<storage::Querier>(std::make_unique<Joiner>(std::move(inner)));
}

}  // namespace vedette
