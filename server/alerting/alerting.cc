#include "server/alerting/alerting.h"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <random>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "server/alerting/keys.h"

namespace vedette::alerting {
namespace {

constexpr int64_t kMaxSleepMs = 500;
constexpr int64_t kInFlightPollMs = 100;
constexpr size_t kMaxAlertBytes = 64 << 10;
constexpr int64_t kMaxPauseMs = 3'600'000;  // As much as a Retry-After may ask for.

std::string RandomUuid() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  const std::string a = Hex((random() & ~0xf000ull) | 0x4000);
  const std::string b = Hex((random() & ~(3ull << 62)) | (2ull << 62));
  return StrCat(a.substr(0, 8), "-", a.substr(8, 4), "-", a.substr(12), "-", b.substr(0, 4), "-",
                b.substr(4));
}

// Until when an integration asked to be left alone (Retry-After), in milliseconds.
std::string PauseKey(std::string_view receiver, const Integration& way) {
  return StrCat("notification_pause/", receiver, "/", way.name, "/", way.index);
}

// How much of a pause is left that an earlier generation wrote down; what is over is forgotten.
int64_t PauseLeft(storage::KeyValue& store, const std::string& key, int64_t now_ms) {
  const Result<std::optional<std::string>> text = store.Get(key);
  if (!text.ok() || !text->has_value()) return 0;
  int64_t until_ms = 0;
  const char* end = (*text)->data() + (*text)->size();
  const auto [after, error] = std::from_chars((*text)->data(), end, until_ms);
  // A clock that was set back must not silence a receiver for days.
  const int64_t left_ms = std::min(until_ms - now_ms, kMaxPauseMs);
  if (error == std::errc() && after == end && left_ms > 0) return left_ms;
  const storage::KeyValue::Change change[] = {{key, std::nullopt}};
  (void)store.Apply(change, /*sync=*/false);  // Else it is looked at again at the next start.
  return 0;
}

bool Subset(const std::vector<uint64_t>& small, const std::vector<uint64_t>& large) {
  return std::includes(large.begin(), large.end(), small.begin(), small.end());
}

// The younger news wins, but for the start, which is the earliest known, and for an end that was
// only made up.
StoredAlert Merge(const StoredAlert& older, StoredAlert news, int64_t now_ms) {
  const Alert& o = older.alert;
  Alert& n = news.alert;
  const bool overlap = (n.ends_at_ms > o.starts_at_ms && n.ends_at_ms < o.ends_at_ms) ||
                       (n.starts_at_ms > o.starts_at_ms && n.starts_at_ms < o.ends_at_ms);
  if (!overlap && n.starts_at_ms != o.starts_at_ms) return news;
  if (!n.evidence) n.evidence = o.evidence;
  n.starts_at_ms = std::min(n.starts_at_ms, o.starts_at_ms);
  if (n.resolved_at(now_ms)) {
    if (o.resolved_at(now_ms)) n.ends_at_ms = std::max(n.ends_at_ms, o.ends_at_ms);
  } else if (o.ends_at_ms > n.ends_at_ms && !older.timeout) {
    n.ends_at_ms = o.ends_at_ms;
  }
  return news;
}

}  // namespace

Alerting::Alerting(AlertingOptions options, storage::KeyValue& store, const Clock& clock)
    : options_([&] {
        if (!options.new_id) options.new_id = RandomUuid;
        return std::move(options);
      }()),
      store_(store),
      clock_(clock) {}

Alerting::~Alerting() { Stop(); }

Status Alerting::Load() {
  MutexLock lock(mu_);
  Status damage;
  // Damaged entries cost themselves only.
  VEDETTE_RETURN_IF_ERROR(store_.Scan(
      kAlertPrefix, [&](std::string_view, std::string_view value) VEDETTE_REQUIRES(mu_) {
        Result<StoredAlert> a = DecodeAlert(value);
        if (a.ok()) {
          alerts_.insert_or_assign(a->alert.labels, *std::move(a));
        } else {
          damage = a.status();
        }
        return true;
      }));
  VEDETTE_RETURN_IF_ERROR(store_.Scan(
      kSilencePrefix, [&](std::string_view, std::string_view value) VEDETTE_REQUIRES(mu_) {
        Result<Silence> s = DecodeSilence(value);
        Result<HeldSilence> held = s.ok() ? Hold(*std::move(s)) : Result<HeldSilence>(s.status());
        if (held.ok()) {
          const std::string id = held->silence.id;
          silences_.insert_or_assign(id, *std::move(held));
        } else {
          damage = held.status();
        }
        return true;
      }));
  // One that is damaged is told again rather than never.
  VEDETTE_RETURN_IF_ERROR(store_.Scan(
      kLogPrefix, [&](std::string_view key, std::string_view value) VEDETTE_REQUIRES(mu_) {
        Result<NotificationLogEntry> entry = DecodeLogEntry(value);
        if (entry.ok()) log_.insert_or_assign(std::string(key), *std::move(entry));
        return true;
      }));
  const int64_t now_ms = clock_.NowMs();
  for (const auto& [labels, stored] : alerts_) {
    if (!stored.alert.resolved_at(now_ms)) firing_.insert(labels);
  }
  return damage;
}

Status Alerting::Update(config::AlertmanagerConfig config,
                        std::map<std::string, std::vector<Integration>> receivers) {
  auto setup = std::make_shared<Setup>();
  setup->config = std::make_shared<const config::AlertmanagerConfig>(std::move(config));
  VEDETTE_ASSIGN_OR_RETURN(setup->intervals, Intervals::Make(setup->config->time_intervals));
  setup->root = BuildRoutes(setup->config->route);
  std::vector<const Route*> open = {setup->root.get()};
  while (!open.empty()) {
    const Route* route = open.back();
    open.pop_back();
    for (const auto& child : route->children) open.push_back(child.get());
    if (!receivers.contains(route->config->receiver)) {
      return InvalidArgument(StrCat(setup->config->file, ":", route->config->line,
                                    ": undefined receiver ", Quoted(route->config->receiver)));
    }
    for (const auto* names :
         {&route->config->mute_time_intervals, &route->config->active_time_intervals}) {
      for (const std::string& name : *names) {
        if (!setup->intervals.Has(name)) {
          return InvalidArgument(StrCat(setup->config->file, ":", route->config->line,
                                        ": undefined time interval ", Quoted(name)));
        }
      }
    }
  }
  setup->receivers = std::move(receivers);

  MutexLock lock(mu_);
  groups_.clear();  // Attempts under way keep their setup, and find their group by its id.
  setup_ = std::move(setup);
  // Of the generation before; the addresses may come again.
  std::erase_if(busy_, [](const auto& entry) { return entry.second.attempts == 0; });
  // What they asked for before a restart or a reload goes on holding.
  for (const auto& [receiver, ways] : setup_->receivers) {
    for (const Integration& way : ways) {
      const int64_t left_ms = PauseLeft(store_, PauseKey(receiver, way), clock_.NowMs());
      if (left_ms > 0) busy_[&way].pause_until_ns = clock_.MonotonicNs() + left_ms * 1'000'000;
    }
  }
  inhibitors_.assign(setup_->config->inhibit_rules.size(), {});
  for (const auto& [labels, stored] : alerts_) Insert(stored);
  changed_.NotifyAll();
  return Status();
}

Status Alerting::Validate(const Alert& alert) const {
  if (alert.labels.empty()) return InvalidArgument("an alert needs at least one label");
  for (const Labels* set : {&alert.labels, &alert.annotations}) {
    if (set->bytes().size() > kMaxAlertBytes) {
      return InvalidArgument(StrCat("labels or annotations of ", set->bytes().size(),
                                    " bytes are over the limit of ", kMaxAlertBytes));
    }
    for (const Label& l : *set) {
      if (!IsValidUtf8(l.name) || !IsValidUtf8(l.value)) {
        return InvalidArgument(StrCat("label ", Quoted(l.name), " is not UTF-8"));
      }
    }
  }
  if (alert.ends_at_ms != 0 && alert.ends_at_ms < alert.starts_at_ms) {
    return InvalidArgument("start time must be before end time");
  }
  return Status();
}

Status Alerting::Put(std::vector<Alert> alerts) {
  MutexLock lock(mu_);
  return PutLocked(std::move(alerts), clock_.NowMs());
}

Status Alerting::PutLocked(std::vector<Alert> alerts, int64_t now_ms) {
  Status first_bad;
  if (setup_ == nullptr) return Unavailable("alerting has no configuration yet");
  std::vector<storage::KeyValue::Change> changes;
  std::vector<StoredAlert> taken;
  for (Alert& a : alerts) {
    StoredAlert news{.alert = std::move(a), .updated_at_ms = now_ms};
    if (news.alert.starts_at_ms == 0) {
      news.alert.starts_at_ms =
          news.alert.ends_at_ms == 0 ? now_ms : std::min(now_ms, news.alert.ends_at_ms);
    }
    if (news.alert.ends_at_ms == 0) {
      news.timeout = true;
      news.alert.ends_at_ms = now_ms + setup_->config->resolve_timeout_ms;
    }
    Status bad = Validate(news.alert);
    auto it = alerts_.find(news.alert.labels);
    if (bad.ok() && it == alerts_.end()) {
      // Nobody was told about an alert that comes already resolved.
      if (alerts_.size() + taken.size() >= options_.max_alerts) {
        bad = ResourceExhausted(StrCat("over the limit of ", options_.max_alerts, " alerts"));
      }
    }
    if (!bad.ok()) {
      if (first_bad.ok()) first_bad = bad;
      ++taken_.invalid;
      continue;
    }
    ++(news.alert.resolved_at(now_ms) ? taken_.resolved : taken_.firing);
    if (it != alerts_.end()) news = Merge(it->second, std::move(news), now_ms);
    changes.push_back({StrCat(kAlertPrefix, Hex(news.alert.labels.Hash())), Encode(news)});
    Remember(news.alert, now_ms, changes);
    taken.push_back(std::move(news));
  }
  for (StoredAlert& news : taken) {
    alerts_.insert_or_assign(news.alert.labels, news);
    Insert(news);
  }
  if (!changes.empty()) {
    const Status saved = Save(std::move(changes));
    if (!saved.ok()) {
      for (const StoredAlert& news : taken) unsaved_alerts_.insert(news.alert.labels);
      first_bad = saved;
    }
  }
  changed_.NotifyAll();
  return first_bad;
}

Status Alerting::Save(std::vector<storage::KeyValue::Change> changes) {
  for (const Labels& labels : unsaved_alerts_) {
    const auto it = alerts_.find(labels);
    const std::string key = StrCat(kAlertPrefix, Hex(labels.Hash()));
    changes.push_back({key, it == alerts_.end() ? std::optional<std::string>()
                                                : std::optional<std::string>(Encode(it->second))});
  }
  for (const std::string& key : unsaved_log_) {
    const auto it = log_.find(key);
    changes.push_back({key, it == log_.end() ? std::optional<std::string>()
                                             : std::optional<std::string>(Encode(it->second))});
  }
  if (changes.empty()) return {};
  VEDETTE_RETURN_IF_ERROR(store_.Apply(changes, /*sync=*/false));
  unsaved_alerts_.clear();
  unsaved_log_.clear();
  return {};
}

void Alerting::Insert(const StoredAlert& stored) {
  const int64_t now_ms = clock_.NowMs();
  const Labels& labels = stored.alert.labels;
  const auto& rules = setup_->config->inhibit_rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!AllMatch(rules[i].source_matchers, labels)) continue;
    inhibitors_[i][labels.Only(rules[i].equal)][labels] =
        AllMatch(rules[i].target_matchers, labels);
  }
  for (const Route* route : MatchRoutes(*setup_->root, labels)) {
    const Labels group_labels = GroupLabels(*route, labels);
    const std::string id = StrCat(route->id, ":", group_labels.ToString());
    auto it = groups_.find(id);
    if (it == groups_.end()) {
      // Resolved before it was ever in a group: this run has nothing to tell about it, unless the
      // last one told that it fires. The log decides that at the tick.
      auto group = std::make_unique<Group>();
      group->id = id;
      group->route = route;
      group->labels = group_labels;
      group->next_tick_ms = now_ms + route->config->group_wait_ms;
      group->deliveries.resize(setup_->receivers.at(route->config->receiver).size());
      it = groups_.emplace(id, std::move(group)).first;
    }
    Group& group = *it->second;
    group.members[labels] = stored.updated_at_ms;
    if (!group.flushed && stored.alert.starts_at_ms + route->config->group_wait_ms < now_ms) {
      group.next_tick_ms = std::min(group.next_tick_ms, now_ms);
    }
  }
}

void Alerting::Tick(Group& group, int64_t now_ms) {
  group.flushed = true;
  group.tick_ms = now_ms;
  group.next_tick_ms = now_ms + group.route->config->group_interval_ms;
  for (Delivery& d : group.deliveries) {
    d.wanted = true;
    d.failed = false;
    d.attempts = 0;
  }
  if (group.deliveries.empty()) Settle(group);  // A receiver that tells nobody.
}

void Alerting::Settle(Group& group) {
  for (const Delivery& d : group.deliveries) {
    if (d.wanted || d.in_flight || d.failed) return;
  }
  std::erase_if(group.members, [&](const auto& member) VEDETTE_REQUIRES(mu_) {
    auto it = alerts_.find(member.first);
    return it == alerts_.end() || (it->second.alert.resolved_at(group.tick_ms) &&
                                   it->second.updated_at_ms <= group.tick_ms);
  });
}

std::optional<Alerting::Job> Alerting::NextJob(int64_t now_ms, int64_t& wait_ms) {
  wait_ms = kMaxSleepMs;
  if (setup_ == nullptr) return std::nullopt;
  if (next_maintenance_ms_ <= now_ms) {
    Maintain(now_ms);
    next_maintenance_ms_ = now_ms + options_.maintenance_interval_ms;
  }
  for (auto it = groups_.begin(); it != groups_.end();) {
    Group& group = *it->second;
    if (group.next_tick_ms <= now_ms) Tick(group, now_ms);
    wait_ms = std::clamp<int64_t>(group.next_tick_ms - now_ms, 1, wait_ms);
    for (size_t i = 0; i < group.deliveries.size(); ++i) {
      Delivery& d = group.deliveries[i];
      if (!d.wanted || d.in_flight) continue;
      if (d.not_before_ms > now_ms) {
        wait_ms = std::clamp<int64_t>(d.not_before_ms - now_ms, 1, wait_ms);
        continue;
      }
      const Integration* way = &setup_->receivers.at(group.route->config->receiver)[i];
      if (const auto busy = busy_.find(way); busy != busy_.end()) {
        const Busy& b = busy->second;
        const int64_t overtake_ns =
            b.attempts == 0 ? 0 : b.last_started_ns + options_.overtake_ms * 1'000'000;
        const int64_t free_ns = std::max(overtake_ns, b.pause_until_ns) - clock_.MonotonicNs();
        if (free_ns > 0) {
          wait_ms = std::clamp<int64_t>(free_ns / 1'000'000, 1, wait_ms);
          continue;
        }
      }
      std::optional<Job> job = Decide(group, i, now_ms);
      if (job.has_value()) {
        if (!in_flight_.insert(job->log_key).second) {
          // A message of the configuration before a reload is still on its way: its log entry
          // decides whether this one is needed.
          --d.attempts;
          d.not_before_ms = now_ms + kInFlightPollMs;
          continue;
        }
        d.in_flight = true;
        Busy& busy = busy_[way];
        ++busy.attempts;
        busy.last_started_ns = clock_.MonotonicNs();
        return job;
      }
      d.wanted = false;
      Settle(group);
    }
    const bool busy = std::any_of(group.deliveries.begin(), group.deliveries.end(),
                                  [](const Delivery& d) { return d.wanted || d.in_flight; });
    it = group.members.empty() && !busy ? groups_.erase(it) : std::next(it);
  }
  return std::nullopt;
}

std::optional<Alerting::Job> Alerting::Decide(Group& group, size_t integration, int64_t now_ms) {
  const Route& route = *group.route;
  const Integration& way = setup_->receivers.at(route.config->receiver)[integration];
  const bool muted = !MutedBy(route, now_ms).empty();
  Job job;
  Notification& n = job.notification;
  for (const auto& [labels, updated] : group.members) {
    auto it = alerts_.find(labels);
    if (it == alerts_.end() || muted) continue;
    if (!InhibitedBy(labels, now_ms).empty() || !SilencedBy(labels, now_ms).empty()) continue;
    Alert alert = it->second.alert;
    const uint64_t print = AlertFingerprint(labels);
    if (alert.resolved_at(now_ms)) {
      job.entry.resolved.push_back(print);
    } else {
      job.entry.firing.push_back(print);
      alert.ends_at_ms = 0;  // So that it cannot resolve under the receiver's hands.
    }
    n.alerts.push_back(std::move(alert));
  }
  if (n.alerts.empty()) return std::nullopt;
  std::sort(job.entry.firing.begin(), job.entry.firing.end());
  std::sort(job.entry.resolved.begin(), job.entry.resolved.end());
  n.group_key = StrCat(route.key, ":", group.labels.ToString());
  job.log_key =
      StrCat(kLogPrefix, route.config->receiver, "/", way.name, "/", way.index, "/", n.group_key);

  const auto told = log_.find(job.log_key);
  const NotificationLogEntry* last = told == log_.end() ? nullptr : &told->second;
  const auto& firing = job.entry.firing;
  if (last == nullptr) {
    if (firing.empty()) return std::nullopt;
    n.reason = "first notification";
  } else if (!Subset(firing, last->firing)) {
    n.reason = "new alerts in group";
  } else if (firing.empty()) {
    if (last->firing.empty()) return std::nullopt;
    n.reason = "all alerts resolved";
  } else if (way.send_resolved && !Subset(job.entry.resolved, last->resolved)) {
    n.reason = "new resolved alerts";
  } else if (last->t_ms < now_ms - route.config->repeat_interval_ms) {
    n.reason = "repeat interval elapsed";
  } else {
    return std::nullopt;
  }

  // Once all is over, what comes next is a message of its own.
  if (last != nullptr && !last->firing.empty()) n.receipt = last->receipt;
  if (!way.send_resolved) {
    std::erase_if(n.alerts, [](const Alert& a) { return a.ends_at_ms != 0; });
    job.log_only = n.alerts.empty();
  }
  // By job and instance first: what belongs together on a machine stands together.
  std::stable_sort(n.alerts.begin(), n.alerts.end(), [](const Alert& a, const Alert& b) {
    for (std::string_view name : {"job", "instance"}) {
      if (auto order = a.labels.Get(name) <=> b.labels.Get(name); order != 0) return order < 0;
    }
    return a.labels < b.labels;
  });
  n.receiver = route.config->receiver;
  n.group_labels = group.labels;
  LabelsBuilder route_labels;
  for (const auto& [name, value] : route.config->labels) route_labels.Set(name, value);
  n.route_labels = route_labels.Build();
  n.now_ms = now_ms;
  job.setup = setup_;
  job.group_id = group.id;
  job.integration = integration;
  job.timeout_ms = std::max<int64_t>(group.next_tick_ms - now_ms, 1000);
  job.attempts = ++group.deliveries[integration].attempts;
  return job;
}

void Alerting::RunJob(Job job) {
  const Integration& way = job.setup->receivers.at(job.notification.receiver)[job.integration];
  SendOutcome outcome;
  if (!job.log_only) {
    const int64_t began_ns = clock_.MonotonicNs();
    outcome = way.send(job.notification, job.timeout_ms);
    if (options_.asked) {
      options_.asked(way.name, outcome.status.ok(),
                     static_cast<double>(clock_.MonotonicNs() - began_ns) / 1e9);
    }
  }
  const int64_t now_ms = clock_.NowMs();
  const bool sent = outcome.status.ok();

  MutexLock lock(mu_);
  in_flight_.erase(job.log_key);
  if (const auto busy = busy_.find(&way); busy != busy_.end()) {
    Busy& b = busy->second;
    --b.attempts;
    if (outcome.retry_after_ms > 0) {
      b.pause_until_ns = clock_.MonotonicNs() + outcome.retry_after_ms * 1'000'000;
      // It holds across a restart, too.
      const storage::KeyValue::Change change[] = {
          {PauseKey(job.notification.receiver, way), StrCat(now_ms + outcome.retry_after_ms)}};
      (void)store_.Apply(change, /*sync=*/false);
    }
    if (b.attempts == 0 && b.pause_until_ns <= clock_.MonotonicNs()) busy_.erase(busy);
  }
  NotifyCounts& counts = counts_[way.name];
  counts.attempts += !job.log_only;
  Delivery* delivery = nullptr;
  Group* group = nullptr;
  if (auto it = groups_.find(job.group_id); it != groups_.end() && job.setup == setup_) {
    group = it->second.get();
    delivery = &group->deliveries[job.integration];
    delivery->in_flight = false;
  }
  bool given_up = false;
  if (sent) {
    // Only now: whoever dies before this line tells once more, and never too little.
    job.entry.t_ms = now_ms;
    job.entry.receipt = job.log_only ? job.notification.receipt : std::move(outcome.receipt);
    log_.insert_or_assign(job.log_key, job.entry);
    // Where it cannot be written it is known all the same, as long as this process lives.
    std::vector<storage::KeyValue::Change> change;
    change.push_back({job.log_key, Encode(job.entry)});
    if (!Save(std::move(change)).ok()) unsaved_log_.insert(job.log_key);
    counts.sent += !job.log_only;
    if (delivery != nullptr) {
      delivery->wanted = false;
      delivery->not_before_ms = 0;
    }
  } else if (delivery != nullptr) {
    int64_t wait_ms = options_.min_backoff_ms << std::min(job.attempts - 1, 16);
    wait_ms = std::max(std::min(wait_ms, options_.max_backoff_ms), outcome.retry_after_ms);
    // What the other side asked for holds across ticks too.
    if (outcome.retry) delivery->not_before_ms = now_ms + wait_ms;
    if (!outcome.retry || now_ms + wait_ms >= group->next_tick_ms) {
      given_up = true;
      delivery->wanted = false;
      delivery->failed = true;  // Its alerts stay in the group; the next tick tries anew.
    }
  }
  counts.failed += given_up;
  if ((sent && !job.log_only) || given_up) {
    const NotificationEvent event{.t_ms = now_ms,
                                  .receiver = job.notification.receiver,
                                  .integration = StrCat(way.name, "[", way.index, "]"),
                                  .group_key = job.notification.group_key,
                                  .outcome = sent ? "sent" : "failed",
                                  .error = std::string(outcome.status.message()),
                                  .firing = static_cast<uint32_t>(job.entry.firing.size()),
                                  .resolved = static_cast<uint32_t>(job.entry.resolved.size()),
                                  .attempts = static_cast<uint32_t>(job.attempts)};
    const storage::KeyValue::Change change[] = {
        {StrCat(kHistoryPrefix, Hex(static_cast<uint64_t>(now_ms)), "-", Hex(++events_)),
         Encode(event)}};
    (void)store_.Apply(change, /*sync=*/false);  // History is not worth a failure.
  }
  if (group != nullptr) Settle(*group);
  changed_.NotifyAll();
}

void Alerting::Maintain(int64_t now_ms) {
  std::vector<storage::KeyValue::Change> changes;
  const int64_t horizon_ms = now_ms - options_.retention_ms;
  if (std::vector<Alert> reminders = DueReminders(now_ms); !reminders.empty()) {
    (void)PutLocked(std::move(reminders), now_ms);  // They come again in half a minute.
  }
  std::set<Labels> held;
  for (const auto& [id, group] : groups_) {
    for (const auto& [labels, updated] : group->members) held.insert(labels);
  }
  std::erase_if(alerts_, [&](const auto& entry) VEDETTE_REQUIRES(mu_) {
    if (!entry.second.alert.resolved_at(now_ms)) return false;
    Remember(entry.second.alert, now_ms, changes);  // It may have ended by time-out.
    if (held.contains(entry.first)) return false;
    changes.push_back({StrCat(kAlertPrefix, Hex(entry.first.Hash())), std::nullopt});
    return true;
  });
  for (auto& rule : inhibitors_) {
    for (auto& [equal, sources] : rule) {
      std::erase_if(sources, [&](const auto& source) VEDETTE_REQUIRES(mu_) {
        auto it = alerts_.find(source.first);
        return it == alerts_.end() || it->second.alert.resolved_at(now_ms);
      });
    }
    std::erase_if(rule, [](const auto& entry) { return entry.second.empty(); });
  }
  std::erase_if(silences_, [&](const auto& entry) {
    if (entry.second.silence.ends_at_ms > horizon_ms) return false;
    changes.push_back({StrCat(kSilencePrefix, entry.first), std::nullopt});
    return true;
  });
  for (const std::string_view prefix : {kHistoryPrefix, kAlertHistoryPrefix}) {
    const std::string oldest =
        StrCat(prefix, Hex(static_cast<uint64_t>(std::max<int64_t>(horizon_ms, 0))));
    (void)store_.Scan(prefix, [&](std::string_view key, std::string_view) {
      if (key >= oldest) return false;
      changes.push_back({std::string(key), std::nullopt});
      return true;
    });
  }
  std::erase_if(log_, [&](const auto& entry) { return entry.second.t_ms < horizon_ms; });
  (void)store_.Scan(kLogPrefix, [&](std::string_view key, std::string_view) VEDETTE_REQUIRES(mu_) {
    if (!log_.contains(std::string(key))) changes.push_back({std::string(key), std::nullopt});
    return true;
  });
  (void)Save(std::move(changes));  // Tried again next time.
}

void Alerting::RunDue() {
  while (true) {
    std::optional<Job> job;
    {
      MutexLock lock(mu_);
      int64_t wait_ms = 0;
      job = NextJob(clock_.NowMs(), wait_ms);
    }
    if (!job) return;
    RunJob(*std::move(job));
  }
}

void Alerting::Work() {
  while (true) {
    std::optional<Job> job;
    {
      MutexLock lock(mu_);
      while (!stopping_ && !job) {
        int64_t wait_ms = 0;
        job = NextJob(clock_.NowMs(), wait_ms);
        if (!job) changed_.WaitFor(mu_, wait_ms);
      }
      if (stopping_) return;
    }
    RunJob(*std::move(job));
  }
}

void Alerting::Start() {
  for (int i = 0; i < std::max(1, options_.senders); ++i) {
    threads_.emplace_back([this] { Work(); });
    (void)pthread_setname_np(threads_.back().native_handle(), StrCat("notify ", i).c_str());
  }
}

void Alerting::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

std::vector<std::string> Alerting::InhibitedBy(const Labels& alert, int64_t now_ms) const {
  if (setup_ == nullptr) return {};
  const auto& rules = setup_->config->inhibit_rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!AllMatch(rules[i].target_matchers, alert)) continue;
    auto it = inhibitors_[i].find(alert.Only(rules[i].equal));
    if (it == inhibitors_[i].end()) continue;
    // Two alerts that are both source and target would silence each other for good.
    const bool both_sides = AllMatch(rules[i].source_matchers, alert);
    for (const auto& [source, is_target_too] : it->second) {
      auto a = alerts_.find(source);
      if (a == alerts_.end() || a->second.alert.resolved_at(now_ms)) continue;
      if (both_sides && is_target_too) continue;
      return {AlertFingerprintText(source)};
    }
  }
  return {};
}

std::vector<std::string> Alerting::MutedBy(const Route& route, int64_t now_ms) const {
  std::vector<std::string> muted =
      setup_->intervals.ActiveOf(route.config->mute_time_intervals, now_ms);
  const auto& active = route.config->active_time_intervals;
  if (!active.empty() && setup_->intervals.ActiveOf(active, now_ms).empty()) {
    muted.insert(muted.end(), active.begin(), active.end());
  }
  return muted;
}

}  // namespace vedette::alerting
