// One writer's timeline, and commits of several of them together.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/head/head.h"

namespace vedette::tsdb {
namespace {

uint64_t CountPresent(std::span<const double> values) {
  return static_cast<uint64_t>(
      std::ranges::count_if(values, [](double v) { return !IsAbsent(v); }));
}

}  // namespace

class Head::Writer final : public storage::TimelineWriter {
 public:
  Writer(Head& head, std::string owner) : head_(head), owner_(std::move(owner)) {}

  ~Writer() override {
    if (!timeline_) return;
    MutexLock lock(timeline_->commit_mu);
    head_.Uncharge(owner_, timeline_->layout.size());
    timeline_->kind = Timeline::Kind::kDetached;
  }

  Result<uint32_t> AddSeries(const Labels& labels) override {
    if (!timeline_) {
      VEDETTE_ASSIGN_OR_RETURN(timeline_, head_.NewTimeline(owner_, Timeline::Kind::kWriter));
    }
    VEDETTE_RETURN_IF_ERROR(head_.Charge(owner_));
    const UseGate::Use use(head_.gate_);
    bool added;
    const uint32_t series = head_.index_.FindOrAdd(labels, &added);
    MutexLock lock(timeline_->commit_mu);
    const uint32_t position = static_cast<uint32_t>(timeline_->layout.size());
    timeline_->layout.push_back(series);
    head_.AddPlace(series, {timeline_->id, position});
    return position;
  }

  Labels LabelsAt(uint32_t position) const override {
    MutexLock lock(timeline_->commit_mu);
    return head_.index_.LabelsOf(timeline_->layout[position]);
  }

  Result<storage::CommitStats> Commit(const storage::Row& row) override;

  // Null before its first series.
  Timeline* timeline() const { return timeline_.get(); }
  // Puts a row of this writer's timeline into `commit`.
  Status Stage(Head::Commit& commit, Timeline& t, const storage::Row& row)
      VEDETTE_REQUIRES(t.commit_mu);

 private:
  Head& head_;
  const std::string owner_;
  std::shared_ptr<Timeline> timeline_;  // Made with the first series.
};

std::unique_ptr<storage::TimelineWriter> Head::OpenTimeline(const std::string& owner) {
  return std::make_unique<Writer>(*this, owner);
}

Result<storage::CommitStats> Head::Writer::Commit(const storage::Row& row) {
  Head::Commit commit;
  if (!timeline_) return commit.stats;
  Timeline& t = *timeline_;
  MutexLock lock(t.commit_mu);
  Status status = Stage(commit, t, row);
  if (status.ok()) status = head_.Flush(commit);
  if (!status.ok()) {
    head_.Abandon(commit);
    return status;
  }
  storage::CommitStats counted = commit.stats;
  if (row.optional) counted.duplicate = counted.out_of_order = counted.too_old = 0;
  head_.Count(counted);
  return commit.stats;
}

Status Head::Writer::Stage(Head::Commit& commit, Timeline& t, const storage::Row& row) {
  if (row.values.size() > t.layout.size()) {
    return InvalidArgument(StrCat("a row of ", row.values.size(), " values for a layout of ",
                                  t.layout.size(), " series"));
  }
  for (const storage::HistogramAt& h : row.histograms) {
    if (h.position >= t.layout.size()) return InvalidArgument("a histogram beyond the layout");
  }
  for (const storage::ExemplarAt& e : row.exemplars) {
    if (e.position >= t.layout.size()) return InvalidArgument("an exemplar beyond the layout");
  }
  if (!head_.TimeAllowed(row.t_ms, 0, commit.stats)) {
    // Only now, as it walks the row.
    uint64_t samples = CountPresent(row.values);
    for (const storage::HistogramAt& h : row.histograms) {
      samples += h.position >= row.values.size() || IsAbsent(row.values[h.position]);
    }
    (void)head_.TimeAllowed(row.t_ms, samples, commit.stats);
    commit.stats.refused_histograms += row.histograms.size();
    return {};
  }
  std::span<const double> values = row.values;
  std::vector<double> without;
  if (!row.histograms.empty()) {
    without.assign(values.begin(), values.end());
    for (const storage::HistogramAt& h : row.histograms) {
      if (h.position < without.size()) without[h.position] = kAbsent;
      VEDETTE_RETURN_IF_ERROR(
          head_.StageHistogram(commit, t.layout[h.position], row.t_ms, *h.histogram, row.backfill));
    }
    values = without;
  }
  VEDETTE_RETURN_IF_ERROR(head_.StageRow(commit, t, row.t_ms, values, row.backfill));
  for (const storage::ExemplarAt& e : row.exemplars) {
    storage::ExemplarAt at = e;
    if (!at.exemplar.t_ms) at.exemplar.t_ms = row.t_ms;
    commit.stats.exemplars += head_.exemplars_.Add(head_.index_.LabelsOf(t.layout[e.position]),
                                                   at.exemplar, commit.batch);
  }
  return {};
}

Result<storage::CommitStats> Head::CommitTogether(
    std::span<const storage::WriterRow> rows,
    const std::function<void(StoreBatch& batch)>& add_notes)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  Commit commit;
  std::vector<std::pair<Timeline*, const storage::WriterRow*>> ordered;
  ordered.reserve(rows.size());
  for (const storage::WriterRow& r : rows) {
    if (Timeline* t = static_cast<Writer*>(r.writer)->timeline()) ordered.emplace_back(t, &r);
  }
  // All locks in the order of ids, as in Write().
  std::ranges::sort(ordered, {}, [](const auto& o) { return o.first->id; });
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::ranges::adjacent_find(ordered, same) != ordered.end()) {
    return InvalidArgument("two rows of one writer in one commit");
  }
  for (const auto& [t, r] : ordered) t->commit_mu.Lock();
  // Sealing writes what is staged: it comes before anything is, so that the rows stay together.
  Status status;
  for (size_t i = 0; status.ok() && i < ordered.size(); ++i) {
    Timeline& t = *ordered[i].first;
    const int64_t t_ms = ordered[i].second->row.t_ms;
    storage::CommitStats unused;
    if (TimeAllowed(t_ms, 0, unused)) status = MakeRoom(commit, t, t_ms);
  }
  for (size_t i = 0; status.ok() && i < ordered.size(); ++i) {
    const storage::WriterRow& r = *ordered[i].second;
    status = static_cast<Writer*>(r.writer)->Stage(commit, *ordered[i].first, r.row);
  }
  if (status.ok()) {
    add_notes(commit.batch);
    status = Flush(commit);
  }
  if (!status.ok()) Abandon(commit);
  for (const auto& [t, r] : ordered) t->commit_mu.Unlock();
  if (!status.ok()) return status;
  Count(commit.stats);
  return commit.stats;
}

}  // namespace vedette::tsdb
