#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/matcher.h"
#include "server/storage/appender.h"
#include "server/storage/cost.h"
#include "server/storage/key_value.h"
#include "server/storage/queryable.h"
#include "server/tsdb/compact/retention_rule.h"
#include "server/tsdb/inspect/verify.h"
#include "server/tsdb/store/shape.h"

namespace rocksdb {
class FileSystem;
}

namespace vedette::tsdb {

struct TsdbOptions {
  std::string path;  // Made when it is not there.

  // Time partition of sealed data, and so the grain of retention. Fixed when the directory is made;
  // later values are ignored.
  int64_t window_ms = 24LL * 3600 * 1000;

  // Counted back from the newest sample, as Prometheus does. 0: keep everything.
  int64_t retention_ms = 15LL * 24 * 3600 * 1000;
  uint64_t retention_bytes = 0;
  std::vector<RetentionRule> retention_rules;

  // Once a window is over, what its samples come to is kept beside them in stretches of these lengths,
  // for large queries to read instead: docs/decisions/0013-roll-ups.md. Each of at least a minute, a
  // whole number of seconds, and a divisor of the window.
  std::vector<int64_t> rollups_ms;

  // How much older than the newest sample in the storage an out-of-order sample may be.
  int64_t out_of_order_window_ms = 0;
  // How far ahead of the clock a sample may be. 0: any.
  int64_t max_future_ms = 10LL * 60 * 1000;

  // Power loss costs at most this much. 0: every commit waits for the disk.
  int64_t wal_sync_ms = 1000;

  // Series in the head. 0: no limit. An owner that is not named has the default one.
  uint64_t max_series = 0;
  uint64_t max_series_per_owner = 0;
  std::map<std::string, uint64_t> max_series_of_owner;

  uint64_t max_exemplars = 100'000;

  // Sealing of idle timelines, merging of chunks, retention. 0: no thread; a test calls Maintain().
  int64_t maintenance_interval_ms = 15'000;
  // A timeline that got no row for so long is sealed and leaves memory.
  int64_t idle_ms = 3600 * 1000;
  // Bytes per second that merging may write. 0: no limit.
  uint64_t merge_bytes_per_second = 8 << 20;

  size_t block_cache_bytes = 16 << 20;
  // Decoded columns of what is asked again and again. 0: none are kept.
  size_t column_cache_bytes = 64 << 20;

  // Told what a sync of the log took, and the merging of one window. From the storage's threads; may
  // be empty.
  std::function<void(double seconds)> log_synced;
  std::function<void(double seconds, bool ok)> merged;

  // Series whose data are all gone leave the index once there are so many of them, and an eighth of all.
  uint64_t forget_at_least = 10'000;

  // For a look at a directory that nothing may change, not even to mend it: see StoreOptions.
  bool read_only = false;

  // For tests: see StoreOptions.
  size_t max_write_buffer_bytes = 0;
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

struct NameCount {
  std::string name;
  uint64_t count = 0;
};

// New series of an owner that were over its budget, or the storage's.
struct RefusedSeries {
  uint64_t series = 0;  // Times that one was refused.
  std::string why;
  bool now = false;  // Within the last minutes.
};

// What /api/v1/status/tsdb and the metrics of the storage show.
struct TsdbStats {
  uint64_t series = 0;         // Known to the index: with data anywhere in retention.
  uint64_t forgotten_series = 0;  // Since the start: all their data were gone.
  uint64_t active_series = 0;  // Held by a timeline in memory.
  uint64_t timelines = 0;
  uint64_t label_pairs = 0;
  uint64_t sealed_chunks = 0;  // Since the start.
  uint64_t samples_in_head = 0;
  int64_t min_t_ms = 0;  // INT64_MAX / INT64_MIN of an empty storage.
  int64_t max_t_ms = 0;
  // The oldest sample that retention has left, to the grain of a window; INT64_MAX as above.
  int64_t lowest_t_ms = 0;
  uint64_t windows = 0;       // Time partitions with sealed data.
  uint64_t open_columns = 0;  // In memory, not sealed: one for each series of each timeline.
  int64_t first_open_t_ms = 0;  // The oldest sample in them; INT64_MAX: there is none.
  uint64_t removed_series = 0;  // Since the start: no longer held by a timeline in memory.

  uint64_t appended_samples = 0;  // Since the start, as the refused ones below.
  uint64_t appended_histograms = 0;  // Of them.
  uint64_t late_samples = 0;         // Out of order, and taken; histograms are apart.
  uint64_t late_histograms = 0;
  uint64_t failed_commits = 0;  // That the disk did not take.
  uint64_t duplicate_samples = 0;
  uint64_t out_of_order_samples = 0;
  uint64_t too_old_samples = 0;
  uint64_t too_far_ahead_samples = 0;
  uint64_t series_limit_samples = 0;
  uint64_t series_refused = 0;
  uint64_t damaged_chunks = 0;      // And whatever else was found damaged since the start:
  std::vector<std::string> damage;  // the first of it, a sentence each.

  // Of the work in the background, since the start.
  uint64_t maintenance_rounds = 0;
  uint64_t maintenance_failures = 0;
  uint64_t reopenings = 0;  // Attempts to go on after the disk refused a write.
  uint64_t reopening_failures = 0;
  uint64_t seals = 0;  // Looks for timelines to seal.
  uint64_t seal_failures = 0;
  uint64_t dropped_by_time = 0;  // Windows.
  uint64_t dropped_by_size = 0;
  int64_t retention_ms = 0;  // As it was opened with, like the next.
  uint64_t retention_bytes = 0;

  uint64_t exemplars_appended = 0;  // Since the start.
  uint64_t exemplars_kept = 0;
  uint64_t exemplar_series = 0;
  int64_t first_exemplar_ms = 0;  // 0: there is none.
  uint64_t max_exemplars = 0;

  uint64_t disk_bytes = 0;
  uint64_t wal_bytes = 0;
  uint64_t index_memory_bytes = 0;
  uint64_t head_memory_bytes = 0;
  uint64_t instants_memory_bytes = 0;
  StoreMemory store_memory;
  uint64_t column_cache_bytes = 0;
  uint64_t column_cache_hits = 0;  // Since the start, as the two below.
  uint64_t column_cache_fills = 0;
  uint64_t column_cache_misses = 0;
  std::map<std::string, uint64_t> series_by_owner;
  std::map<std::string, RefusedSeries> refused_by_owner;
  uint64_t lost_series = 0;  // Whose labels were in a file that is damaged.
  std::string background_error;  // "" when all is well.
};

// The cardinality of the index, the largest `limit` of each.
struct CardinalityStats {
  std::vector<NameCount> series_by_metric;
  std::vector<NameCount> values_by_label;
  std::vector<NameCount> bytes_by_label;
  std::vector<NameCount> series_by_pair;  // "name=value"
};

struct ByteChange {
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  uint64_t series = 0;   // That were touched.
  uint64_t samples = 0;  // That were removed (Delete) or rewritten (Compact).
};

// Tsdb is the storage: samples in memory while they are young, sealed columns in RocksDB after
// that, one log record per commit in between. The one class server.cc makes; everyone else holds
// the verbs of server/storage.
//
//   VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<tsdb::Tsdb> db, tsdb::Tsdb::Open(options, clock));
//   auto writer = db->appender().OpenTimeline("node");
//   auto querier = db->queryable().Open(start_ms, end_ms);
//
// Timeline writers and queriers must be gone before the Tsdb is. The clock must outlive it.
// Thread-safe.
class Tsdb {
 public:
  // kFailedPrecondition where another process has the directory. Does not replay history: at most
  // a handful of rows per timeline.
  static Result<std::unique_ptr<Tsdb>> Open(const TsdbOptions& options, const Clock& clock);
  ~Tsdb();
  Tsdb(const Tsdb&) = delete;
  Tsdb& operator=(const Tsdb&) = delete;

  storage::Appender& appender();
  const storage::Queryable& queryable() const;
  const storage::ExemplarQueryable& exemplars() const;
  const storage::MetadataQueryable& metadata() const;
  storage::KeyValue& key_value();

  TsdbStats stats() const;
  std::map<std::string, RefusedSeries> refused() const;  // By owner.
  CardinalityStats cardinality(size_t limit) const;
  StoreShape store_shape() const;

  // Instants of the oldest and the newest sample; INT64_MAX and INT64_MIN when there is none.
  int64_t min_t_ms() const;
  int64_t max_t_ms() const;

  // What the bytes on disk, in memory and on the wire are spent on: storage/cost.h.
  Result<storage::CostReport> Cost(const storage::CostRequest& request) const;
  // Reads everything and says what is not as it was written: inspect/verify.h.
  Result<VerifyReport> Verify() const;

  // Seals everything in memory, merges all chunks, compacts the files.
  Result<ByteChange> Compact();

  // Removes the samples of the series that match all matchers of one of the selectors, at
  // start <= t <= end, from memory and disk, and gives their space back. When it returns no query
  // shows them any more.
  Result<ByteChange> Delete(std::span<const std::vector<Matcher>> selectors, int64_t start_ms,
                            int64_t end_ms);
  // Frees what Delete() was kept from freeing by queries that still held it.
  Result<ByteChange> CleanTombstones();

  // A consistent copy in a new directory, made of hard links where possible. Tsdb::Open reads it.
  Status Snapshot(const std::string& directory);

  // One round of what the maintenance thread does.
  Status Maintain();

  // False, with the reason in stats().background_error, while the disk refuses writes.
  bool writable() const;

  class Impl;

 private:
  explicit Tsdb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::tsdb
