#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/storage/appender.h"
#include "server/tsdb/head/row.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/index/shared_mutex.h"
#include "server/tsdb/index/use_gate.h"
#include "server/tsdb/store/damage.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/instants_table.h"
#include "server/tsdb/timeline/presence.h"
#include "server/tsdb/timeline/rollups.h"

namespace vedette::tsdb {

// What a reader of one timeline sees: published whole, never changed.
struct TimelineView {
  std::vector<std::shared_ptr<const Block>> blocks;  // Ascending in time, then
  std::vector<std::shared_ptr<const OpenRow>> rows;  // these, ascending too.
  uint64_t version = 0;                              // Unique in the process.
  int64_t sealed_t_ms = INT64_MIN;                   // Newest instant that is on disk alone.

  bool empty() const { return blocks.empty() && rows.empty(); }
  int64_t first_t_ms() const {
    return blocks.empty() ? rows.front()->t_ms : blocks.front()->instants().front();
  }
  int64_t last_t_ms() const {
    return rows.empty() ? blocks.back()->instants().back() : rows.back()->t_ms;
  }
  // Of all that this timeline was ever given.
  int64_t newest_t_ms() const { return empty() ? sealed_t_ms : std::max(sealed_t_ms, last_t_ms()); }
};

// One timeline in memory: its layout, and the rows that are not sealed yet.
//
// commit_mu is held by whoever commits or seals, through the write to disk; mu only for as long as
// it takes to swap what readers see. What a reader may touch is under mu.
struct Timeline {
  // kDetached: its writer is gone, or it was found at the start; sealed and dropped soon.
  enum class Kind : uint8_t { kWriter = 0, kLoose = 1, kDetached = 2 };

  uint32_t id = 0;
  std::string owner;
  std::atomic<Kind> kind{Kind::kWriter};

  Mutex commit_mu;
  std::vector<uint32_t> layout VEDETTE_GUARDED_BY(commit_mu);
  size_t stored_layout VEDETTE_GUARDED_BY(commit_mu) = 0;  // Positions that are in the log.
  bool stored_state VEDETTE_GUARDED_BY(commit_mu) = false;
  uint64_t epoch VEDETTE_GUARDED_BY(commit_mu) = 0;               // Of the open rows.
  uint32_t next_slot VEDETTE_GUARDED_BY(commit_mu) = 0;           // Of the row log.
  int64_t sealed_t_ms VEDETTE_GUARDED_BY(commit_mu) = INT64_MIN;  // Newest sealed instant.
  int64_t last_commit_ms VEDETTE_GUARDED_BY(commit_mu) = 0;       // By the clock.
  // Staged by a commit that is not written yet.
  std::vector<std::shared_ptr<OpenRow>> staged_rows VEDETTE_GUARDED_BY(commit_mu);
  std::shared_ptr<const Block> staged_block VEDETTE_GUARDED_BY(commit_mu);
  size_t staged_layout VEDETTE_GUARDED_BY(commit_mu) = 0;
  uint32_t staged_slot VEDETTE_GUARDED_BY(commit_mu) = 0;
  bool touched VEDETTE_GUARDED_BY(commit_mu) = false;
  bool dropped VEDETTE_GUARDED_BY(commit_mu) = false;  // No longer in the head: look it up again.
  // A write about it failed. It may be in the log all the same, and would then be believed at the
  // next start: that these rows are sealed, for one.
  bool doubtful VEDETTE_GUARDED_BY(commit_mu) = false;
  // That was a sealing: its chunks may be there, and merged with others under their names since.
  bool sealing_failed VEDETTE_GUARDED_BY(commit_mu) = false;

  mutable Mutex mu;
  std::shared_ptr<const TimelineView> view VEDETTE_GUARDED_BY(mu) =
      std::make_shared<const TimelineView>();

  std::shared_ptr<const TimelineView> View() const VEDETTE_EXCLUDES(mu) {
    MutexLock lock(mu);
    return view;
  }
};

struct HeadOptions {
  int64_t window_ms = 0;
  int64_t out_of_order_window_ms = 0;
  int64_t max_future_ms = 0;
  int64_t idle_ms = 0;
  uint64_t max_series = 0;
  uint64_t max_series_per_owner = 0;
  std::map<std::string, uint64_t> max_series_of_owner;
};

// What exemplars of a commit become; the head knows series, not exemplars.
class ExemplarSink {
 public:
  virtual ~ExemplarSink() = default;
  // False: exemplars are not kept here.
  virtual bool Add(const Labels& series, const Exemplar& exemplar, StoreBatch& batch) = 0;
};

// Counted since the start.
struct HeadCounters {
  std::atomic<uint64_t> appended{0}, duplicate{0}, out_of_order{0}, too_old{0}, too_far_ahead{0},
      series_limit{0}, series_refused{0}, sealed_chunks{0}, damaged{0};
  // Native histograms among `appended`, and samples that came out of order and were taken.
  std::atomic<uint64_t> appended_histograms{0}, late{0}, late_histograms{0};
  // Commits that the disk did not take.
  std::atomic<uint64_t> failed_commits{0};
};

// An owner that asked for more series than its budget, or the storage's, has left.
struct RefusedOwner {
  uint64_t series = 0;  // Times that one was refused.
  int64_t last_ms = 0;
  int64_t logged_ms = 0;
  std::string why;
};

// Head takes commits: it checks them, writes one log record for each, keeps the rows in memory
// and seals them into chunks when a timeline has enough of them.
//
// The log of a timeline is a ring: a row's slot is used again once the rows before it have become
// a block, and a block's slot once the blocks have become chunks. So it is never deleted, only
// overwritten, and a start reads at most kRowsPerBlock rows a timeline.
//
// Thread-safe. Commits to different timelines run in parallel.
class Head {
 public:
  static constexpr size_t kRowsPerBlock = 16;
  static constexpr size_t kBlocksPerChunk = 8;

  Head(HeadOptions options, Store& store, SeriesIndex& index, InstantsTable& instants,
       Presence& presence, Presence& histograms, Rollups& rollups, ExemplarSink& exemplars,
       const Clock& clock);
  ~Head();

  // Reads the series journals, then the log. Once each, before anything else. What is damaged is left
  // out and said.
  Status RestoreIndex(const DamageSink& damage);
  Status Restore(const DamageSink& damage);
  // After damage: no timeline's number that may be in use is given again.
  Status RecoverIds(uint32_t highest) { return timeline_ids_.Recover(highest + 1); }
  // For chunks that are no timeline's: no timeline has, had or will have one of these.
  IdSource& numbers() { return timeline_ids_; }

  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner);
  // storage::Appender::CommitTogether; `add_notes` puts the notes into the batch.
  Result<storage::CommitStats> CommitTogether(
      std::span<const storage::WriterRow> rows,
      const std::function<void(StoreBatch& batch)>& add_notes);
  // `refs` is empty or as long as the batch: storage::Appender::WriteKnown. A ref is the number of
  // the series plus one.
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch,
                                     std::span<storage::SeriesRef> refs);
  // storage::Appender::WriteSamples. Where the samples are rows of timelines, as when a sender
  // keeps its order, they are staged as such: nothing is looked up, sorted or gathered by series.
  Result<storage::CommitStats> WriteSamples(std::span<const storage::SeriesRef> refs,
                                            std::span<const Sample> samples);

  // Where a series is in memory: the timelines' views and its position in each.
  struct Place {
    uint32_t timeline = 0;
    uint32_t position = 0;
  };
  void PlacesOf(uint32_t series, std::vector<Place>& out) const;
  // The first of them alone; timeline 0 where there is none.
  Place FirstPlaceOf(uint32_t series) const;
  std::shared_ptr<const TimelineView> ViewOf(uint32_t timeline) const;

  // Of these series, takes out those that have data: in memory, or on the disk.
  void RemoveUsed(Postings& series) const;
  // Gives up those of these series that have none; how many that were. Waits for whoever writes.
  uint64_t Forget(Postings series);
  // Frees what is kept by numbers of series that are given up, once nobody reads who began before.
  void FreePlaces();

  // Grows whenever a series comes to a timeline or leaves one.
  uint64_t places_version() const { return places_version_; }
  // Grows after anything but a row at the end of its timeline has become visible: a late sample, a
  // deletion. What was read before may no longer be what there is.
  uint64_t rewrites() const { return rewrites_; }
  void NoteRewrite() { ++rewrites_; }
  // No instant after this one is on disk, but for what the view of a living timeline says.
  int64_t foreign_t_ms() const { return foreign_t_ms_; }

  // Everything in memory becomes chunks.
  Status SealAll();
  // Timelines without a writer, and those that have been silent for idle_ms.
  Status SealIdle();

  int64_t max_t_ms() const { return max_t_ms_.load(std::memory_order_relaxed); }
  int64_t min_t_ms() const { return min_t_ms_.load(std::memory_order_relaxed); }
  void set_min_t_ms(int64_t t_ms) { min_t_ms_ = t_ms; }
  void set_max_t_ms(int64_t t_ms) { max_t_ms_ = t_ms; }

  const HeadCounters& counters() const { return counters_; }
  HeadCounters& counters() { return counters_; }
  uint64_t timelines() const;
  uint64_t active_series() const;
  uint64_t removed_series() const;  // Since the start: no longer active.
  std::map<std::string, uint64_t> series_by_owner() const;
  std::map<std::string, RefusedOwner> refused_owners() const;
  // What is in memory and not sealed yet.
  struct OpenData {
    uint64_t bytes = 0;
    uint64_t samples = 0;
    uint64_t columns = 0;              // One for each series of each timeline: chunks in the making.
    int64_t first_t_ms = INT64_MAX;  // The oldest sample's.
  };
  OpenData Open() const;
  // What the series have of that memory, in no order; one in two timelines is visited twice. `loose`:
  // its samples came by Write(), not by a timeline's writer. Waits for commits that are under way.
  using WeighSeries = std::function<void(uint32_t series, uint64_t bytes, bool loose)>;
  void Weigh(const WeighSeries& visit) const;

 private:
  Result<storage::CommitStats> WriteUsing(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs);
  Result<storage::CommitStats> WriteSamplesUsing(std::span<const storage::SeriesRef> refs,
                                                 std::span<const Sample> samples);

  class Writer;
  struct Commit;
  struct Late;

  Result<std::shared_ptr<Timeline>> NewTimeline(const std::string& owner, Timeline::Kind kind);
  Status Charge(const std::string& owner);
  Status Refuse(const std::string& owner, std::string why) VEDETTE_REQUIRES(budget_mu_);
  void Uncharge(const std::string& owner, uint64_t series);
  void AddPlace(uint32_t series, Place place);
  void RemovePlace(uint32_t series, Place place);
  bool HasPlace(uint32_t series) const;
  // A series that has a place has its labels.
  bool GivenUp(uint32_t series) const {
    return FirstPlaceOf(series).timeline == 0 && index_.Gone(series);
  }
  std::optional<Place> LoosePlaceOf(uint32_t series) const;
  std::shared_ptr<Timeline> FindTimeline(uint32_t id) const;
  std::vector<std::shared_ptr<Timeline>> AllTimelines() const;

  // Seals what has to be sealed before a row of this instant. What a commit has staged in the
  // timeline is written before that.
  Status MakeRoom(Commit& commit, Timeline& t, int64_t t_ms) VEDETTE_REQUIRES(t.commit_mu);
  Status StageRow(Commit& commit, Timeline& t, int64_t t_ms, std::span<const double> values,
                  bool backfill) VEDETTE_REQUIRES(t.commit_mu);
  void StageOld(Commit& commit, Timeline& t, int64_t t_ms, std::span<const double> values,
                bool backfill) VEDETTE_REQUIRES(t.commit_mu);
  void Touch(Commit& commit, Timeline& t) VEDETTE_REQUIRES(t.commit_mu);
  void StageLate(Commit& commit, uint32_t series, int64_t t_ms, double value);
  // Whether the series has a sample newer than t_ms in this timeline or sealed.
  bool HasNewer(const Timeline& t, const TimelineView& view, size_t position, int64_t t_ms) const
      VEDETTE_REQUIRES(t.commit_mu);
  bool OldAllowed(int64_t t_ms, bool backfill, storage::CommitStats& stats) const;
  // The sealed samples of a series between two instants.
  Status ReadSealed(int32_t window, uint32_t metric, uint32_t series, int64_t min_t_ms,
                    int64_t max_t_ms, std::map<int64_t, double>& out) const;
  Status StageHistogram(Commit& commit, uint32_t series, int64_t t_ms, const Histogram& h,
                        bool backfill);
  Status WriteLate(Commit& commit);
  Status Flush(Commit& commit);
  void Abandon(Commit& commit);
  Status Seal(Timeline& t, std::shared_ptr<const TimelineView> view) VEDETTE_REQUIRES(t.commit_mu);
  Status ForgetLog(Timeline& t) VEDETTE_REQUIRES(t.commit_mu);
  Status SealAndDrop(const std::shared_ptr<Timeline>& t);
  // Writes all that the log has to say about a doubtful timeline anew, as it is in memory.
  Status Restate(Timeline& t) VEDETTE_REQUIRES(t.commit_mu);
  Status StoreJournal();
  std::string StateValue(const Timeline& t, uint64_t sealed_epoch) const
      VEDETTE_REQUIRES(t.commit_mu);
  bool TimeAllowed(int64_t t_ms, uint64_t samples, storage::CommitStats& stats) const;
  void Count(const storage::CommitStats& stats);
  void SawTime(int64_t t_ms);
  void SawForeign(int64_t t_ms);

  const HeadOptions options_;
  Store& store_;
  SeriesIndex& index_;
  InstantsTable& instants_;
  Presence& presence_;
  Presence& histograms_;  // Where native histograms are.
  Rollups& rollups_;
  ExemplarSink& exemplars_;
  const Clock& clock_;
  IdSource timeline_ids_;

  mutable SharedMutex timelines_mu_;
  std::unordered_map<uint32_t, std::shared_ptr<Timeline>> timelines_
      VEDETTE_GUARDED_BY(timelines_mu_);

  // Series -> place. The first place of a series is in an array that grows by blocks and is read
  // without a lock; further ones, rare, are in a map.
  static constexpr size_t kPlacesPerBlock = 4096;
  static constexpr size_t kPlaceBlocks = 1 << 20;  // All numbers that there are.
  struct Free {
    void operator()(void* blocks) const { std::free(blocks); }
  };
  std::unique_ptr<std::atomic<std::atomic<uint64_t>*>[], Free> places_;
  mutable Mutex places_mu_;
  std::unordered_map<uint32_t, std::vector<Place>> more_places_ VEDETTE_GUARDED_BY(places_mu_);
  std::atomic<uint64_t> more_count_{0};  // Of entries in it, so that most readers need no lock.

  UseGate gate_;  // Held by whoever looks a series up to give it samples.

  mutable Mutex budget_mu_;
  uint64_t charged_ VEDETTE_GUARDED_BY(budget_mu_) = 0;
  uint64_t uncharged_ VEDETTE_GUARDED_BY(budget_mu_) = 0;  // Since the start.
  std::map<std::string, uint64_t> charged_by_owner_ VEDETTE_GUARDED_BY(budget_mu_);
  std::map<std::string, RefusedOwner> refused_ VEDETTE_GUARDED_BY(budget_mu_);

  Mutex journal_mu_;  // Journals are stored in order.
  uint64_t next_journal_ VEDETTE_GUARDED_BY(journal_mu_) = 0;

  std::atomic<int64_t> max_t_ms_{INT64_MIN};
  std::atomic<int64_t> min_t_ms_{INT64_MAX};
  std::atomic<uint64_t> versions_{1};
  std::atomic<uint64_t> places_version_{1};
  std::atomic<uint64_t> rewrites_{1};
  std::atomic<int64_t> foreign_t_ms_{INT64_MIN};
  HeadCounters counters_;
};

// Native histograms at rest: docs/formats/chunk.md.
std::string EncodeHistogram(const Histogram& h);
Result<std::shared_ptr<const Histogram>> DecodeHistogram(std::string_view bytes);

}  // namespace vedette::tsdb
