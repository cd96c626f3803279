#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"
#include "server/storage/queryable.h"

namespace vedette {

// StartTimes keeps start timestamps (since when a counter counts, where a delta begins) beside the
// samples that they belong to, in a storage that knows samples alone: each series that has them gets
// a companion, the same labels and kStartTimeLabel, whose values are the start timestamps in
// milliseconds. A start that does not move is a constant column and costs next to nothing.
//
// Readers that come through here never see a companion; with SelectHints::start_times its values
// are in SeriesColumns::start_ms.
//
//   StartTimes starts(db.appender(), db.queryable());
//   starts.Write(batch);               // batch[i].sample_starts; of a timeline row.starts.
//   MakeEngine(options, starts, clock);
//
// Thread-safe where the two storages are; they outlive it.
class StartTimes final : public storage::Appender, public storage::Queryable {
 public:
  static constexpr std::string_view kStartTimeLabel = "__start_timestamp__";

  StartTimes(storage::Appender& appender, const storage::Queryable& queryable)
      : appender_(appender), queryable_(queryable) {}

  // Companions are in a timeline of their own, beside that of their series, and best effort too.
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override;
  Result<storage::CommitStats> CommitTogether(
      std::span<const storage::WriterRow> rows,
      std::span<const storage::KeyValue::Change> notes) override;
  // The outcome is that of the samples; companions come after them, best effort.
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override;
  // kNotFound too where a series that is known by its ref alone has its first start.
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs) override;
  Result<storage::CommitStats> WriteSamples(std::span<const storage::SeriesRef> refs,
                                            std::span<const Sample> samples) override {
    return appender_.WriteSamples(refs, samples);
  }
  void SetMetadata(const std::string& metric_name, const Metadata& metadata) override {
    appender_.SetMetadata(metric_name, metadata);
  }

  Result<std::unique_ptr<storage::Querier>> Open(int64_t min_t_ms, int64_t max_t_ms) const override;

 private:
  storage::Appender& appender_;
  const storage::Queryable& queryable_;
  Mutex mu_;
  // By the ref of its series, the companion's; no key is 0.
  std::unordered_map<storage::SeriesRef, storage::SeriesRef> companion_of_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette
