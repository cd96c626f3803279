#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/remote/send/queue.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"

namespace vedette::remote {

// What went through an appender, for prometheus_remote_storage_*_in_total and the newest instant.
struct QueuedCounts {
  std::atomic<uint64_t> samples{0};
  std::atomic<uint64_t> histograms{0};
  std::atomic<uint64_t> exemplars{0};
  std::atomic<uint64_t> failed_commits{0};  // The queue would not take them.
  std::atomic<int64_t> newest_ms{0};
};

// QueueingAppender stands before the storage and puts a copy of every commit into the queue of
// remote write, while that has a destination; otherwise it costs one atomic load a commit.
//
// A scrape is queued before it is stored: whatever the moment the process dies, what the storage
// has has also been queued. A write from outside is stored first, because the storage may refuse
// it; its sender gets no answer before both are done, and so sends it again. A queue that cannot be
// written (a full disk) costs the copy, never the commit.
//
// `inner`, `queue` and `clock` outlive it and its writers. Thread-safe as storage::Appender is.
class QueueingAppender final : public storage::Appender {
 public:
  QueueingAppender(storage::Appender& inner, Queue& queue, const Clock& clock);

  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override;
  Result<storage::CommitStats> CommitTogether(
      std::span<const storage::WriterRow> rows,
      std::span<const storage::KeyValue::Change> notes) override;
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override;
  // Without a destination the storage's own. With one, labels are needed: kNotFound where a ref
  // stands in their place.
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs) override;
  Result<storage::CommitStats> WriteSamples(std::span<const storage::SeriesRef> refs,
                                            std::span<const Sample> samples) override;
  void SetMetadata(const std::string& metric_name, const Metadata& metadata) override;

  const QueuedCounts& counts() const { return counts_; }

 private:
  class Writer;
  // False: the queue did not take it.
  bool Enqueue(std::string entry, const std::optional<Queue::LayoutPiece>& layout);

  storage::Appender& inner_;
  Queue& queue_;
  std::atomic<uint64_t> next_writer_;
  QueuedCounts counts_;
};

}  // namespace vedette::remote
