#include "server/push/push_store.h"

#include <pthread.h>

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/strings.h"
#include "server/push/push_body.h"

namespace vedette::push {
namespace {

constexpr std::string_view kPrefix = "push/";
constexpr int64_t kMinIntervalMs = 1'000;
// An expiry is noticed within this.
constexpr int64_t kLongestNapMs = 1'000;

std::string StorageKey(const std::string& key) { return StrCat(kPrefix, key); }

bool HasParts(MetricType type) {
  return type == MetricType::kHistogram || type == MetricType::kSummary;
}

Status Inconsistent(std::string_view why) {
  return InvalidArgument(
      StrCat("pushed metrics are invalid or inconsistent with existing metrics: ", why));
}

}  // namespace

PushStore::PushStore(Options options, storage::KeyValue& key_value, storage::Appender& appender,
                     const Clock& clock)
    : options_(std::move(options)), key_value_(key_value), appender_(appender), clock_(clock) {}

PushStore::~PushStore() { Stop(); }

Result<std::unique_ptr<PushStore>> PushStore::Open(Options options, storage::KeyValue& key_value,
                                                   storage::Appender& appender,
                                                   const Clock& clock) {
  auto store = std::unique_ptr<PushStore>(
      new PushStore(std::move(options), key_value, appender, clock));
  VEDETTE_RETURN_IF_ERROR(store->Load().Annotate("reading the pushed groups"));
  return store;
}

void PushStore::Problem(const Status& why) const {
  if (options_.problem) options_.problem(why);
}

Status PushStore::Load() {
  std::vector<Group> groups;
  VEDETTE_RETURN_IF_ERROR(
      key_value_.Scan(kPrefix, [&](std::string_view key, std::string_view value) {
        Result<Group> group = GroupFromBytes(value);
        if (group.ok()) {
          groups.push_back(*std::move(group));
        } else {
          Problem(group.status().Annotate(StrCat("pushed group ", Quoted(key))));
        }
        return true;
      }));
  MutexLock change(change_mu_);
  for (Group& group : groups) {
    CountTypes(group, true);
    const std::string key(group.key.bytes());
    Slot& slot = slots_[key];
    slot.group = std::make_shared<const Group>(std::move(group));
    slot.series =
        std::make_unique<GroupSeries>(appender_, std::string(slot.group->key.Get("job")));
    MutexLock lock(mu_);
    published_[key] = slot.group;
  }
  return {};
}

void PushStore::CountTypes(const Group& group, bool add) {
  for (const MetricFamily& family : group.families) {
    if (add) {
      ++types_.try_emplace(family.name, TypeUse{family.metadata.type, 0}).first->second.groups;
      continue;
    }
    const auto at = types_.find(family.name);
    if (at != types_.end() && --at->second.groups == 0) types_.erase(at);
  }
}

Status PushStore::CheckTypes(const Group* before, const std::vector<MetricFamily>& families,
                             bool replace) const {
  // By a pointer: clang's analysis does not see that a lambda runs under its maker's locks.
  const std::unordered_map<std::string, TypeUse>* const types = &types_;
  // What this very push takes away is no reason to refuse it.
  const auto goes = [&](const std::string& name) -> size_t {
    if (before == nullptr) return 0;
    const bool had = std::ranges::any_of(before->families,
                                         [&](const auto& f) { return f.name == name; });
    const bool comes =
        std::ranges::any_of(families, [&](const auto& f) { return f.name == name; });
    return had && (replace || comes) ? 1 : 0;
  };
  const auto existing = [&](const std::string& name) -> std::optional<MetricType> {
    for (const MetricFamily& f : families) {
      if (f.name == name) return f.metadata.type;
    }
    const auto at = types->find(name);
    if (at == types->end() || at->second.groups <= goes(name)) return std::nullopt;
    return at->second.type;
  };
  for (const MetricFamily& family : families) {
    const auto at = types->find(family.name);
    if (at != types->end() && at->second.groups > goes(family.name) &&
        at->second.type != family.metadata.type) {
      return Inconsistent(StrCat("metric family ", family.name, " is pushed as ",
                                 MetricTypeName(family.metadata.type), " and exists as ",
                                 MetricTypeName(at->second.type)));
    }
    if (HasParts(family.metadata.type)) {
      for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
        if (suffix == "_bucket" && family.metadata.type != MetricType::kHistogram) continue;
        if (existing(family.name + std::string(suffix))) {
          return Inconsistent(StrCat("metric family ", family.name, suffix, " collides with the ",
                                     MetricTypeName(family.metadata.type), " ", family.name));
        }
      }
    }
    for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
      if (!std::string_view(family.name).ends_with(suffix)) continue;
      const std::string base = family.name.substr(0, family.name.size() - suffix.size());
      const std::optional<MetricType> type = existing(base);
      if (type && HasParts(*type) && (suffix != "_bucket" || *type == MetricType::kHistogram)) {
        return Inconsistent(StrCat("metric family ", family.name, " collides with the ",
                                   MetricTypeName(*type), " ", base));
      }
    }
  }
  return {};
}

Status PushStore::Push(const Labels& key, std::vector<MetricFamily> families, bool replace,
                       std::optional<int64_t> ttl_ms) {
  MutexLock change(change_mu_);
  const int64_t now_ms = clock_.NowMs();
  const auto at = slots_.find(std::string(key.bytes()));
  const Group* before = at == slots_.end() ? nullptr : at->second.group.get();
  if (before == nullptr && slots_.size() >= options_.max_groups) {
    return ResourceExhausted(StrCat("there are ", slots_.size(), " pushed groups, limit: ",
                                    options_.max_groups, " (--push.max-groups)"));
  }
  Status fault = CheckPushed(families);
  if (fault.ok() && options_.check_consistency) fault = CheckTypes(before, families, replace);
  Group next = before == nullptr ? Group{.key = key} : *before;
  if (!fault.ok()) {
    next.failed_ms = now_ms;
    next.last_push_ok = false;
    if (before == nullptr) next.ttl_ms = ttl_ms.value_or(options_.default_ttl_ms);
    // The group's fault is told whether or not it could be kept.
    if (Status kept = Put(std::move(next), now_ms); !kept.ok()) Problem(kept);
    return fault;
  }
  next.pushed_ms = now_ms;
  next.last_push_ok = true;
  next.ttl_ms = ttl_ms.value_or(before == nullptr ? options_.default_ttl_ms : before->ttl_ms);
  if (replace) {
    next.families = std::move(families);
  } else {
    for (MetricFamily& family : families) {
      const auto same = std::ranges::find(next.families, family.name, &MetricFamily::name);
      if (same == next.families.end()) {
        next.families.push_back(std::move(family));
      } else {
        *same = std::move(family);
      }
    }
    std::ranges::sort(next.families, {}, &MetricFamily::name);
  }
  return Put(std::move(next), now_ms);
}

Status PushStore::Put(Group group, int64_t now_ms) {
  std::string key(group.key.bytes());
  const storage::KeyValue::Change change{StorageKey(key), GroupToBytes(group)};
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(std::span(&change, 1), false));

  auto next = std::make_shared<const Group>(std::move(group));
  Slot& slot = slots_[key];
  if (slot.group != nullptr) CountTypes(*slot.group, false);
  CountTypes(*next, true);
  slot.group = next;
  if (slot.series == nullptr) {
    slot.series = std::make_unique<GroupSeries>(appender_, std::string(next->key.Get("job")));
  }
  for (const MetricFamily& family : next->families) {
    appender_.SetMetadata(family.name, family.metadata);
  }
  {
    MutexLock lock(mu_);
    published_[key] = next;
  }
  CommitSlot(slot, now_ms);
  return {};
}

void PushStore::CommitSlot(Slot& slot, int64_t now_ms) {
  const std::vector<MetricFamily> times = PushTimes(*slot.group);
  std::vector<const MetricFamily*> families;
  for (const MetricFamily& family : slot.group->families) families.push_back(&family);
  for (const MetricFamily& family : times) families.push_back(&family);
  // The group is kept; a commit that fails is made up for by the next one.
  const Result<storage::CommitStats> stats = slot.series->Commit(now_ms, families);
  if (!stats.ok()) Problem(stats.status().Annotate("storing a pushed group"));
}

Status PushStore::Remove(const std::string& key, int64_t now_ms) {
  const auto at = slots_.find(key);
  if (at == slots_.end()) return {};
  const storage::KeyValue::Change change{StorageKey(key), std::nullopt};
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(std::span(&change, 1), false));
  if (Status ended = at->second.series->End(now_ms); !ended.ok()) Problem(ended);
  CountTypes(*at->second.group, false);
  slots_.erase(at);
  MutexLock lock(mu_);
  published_.erase(key);
  return {};
}

Status PushStore::Delete(const Labels& key) {
  MutexLock change(change_mu_);
  return Remove(std::string(key.bytes()), clock_.NowMs());
}

Status PushStore::Wipe() {
  MutexLock change(change_mu_);
  std::vector<std::string> keys;
  for (const auto& [key, slot] : slots_) keys.push_back(key);
  for (const std::string& key : keys) VEDETTE_RETURN_IF_ERROR(Remove(key, clock_.NowMs()));
  return {};
}

std::vector<std::shared_ptr<const Group>> PushStore::Groups() const {
  MutexLock lock(mu_);
  std::vector<std::shared_ptr<const Group>> out;
  out.reserve(published_.size());
  for (const auto& [key, group] : published_) out.push_back(group);
  return out;
}

size_t PushStore::size() const {
  MutexLock lock(mu_);
  return published_.size();
}

int64_t PushStore::Tick() {
  MutexLock change(change_mu_);
  const int64_t now_ms = clock_.NowMs();
  const int64_t interval_ms = std::max(options_.interval_ms(), kMinIntervalMs);
  std::vector<std::string> over;
  for (const auto& [key, slot] : slots_) {
    if (slot.group->ExpiredAt(now_ms)) over.push_back(key);
  }
  for (const std::string& key : over) {
    if (Status removed = Remove(key, now_ms); !removed.ok()) {
      Problem(removed.Annotate("ending an expired group"));
      continue;
    }
    ++expired_;
  }
  // A clock that was set back must not silence the groups until it has caught up.
  if (now_ms >= next_commit_ms_ || next_commit_ms_ > now_ms + interval_ms) {
    next_commit_ms_ = now_ms - now_ms % interval_ms + interval_ms;
    for (auto& [key, slot] : slots_) CommitSlot(slot, now_ms);
  }
  return std::clamp<int64_t>(next_commit_ms_ - now_ms, 1, kLongestNapMs);
}

void PushStore::Start() {
  if (thread_.joinable()) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "push");
    for (;;) {
      const int64_t nap_ms = Tick();
      MutexLock lock(wake_mu_);
      if (!stopping_) wake_.WaitFor(wake_mu_, nap_ms);
      if (stopping_) return;
    }
  });
}

void PushStore::Stop() {
  {
    MutexLock lock(wake_mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

}  // namespace vedette::push
