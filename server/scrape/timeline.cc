#include "server/scrape/timeline.h"

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <utility>

namespace vedette::scrape {
namespace {

// A timeline starts over when it has more than so many numbers for each live series.
constexpr uint64_t kNumbersPerLive = 3;
constexpr uint64_t kNumbersToSpare = 1024;

}  // namespace

Timeline::Timeline(storage::Appender& appender, std::string owner, bool starts_over)
    : appender_(appender),
      owner_(std::move(owner)),
      starts_over_(starts_over),
      writer_(appender.OpenTimeline(owner_)) {}

bool Timeline::mostly_dead() const {
  return numbers_.size() > kNumbersPerLive * live_count_ + kNumbersToSpare;
}

void Timeline::Begin() {
  if (restart_ || (starts_over_ && mostly_dead())) StartOver();
  Abandon();
}

void Timeline::StartOver() {
  restart_ = false;
  // A second start before the first one's commit: what the older writer still owes stays owed.
  auto before = std::make_unique<Before>();
  before->writer = std::move(writer_);
  before->size = next_position_;
  for (uint32_t n = 0; n < numbers_.size(); ++n) {
    if ((flags_[n] & kLive) == 0 || positions_[n] == kNoPosition) continue;
    before->hashes.Add(numbers_.hash(n));
    before->positions.push_back(positions_[n]);
  }
  if (before_ == nullptr || before->hashes.size() > 0) before_ = std::move(before);
  writer_ = appender_.OpenTimeline(owner_);
  numbers_.Clear();
  column_.clear();
  positions_.clear();
  flags_.clear();
  labels_.clear();
  starts_.clear();
  began_.clear();
  in_order_ = true;
  next_position_ = 0;
  live_count_ = 0;
  steady_ = false;
  ++generation_;
}

void Timeline::Abandon() {
  std::fill(column_.begin(), column_.end(), kAbsent);
  for (const Timed& timed : timed_) flags_[timed.number] &= ~(kTimedNow | kTrackTimed);
  histograms_.clear();
  exemplars_.clear();
  timed_.clear();
}

uint32_t Timeline::Number(const Labels& labels) {
  const uint64_t hash = labels.Hash();
  if (const uint32_t known = numbers_.Find(hash); known != HashTable::kNone) return known;
  const uint32_t number = numbers_.Add(hash);
  steady_ = false;
  column_.push_back(kAbsent);
  positions_.push_back(kNoPosition);
  flags_.push_back(0);
  labels_.emplace(number, labels);
  return number;
}

bool Timeline::SetHistogram(uint32_t number, std::shared_ptr<const Histogram> histogram) {
  if (!Set(number, 0)) return false;
  histograms_.push_back({number, std::move(histogram)});
  return true;
}

uint64_t Timeline::SetFirst(std::span<const double> values) {
  uint64_t absent = 0;
  for (const double value : values) absent += IsAbsent(value);
  std::copy(values.begin(), values.end(), column_.begin());
  return values.size() - absent;
}

void Timeline::AddExemplar(uint32_t number, Exemplar exemplar) {
  exemplars_.push_back({number, std::move(exemplar)});
}

void Timeline::SetStart(uint32_t number, int64_t start_ms) {
  if (starts_.size() <= number) {
    if (start_ms == 0) return;
    starts_.resize(numbers_.size());
  }
  if (starts_[number] == start_ms) return;
  starts_[number] = start_ms;
  if (zeros_ && start_ms != 0) began_.push_back(number);
}

void Timeline::KeepLabels(uint32_t number, const Labels& labels) {
  labels_.emplace(number, labels);
  flags_[number] |= kLabelsKept;
}

void Timeline::SetTimed(uint32_t number, int64_t t_ms, double value,
                        std::shared_ptr<const Histogram> histogram, bool track) {
  flags_[number] |= kTimedNow | kLabelsKept | (track ? kTrackTimed : 0);
  timed_.push_back({number, {t_ms, value}, std::move(histogram),
                    number < starts_.size() ? starts_[number] : 0});
}

bool Timeline::Present(uint32_t number) const {
  const double value = column_[number];
  if (!IsAbsent(value)) return !IsStale(value);
  return (flags_[number] & (kTimedNow | kTrackTimed)) == (kTimedNow | kTrackTimed);
}

bool Timeline::AllPresent() const {
  bool missing = false;
  for (const double value : column_) missing |= IsAbsent(value) | IsStale(value);
  return !missing;
}

uint64_t Timeline::CountNew() const {
  if (steady_) return 0;
  uint64_t count = 0;
  for (uint32_t n = 0; n < column_.size(); ++n) {
    const bool there = Present(n) || (flags_[n] & kTimedNow) != 0;
    if (there && (flags_[n] & (kLive | kTimedBefore)) == 0) {
      count += before_ == nullptr || before_->hashes.Find(numbers_.hash(n)) == HashTable::kNone;
    }
  }
  return count;
}

Status Timeline::Place(uint64_t* refused) {
  if (next_position_ == column_.size()) return Status();
  for (uint32_t n = 0; n < column_.size(); ++n) {
    if (positions_[n] != kNoPosition || IsAbsent(column_[n])) continue;
    const auto it = labels_.find(n);
    if (IsStale(column_[n]) || it == labels_.end()) {
      column_[n] = kAbsent;  // Never stored, so there is nothing to end.
      continue;
    }
    Result<uint32_t> position = writer_->AddSeries(it->second);
    if (!position.ok()) {
      if (position.status().code() != StatusCode::kResourceExhausted) return position.status();
      ++*refused;
      column_[n] = kAbsent;
      continue;
    }
    positions_[n] = *position;
    next_position_ = std::max(next_position_, *position + 1);
    in_order_ = in_order_ && *position == n;
    if ((flags_[n] & kLabelsKept) == 0) labels_.erase(it);
  }
  if (labels_.empty()) labels_ = {};  // Its table as well.
  return Status();
}

Result<storage::CommitStats> Timeline::Send(int64_t t_ms, bool backfill) {
  storage::CommitStats sum;
  uint64_t refused = 0;
  const uint32_t known_positions = next_position_;
  VEDETTE_RETURN_IF_ERROR(Place(&refused));
  if (!began_.empty() && !backfill) {
    VEDETTE_RETURN_IF_ERROR(SendZeros(t_ms, known_positions));
  }
  VEDETTE_ASSIGN_OR_RETURN(sum, writer_->Commit(RowOf(t_ms, backfill, refused > 0)));
  if (!backfill) last_t_ms_ = t_ms;
  sum.series_limit += refused;
  if (!timed_.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const storage::CommitStats timed, SendTimed());
    sum += timed;
  }
  return sum;
}

// `refused`: some that are set have no place in the storage.
storage::Row Timeline::RowOf(int64_t t_ms, bool backfill, bool refused) {
  storage::Row row{.t_ms = t_ms, .backfill = backfill};
  if (in_order_) {
    row.values = {column_.data(), next_position_};
    row.histograms = histograms_;
    row.exemplars = exemplars_;
  }
  if (!in_order_ || refused) {
    permuted_histograms_.clear();
    permuted_exemplars_.clear();
    for (const storage::HistogramAt& h : histograms_) {
      if (const uint32_t p = positions_[h.position]; p != kNoPosition) {
        permuted_histograms_.push_back({p, h.histogram});
      }
    }
    for (const storage::ExemplarAt& e : exemplars_) {
      if (const uint32_t p = positions_[e.position]; p != kNoPosition) {
        permuted_exemplars_.push_back({p, e.exemplar});
      }
    }
    row.histograms = permuted_histograms_;
    row.exemplars = permuted_exemplars_;
  }
  if (!in_order_) {
    permuted_.assign(next_position_, kAbsent);
    for (uint32_t n = 0; n < column_.size(); ++n) {
      if (positions_[n] != kNoPosition) permuted_[positions_[n]] = column_[n];
    }
    row.values = permuted_;
  }
  if (!starts_.empty()) {
    CollectStarts();
    row.starts = row_starts_;
  }
  return row;
}

void Timeline::CollectStarts() {
  row_starts_.clear();
  for (uint32_t n = 0; n < starts_.size(); ++n) {
    if (starts_[n] == 0 || positions_[n] == kNoPosition || IsAbsent(column_[n]) ||
        IsStale(column_[n])) {
      continue;
    }
    row_starts_.push_back({positions_[n], starts_[n]});
  }
}

// What is refused on the way is no loss: the storage has something of that time already.
Status Timeline::SendZeros(int64_t t_ms, uint32_t known_positions) {
  std::map<int64_t, std::vector<uint32_t>> by_start;
  for (const uint32_t n : began_) {
    const int64_t start_ms = starts_[n];
    if (positions_[n] == kNoPosition || IsAbsent(column_[n]) || IsStale(column_[n])) {
      starts_[n] = 0;  // Told of again when there is a sample.
      continue;
    }
    const bool known = positions_[n] < known_positions;
    if (start_ms >= t_ms || t_ms - start_ms > kOldestStartMs) continue;
    if (known && start_ms <= last_t_ms_) continue;
    by_start[start_ms].push_back(n);
  }
  began_.clear();
  for (const auto& [start_ms, numbers] : by_start) {
    std::vector<double> zeros(next_position_, kAbsent);
    std::vector<storage::HistogramAt> histograms;
    for (const uint32_t n : numbers) {
      zeros[positions_[n]] = 0;
      const auto h = std::ranges::find(histograms_, n, &storage::HistogramAt::position);
      if (h == histograms_.end()) continue;
      auto empty = std::make_shared<Histogram>();
      empty->reset_hint = Histogram::ResetHint::kReset;
      empty->schema = h->histogram->schema;
      empty->zero_threshold = h->histogram->zero_threshold;
      empty->custom_values = h->histogram->custom_values;
      histograms.push_back({positions_[n], std::move(empty)});
    }
    VEDETTE_RETURN_IF_ERROR(
        writer_
            ->Commit({.t_ms = start_ms, .values = zeros, .histograms = histograms, .optional = true})
            .status());
  }
  return Status();
}

Result<storage::CommitStats> Timeline::SendTimed() {
  std::vector<storage::SeriesBatch::HistogramSample> histograms;
  histograms.reserve(timed_.size());
  std::vector<storage::SeriesBatch> batch;
  batch.reserve(timed_.size());
  for (const Timed& timed : timed_) {
    storage::SeriesBatch& series = batch.emplace_back();
    series.labels = labels_.at(timed.number);
    if (timed.histogram != nullptr) {
      histograms.push_back({timed.sample.t_ms, timed.histogram});
      series.histograms = {&histograms.back(), 1};
      if (timed.start_ms != 0) series.histogram_starts = {&timed.start_ms, 1};
    } else {
      series.samples = {&timed.sample, 1};
      if (timed.start_ms != 0) series.sample_starts = {&timed.start_ms, 1};
    }
  }
  return appender_.Write(batch);
}

std::optional<storage::WriterRow> Timeline::SteadyRow(int64_t t_ms) {
  if (!steady_ || !timed_.empty() || !began_.empty() || before_ != nullptr || column_.empty() ||
      !AllPresent()) {
    return std::nullopt;
  }
  numbers_.DropIndex();
  last_t_ms_ = t_ms;
  return storage::WriterRow{writer_.get(), RowOf(t_ms, /*backfill=*/false, /*refused=*/false)};
}

Result<Timeline::Outcome> Timeline::Commit(int64_t t_ms) {
  Outcome outcome;
  if (const std::optional<storage::WriterRow> steady = SteadyRow(t_ms)) {
    VEDETTE_ASSIGN_OR_RETURN(outcome.stats, writer_->Commit(steady->row));
    return outcome;
  }
  outcome.added = CountNew();
  for (uint32_t n = 0; n < column_.size(); ++n) {
    // One that only a gap's rows brought, and that is not here now, ended some time in between.
    if ((flags_[n] & (kLive | kInGap)) != 0 && !Present(n) && IsAbsent(column_[n])) {
      column_[n] = kStaleNan;
      ++outcome.stale;
      flags_[n] &= static_cast<uint8_t>(~kInGap);
    }
  }
  if (outcome.stale > 0) {
    // A series that came with its own times only has no position yet; its end needs one.
    for (uint32_t n = 0; n < column_.size(); ++n) {
      if (!IsStale(column_[n]) || positions_[n] != kNoPosition || !labels_.contains(n)) continue;
      if (Result<uint32_t> position = writer_->AddSeries(labels_.at(n)); position.ok()) {
        positions_[n] = *position;
        next_position_ = std::max(next_position_, *position + 1);
        in_order_ = in_order_ && *position == n;
      }
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(outcome.stats, Send(t_ms, /*backfill=*/false));

  if (before_ != nullptr) {
    std::vector<double> ends(before_->size, kAbsent);
    uint64_t ended = 0;
    for (uint32_t i = 0; i < before_->hashes.size(); ++i) {
      const uint32_t n = numbers_.Find(before_->hashes.hash(i));
      if (n != HashTable::kNone && Present(n)) continue;
      ends[before_->positions[i]] = kStaleNan;
      ++ended;
    }
    if (ended > 0) {
      VEDETTE_ASSIGN_OR_RETURN(const storage::CommitStats stats,
                               before_->writer->Commit({.t_ms = t_ms, .values = ends}));
      outcome.stats += stats;
      outcome.stale += ended;
    }
    before_ = nullptr;
  }

  live_count_ = 0;
  steady_ = true;
  for (uint32_t n = 0; n < column_.size(); ++n) {
    const bool live = Present(n);
    const bool timed = (flags_[n] & kTimedNow) != 0;
    flags_[n] = static_cast<uint8_t>((flags_[n] & (kLabelsKept | kInGap)) | (live ? kLive : 0) |
                                     (timed ? kTimedBefore : 0));
    live_count_ += live;
    steady_ = steady_ && flags_[n] == kLive;
  }
  timed_.clear();
  return outcome;
}

Result<storage::CommitStats> Timeline::CommitBackfill(int64_t t_ms) {
  steady_ = false;
  for (uint32_t n = 0; n < column_.size(); ++n) {
    const bool there = Present(n);
    if ((flags_[n] & kInGap) != 0 && !there && IsAbsent(column_[n])) column_[n] = kStaleNan;
    flags_[n] = static_cast<uint8_t>((flags_[n] & ~kInGap) | (there ? kInGap : 0));
  }
  Result<storage::CommitStats> stats = Send(t_ms, /*backfill=*/true);
  Abandon();
  return stats;
}

Status Timeline::End(int64_t t_ms) {
  Begin();
  return Commit(t_ms).status();
}

}  // namespace vedette::scrape
