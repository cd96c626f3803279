#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"

namespace vedette::agent {

// One place that metrics come from, and what reads it.
struct Source {
  std::string name;
  SourceState::Kind kind = SourceState::Kind::kHost;
  std::string address;          // Of an application.
  int64_t deadline_ms = 5'000;  // Of each of its collectors.
  std::vector<std::shared_ptr<Collector>> collectors;
};

// How a collector's last run went.
struct CollectorRun {
  std::string name;
  std::string source;
  bool success = false;
  // This machine has not what the collector reads (NOT_FOUND): no success, and nothing to mend.
  bool absent = false;
  std::string error;
  double duration_seconds = 0;
};

// What one asks for. Empty lists mean everything.
struct TakeOptions {
  int64_t timeout_ms = 10'000;
  // A snapshot that began no longer ago than this is good enough.
  int64_t max_age_ms = 0;
  std::vector<std::string> sources;
  std::vector<std::string> collectors;
  std::vector<std::string> exclude_collectors;

  bool filtered() const {
    return !sources.empty() || !collectors.empty() || !exclude_collectors.empty();
  }
};

// A snapshot and the runs that made it. Never changed once it is made.
struct TakenSnapshot {
  Snapshot snapshot;
  std::vector<CollectorRun> runs;
  BlankLabels blanks;  // For whoever writes text.
};

// SnapshotTaker runs all collectors side by side and puts what they found into one snapshot.
//
//   SnapshotTaker taker(options, std::move(sources));
//   auto taken = taker.Take({.timeout_ms = 8'000, .max_age_ms = 500});
//
// A collector that has not answered by its deadline is reported as failed and everybody else's
// metrics go out without it. Its thread is left with it; until it comes back it is not started
// again. Whoever asks while a collection is under way gets that one. A collection costs what its
// collectors cost, on at most `threads` threads as long as none of them dawdles.
//
// A collector's families are made from those of its run before the last, which nobody holds any more:
// most of it is the same, and so its memory is.
//
// A source is up if a collector of it succeeded or found anything: `mysql_up 0` is a metric too.
// Thread-safe.
class SnapshotTaker {
 public:
  struct Options {
    uint64_t run_id = 0;
    uint64_t last_sequence = 0;  // Snapshots count on from here.
    int threads = 4;
    // Added to the source "host": what the agent says about itself and these runs.
    std::function<void(const std::vector<CollectorRun>& runs, MetricSink& sink)> self;
    const Clock* clock = &SystemClock();
  };

  SnapshotTaker(Options options, std::vector<Source> sources);
  // Waits for running collectors for two seconds; those that hang are left behind.
  ~SnapshotTaker();
  SnapshotTaker(const SnapshotTaker&) = delete;
  SnapshotTaker& operator=(const SnapshotTaker&) = delete;

  // INVALID_ARGUMENT if a source or collector is named that is not there; DEADLINE_EXCEEDED if
  // somebody else's collection took longer than this caller waits.
  Result<std::shared_ptr<const TakenSnapshot>> Take(const TakeOptions& options)
      VEDETTE_EXCLUDES(mu_);

  // The last collection of everything, or null.
  std::shared_ptr<const TakenSnapshot> last() const VEDETTE_EXCLUDES(mu_);

  uint64_t run_id() const { return options_.run_id; }
  const std::vector<Source>& sources() const { return sources_; }

 private:
  struct Run;
  struct Outcome;
  struct Kept;
  class Shelf;
  class Pool;

  Status CheckNames(const TakeOptions& options) const;
  std::shared_ptr<const TakenSnapshot> Collect(const TakeOptions& options, uint64_t sequence);

  const Options options_;
  const std::vector<Source> sources_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Shelf> shelf_;
  // Of each source, the names of its families in the order in which they were merged last. Touched by
  // whoever collects: collecting_ says that it is one.
  std::vector<std::vector<std::string>> merged_;

  mutable Mutex mu_;
  CondVar finished_;
  bool collecting_ VEDETTE_GUARDED_BY(mu_) = false;
  bool collecting_everything_ VEDETTE_GUARDED_BY(mu_) = false;
  uint64_t sequence_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::shared_ptr<const TakenSnapshot> last_ VEDETTE_GUARDED_BY(mu_);
  int64_t last_began_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
