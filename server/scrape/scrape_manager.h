#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/idle_stack.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "common/model/target_group.h"
#include "server/scrape/job.h"
#include "server/scrape/metrics.h"
#include "server/scrape/scrape_loop.h"
#include "server/scrape/source.h"
#include "server/scrape/target.h"
#include "server/storage/appender.h"
#include "server/storage/cost.h"

namespace vedette::scrape {

// ScrapeManager scrapes everything: a pool of targets for each job, each target at its own place
// inside its interval.
//
//   ScrapeManager manager({.source = MakeSources(...)}, appender, clock);
//   manager.ApplyJobs(jobs);          // at start and on every reload
//   manager.Start();
//   manager.SetTargets(snapshot);     // whenever discovery has news
//   ...
//   manager.Stop();
//
// One thread watches the time and starts what is due (sources fetch on threads of their own, so a
// target that hangs holds up nobody); a few workers parse and commit what came, unless it is so
// little that the thread which brought it does. A job or target
// that did not change keeps everything over a reload: its place in time, its remembered lines, its
// series. A target that is gone gets stale markers; the end of the program writes none.
//
// Thread-safe. Without threads (Options::threads = 0) a test moves the clock and calls RunDue and
// RunReady itself.
class ScrapeManager {
 public:
  // How a target is read. A failure is shown as that target's error. Called under no lock.
  using SourceFactory =
      std::function<Result<std::unique_ptr<Source>>(const Target& target, const Job& job)>;

  struct Options {
    SourceFactory source;
    uint64_t seed = 0;  // Moves every target's place in its interval; one per server.
    int threads = 2;    // Workers; the thread that watches the time comes on top. 0: none at all.
    // Scrapes whose time is off by so little say the planned time, so that timestamps are evenly
    // spaced; and never more than 1 % of the interval.
    int64_t timestamp_tolerance_ms = 2;
    // What this gives is kept while the scrapes of one moment are started: their sources need not
    // wake anybody before. May be empty.
    std::function<std::shared_ptr<void>()> gather;
    // Whether the thread that brings a brief answer (Source::brief) sees to it at once. Not where a
    // commit waits for the disk: then the workers wait together.
    bool finish_brief_at_once = true;
    // Runs `then` on the thread that brings brief answers, from which alone it is called, once that
    // has no more of them at hand; it may wait for `linger_ms` before it looks. Scrapes that have come
    // until then are one commit. Empty: each is its own.
    std::function<void(std::function<void()> then, int64_t linger_ms)> at_rest;
    // Called for a target that cannot be made, and the like: for the log. May be empty.
    std::function<void(const std::string& job, const Status& why)> problem;
    Events events;
  };

  // The references outlive the manager.
  ScrapeManager(Options options, storage::Appender& appender, const Clock& clock);
  ~ScrapeManager();  // Stops.
  ScrapeManager(const ScrapeManager&) = delete;
  ScrapeManager& operator=(const ScrapeManager&) = delete;

  // The jobs from now on. Pools of jobs that are gone end; those that changed take the
  // new settings from each target's next scrape on.
  void ApplyJobs(std::vector<std::shared_ptr<const Job>> jobs);
  void SetTargets(TargetGroupsSnapshot groups);

  void Start();
  // Starts nothing new, cancels what is under way, joins the threads. Writes no stale markers.
  void Stop();

  // Scrapes the targets of one host more often for a while (vedettectl watch): `host` is an address,
  // an address without its port, or an instance label. 0 as interval ends it. INVALID_ARGUMENT
  // beyond kMinWatchMs and kMaxWatchMs, RESOURCE_EXHAUSTED beyond kMaxWatched targets at one time,
  // NOT_FOUND where no target is of that host.
  static constexpr int64_t kMinWatchMs = 100;
  static constexpr int64_t kMaxWatchMs = 600'000;
  static constexpr size_t kMaxWatched = 16;
  struct Watched {
    std::vector<std::string> urls;
    int64_t until_ms = 0;
  };
  Result<Watched> Watch(const std::string& host, int64_t interval_ms, int64_t for_ms);

  std::vector<std::string> pools() const;
  // By pool, then by URL; of all pools if `pool` is empty.
  std::vector<TargetStatus> Targets(const std::string& pool) const;
  // What came over the network since the start, by target, and of targets that are gone by job.
  std::vector<storage::ReceivedBytes> Received() const;
  struct Dropped {
    std::vector<DroppedTarget> targets;
    std::map<std::string, uint64_t> counts;  // By pool, those not kept included.
  };
  Dropped DroppedTargets(const std::string& pool) const;
  // Of each pool, in order of names, for the metrics about it.
  struct PoolCounts {
    std::string job;
    uint64_t targets = 0;
    uint64_t target_limit = 0;      // 0: none.
    uint64_t metadata_entries = 0;  // Families that its targets told of; each target's.
    uint64_t metadata_bytes = 0;    // Of their names, help texts and units.
  };
  std::vector<PoolCounts> Counts() const;
  struct TargetMetadata {
    std::shared_ptr<const Target> target;
    std::map<std::string, Metadata> families;
  };
  std::vector<TargetMetadata> MetadataByTarget() const;

  const Metrics& metrics() const { return metrics_; }

  // For tests without threads. Starts what is due; returns milliseconds until the next is.
  int64_t RunDue();
  // Parses and commits what has been fetched; returns how many scrapes.
  size_t RunReady();

 private:
  // A loop with its place in the schedule. Shared by the pool, the schedule and what is under way.
  struct Entry {
    std::unique_ptr<ScrapeLoop> loop;
    // Guarded by schedule_mu_ of the manager.
    int64_t due_ms = 0;
    int64_t deadline_ms = 0;
    int64_t last_start_ms = 0;
    int64_t watch_interval_ms = 0;  // Until watch_until_ms, instead of the target's.
    int64_t watch_until_ms = 0;
    uint64_t turn = 0;       // Counts scrapes: a deadline of an older one means nothing.
    bool under_way = false;  // Between RunDue and the end of Finish.
    bool fetching = false;   // Between RunDue and `fetched`.
    bool timed_out = false;
    bool removed = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  struct Alarm {
    int64_t at_ms;
    uint64_t order;
    EntryPtr entry;
    uint64_t turn;  // 0: a scrape is due; otherwise the deadline of that scrape.
    bool operator<(const Alarm& other) const {  // The queue's top is the largest.
      return at_ms != other.at_ms ? at_ms > other.at_ms : order > other.order;
    }
  };
  struct Ready {
    EntryPtr entry;
    Status status;
    bool end = false;  // The target is gone: write its stale markers.
  };
  struct Pool {
    std::shared_ptr<const Job> job;
    std::unordered_map<uint64_t, EntryPtr> entries;  // By identity.
    std::vector<DroppedTarget> dropped;
    uint64_t dropped_count = 0;
  };

  void Sync(Pool& pool, bool job_changed) VEDETTE_REQUIRES(sync_mu_);
  void Remove(const EntryPtr& entry) VEDETTE_EXCLUDES(schedule_mu_);
  void Schedule(const EntryPtr& entry, int64_t now_ms) VEDETTE_REQUIRES(schedule_mu_);
  void OnFetched(const EntryPtr& entry, uint64_t turn, Status status)
      VEDETTE_EXCLUDES(schedule_mu_);
  // Finishes what has been gathered once no more comes: there were `already` so many.
  void Gather(size_t already, int lingers) VEDETTE_EXCLUDES(schedule_mu_);
  // Parses what has been gathered, and commits it together.
  void FinishGathered() VEDETTE_EXCLUDES(schedule_mu_);
  void Conclude(const EntryPtr& entry, bool end) VEDETTE_EXCLUDES(schedule_mu_);
  bool RunOne(bool wait) VEDETTE_EXCLUDES(schedule_mu_);
  void RunReadyOne(Ready ready) VEDETTE_EXCLUDES(schedule_mu_);
  void RescheduleAfterJump(int64_t now_ms) VEDETTE_REQUIRES(schedule_mu_);
  void SchedulerMain();
  void WorkerMain();

  const Options options_;
  storage::Appender& appender_;
  const Clock& clock_;
  Metrics metrics_;

  // Changes to jobs and targets, one at a time.
  Mutex sync_mu_;
  TargetGroupsSnapshot groups_ VEDETTE_GUARDED_BY(sync_mu_);
  // Names in the order of the configuration.
  std::vector<std::shared_ptr<const Job>> jobs_ VEDETTE_GUARDED_BY(sync_mu_);

  // What readers see; taken after sync_mu_ where both are.
  mutable Mutex pools_mu_;
  std::map<std::string, std::shared_ptr<Pool>> pools_ VEDETTE_GUARDED_BY(pools_mu_);
  // By job: what targets had sent that are gone.
  std::map<std::string, uint64_t> received_before_ VEDETTE_GUARDED_BY(schedule_mu_);

  mutable Mutex schedule_mu_;
  CondVar schedule_changed_;
  IdleStack workers_ VEDETTE_GUARDED_BY(schedule_mu_);
  CondVar idle_;
  std::priority_queue<Alarm> alarms_ VEDETTE_GUARDED_BY(schedule_mu_);
  uint64_t order_ VEDETTE_GUARDED_BY(schedule_mu_) = 0;
  std::deque<Ready> ready_ VEDETTE_GUARDED_BY(schedule_mu_);
  size_t fetching_ VEDETTE_GUARDED_BY(schedule_mu_) = 0;  // And those finished where fetched.
  // Brief answers that wait for each other, and how many of those that were started together are
  // still to come.
  std::vector<EntryPtr> gathered_ VEDETTE_GUARDED_BY(schedule_mu_);
  size_t to_come_ VEDETTE_GUARDED_BY(schedule_mu_) = 0;
  bool stopping_ VEDETTE_GUARDED_BY(schedule_mu_) = false;
  int64_t last_wall_ms_ VEDETTE_GUARDED_BY(schedule_mu_) = 0;
  int64_t last_monotonic_ns_ VEDETTE_GUARDED_BY(schedule_mu_) = 0;

  // Room that is used again: a large piece of memory makes malloc tidy up all small ones.
  struct Due {
    EntryPtr entry;
    int64_t t_ms;
    uint64_t turn;
    int64_t interval_ms;
    int64_t since_ms;  // The scrape before; -1: there was none.
  };
  std::vector<Due> due_;  // Of RunDue.

  std::vector<std::thread> threads_;
};

}  // namespace vedette::scrape
