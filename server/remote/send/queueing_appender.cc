#include "server/remote/send/queueing_appender.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/log/log.h"
#include "server/remote/send/entry.h"

namespace vedette::remote {

class QueueingAppender::Writer final : public storage::TimelineWriter {
 public:
  Writer(QueueingAppender& outer, std::unique_ptr<storage::TimelineWriter> inner)
      : outer_(outer), inner_(std::move(inner)) {}

  ~Writer() override {
    if (id_ != 0) outer_.queue_.CloseWriter(id_);
  }

  Result<uint32_t> AddSeries(const Labels& labels) override {
    VEDETTE_ASSIGN_OR_RETURN(const uint32_t position, inner_->AddSeries(labels));
    positions_ = std::max(positions_, position + 1);
    return position;
  }

  Labels LabelsAt(uint32_t position) const override { return inner_->LabelsAt(position); }

  Result<storage::CommitStats> Commit(const storage::Row& row) override {
    if (outer_.queue_.active()) Queue(row);
    return inner_->Commit(row);
  }

  storage::TimelineWriter& inner() { return *inner_; }
  // A copy of the row goes into the queue, with the labels that it has not yet.
  void Queue(const storage::Row& row) {
    if (row.histograms.empty() && std::ranges::all_of(row.values, IsAbsent)) return;
    const uint64_t epoch = outer_.queue_.epoch();
    if (id_ == 0 || epoch != epoch_) {
      id_ = outer_.next_writer_.fetch_add(1, std::memory_order_relaxed);
      epoch_ = epoch;
      stored_ = 0;
    }
    std::optional<remote::Queue::LayoutPiece> layout;
    if (stored_ < positions_) {
      layout.emplace();
      layout->writer = id_;
      layout->position = stored_;
      for (uint32_t p = stored_; p < positions_; ++p) {
        AppendLayout(&layout->labels, inner_->LabelsAt(p));
      }
    }
    if (outer_.Enqueue(EncodeRow(id_, row), layout)) stored_ = positions_;
  }

 private:
  QueueingAppender& outer_;
  std::unique_ptr<storage::TimelineWriter> inner_;
  uint32_t positions_ = 0;
  uint32_t stored_ = 0;  // Positions whose labels the queue has.
  uint64_t id_ = 0;      // In the queue; taken with the first row.
  uint64_t epoch_ = 0;
};

// Numbers of writers start at the time in microseconds, so that no two runs share one.
QueueingAppender::QueueingAppender(storage::Appender& inner, Queue& queue, const Clock& clock)
    : inner_(inner), queue_(queue), next_writer_(static_cast<uint64_t>(clock.NowMs()) * 1000) {}

std::unique_ptr<storage::TimelineWriter> QueueingAppender::OpenTimeline(const std::string& owner) {
  return std::make_unique<Writer>(*this, inner_.OpenTimeline(owner));
}

Result<storage::CommitStats> QueueingAppender::CommitTogether(
    std::span<const storage::WriterRow> rows, std::span<const storage::KeyValue::Change> notes) {
  const bool active = queue_.active();
  std::vector<storage::WriterRow> inner;
  inner.reserve(rows.size());
  for (const storage::WriterRow& r : rows) {
    Writer& writer = static_cast<Writer&>(*r.writer);
    if (active) writer.Queue(r.row);
    inner.push_back({&writer.inner(), r.row});
  }
  return inner_.CommitTogether(inner, notes);
}

Result<storage::CommitStats> QueueingAppender::Write(std::span<const storage::SeriesBatch> batch) {
  Result<storage::CommitStats> stats = inner_.Write(batch);
  if (!stats.ok() || !queue_.active()) return stats;
  // A write that was refused whole stays here. One that had been stored before (a sender that tries
  // again after a crash) counts as duplicates and goes on.
  if (stats->appended > 0 || stats->duplicate > 0 || stats->refused() == 0) {
    Enqueue(EncodeLoose(batch), std::nullopt);
  }
  return stats;
}

Result<storage::CommitStats> QueueingAppender::WriteKnown(
    std::span<const storage::SeriesBatch> batch, std::span<storage::SeriesRef> refs) {
  if (!queue_.active()) return inner_.WriteKnown(batch, refs);
  if (std::ranges::any_of(refs, [](storage::SeriesRef ref) { return ref != 0; })) {
    return NotFound("the queue of remote write takes labels, not references");
  }
  return Write(batch);
}

Result<storage::CommitStats> QueueingAppender::WriteSamples(
    std::span<const storage::SeriesRef> refs, std::span<const Sample> samples) {
  if (queue_.active()) return NotFound("the queue of remote write takes labels, not references");
  return inner_.WriteSamples(refs, samples);
}

void QueueingAppender::SetMetadata(const std::string& metric_name, const Metadata& metadata) {
  inner_.SetMetadata(metric_name, metadata);
}

bool QueueingAppender::Enqueue(std::string entry, const std::optional<Queue::LayoutPiece>& layout) {
  const Result<EntryCounts> counts = CountsOfEntry(entry);
  const Status queued = queue_.Append(std::move(entry), layout);
  if (!queued.ok()) {
    counts_.failed_commits.fetch_add(1, std::memory_order_relaxed);
    log::Error("remote write: the queue cannot be written, these samples will not be sent",
               {{"err", queued}});
    return false;
  }
  if (counts.ok()) {
    counts_.samples.fetch_add(counts->samples, std::memory_order_relaxed);
    counts_.histograms.fetch_add(counts->histograms, std::memory_order_relaxed);
    counts_.exemplars.fetch_add(counts->exemplars, std::memory_order_relaxed);
    int64_t newest = counts_.newest_ms.load(std::memory_order_relaxed);
    while (newest < counts->newest_ms &&
           !counts_.newest_ms.compare_exchange_weak(newest, counts->newest_ms)) {
    }
  }
  return true;
}

}  // namespace vedette::remote
