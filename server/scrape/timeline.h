#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/scrape/key_table.h"
#include "server/storage/appender.h"

namespace vedette::scrape {

// Timeline is the column under construction of one target (or one source of an agent): series get a
// number once, a scrape sets values by number, and Commit() hands the whole column to the storage
// as one row, with a stale marker for each series that was there before and is not now.
//
//   timeline.Begin();
//   timeline.Set(timeline.Number(labels), 1);
//   timeline.Commit(t_ms);            // or Abandon(), if the scrape turned out bad
//
// A series is made known to the storage at its first commit, so what an abandoned scrape brought
// leaves no trace there. When most numbers belong to series that are gone, the timeline starts over
// on a fresh writer by itself: generation() changes, and whoever remembers numbers forgets them.
//
// Cost: a value set is a store; a commit walks the column once. Not thread-safe.
class Timeline {
 public:
  // `appender` outlives the timeline. `starts_over`: by itself, when most numbers are dead;
  // without, only after Restart(), for users who cannot find the labels of a number again.
  Timeline(storage::Appender& appender, std::string owner, bool starts_over = true);

  // Changes whenever numbers given before mean nothing any more.
  uint64_t generation() const { return generation_; }
  // Numbers are forgotten at the next Begin(): relabelling or the target's labels changed. Series
  // that do not come back get their stale marker.
  void Restart() { restart_ = true; }

  void Begin();
  // The number of a series, new or known.
  uint32_t Number(const Labels& labels);
  // False: this series already has a value in this scrape; the first one stays.
  bool Set(uint32_t number, double value) {
    if (!IsAbsent(column_[number])) return false;
    column_[number] = value;
    return true;
  }
  // The values of numbers 0 and on, none of which has one in this scrape. Returns how many are
  // there.
  uint64_t SetFirst(std::span<const double> values);
  // Whatever was there.
  void Replace(uint32_t number, double value) { column_[number] = value; }
  bool SetHistogram(uint32_t number, std::shared_ptr<const Histogram> histogram);
  void AddExemplar(uint32_t number, Exemplar exemplar);
  // A sample with a time of its own goes out beside the row, under its labels: the timeline has to
  // have them. It forgets them once the storage knows the series, unless they are kept.
  bool has_labels(uint32_t number) const { return labels_.contains(number); }
  void KeepLabels(uint32_t number, const Labels& labels);
  // Requires has_labels(number). `track`: the series gets a stale marker when it is gone
  // (track_timestamps_staleness).
  void SetTimed(uint32_t number, int64_t t_ms, double value,
                std::shared_ptr<const Histogram> histogram, bool track);

  // Since when the samples of a series count; 0: that is not known. It stays until it is set again.
  void SetStart(uint32_t number, int64_t start_ms);
  // From now on a start that is new is committed as a sample of 0 at that instant, before the row that
  // brought it: where it is at most kOldestStartMs older than the row, and newer than the row before.
  // So the first value of a counter is an increase.
  void PutZerosAtStarts(bool on) { zeros_ = on; }
  static constexpr int64_t kOldestStartMs = 3600 * 1000;

  // Forgets what was set since Begin(), but for starts.
  void Abandon();

  struct Outcome {
    storage::CommitStats stats;
    uint64_t added = 0;  // Series that were not there in the commit before.
    uint64_t stale = 0;  // Stale markers written.
  };
  Result<Outcome> Commit(int64_t t_ms);
  // Where Commit would store the row and nothing else, because all series are there that were and
  // no other: that row, to be stored with those of other timelines. It points into this timeline,
  // and is good until something is set.
  std::optional<storage::WriterRow> SteadyRow(int64_t t_ms);
  // A row older than ones already there, in the order of their times. A series that was in the
  // gap's row before and is not in this one gets its stale marker here; one that is in the last of
  // them and not in the next Commit gets it there.
  Result<storage::CommitStats> CommitBackfill(int64_t t_ms);
  // The target is gone: a stale marker for every series that is there.
  Status End(int64_t t_ms);

  // Series that had a value in the last commit.
  uint64_t live() const { return live_count_; }
  // Most numbers are dead: a good moment for Restart().
  bool mostly_dead() const;
  // How many series of the column now set are new, for scrape_series_added.
  uint64_t CountNew() const;

 private:
  enum Flags : uint8_t {
    kLive = 1,
    kLabelsKept = 2,
    kTimedNow = 4,
    kTrackTimed = 8,
    kTimedBefore = 16,
    kInGap = 32,  // Had a value in the last row of a gap.
  };
  static constexpr uint32_t kNoPosition = 0xffffffff;

  void StartOver();
  bool AllPresent() const;
  bool Present(uint32_t number) const;
  // Gives storage positions to what is set and has none, and counts those that were refused.
  Status Place(uint64_t* refused);
  storage::Row RowOf(int64_t t_ms, bool backfill, bool refused);
  Result<storage::CommitStats> Send(int64_t t_ms, bool backfill);
  Status SendZeros(int64_t t_ms, uint32_t known_positions);
  void CollectStarts();
  Result<storage::CommitStats> SendTimed();

  storage::Appender& appender_;
  const std::string owner_;
  const bool starts_over_;
  std::unique_ptr<storage::TimelineWriter> writer_;
  HashTable numbers_;  // Hash of labels -> number.
  // All by number.
  std::vector<double> column_;
  std::vector<uint32_t> positions_;  // In the storage.
  std::vector<uint8_t> flags_;
  // Labels of series that the storage does not know yet, or that bring their own times.
  std::unordered_map<uint32_t, Labels> labels_;
  std::vector<storage::HistogramAt> histograms_;
  std::vector<storage::ExemplarAt> exemplars_;
  struct Timed {
    uint32_t number;
    Sample sample;
    std::shared_ptr<const Histogram> histogram;
    int64_t start_ms = 0;
  };
  std::vector<Timed> timed_;
  std::vector<double> permuted_;
  std::vector<storage::HistogramAt> permuted_histograms_;
  std::vector<storage::ExemplarAt> permuted_exemplars_;
  std::vector<int64_t> starts_;  // By number; empty unless there is one.
  std::vector<uint32_t> began_;  // Numbers whose start is new, for PutZerosAtStarts.
  std::vector<storage::StartAt> row_starts_;
  bool zeros_ = false;
  int64_t last_t_ms_ = INT64_MIN;  // Of the last row that was committed in its turn.
  bool in_order_ = true;  // positions_[n] == n wherever there is a position.
  uint32_t next_position_ = 0;
  uint64_t live_count_ = 0;
  // The last commit had a value for every number, and nothing else is remembered of any: the next
  // one that has so too, which is nearly all of them, has nothing to compare.
  bool steady_ = false;
  uint64_t generation_ = 1;
  bool restart_ = false;

  // The writer before a restart, until the first commit after it.
  struct Before {
    std::unique_ptr<storage::TimelineWriter> writer;
    HashTable hashes;                 // Of live series.
    std::vector<uint32_t> positions;  // In the same order.
    uint32_t size = 0;
  };
  std::unique_ptr<Before> before_;
};

}  // namespace vedette::scrape
