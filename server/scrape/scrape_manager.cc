#include "server/scrape/scrape_manager.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"
#include "server/storage/key_value.h"

namespace vedette::scrape {
namespace {

// How long the scheduler sleeps at most: a clock that jumped is noticed within this.
constexpr int64_t kLongestNapMs = 1000;
// The wall clock moved by so much more or less than time passed: someone set it.
constexpr int64_t kJumpMs = 1000;
// So many answers are one commit at most: the first of them waits for the last.
constexpr size_t kMostTogether = 64;
// What was started at one moment comes within some. To look again after so long costs less than to be
// woken for each; as long as that brings more, and not for ever.
constexpr int64_t kLingerMs = 5;
constexpr int kMostLingers = 5;

// The source of a target whose real one could not be made: every scrape fails with the reason.
class FailedSource final : public Source {
 public:
  explicit FailedSource(Status why) : why_(std::move(why)) {}
  void Start(const Request&, Fetched fetched) override { fetched(why_); }
  Status Deliver(SourceSink&) override { return why_; }
  void Cancel() override {}

 private:
  const Status why_;
};

// The first instant after `now_ms` that is the target's own: k * interval + offset.
int64_t NextDue(int64_t now_ms, int64_t interval_ms, int64_t offset_ms) {
  const int64_t since = now_ms - offset_ms;
  int64_t turns = since / interval_ms;
  if (since < 0 && since % interval_ms != 0) --turns;
  return (turns + 1) * interval_ms + offset_ms;
}

void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace

ScrapeManager::ScrapeManager(Options options, storage::Appender& appender, const Clock& clock)
    : options_(std::move(options)), appender_(appender), clock_(clock) {
  MutexLock lock(schedule_mu_);
  last_wall_ms_ = clock_.NowMs();
  last_monotonic_ns_ = clock_.MonotonicNs();
}

ScrapeManager::~ScrapeManager() { Stop(); }

void ScrapeManager::ApplyJobs(std::vector<std::shared_ptr<const Job>> jobs) {
  MutexLock sync(sync_mu_);
  jobs_ = std::move(jobs);
  std::vector<std::shared_ptr<Pool>> gone;
  std::vector<std::pair<std::shared_ptr<Pool>, bool>> changed;
  {
    MutexLock lock(pools_mu_);
    std::map<std::string, std::shared_ptr<Pool>> next;
    for (const std::shared_ptr<const Job>& job : jobs_) {
      std::shared_ptr<Pool> pool;
      if (const auto it = pools_.find(job->name); it != pools_.end()) {
        pool = std::move(it->second);
        pools_.erase(it);
        if (!pool->job->SameAs(*job)) {
          pool->job = job;
          changed.emplace_back(pool, true);
          ++metrics_.pool_reloads_total;
        }
      } else {
        pool = std::make_shared<Pool>();
        pool->job = job;
        changed.emplace_back(pool, false);
        ++metrics_.pools_total;
      }
      next[job->name] = std::move(pool);
    }
    for (auto& [name, pool] : pools_) gone.push_back(std::move(pool));
    pools_ = std::move(next);
  }
  for (const std::shared_ptr<Pool>& pool : gone) {
    for (const auto& [identity, entry] : pool->entries) Remove(entry);
  }
  for (const auto& [pool, job_changed] : changed) Sync(*pool, job_changed);
}

void ScrapeManager::SetTargets(TargetGroupsSnapshot groups) {
  MutexLock sync(sync_mu_);
  const TargetGroupsSnapshot before = std::exchange(groups_, std::move(groups));
  std::vector<std::shared_ptr<Pool>> pools;
  {
    MutexLock lock(pools_mu_);
    for (const auto& [name, pool] : pools_) pools.push_back(pool);
  }
  for (const std::shared_ptr<Pool>& pool : pools) {
    const auto find = [&](const TargetGroupsSnapshot& all) {
      if (all == nullptr) return static_cast<const std::vector<TargetGroup>*>(nullptr);
      const auto it = all->find(pool->job->name);
      return it == all->end() ? nullptr : &it->second;
    };
    const std::vector<TargetGroup>* now = find(groups_);
    const std::vector<TargetGroup>* then = find(before);
    if (now == nullptr ? then == nullptr : then != nullptr && *now == *then) continue;
    Sync(*pool, /*job_changed=*/false);
  }
}

void ScrapeManager::Sync(Pool& pool, bool job_changed) {
  const int64_t started_ns = clock_.MonotonicNs();
  const std::shared_ptr<const Job> job = pool.job;
  static const std::vector<TargetGroup> kNone;
  const std::vector<TargetGroup>* groups = &kNone;
  if (groups_ != nullptr) {
    if (const auto it = groups_->find(job->name); it != groups_->end()) groups = &it->second;
  }
  TargetSet set = MakeTargets(*groups, *job);
  if (options_.problem) {
    for (const Status& failure : set.failures) options_.problem(job->name, failure);
  }
  Status over_limit;
  if (job->limits.targets > 0 && set.active.size() > job->limits.targets) {
    ++metrics_.exceeded_target_limit_total;
    over_limit =
        ResourceExhausted(StrCat("target_limit exceeded (number of targets: ", set.active.size(),
                                 ", limit: ", job->limits.targets, ")"));
  }

  std::unordered_map<uint64_t, EntryPtr> entries;
  std::vector<EntryPtr> fresh;
  for (std::shared_ptr<const Target>& target : set.active) {
    const uint64_t identity = target->IdentityHash();
    const auto it = pool.entries.find(identity);
    const bool known = it != pool.entries.end();
    EntryPtr entry = known ? it->second : std::make_shared<Entry>();
    ScrapeLoop::Parts parts{.target = target, .job = job};
    // A target that did not change keeps its source, and with it its connections.
    if (!known || job_changed) {
      Result<std::unique_ptr<Source>> source = options_.source(*target, *job);
      parts.source =
          source.ok() ? *std::move(source) : std::make_unique<FailedSource>(source.status());
    }
    if (known) {
      const std::shared_ptr<const Target> before = entry->loop->target();
      if (job_changed || before->discovered_labels != target->discovered_labels ||
          before->interval_ms != target->interval_ms || before->timeout_ms != target->timeout_ms) {
        const bool moved = before->interval_ms != target->interval_ms;
        entry->loop->Update(std::move(parts));
        if (moved) fresh.push_back(entry);
      }
    } else {
      entry->loop = std::make_unique<ScrapeLoop>(std::move(parts), appender_, clock_, metrics_);
      fresh.push_back(entry);
    }
    entry->loop->SetForcedError(over_limit);
    entries.emplace(identity, std::move(entry));
  }
  {
    MutexLock lock(pools_mu_);
    pool.entries.swap(entries);
    pool.dropped = std::move(set.dropped);
    pool.dropped_count = set.dropped_count;
  }
  for (const auto& [identity, entry] : entries) {
    if (!pool.entries.contains(identity)) Remove(entry);
  }
  {
    MutexLock lock(schedule_mu_);
    const int64_t now_ms = clock_.NowMs();
    for (const EntryPtr& entry : fresh) Schedule(entry, now_ms);
  }
  schedule_changed_.NotifyAll();
  if (options_.events.synced) {
    options_.events.synced(job->name,
                           static_cast<double>(clock_.MonotonicNs() - started_ns) / 1e9,
                           set.failures.size());
  }
}

void ScrapeManager::Schedule(const EntryPtr& entry, int64_t now_ms) {
  const std::shared_ptr<const Target> target = entry->loop->target();
  int64_t interval_ms = target->interval_ms;
  if (entry->watch_until_ms > now_ms) interval_ms = std::min(interval_ms, entry->watch_interval_ms);
  entry->due_ms =
      NextDue(now_ms, interval_ms, target->OffsetMs(options_.seed) % interval_ms);
  alarms_.push({entry->due_ms, order_++, entry, 0});
}

Result<ScrapeManager::Watched> ScrapeManager::Watch(const std::string& host, int64_t interval_ms,
                                                    int64_t for_ms) {
  if (host.empty()) return InvalidArgument("no host is named");
  if (interval_ms != 0 && (interval_ms < kMinWatchMs || for_ms <= 0 || for_ms > kMaxWatchMs)) {
    return InvalidArgument(StrCat("a watch is at least ", kMinWatchMs, " ms apart and lasts at most ",
                                  kMaxWatchMs / 1000, " s; asked for every ", interval_ms,
                                  " ms for ", for_ms, " ms"));
  }
  std::vector<EntryPtr> all;
  {
    MutexLock lock(pools_mu_);
    for (const auto& [name, pool] : pools_) {
      for (const auto& [identity, entry] : pool->entries) all.push_back(entry);
    }
  }
  const int64_t now_ms = clock_.NowMs();
  std::vector<EntryPtr> wanted;
  Watched watched{.until_ms = interval_ms == 0 ? now_ms : now_ms + for_ms};
  for (const EntryPtr& entry : all) {
    const std::shared_ptr<const Target> target = entry->loop->target();
    const std::string bare = target->address.substr(0, target->address.rfind(':'));
    if (target->address != host && bare != host && target->labels.Get("instance") != host) continue;
    wanted.push_back(entry);
    watched.urls.push_back(target->url);
  }
  if (wanted.empty()) return NotFound(StrCat("no target is of the host ", Quoted(host)));
  std::sort(watched.urls.begin(), watched.urls.end());
  {
    MutexLock lock(schedule_mu_);
    size_t others = 0;
    for (const EntryPtr& entry : all) {
      const bool mine = std::find(wanted.begin(), wanted.end(), entry) != wanted.end();
      others += !mine && entry->watch_until_ms > now_ms;
    }
    if (interval_ms != 0 && others + wanted.size() > kMaxWatched) {
      return ResourceExhausted(StrCat(others + wanted.size(),
                                      " targets would be watched at one time, limit: ",
                                      kMaxWatched));
    }
    for (const EntryPtr& entry : wanted) {
      entry->watch_interval_ms = interval_ms;
      entry->watch_until_ms = interval_ms == 0 ? 0 : watched.until_ms;
      if (!entry->removed) Schedule(entry, now_ms);
    }
  }
  schedule_changed_.NotifyAll();
  return watched;
}

void ScrapeManager::Remove(const EntryPtr& entry) {
  bool fetching = false;
  {
    MutexLock lock(schedule_mu_);
    entry->removed = true;
    for (const storage::ReceivedBytes& received : entry->loop->received()) {
      received_before_[std::string(received.labels.Get("job"))] += received.bytes;
    }
    fetching = entry->fetching;
    if (!entry->under_way) {
      entry->under_way = true;
      ready_.push_back({entry, Status(), /*end=*/true});
      workers_.WakeOne();
    }
  }
  // Its end comes sooner without waiting for the answer.
  if (fetching) entry->loop->Cancel();
}

void ScrapeManager::RescheduleAfterJump(int64_t now_ms) {
  const int64_t monotonic_ns = clock_.MonotonicNs();
  const int64_t passed_ms = (monotonic_ns - last_monotonic_ns_) / 1'000'000;
  const int64_t jump_ms = now_ms - last_wall_ms_ - passed_ms;
  last_wall_ms_ = now_ms;
  last_monotonic_ns_ = monotonic_ns;
  if (jump_ms > -kJumpMs && jump_ms < kJumpMs) return;
  // Every alarm was set by the old time.
  std::priority_queue<Alarm> before;
  before.swap(alarms_);
  for (; !before.empty(); before.pop()) {
    Alarm alarm = before.top();
    if (alarm.entry->removed) continue;
    if (alarm.turn == 0) {
      if (alarm.at_ms == alarm.entry->due_ms) Schedule(alarm.entry, now_ms);
    } else {
      alarm.at_ms += jump_ms;
      alarms_.push(std::move(alarm));
    }
  }
}

int64_t ScrapeManager::RunDue() {
  std::vector<Due>& due = due_;
  std::vector<EntryPtr> late;
  int64_t nap_ms = kLongestNapMs;
  {
    MutexLock lock(schedule_mu_);
    const int64_t now_ms = clock_.NowMs();
    RescheduleAfterJump(now_ms);
    while (!alarms_.empty() && !stopping_) {
      const Alarm alarm = alarms_.top();
      if (alarm.at_ms > now_ms) {
        nap_ms = std::min(nap_ms, alarm.at_ms - now_ms);
        break;
      }
      alarms_.pop();
      Entry& entry = *alarm.entry;
      if (entry.removed) continue;
      if (alarm.turn != 0) {
        if (entry.fetching && entry.turn == alarm.turn) {
          entry.timed_out = true;
          late.push_back(alarm.entry);
        }
        continue;
      }
      if (alarm.at_ms != entry.due_ms) continue;  // Rescheduled since.
      const std::shared_ptr<const Target> target = entry.loop->target();
      Schedule(alarm.entry, now_ms);
      if (entry.under_way) {
        ++metrics_.scrapes_missed_total;
        continue;
      }
      const int64_t tolerance_ms =
          std::min(options_.timestamp_tolerance_ms, target->interval_ms / 100);
      const int64_t t_ms = now_ms - alarm.at_ms <= tolerance_ms ? alarm.at_ms : now_ms;
      const int64_t since_ms =
          entry.last_start_ms == 0 ? -1 : std::max<int64_t>(0, now_ms - entry.last_start_ms);
      entry.last_start_ms = now_ms;
      entry.under_way = true;
      entry.fetching = true;
      entry.timed_out = false;
      ++entry.turn;
      ++fetching_;
      alarms_.push({now_ms + target->timeout_ms, order_++, alarm.entry, entry.turn});
      due.push_back({alarm.entry, t_ms, entry.turn, target->interval_ms, since_ms});
    }
    if (!alarms_.empty()) {
      nap_ms = std::clamp<int64_t>(alarms_.top().at_ms - now_ms, 0, kLongestNapMs);
    }
    if (!due.empty()) to_come_ = due.size();
  }
  for (const EntryPtr& entry : late) entry->loop->Cancel();
  std::shared_ptr<void> gathered;
  if (options_.gather && due.size() > 1) gathered = options_.gather();
  for (Due& one : due) {
    if (one.since_ms >= 0 && options_.events.began) {
      options_.events.began(one.interval_ms, static_cast<double>(one.since_ms) / 1000);
    }
    one.entry->loop->Start(one.t_ms, [this, entry = one.entry, turn = one.turn](Status status) {
      OnFetched(entry, turn, std::move(status));
    });
  }
  due.clear();
  return nap_ms;
}

void ScrapeManager::OnFetched(const EntryPtr& entry, uint64_t turn, Status status) {
  bool together = false;
  bool first = false;
  {
    MutexLock lock(schedule_mu_);
    if (!entry->fetching || entry->turn != turn) return;
    entry->fetching = false;
    if (to_come_ > 0) --to_come_;
    if (!status.ok() || !options_.finish_brief_at_once || stopping_ || !entry->loop->brief()) {
      --fetching_;
      if (entry->timed_out && !status.ok()) {
        status = DeadlineExceeded(StrCat("no answer within the scrape timeout of ",
                                         entry->loop->target()->timeout_ms, " ms"));
      }
      ready_.push_back({entry, std::move(status)});
      // Under the lock: Stop() waits for this, and then the manager may be gone.
      workers_.WakeOne();
      if (fetching_ == 0) idle_.NotifyAll();
      return;
    }
    entry->loop->Came();
    gathered_.push_back(entry);
    together = options_.at_rest != nullptr && gathered_.size() < kMostTogether;
    first = gathered_.size() == 1;
  }
  if (!together) {
    FinishGathered();
  } else if (first) {
    Gather(/*already=*/0, /*lingers=*/0);
  }
}

void ScrapeManager::Gather(size_t already, int lingers) {
  size_t now = 0;
  bool more = false;
  {
    MutexLock lock(schedule_mu_);
    now = gathered_.size();
    more = to_come_ > 0 && now > already && lingers < kMostLingers && !stopping_;
  }
  if (more || lingers == 0) {
    options_.at_rest([this, now, lingers] { Gather(now, lingers + 1); }, more ? kLingerMs : 0);
  } else {
    FinishGathered();
  }
}

void ScrapeManager::FinishGathered() {
  std::vector<EntryPtr> entries;
  {
    MutexLock lock(schedule_mu_);
    entries.swap(gathered_);
  }
  std::vector<storage::WriterRow> rows;
  std::vector<storage::KeyValue::Change> notes;
  for (const EntryPtr& entry : entries) {
    entry->loop->Deliver(Status());
    entry->loop->AddTo(rows, notes);
  }
  if (entries.size() > 1) {
    Result<storage::CommitStats> stats = appender_.CommitTogether(rows, notes);
    if (stats.ok()) metrics_.Note(*stats);
    // What the storage does not take of one is nothing to the others.
    for (const EntryPtr& entry : entries) {
      entry->loop->Conclude(stats.ok() ? Status() : entry->loop->CommitRows());
    }
  } else if (!entries.empty()) {
    entries[0]->loop->Conclude(entries[0]->loop->CommitRows());
  }
  for (const EntryPtr& entry : entries) Conclude(entry, /*end=*/false);
  MutexLock lock(schedule_mu_);
  fetching_ -= entries.size();
  if (fetching_ == 0) idle_.NotifyAll();
}

void ScrapeManager::Conclude(const EntryPtr& entry, bool end) {
  {
    MutexLock lock(schedule_mu_);
    end = end || entry->removed;  // It may have been removed while it was finished.
    if (!end) entry->under_way = false;
  }
  if (end) entry->loop->End(clock_.NowMs());
}

bool ScrapeManager::RunOne(bool wait) {
  Ready ready;
  {
    MutexLock lock(schedule_mu_);
    while (wait && ready_.empty() && !stopping_) workers_.Wait(schedule_mu_);
    if (stopping_ || ready_.empty()) return false;
    ready = std::move(ready_.front());
    ready_.pop_front();
    if (!ready_.empty()) workers_.WakeOne();
    ready.end = ready.end || ready.entry->removed;
  }
  RunReadyOne(std::move(ready));
  return true;
}

void ScrapeManager::RunReadyOne(Ready ready) {
  if (!ready.end) ready.entry->loop->Finish(std::move(ready.status));
  Conclude(ready.entry, ready.end);
}

size_t ScrapeManager::RunReady() {
  size_t count = 0;
  while (RunOne(/*wait=*/false)) ++count;
  return count;
}

void ScrapeManager::SchedulerMain() {
  NameThread("scrape-clock");
  for (;;) {
    const int64_t nap_ms = RunDue();
    MutexLock lock(schedule_mu_);
    if (stopping_) return;
    // A target that came while RunDue ran may be due sooner than it knew.
    const int64_t first_ms =
        alarms_.empty() ? nap_ms : std::min(nap_ms, alarms_.top().at_ms - clock_.NowMs());
    if (first_ms > 0) schedule_changed_.WaitFor(schedule_mu_, first_ms);
    if (stopping_) return;
  }
}

void ScrapeManager::WorkerMain() {
  NameThread("scrape-worker");
  while (RunOne(/*wait=*/true)) {
  }
}

void ScrapeManager::Start() {
  if (options_.threads == 0 || !threads_.empty()) return;
  threads_.emplace_back([this] { SchedulerMain(); });
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { WorkerMain(); });
}

void ScrapeManager::Stop() {
  {
    MutexLock lock(schedule_mu_);
    stopping_ = true;
    workers_.WakeAll();
  }
  schedule_changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::vector<EntryPtr> entries;
  {
    MutexLock lock(pools_mu_);
    for (const auto& [name, pool] : pools_) {
      for (const auto& [identity, entry] : pool->entries) entries.push_back(entry);
    }
  }
  for (const EntryPtr& entry : entries) entry->loop->Cancel();
  MutexLock lock(schedule_mu_);
  while (fetching_ > 0) idle_.Wait(schedule_mu_);
  ready_.clear();
  alarms_ = {};
}

std::vector<std::string> ScrapeManager::pools() const {
  MutexLock lock(pools_mu_);
  std::vector<std::string> names;
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

std::vector<TargetStatus> ScrapeManager::Targets(const std::string& pool_name) const {
  std::vector<TargetStatus> all;
  MutexLock lock(pools_mu_);
  for (const auto& [name, pool] : pools_) {
    if (!pool_name.empty() && name != pool_name) continue;
    const size_t first = all.size();
    for (const auto& [identity, entry] : pool->entries) all.push_back(entry->loop->status());
    std::sort(all.begin() + static_cast<ptrdiff_t>(first), all.end(),
              [](const TargetStatus& a, const TargetStatus& b) {
                return std::tie(a.target->url, a.target->labels) <
                       std::tie(b.target->url, b.target->labels);
              });
  }
  return all;
}

std::vector<storage::ReceivedBytes> ScrapeManager::Received() const {
  std::vector<storage::ReceivedBytes> all;
  {
    MutexLock lock(pools_mu_);
    for (const auto& [name, pool] : pools_) {
      for (const auto& [identity, entry] : pool->entries) {
        std::vector<storage::ReceivedBytes> of_target = entry->loop->received();
        std::ranges::move(of_target, std::back_inserter(all));
      }
    }
  }
  MutexLock lock(schedule_mu_);
  for (const auto& [job, bytes] : received_before_) {
    all.push_back({storage::ReceivedBytes::From::kTarget, Labels::Of({{"job", job}}), bytes});
  }
  return all;
}

ScrapeManager::Dropped ScrapeManager::DroppedTargets(const std::string& pool_name) const {
  Dropped dropped;
  MutexLock lock(pools_mu_);
  for (const auto& [name, pool] : pools_) {
    if (!pool_name.empty() && name != pool_name) continue;
    dropped.targets.insert(dropped.targets.end(), pool->dropped.begin(), pool->dropped.end());
    dropped.counts[name] = pool->dropped_count;
  }
  return dropped;
}

std::vector<ScrapeManager::PoolCounts> ScrapeManager::Counts() const {
  std::vector<PoolCounts> all;
  // Targets of one kind share a map: each is measured once.
  std::unordered_map<const void*, uint64_t> bytes_of;
  MutexLock lock(pools_mu_);
  for (const auto& [name, pool] : pools_) {
    PoolCounts& counts = all.emplace_back();
    counts.job = name;
    counts.targets = pool->entries.size();
    counts.target_limit = pool->job->limits.targets;
    for (const auto& [identity, entry] : pool->entries) {
      const std::shared_ptr<const std::map<std::string, Metadata>> map =
          entry->loop->shared_metadata();
      counts.metadata_entries += map->size();
      const auto [it, fresh] = bytes_of.try_emplace(map.get(), 0);
      if (fresh) {
        for (const auto& [metric, m] : *map) {
          it->second += metric.size() + m.help.size() + m.unit.size();
        }
      }
      counts.metadata_bytes += it->second;
    }
  }
  return all;
}

std::vector<ScrapeManager::TargetMetadata> ScrapeManager::MetadataByTarget() const {
  std::vector<TargetMetadata> all;
  MutexLock lock(pools_mu_);
  for (const auto& [name, pool] : pools_) {
    for (const auto& [identity, entry] : pool->entries) {
      all.push_back({entry->loop->target(), entry->loop->metadata()});
    }
  }
  return all;
}

}  // namespace vedette::scrape
