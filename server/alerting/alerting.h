#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/alertmanager.h"
#include "common/model/alert.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/notification.h"
#include "server/alerting/intervals.h"
#include "server/alerting/record.h"
#include "server/alerting/route.h"
#include "server/storage/key_value.h"

namespace vedette::alerting {

struct AlertingOptions {
  int64_t retention_ms = 120LL * 3'600'000;  // Of expired silences, log entries and history.
  int64_t maintenance_interval_ms = 30'000;
  int senders = 8;  // Threads that may wait for a receiver at the same moment.
  uint64_t max_alerts = 100'000;
  uint64_t max_silences = 10'000;
  int64_t min_backoff_ms = 500;  // Doubles with each attempt ...
  int64_t max_backoff_ms = 60'000;
  int64_t overtake_ms = 500;
  // Told of each request: of which integration ("slack"), whether it was taken, how long it took.
  // Called without a lock; may be empty.
  std::function<void(const std::string& integration, bool taken, double seconds)> asked;
  // Fresh random ids; a test brings its own. Unset: random UUIDs.
  std::function<std::string()> new_id;
};

enum class AlertActivity : uint8_t { kUnprocessed, kActive, kSuppressed };
enum class SilenceState : uint8_t { kPending, kActive, kExpired };
std::string_view SilenceStateName(SilenceState state);  // "pending", "active", "expired"

// What the API shows of an alert.
struct AlertView {
  Alert alert;
  int64_t updated_at_ms = 0;
  AlertActivity activity = AlertActivity::kUnprocessed;
  std::vector<std::string> silenced_by;   // Ids.
  std::vector<std::string> inhibited_by;  // Fingerprints.
  std::vector<std::string> muted_by;      // Names of time intervals.
  std::vector<std::string> receivers;
};

struct SilenceView {
  Silence silence;
  SilenceState state = SilenceState::kExpired;
};

struct GroupView {
  std::string receiver;
  Labels labels;
  std::vector<AlertView> alerts;
};

// Alerts since the start, by what Put made of them.
struct TakenCounts {
  uint64_t firing = 0;
  uint64_t resolved = 0;
  uint64_t invalid = 0;
};

// Counters since the start, by integration ("slack"): for alertmanager_notifications_total and kin.
struct NotifyCounts {
  uint64_t sent = 0;    // Notifications that arrived.
  uint64_t failed = 0;  // Given up.
  uint64_t attempts = 0;
};

// Alerting is Alertmanager's ground: it takes alerts, remembers them, and decides who is told what
// and when: routes, groups, inhibition, silences, mute intervals, the notification log.
//
//   Alerting alerting(options, key_value, clock);
//   VEDETTE_RETURN_IF_ERROR(alerting.Load());                       // What the last run left.
//   VEDETTE_RETURN_IF_ERROR(alerting.Update(config, receivers));    // Again at each reload.
//   alerting.Start();
//   alerting.Put(alerts);                                           // From the ruler, or the API.
//
// Alerts, silences and the log are in KeyValue before a call returns, and a notification is logged
// after it has arrived: kill -9 at any moment costs at most one repeat for each integration, never
// a notification, because an integration has one message on its way at a time (more only when the
// other side takes longer than overtake_ms). While the disk refuses, alerts and what was told of
// them are known all the same, so that people go on being told, each thing once; it is written as
// soon as the disk takes it, and a restart before that costs a repeat. An attempt that fails is
// made again with growing pauses, not before Retry-After, and with the group as it is by then,
// until the next group_interval decides anew.
//
// Without Start nothing runs by itself: RunDue does all that is due on the caller's thread, which
// is how tests and rehearsals work. Thread-safe. No lock is held while a receiver is talked to.
class Alerting {
 public:
  Alerting(AlertingOptions options, storage::KeyValue& store, const Clock& clock);
  ~Alerting();
  Alerting(const Alerting&) = delete;
  Alerting& operator=(const Alerting&) = delete;

  // Alerts and silences of the last run. Before the first Update.
  Status Load() VEDETTE_EXCLUDES(mu_);

  // `receivers`: the integrations of each, by name. Groups are formed anew; the log makes sure that
  // nothing is told twice for it. With an error everything stays as it was.
  Status Update(config::AlertmanagerConfig config,
                std::map<std::string, std::vector<Integration>> receivers) VEDETTE_EXCLUDES(mu_);

  // Takes news about alerts. starts_at_ms 0: now; ends_at_ms 0: after resolve_timeout unless it
  // comes again. Bad alerts are left out, and the status names the first of them. With
  // kUnavailable they are taken and told, but are not on the disk yet: whoever can says them again.
  Status Put(std::vector<Alert> alerts) VEDETTE_EXCLUDES(mu_);

  void Start();
  void Stop() VEDETTE_EXCLUDES(mu_);
  void RunDue() VEDETTE_EXCLUDES(mu_);
  // When a group, or an attempt to tell, is due next; INT64_MAX when nothing waits.
  int64_t NextDueMs() const VEDETTE_EXCLUDES(mu_);

  // A new silence with id "", else a change of that one (which may give it a new id, as
  // Alertmanager does when the matchers or a running start change). Gives the id.
  Result<std::string> SetSilence(Silence silence) VEDETTE_EXCLUDES(mu_);
  Status ExpireSilence(std::string_view id) VEDETTE_EXCLUDES(mu_);
  // Between the windows of one that recurs its state is pending.
  std::vector<SilenceView> Silences() const VEDETTE_EXCLUDES(mu_);  // By id.
  std::optional<SilenceView> FindSilence(std::string_view id) const VEDETTE_EXCLUDES(mu_);

  // Unresolved alerts with what holds for each of them now, in order of labels.
  std::vector<AlertView> Alerts() const VEDETTE_EXCLUDES(mu_);
  std::vector<GroupView> Groups() const VEDETTE_EXCLUDES(mu_);
  // Notifications told or given up in from_ms <= t < to_ms, oldest first: the newest
  // `limit` of those that are wanted (without `wanted`, of all).
  Result<std::vector<NotificationEvent>> History(
      int64_t from_ms, int64_t to_ms, uint64_t limit,
      const std::function<bool(const NotificationEvent&)>& wanted = {}) const;
  // The same of what fired and what resolved. An alert that is told again and again is one line.
  Result<std::vector<AlertEvent>> AlertHistory(
      int64_t from_ms, int64_t to_ms, uint64_t limit,
      const std::function<bool(const AlertEvent&)>& wanted = {}) const;
  std::map<std::string, NotifyCounts> Counts() const VEDETTE_EXCLUDES(mu_);
  TakenCounts Taken() const VEDETTE_EXCLUDES(mu_);
  std::shared_ptr<const config::AlertmanagerConfig> config() const VEDETTE_EXCLUDES(mu_);

 private:
  // One integration's dealings with one group.
  struct Delivery {
    bool wanted = false;  // A tick has come that this integration has not answered yet.
    bool in_flight = false;
    bool failed = false;  // Given up since the last tick.
    int attempts = 0;
    int64_t not_before_ms = 0;
  };
  struct Group {
    std::string id;
    const Route* route = nullptr;
    Labels labels;
    std::map<Labels, int64_t> members;  // Alerts, and when each came in or changed last.
    bool flushed = false;
    int64_t next_tick_ms = 0;
    int64_t tick_ms = 0;               // The last one.
    std::vector<Delivery> deliveries;  // As the receiver's integrations.
  };
  // A generation of configuration; kept alive by notifications that are under way.
  struct Setup {
    std::shared_ptr<const config::AlertmanagerConfig> config;
    std::unique_ptr<Route> root;
    Intervals intervals;
    std::map<std::string, std::vector<Integration>> receivers;
  };
  struct HeldSilence {
    Silence silence;
    std::shared_ptr<const Intervals> windows;  // Null: it does not recur.
    SilenceState StateAt(int64_t now_ms) const;
  };
  // What is on its way through one integration.
  struct Busy {
    int attempts = 0;
    int64_t last_started_ns = 0;
    int64_t pause_until_ns = 0;  // The other side asked for it: Retry-After holds for all groups.
  };
  // One attempt, taken out of the lock.
  struct Job {
    std::shared_ptr<const Setup> setup;
    std::string group_id;
    size_t integration = 0;
    Notification notification;
    NotificationLogEntry entry;
    std::string log_key;
    bool log_only = false;  // Nothing to say, but the log must know (send_resolved: false).
    int64_t timeout_ms = 0;
    int attempts = 0;
  };

  Status Validate(const Alert& alert) const;
  static Result<HeldSilence> Hold(Silence silence);
  void Insert(const StoredAlert& stored) VEDETTE_REQUIRES(mu_);
  // Notes in `changes` that an alert began or ended, unless that is known already.
  void Remember(const Alert& alert, int64_t now_ms, std::vector<storage::KeyValue::Change>& changes)
      VEDETTE_REQUIRES(mu_);
  std::vector<Alert> DueReminders(int64_t now_ms) VEDETTE_REQUIRES(mu_);
  Status PutLocked(std::vector<Alert> alerts, int64_t now_ms) VEDETTE_REQUIRES(mu_);
  void Tick(Group& group, int64_t now_ms) VEDETTE_REQUIRES(mu_);
  // Takes what has been told out of the group once every integration has answered.
  void Settle(Group& group) VEDETTE_REQUIRES(mu_);
  // Moves timers and finds one attempt to make. Without one: when to look again.
  std::optional<Job> NextJob(int64_t now_ms, int64_t& wait_ms) VEDETTE_REQUIRES(mu_);
  std::optional<Job> Decide(Group& group, size_t integration, int64_t now_ms) VEDETTE_REQUIRES(mu_);
  void RunJob(Job job) VEDETTE_EXCLUDES(mu_);
  void Maintain(int64_t now_ms) VEDETTE_REQUIRES(mu_);
  // Writes `changes`, and with them whatever the disk has refused before.
  Status Save(std::vector<storage::KeyValue::Change> changes) VEDETTE_REQUIRES(mu_);
  void Work() VEDETTE_EXCLUDES(mu_);

  std::vector<std::string> SilencedBy(const Labels& alert, int64_t now_ms) const
      VEDETTE_REQUIRES(mu_);
  std::vector<std::string> InhibitedBy(const Labels& alert, int64_t now_ms) const
      VEDETTE_REQUIRES(mu_);
  std::vector<std::string> MutedBy(const Route& route, int64_t now_ms) const VEDETTE_REQUIRES(mu_);
  AlertView View(const StoredAlert& stored, int64_t now_ms) const VEDETTE_REQUIRES(mu_);

  const AlertingOptions options_;
  storage::KeyValue& store_;
  const Clock& clock_;

  mutable Mutex mu_;
  CondVar changed_;
  std::shared_ptr<const Setup> setup_ VEDETTE_GUARDED_BY(mu_);
  std::map<Labels, StoredAlert> alerts_ VEDETTE_GUARDED_BY(mu_);
  // What was last told, by log key: the store's, and newer where the disk refused.
  std::map<std::string, NotificationLogEntry> log_ VEDETTE_GUARDED_BY(mu_);
  // Of alerts_ and log_, what the disk has refused.
  std::set<Labels> unsaved_alerts_ VEDETTE_GUARDED_BY(mu_);
  std::set<std::string> unsaved_log_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, std::unique_ptr<Group>> groups_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, HeldSilence, std::less<>> silences_ VEDETTE_GUARDED_BY(mu_);
  std::set<Labels> firing_ VEDETTE_GUARDED_BY(mu_);  // History knows that they began.
  // For each inhibition rule: the label values of `equal`, and the alerts that hold them down.
  std::vector<std::map<Labels, std::map<Labels, bool>>> inhibitors_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, NotifyCounts> counts_ VEDETTE_GUARDED_BY(mu_);
  TakenCounts taken_ VEDETTE_GUARDED_BY(mu_);
  std::set<std::string> in_flight_ VEDETTE_GUARDED_BY(mu_);  // Log keys of attempts being made.
  std::map<const Integration*, Busy> busy_ VEDETTE_GUARDED_BY(mu_);
  uint64_t events_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t next_maintenance_ms_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace vedette::alerting
