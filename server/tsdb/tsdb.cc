#include "server/tsdb/tsdb.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/log/log.h"
#include "common/model/duration.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/compact/compactor.h"
#include "server/tsdb/compact/retention.h"
#include "server/tsdb/exemplar_store.h"
#include "server/tsdb/forgetter.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/inspect/accounts.h"
#include "server/tsdb/query/column_cache.h"
#include "server/tsdb/query/reader.h"
#include "server/tsdb/recovery.h"
#include "server/tsdb/store/keys.h"
#include "server/tsdb/timeline/rollups.h"

namespace vedette::tsdb {
namespace {

constexpr std::string_view kUserPrefix = "kv/";
constexpr std::string_view kMetadataPrefix = "metadata/";
constexpr std::string_view kWindowKey = "settings/window_ms";
constexpr std::string_view kFormatKey = "settings/format";
constexpr std::string_view kFormat = "2";  // 2: series journals say where they begin.
constexpr int64_t kMinWindowMs = 60'000;
constexpr int64_t kMaxWindowMs = 31LL * 24 * 3600 * 1000;

HeadOptions ToHeadOptions(const TsdbOptions& o, int64_t window_ms) {
  return {.window_ms = window_ms,
          .out_of_order_window_ms = o.out_of_order_window_ms,
          .max_future_ms = o.max_future_ms,
          .idle_ms = o.idle_ms,
          .max_series = o.max_series,
          .max_series_per_owner = o.max_series_per_owner,
          .max_series_of_owner = o.max_series_of_owner};
}

std::vector<NameCount> ToNameCounts(std::vector<SeriesIndex::Count> counts) {
  std::vector<NameCount> out;
  for (SeriesIndex::Count& c : counts) out.push_back({std::move(c.name), c.count});
  return out;
}

// The window length a directory was made with; the option for a new one.
Result<int64_t> SettleWindow(Store& store, int64_t option_ms) {
  Result<std::optional<std::string>> settings = store.Get(Family::kMeta, kFormatKey);
  // Damaged, which the store has said or the walk over the same block will: the length is that of
  // the option then, which is the same in every directory of a server.
  if (settings.status().code() == StatusCode::kDataLoss) return option_ms;
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> format, std::move(settings));
  if (format && *format != kFormat) {
    return FailedPrecondition(StrCat("the storage directory has format ", Quoted(*format),
                                     ", this program knows ", Quoted(kFormat)));
  }
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> stored, store.Get(Family::kMeta, kWindowKey));
  if (stored) {
    ByteReader in(*stored);
    const int64_t window_ms = in.Signed();
    if (!in.done() || window_ms < kMinWindowMs || window_ms > kMaxWindowMs) {
      return DataLoss("the storage's window length is damaged");
    }
    return window_ms;
  }
  if (store.failed()) return option_ms;  // Read only, or full: an empty one.
  if (option_ms < kMinWindowMs || option_ms > kMaxWindowMs) {
    return InvalidArgument(StrCat("window of ", option_ms, " ms: between one minute and 31 days"));
  }
  std::string value;
  PutSigned(value, option_ms);
  StoreBatch batch;
  batch.Put(store, Family::kMeta, kWindowKey, value);
  batch.Put(store, Family::kMeta, kFormatKey, kFormat);
  VEDETTE_RETURN_IF_ERROR(store.Write(batch, /*sync=*/true));
  return option_ms;
}

Status CheckRollups(std::span<const int64_t> rollups_ms, int64_t window_ms) {
  constexpr int64_t kLeastMs = 60'000;
  for (const int64_t r : rollups_ms) {
    if (r < kLeastMs || r >= window_ms || r % 1000 != 0 || window_ms % r != 0) {
      return InvalidArgument(StrCat("a roll-up of ", FormatDuration(r), ": a minute at least, and a "
                                    "divisor of the ", FormatDuration(window_ms),
                                    " that the storage keeps together"));
    }
  }
  return {};
}

}  // namespace

class Tsdb::Impl final : public storage::Appender,
                         public storage::Queryable,
                         public storage::MetadataQueryable,
                         public storage::KeyValue {
 public:
  Impl(const TsdbOptions& options, const Clock& clock, std::unique_ptr<Store> store,
       int64_t window_ms)
      : options_(options),
        clock_(clock),
        window_ms_(window_ms),
        store_(std::move(store)),
        instants_(*store_),
        presence_(*store_, "presence/"),
        histograms_(*store_, "histograms/"),
        rollups_(*store_, options.rollups_ms),
        exemplars_(*store_, options.max_exemplars),
        head_(ToHeadOptions(options, window_ms), *store_, index_, instants_, presence_, histograms_,
              rollups_, exemplars_, clock),
        compactor_(*store_, head_.numbers(), instants_, presence_, histograms_, rollups_,
                   window_ms, head_.counters().damaged),
        retention_({options.retention_ms, options.retention_bytes, options.retention_rules},
                   window_ms, *store_, index_, presence_, compactor_),
        forgetter_(*store_, index_, head_, options.forget_at_least),
        columns_(options.column_cache_bytes) {}

  ~Impl() override {
    {
      MutexLock lock(stop_mu_);
      stopping_ = true;
    }
    stop_changed_.NotifyAll();
    if (maintainer_.joinable()) maintainer_.join();
  }

  Status Start() {
    const DamageSink damage = damage_.sink();
    for (const std::string& found : store_->damage()) damage(found);
    VEDETTE_RETURN_IF_ERROR(presence_.Load(damage));
    VEDETTE_RETURN_IF_ERROR(histograms_.Load(damage));
    VEDETTE_RETURN_IF_ERROR(rollups_.Load());
    VEDETTE_RETURN_IF_ERROR(exemplars_.Load(damage));
    VEDETTE_RETURN_IF_ERROR(LoadMetadata());
    VEDETTE_RETURN_IF_ERROR(head_.RestoreIndex(damage));
    // What the index has lost must not be given to others: their chunks would be taken for theirs.
    if (const uint32_t seen = presence_.SeriesBound(); seen > index_.size()) {
      damage("the labels of series with sealed data are lost");
      index_.Reserve(seen);
    }
    if (damage_.count() > 0 && !store_->failed()) {
      VEDETTE_RETURN_IF_ERROR(AfterDamage());
    }
    VEDETTE_RETURN_IF_ERROR(head_.Restore(damage));
    if (!options_.read_only) {
      if (!options_.rollups_ms.empty() && !rollups_.any()) {
        log::Warn("no roll-ups before the next start: the disk had no room to begin with them",
                  {{"path", options_.path}});
      }
      (void)compactor_.FinishDrops();  // On a full disk: at the next start.
      (void)rollups_.DropOthers();     // Likewise.
    }
    if (options_.maintenance_interval_ms > 0) {
      maintainer_ = std::thread([this] { MaintenanceLoop(); });
      pthread_setname_np(maintainer_.native_handle(), "tsdb-maintain");
    }
    return {};
  }

  // Appender
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override {
    return head_.OpenTimeline(owner);
  }
  Result<storage::CommitStats> CommitTogether(std::span<const storage::WriterRow> rows,
                                              std::span<const Change> notes) override {
    return head_.CommitTogether(rows,
                                [&](StoreBatch& batch) { AddChanges(notes, batch); });
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override {
    return head_.Write(batch, {});
  }
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs) override {
    return head_.Write(batch, refs);
  }
  Result<storage::CommitStats> WriteSamples(std::span<const storage::SeriesRef> refs,
                                            std::span<const Sample> samples) override {
    return head_.WriteSamples(refs, samples);
  }
  void SetMetadata(const std::string& metric_name, const Metadata& metadata) override {
    {
      MutexLock lock(metadata_mu_);
      auto [it, added] = metadata_.try_emplace(metric_name, metadata);
      if (!added && it->second == metadata) return;
      it->second = metadata;
    }
    std::string value;
    value.push_back(static_cast<char>(metadata.type));
    PutBytes(value, metadata.help);
    PutBytes(value, metadata.unit);
    StoreBatch batch;
    batch.Put(*store_, Family::kMeta, StrCat(kMetadataPrefix, metric_name), value);
    (void)store_->Write(batch);  // Told again by the next scrape after a restart.
  }

  // Queryable
  Result<std::unique_ptr<storage::Querier>> Open(int64_t min_t_ms,
                                                 int64_t max_t_ms) const override {
    return MakeQuerier({*store_, index_, instants_, presence_, histograms_, rollups_, head_,
                        const_cast<Head&>(head_).counters(), window_ms_, forgetter_.Hold()},
                       columns_, min_t_ms, max_t_ms);
  }

  // MetadataQueryable
  std::vector<storage::NamedMetadata> Select(const std::string& name) const override {
    std::vector<storage::NamedMetadata> out;
    MutexLock lock(metadata_mu_);
    if (!name.empty()) {
      if (const auto it = metadata_.find(name); it != metadata_.end()) {
        out.push_back({it->first, it->second});
      }
      return out;
    }
    for (const auto& [metric, metadata] : metadata_) out.push_back({metric, metadata});
    return out;
  }

  // KeyValue
  Result<std::optional<std::string>> Get(std::string_view key) const override {
    auto value = store_->Get(Family::kMeta, StrCat(kUserPrefix, key));
    if (value.ok() || value.status().code() != StatusCode::kDataLoss) return value;
    damage_.Add(StrCat("the pair ", Quoted(key), ": ", value.status().message()));
    return std::optional<std::string>();
  }
  Status Apply(std::span<const Change> changes, bool sync) override {
    StoreBatch batch;
    AddChanges(changes, batch);
    return store_->Write(batch, sync);
  }
  Status Scan(std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const std::string whole = StrCat(kUserPrefix, prefix);
    StoreIterator it = store_->Iterate(Family::kMeta);
    it.Seek(whole);
    for (; it.valid() || PassDamage(it, "pairs", damage_.sink()); it.Next()) {
      if (!it.key().starts_with(whole)) break;
      if (!visit(it.key().substr(kUserPrefix.size()), it.value())) break;
    }
    return it.status();
  }

  const ExemplarStore& exemplars() const { return exemplars_; }

  std::map<std::string, RefusedSeries> refused() const {
    constexpr int64_t kRefusedNowMs = 5 * 60'000;
    std::map<std::string, RefusedSeries> out;
    for (const auto& [owner, r] : head_.refused_owners()) {
      out[owner] = {r.series, r.why, clock_.NowMs() - r.last_ms < kRefusedNowMs};
    }
    return out;
  }

  TsdbStats stats() const {
    TsdbStats s;
    const HeadCounters& c = head_.counters();
    s.series = index_.known();
    s.forgotten_series = forgetter_.given_up();
    s.active_series = head_.active_series();
    s.timelines = head_.timelines();
    s.label_pairs = index_.pairs();
    s.sealed_chunks = c.sealed_chunks;
    s.min_t_ms = head_.min_t_ms();
    s.max_t_ms = head_.max_t_ms();
    s.removed_series = head_.removed_series();
    s.appended_samples = c.appended;
    s.appended_histograms = c.appended_histograms;
    s.late_samples = c.late;
    s.late_histograms = c.late_histograms;
    s.failed_commits = c.failed_commits;
    s.duplicate_samples = c.duplicate;
    s.out_of_order_samples = c.out_of_order;
    s.too_old_samples = c.too_old;
    s.too_far_ahead_samples = c.too_far_ahead;
    s.series_limit_samples = c.series_limit;
    s.series_refused = c.series_refused;
    s.damaged_chunks = c.damaged + damage_.count();
    s.damage = damage_.sentences();
    s.disk_bytes = store_->disk_bytes();
    s.wal_bytes = store_->wal_bytes();
    s.index_memory_bytes = index_.memory_bytes();
    const Head::OpenData open = head_.Open();
    s.head_memory_bytes = open.bytes;
    s.samples_in_head = open.samples;
    s.open_columns = open.columns;
    s.first_open_t_ms = open.first_t_ms;
    const std::vector<int32_t> windows = presence_.Windows(INT32_MIN, INT32_MAX);
    s.windows = windows.size();
    // What was written once may be gone: the oldest is in the first window, or in memory.
    s.lowest_t_ms = open.first_t_ms;
    if (!windows.empty()) s.lowest_t_ms = std::min(s.lowest_t_ms, windows.front() * window_ms_);
    s.lowest_t_ms = std::max(s.lowest_t_ms, s.min_t_ms);
    s.maintenance_rounds = maintenance_rounds_;
    s.maintenance_failures = maintenance_failures_;
    s.reopenings = reopenings_;
    s.reopening_failures = reopening_failures_;
    s.seals = seals_;
    s.seal_failures = seal_failures_;
    s.dropped_by_time = retention_.dropped_by_time();
    s.dropped_by_size = retention_.dropped_by_size();
    s.retention_ms = options_.retention_ms;
    s.retention_bytes = options_.retention_bytes;
    const ExemplarStore::Stats exemplars = exemplars_.stats();
    s.exemplars_appended = exemplars.appended;
    s.exemplars_kept = exemplars.kept;
    s.exemplar_series = exemplars.series;
    s.first_exemplar_ms = exemplars.oldest_ms;
    s.max_exemplars = exemplars.capacity;
    s.store_memory = store_->memory();
    s.instants_memory_bytes = instants_.memory_bytes();
    const ColumnCache::Stats columns = columns_.stats();
    s.column_cache_bytes = columns.bytes;
    s.column_cache_hits = columns.hits;
    s.column_cache_fills = columns.fills;
    s.column_cache_misses = columns.misses;
    s.series_by_owner = head_.series_by_owner();
    s.refused_by_owner = refused();
    s.lost_series = index_.lost();
    s.background_error = store_->failure();
    return s;
  }

  CardinalityStats cardinality(size_t limit) const {
    SeriesIndex::Cardinality c = index_.cardinality(limit);
    return {ToNameCounts(std::move(c.series_by_metric)), ToNameCounts(std::move(c.values_by_label)),
            ToNameCounts(std::move(c.bytes_by_label)), ToNameCounts(std::move(c.series_by_pair))};
  }

  const Head& head() const { return head_; }
  const Store& store() const { return *store_; }

  Result<storage::CostReport> Cost(const storage::CostRequest& request) const {
    const std::shared_ptr<const void> era = forgetter_.Hold();
    return TakeAccounts({*store_, index_, head_}, request);
  }

  Result<VerifyReport> Verify() const {
    const std::shared_ptr<const void> era = forgetter_.Hold();
    VerifyReport report;
    for (std::string& found : damage_.sentences()) report.Add(std::move(found));
    report.problems = std::max(report.problems, damage_.count());
    VEDETTE_RETURN_IF_ERROR(VerifySealed(*store_, index_, report));
    return report;
  }

  Result<ByteChange> Compact() {
    MutexLock lock(maintenance_mu_);
    ByteChange change{.bytes_before = store_->disk_bytes()};
    VEDETTE_RETURN_IF_ERROR(head_.SealAll());
    for (int32_t window : presence_.Windows(INT32_MIN, INT32_MAX)) {
      VEDETTE_ASSIGN_OR_RETURN(Compactor::Outcome merged, Merge(window, nullptr));
      change.series += merged.series;
      change.samples += merged.samples;
      if (Closed(window)) {
        VEDETTE_RETURN_IF_ERROR(RollUp(window, nullptr));
      }
    }
    VEDETTE_RETURN_IF_ERROR(forgetter_.Round());
    VEDETTE_RETURN_IF_ERROR(store_->CompactAll());
    change.bytes_after = store_->disk_bytes();
    return change;
  }

  Result<ByteChange> Delete(std::span<const std::vector<Matcher>> selectors, int64_t start_ms,
                            int64_t end_ms) {
    MutexLock lock(maintenance_mu_);
    // What is in memory goes to the disk first, and is deleted there.
    VEDETTE_RETURN_IF_ERROR(head_.SealAll());
    VEDETTE_RETURN_IF_ERROR(store_->Flush());
    ByteChange change{.bytes_before = store_->disk_bytes()};
    for (const std::vector<Matcher>& matchers : selectors) {
      const std::vector<uint32_t> series = index_.Select(matchers).ToVector();
      std::vector<uint32_t> metrics;
      index_.MetricsOf(series, metrics);
      VEDETTE_ASSIGN_OR_RETURN(Compactor::Outcome deleted,
                               compactor_.Delete(metrics, series, start_ms, end_ms));
      change.series += deleted.series;
      change.samples += deleted.samples;
      if (deleted.samples > 0) {
        head_.NoteRewrite();
        VEDETTE_RETURN_IF_ERROR(compactor_.FreeSpace(metrics, start_ms, end_ms));
      }
    }
    VEDETTE_RETURN_IF_ERROR(store_->Flush());
    change.bytes_after = store_->disk_bytes();
    return change;
  }

  Result<ByteChange> CleanTombstones() {
    MutexLock lock(maintenance_mu_);
    ByteChange change{.bytes_before = store_->disk_bytes()};
    VEDETTE_RETURN_IF_ERROR(store_->CompactAll());
    change.bytes_after = store_->disk_bytes();
    return change;
  }

  Status Snapshot(const std::string& directory) { return store_->Checkpoint(directory); }

  Status Maintain() {
    ++maintenance_rounds_;
    Status status = MaintainOnce();
    if (!status.ok() && status.code() != StatusCode::kCancelled) ++maintenance_failures_;
    return status;
  }

  bool writable() const { return !store_->failed(); }

 private:
  Status MaintainOnce() {
    const Status recovered = Recover();
    for (const std::string& found : store_->TakeNewDamage()) damage_.Add(found);
    VEDETTE_RETURN_IF_ERROR(recovered);
    MutexLock lock(maintenance_mu_);
    ++seals_;
    if (Status sealed = head_.SealIdle(); !sealed.ok()) {
      ++seal_failures_;
      return sealed;
    }
    if (head_.max_t_ms() != INT64_MIN) {
      VEDETTE_RETURN_IF_ERROR(retention_.Apply(head_.max_t_ms()));
    }
    VEDETTE_RETURN_IF_ERROR(forgetter_.Round());
    return MergeClosed();
  }

  // Where a write has failed: opens the store again.
  Status Recover() {
    if (!store_->failed()) return {};
    ++reopenings_;
    Status status = store_->RecoverIfFailed();
    reopening_failures_ += !status.ok();
    return status;
  }

  Result<Compactor::Outcome> Merge(int32_t window, const Compactor::Pace& pace)
      VEDETTE_REQUIRES(maintenance_mu_) {
    const int64_t began_ns = clock_.MonotonicNs();
    Result<Compactor::Outcome> outcome = compactor_.Merge(window, pace);
    if (options_.merged && outcome.status().code() != StatusCode::kCancelled) {
      options_.merged(static_cast<double>(clock_.MonotonicNs() - began_ns) / 1e9, outcome.ok());
    }
    return outcome;
  }

  // One whose samples are just being changed is left to the next round.
  Status RollUp(int32_t window, const Compactor::Pace& pace) VEDETTE_REQUIRES(maintenance_mu_) {
    if (!rollups_.any()) return {};
    const Status status = compactor_.RollUp(window, pace);
    return status.code() == StatusCode::kUnavailable && !store_->failed() ? Status() : status;
  }
  bool RolledUp(int32_t window) const {
    return std::ranges::all_of(rollups_.resolutions(),
                               [&](int64_t r) { return rollups_.Has(r, window); });
  }
  bool Closed(int32_t window) const { return window < WindowOf(head_.max_t_ms(), window_ms_); }

  // Something is missing and nobody knows what it was: everything that the rest depends on is found
  // out anew from the sealed data themselves.
  Status AfterDamage() {
    VEDETTE_ASSIGN_OR_RETURN(const KeyCensus census, TakeCensus(*store_, presence_, histograms_));
    index_.Reserve(census.series);
    VEDETTE_RETURN_IF_ERROR(head_.RecoverIds(census.highest_timeline));
    return instants_.RecoverIds();
  }

  void AddChanges(std::span<const Change> changes, StoreBatch& batch) const {
    for (const Change& c : changes) {
      const std::string key = StrCat(kUserPrefix, c.key);
      if (c.value) {
        batch.Put(*store_, Family::kMeta, key, *c.value);
      } else {
        batch.Delete(*store_, Family::kMeta, key);
      }
    }
  }

  Status LoadMetadata() {
    StoreIterator it = store_->Iterate(Family::kMeta);
    MutexLock lock(metadata_mu_);
    it.Seek(kMetadataPrefix);
    for (; it.valid() || PassDamage(it, "metadata", damage_.sink()); it.Next()) {
      if (!it.key().starts_with(kMetadataPrefix)) break;
      ByteReader in(it.value());
      Metadata m;
      m.type = static_cast<MetricType>(in.Fixed<uint8_t>());
      m.help = std::string(in.Bytes());
      m.unit = std::string(in.Bytes());
      if (in.done() && m.type <= MetricType::kStateSet) {
        metadata_[std::string(it.key().substr(kMetadataPrefix.size()))] = std::move(m);
      }
    }
    return it.status();
  }

  // Once a window is over, its chunks are merged, and then rolled up; one window a round.
  Status MergeClosed() VEDETTE_REQUIRES(maintenance_mu_) {
    const int64_t newest = head_.max_t_ms();
    if (newest == INT64_MIN) return {};
    const int32_t current = WindowOf(newest, window_ms_);
    for (int32_t window : presence_.Windows(INT32_MIN, current - 1)) {
      const std::string key = StrCat("merged/", window);
      VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> done, store_->Get(Family::kMeta, key));
      if (done) {
        if (RolledUp(window)) continue;
        VEDETTE_RETURN_IF_ERROR(RollUp(window, [this](uint64_t n) { return Pace(n); }));
        // One whose samples are just being changed keeps none behind it waiting.
        if (!rollups_.any() || RolledUp(window)) return {};
        continue;
      }
      VEDETTE_ASSIGN_OR_RETURN(Compactor::Outcome merged,
                               Merge(window, [this](uint64_t n) { return Pace(n); }));
      (void)merged;
      StoreBatch batch;
      batch.Put(*store_, Family::kMeta, key, "");
      return store_->Write(batch);
    }
    return {};
  }

  Status Pace(uint64_t bytes) {
    if (options_.merge_bytes_per_second == 0) return {};
    MutexLock lock(stop_mu_);
    if (!stopping_) {
      stop_changed_.WaitFor(stop_mu_,
                            static_cast<int64_t>(bytes * 1000 / options_.merge_bytes_per_second));
    }
    return stopping_ ? Cancelled("the storage is closing") : Status();
  }

  void MaintenanceLoop() {
    // Recovery from a disk that failed is tried more often than there is other work to do.
    constexpr int64_t kLookMs = 500;
    constexpr int64_t kRecoverMs = 100;
    constexpr int64_t kMaxRecoverMs = 1000;
    int64_t waited_ms = 0;
    int64_t pause_ms = kLookMs;
    while (true) {
      const int64_t nap_ms = std::min(pause_ms, options_.maintenance_interval_ms);
      {
        MutexLock lock(stop_mu_);
        if (!stopping_) stop_changed_.WaitFor(stop_mu_, nap_ms);
        if (stopping_) return;
      }
      waited_ms += nap_ms;
      pause_ms = kLookMs;
      if (store_->failed()) {
        const int64_t begin_ns = clock_.MonotonicNs();
        (void)Recover();  // Shown by stats().
        // One that had to wait for readers stood in the way of others.
        pause_ms = std::clamp((clock_.MonotonicNs() - begin_ns) / 1'000'000, kRecoverMs,
                              kMaxRecoverMs);
      }
      if (waited_ms < options_.maintenance_interval_ms) continue;
      waited_ms = 0;
      (void)Maintain();  // What fails is tried again in the next round.
    }
  }

  const TsdbOptions options_;
  const Clock& clock_;
  const int64_t window_ms_;
  std::unique_ptr<Store> store_;
  SeriesIndex index_;
  InstantsTable instants_;
  Presence presence_;
  Presence histograms_;
  Rollups rollups_;
  ExemplarStore exemplars_;
  Head head_;

  std::atomic<uint64_t> maintenance_rounds_{0}, maintenance_failures_{0};
  std::atomic<uint64_t> seals_{0}, seal_failures_{0};
  std::atomic<uint64_t> reopenings_{0}, reopening_failures_{0};
  mutable DamageReport damage_;
  Mutex maintenance_mu_;  // One rewriting of sealed data at a time.
  Compactor compactor_;
  Retention retention_;
  Forgetter forgetter_;
  mutable ColumnCache columns_;

  mutable Mutex metadata_mu_;
  std::map<std::string, Metadata> metadata_ VEDETTE_GUARDED_BY(metadata_mu_);

  Mutex stop_mu_;
  CondVar stop_changed_;
  bool stopping_ VEDETTE_GUARDED_BY(stop_mu_) = false;
  std::thread maintainer_;
};

Tsdb::Tsdb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tsdb::~Tsdb() = default;

Result<std::unique_ptr<Tsdb>> Tsdb::Open(const TsdbOptions& options, const Clock& clock) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                           Store::Open({.path = options.path,
                                        .block_cache_bytes = options.block_cache_bytes,
                                        .sync_interval_ms = options.wal_sync_ms,
                                        .read_only = options.read_only,
                                        .rollups = !options.rollups_ms.empty(),
                                        .max_write_buffer_bytes = options.max_write_buffer_bytes,
                                        .file_system = options.file_system,
                                        .log_synced = options.log_synced}));
  VEDETTE_ASSIGN_OR_RETURN(int64_t window_ms, SettleWindow(*store, options.window_ms));
  VEDETTE_RETURN_IF_ERROR(CheckRollups(options.rollups_ms, window_ms));
  auto impl = std::make_unique<Impl>(options, clock, std::move(store), window_ms);
  VEDETTE_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<Tsdb>(new Tsdb(std::move(impl)));
}

storage::Appender& Tsdb::appender() { return *impl_; }
const storage::Queryable& Tsdb::queryable() const { return *impl_; }
const storage::ExemplarQueryable& Tsdb::exemplars() const { return impl_->exemplars(); }
const storage::MetadataQueryable& Tsdb::metadata() const { return *impl_; }
storage::KeyValue& Tsdb::key_value() { return *impl_; }
TsdbStats Tsdb::stats() const { return impl_->stats(); }
std::map<std::string, RefusedSeries> Tsdb::refused() const { return impl_->refused(); }
CardinalityStats Tsdb::cardinality(size_t limit) const { return impl_->cardinality(limit); }
StoreShape Tsdb::store_shape() const { return impl_->store().shape(); }
int64_t Tsdb::min_t_ms() const { return impl_->head().min_t_ms(); }
int64_t Tsdb::max_t_ms() const { return impl_->head().max_t_ms(); }
Result<storage::CostReport> Tsdb::Cost(const storage::CostRequest& request) const {
  return impl_->Cost(request);
}
Result<VerifyReport> Tsdb::Verify() const { return impl_->Verify(); }
Result<ByteChange> Tsdb::Compact() { return impl_->Compact(); }
Result<ByteChange> Tsdb::Delete(std::span<const std::vector<Matcher>> selectors, int64_t start_ms,
                                int64_t end_ms) {
  return impl_->Delete(selectors, start_ms, end_ms);
}
Result<ByteChange> Tsdb::CleanTombstones() { return impl_->CleanTombstones(); }
Status Tsdb::Snapshot(const std::string& directory) { return impl_->Snapshot(directory); }
Status Tsdb::Maintain() { return impl_->Maintain(); }
bool Tsdb::writable() const { return impl_->writable(); }

}  // namespace vedette::tsdb
