#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"

namespace vedette::testing {

// An Appender that keeps everything in memory, in the order of arrival, for tests of whatever
// writes samples: scrapes, rules, remote write.
//
//   MemoryAppender storage;
//   ... code under test ...
//   EXPECT_EQ(storage.ToString("up{job=\"node\"}"), "1@1000 stale@2000");
//
// Holes are not kept, as in a real storage. Thread-safe.
class MemoryAppender final : public storage::Appender {
 public:
  struct Series {
    std::vector<Sample> samples;  // In the order of arrival; stale markers are in it.
    std::vector<std::pair<int64_t, std::shared_ptr<const Histogram>>> histograms;
    std::vector<Exemplar> exemplars;
    std::vector<std::pair<int64_t, int64_t>> starts;  // Instant of a sample, and since when it counts.
    std::string owner;  // Of the writer that added it last; "" through Write alone.
  };

  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override;
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override;
  void SetMetadata(const std::string& metric_name, const Metadata& metadata) override;

  // "1@1000 2@2000 stale@3000": what the series with these labels has, or "none". `labels` as
  // Labels::ToString() writes them with the name inside: {__name__="up", job="node"}; or the name
  // alone where only one series has it.
  std::string ToString(const std::string& labels) const VEDETTE_EXCLUDES(mu_);
  // All label sets, as Labels::ToString() writes them.
  std::vector<std::string> SeriesNames() const VEDETTE_EXCLUDES(mu_);
  std::map<std::string, Series> series() const VEDETTE_EXCLUDES(mu_);
  std::map<std::string, Metadata> metadata() const VEDETTE_EXCLUDES(mu_);
  uint64_t commits() const VEDETTE_EXCLUDES(mu_);
  uint64_t timelines() const VEDETTE_EXCLUDES(mu_);

  // From now on commits fail with this; OK ends it.
  void FailCommits(Status status) VEDETTE_EXCLUDES(mu_);
  // At most so many series; 0: all.
  void LimitSeries(size_t limit) VEDETTE_EXCLUDES(mu_);

 private:
  class Writer;

  Result<Series*> SeriesOf(const Labels& labels) VEDETTE_REQUIRES(mu_);

  mutable Mutex mu_;
  std::map<std::string, Series> series_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, Metadata> metadata_ VEDETTE_GUARDED_BY(mu_);
  uint64_t commits_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t timelines_ VEDETTE_GUARDED_BY(mu_) = 0;
  Status failure_ VEDETTE_GUARDED_BY(mu_);
  size_t limit_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::testing
