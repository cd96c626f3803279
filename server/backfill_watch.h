#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "server/storage/appender.h"
#include "server/storage/key_value.h"

namespace vedette {

// BackfillWatch hands everything on to a storage and tells of rows that fill a gap, so that rules
// over that time can be evaluated again. Thread-safe, as the storage is.
class BackfillWatch final : public storage::Appender {
 public:
  // `filled` is called after the commit, from the committing thread. Both outlive this.
  BackfillWatch(storage::Appender& storage, std::function<void(int64_t t_ms)> filled)
      : storage_(storage), filled_(std::move(filled)) {}

  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override;
  Result<storage::CommitStats> CommitTogether(
      std::span<const storage::WriterRow> rows,
      std::span<const storage::KeyValue::Change> notes) override;
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override {
    return storage_.Write(batch);
  }
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs) override {
    return storage_.WriteKnown(batch, refs);
  }
  Result<storage::CommitStats> WriteSamples(std::span<const storage::SeriesRef> refs,
                                            std::span<const Sample> samples) override {
    return storage_.WriteSamples(refs, samples);
  }
  void SetMetadata(const std::string& metric_name, const Metadata& metadata) override {
    storage_.SetMetadata(metric_name, metadata);
  }

 private:
  storage::Appender& storage_;
  const std::function<void(int64_t t_ms)> filled_;
};

}  // namespace vedette
