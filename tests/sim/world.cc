#include "tests/sim/world.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>
#include <utility>

#include "common/base/strings.h"
#include "common/config/rules.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/storage/queryable.h"

namespace vedette::sim {
namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kInterval = 15 * kSecond;
constexpr int64_t kTick = 5 * kSecond;
constexpr int64_t kRuleInterval = 30 * kSecond;
constexpr size_t kHosts = 5;
constexpr size_t kSeries = 4;  // Of a host.
// The first host never fails: what it says is recorded at every instant of a calm hour.
constexpr size_t kFaithful = 0;
// Down so long before a person must know: `for`, two evaluations, group_wait, attempts.
constexpr int64_t kMustKnow = 4 * kMinute;

constexpr std::string_view kRules = R"(
groups:
  - name: hosts
    interval: 30s
    rules:
      - record: instance:m:sum
        expr: sum by (instance) (m)
      - alert: Down
        expr: up == 0
        for: 1m
)";

constexpr std::string_view kRoutes = R"(
route: {receiver: team, group_by: [instance], group_wait: 10s, group_interval: 30s, repeat_interval: 400h}
receivers:
  - name: team
)";

std::string HostName(size_t i) { return StrCat("host", i, ":1"); }

Labels SeriesOf(size_t host, size_t i) {
  return Labels::Of({{"__name__", "m"}, {"i", StrCat(i)}, {"instance", HostName(host)}, {"job", "node"}});
}

}  // namespace

struct World::Host {
  enum class State : uint8_t { kWell, kRefuses, kHangs };
  State state = State::kWell;
  int64_t since_ms = 0;  // Of the state.
  bool ever_failed = false;
  uint64_t served = 0;
  int64_t served_at_ms = 0;
  std::map<uint64_t, int64_t> served_at;  // Number of the answer -> when; the last hours'.
  int64_t noted_ms = 0;                   // The last scrape whose outcome is known.
  std::map<int64_t, uint64_t> acknowledged;  // Instant of the scrape -> number of the answer.
  int64_t last_down_ms = INT64_MIN;          // Of scrapes.
  // What people believe.
  bool told_down = false;
  int64_t told_ms = 0;
  uint64_t told_in_life = 0;
};

class World::HostSource final : public scrape::Source {
 public:
  HostSource(World& world, Host& host) : world_(world), host_(host) {}
  void Start(const Request&, Fetched fetched) override {
    ++world_.tally_.scrapes;
    if (host_.state == Host::State::kHangs) {
      waiting_ = std::move(fetched);
      return;
    }
    if (host_.state == Host::State::kRefuses) {
      fetched(Unavailable("connection refused"));
      return;
    }
    ++host_.served;
    host_.served_at_ms = world_.clock_.NowMs();
    host_.served_at[host_.served] = host_.served_at_ms;
    body_.clear();
    for (size_t i = 0; i < kSeries; ++i) {
      StrAppend(body_, "m{i=\"", i, "\"} ", host_.served * 10 + i, "\n");
    }
    fetched(Status());
  }
  Status Deliver(scrape::SourceSink& sink) override {
    return sink.OnBody(body_, exposition::Protocol::kText0_0_4);
  }
  void Cancel() override {
    if (waiting_) std::exchange(waiting_, nullptr)(Cancelled("cancelled"));
  }

 private:
  World& world_;
  Host& host_;
  std::string body_;
  Fetched waiting_;
};

World::World(uint64_t seed, std::string directory)
    : seed_(seed), directory_(std::move(directory)), random_(seed), disk_(seed) {
  for (size_t i = 0; i < kHosts; ++i) hosts_.push_back(std::make_unique<Host>());
  for (auto& h : hosts_) h->since_ms = clock_.NowMs();
  if (!Open()) return;
  Disturbed();
}

World::~World() { Close(); }

void World::Fail(std::string what) {
  if (!fault_.empty()) return;
  fault_ = StrCat("seed ", seed_, ", ", (clock_.NowMs() - 1'700'000'000'000) / kSecond,
                  " s into its life: ", what);
}

bool World::Open() {
  tsdb::TsdbOptions storage;
  storage.path = directory_;
  storage.window_ms = 2 * kHour;
  storage.retention_ms = 6 * kHour;
  storage.idle_ms = 30 * kMinute;
  storage.wal_sync_ms = 0;  // So that a power cut costs nothing, and no thread's moment matters.
  storage.maintenance_interval_ms = 0;
  storage.merge_bytes_per_second = 0;
  storage.max_write_buffer_bytes = 64 << 10;
  storage.file_system = disk_.file_system();
  Result<std::unique_ptr<tsdb::Tsdb>> db = tsdb::Tsdb::Open(storage, clock_);
  if (!db.ok()) {
    Fail(StrCat("the storage does not open: ", db.status().ToString()));
    return false;
  }
  db_ = *std::move(db);
  engine_ = promql::MakeEngine({}, db_->queryable(), clock_);
  alerting_ = std::make_unique<alerting::Alerting>(
      alerting::AlertingOptions{.new_id = [this] { return StrCat("id", ++ids_); }},
      db_->key_value(), clock_);
  Status s = alerting_->Load();
  auto routes = config::ParseAlertmanagerConfig(kRoutes, "sim.yml");
  if (s.ok() && !routes.ok()) s = routes.status();
  if (s.ok()) {
    s = alerting_->Update(*routes,
                          {{"team",
                            {{.name = "sim", .send = [this](const Notification& n, int64_t) {
                                return Tell(n);
                              }}}}});
  }
  ruler_ = std::make_unique<ruler::Ruler>(
      ruler::RulerOptions{.for_grace_period_ms = 0}, *engine_, db_->appender(), db_->queryable(),
      clock_, [this](std::vector<Alert> found) {
        (void)alerting_->Put(std::move(found));  // Fails with the disk; the ruler sends again.
      });
  const auto rules = config::ParseRuleFile(kRules, "rules.yml");
  if (s.ok() && !rules.ok()) s = rules.status();
  if (s.ok()) s = ruler_->Update({.groups = rules->groups, .evaluation_interval_ms = kRuleInterval});
  if (!s.ok()) {
    Fail(StrCat("start: ", s.ToString()));
    return false;
  }

  scrapes_ = std::make_unique<scrape::ScrapeManager>(
      scrape::ScrapeManager::Options{
          .source = [this](const scrape::Target& target, const scrape::Job&)
              -> Result<std::unique_ptr<scrape::Source>> {
            const size_t i = static_cast<size_t>(target.address[4] - '0');
            return std::unique_ptr<scrape::Source>(std::make_unique<HostSource>(*this, *hosts_[i]));
          },
          .seed = seed_,
          .threads = 0},
      db_->appender(), clock_);
  auto job = std::make_shared<scrape::Job>();
  job->name = "node";
  job->interval_ms = kInterval;
  job->timeout_ms = 10 * kSecond;
  job->fingerprint = "1";
  scrapes_->ApplyJobs({job});
  auto groups = std::make_shared<TargetGroups>();
  TargetGroup& group = (*groups)["node"].emplace_back();
  group.source = "static/0";
  for (size_t i = 0; i < kHosts; ++i) {
    group.targets.push_back(Labels::Of({{"__address__", HostName(i)}}));
  }
  scrapes_->SetTargets(groups);
  for (auto& h : hosts_) h->noted_ms = clock_.NowMs();
  return true;
}

void World::Close() {
  if (scrapes_) scrapes_->Stop();
  scrapes_.reset();
  ruler_.reset();
  alerting_.reset();
  engine_.reset();
  db_.reset();
}

SendOutcome World::Tell(const Notification& n) {
  if (deaf_) return {Unavailable("503"), true, Dice(2) == 0 ? 0 : 20 * kSecond};
  ++tally_.told;
  for (const Alert& a : n.alerts) {
    const std::string_view instance = a.labels.Get("instance");
    if (!instance.starts_with("host")) {
      Fail(StrCat("told of ", a.labels.ToString()));
      continue;
    }
    Host& host = *hosts_[static_cast<size_t>(instance[4] - '0')];
    const bool firing = !a.resolved_at(n.now_ms);
    if (firing && !host.ever_failed) Fail(StrCat(instance, " was never down, and is told to be"));
    if (firing == host.told_down && host.told_in_life == tally_.restarts && host.told_ms != 0) {
      Fail(StrCat(instance, " is told to be ", firing ? "down" : "well", " twice"));
    }
    host.told_down = firing;
    host.told_ms = clock_.NowMs();
    host.told_in_life = tally_.restarts;
  }
  return {};
}

void World::ChangeHosts() {
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (i == kFaithful) continue;
    Host& h = *hosts_[i];
    // A well host stays well for an hour or so, a sick one sick for some minutes.
    const uint64_t rarely = h.state == Host::State::kWell ? kHour / kTick : 6 * kMinute / kTick;
    if (Dice(rarely) != 0) continue;
    h.state = h.state != Host::State::kWell ? Host::State::kWell
              : Dice(2) == 0               ? Host::State::kRefuses
                                           : Host::State::kHangs;
    h.since_ms = clock_.NowMs();
    h.ever_failed = true;
  }
}

void World::ChangeWeather() {
  const int64_t now = clock_.NowMs();
  if (weather_ != Weather::kCalm && now >= weather_until_ms_) {
    disk_.FailWrites(0);
    disk_.SetFull(false);
    weather_ = Weather::kCalm;
    // Healthy again by itself; what RocksDB does in threads of its own may take a moment of ours.
    Status s;
    for (int i = 0; i < 2000 && !(s = db_->Maintain()).ok(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (!s.ok()) Fail(StrCat("the storage does not recover: ", s.ToString()));
  }
  if (weather_ != Weather::kCalm) {
    Disturbed();
    return;
  }
  if (Dice(20 * kMinute / kTick) == 0) deaf_ = !deaf_;
  if (deaf_) Disturbed();
  if (Dice(4 * kHour / kTick) != 0) return;
  Disturbed();
  switch (Dice(4)) {
    case 0:
      weather_ = Weather::kDiskErrors;
      disk_.FailWrites(3 + Dice(40));
      ++tally_.disk_faults;
      break;
    case 1:
      weather_ = Weather::kDiskFull;
      disk_.SetFull(true);
      ++tally_.full_disks;
      break;
    case 2:
      disk_.Die();
      Close();
      disk_.ComeBack();
      ++tally_.power_cuts;
      ++tally_.restarts;
      if (Open()) JudgeStorage();
      return;
    default:
      Close();
      ++tally_.restarts;
      clock_.Advance(static_cast<int64_t>(Dice(3 * kMinute)));
      if (Open()) JudgeStorage();
      return;
  }
  weather_until_ms_ = now + static_cast<int64_t>(Dice(10 * kMinute));
}

// Which scrapes the storage has taken, by what the target's page says.
void World::NoteScrapes() {
  for (const scrape::TargetStatus& t : scrapes_->Targets("")) {
    Host& h = *hosts_[static_cast<size_t>(t.target->address[4] - '0')];
    if (t.last_scrape_ms <= h.noted_ms) continue;
    h.noted_ms = t.last_scrape_ms;
    if (t.health == scrape::Health::kUp && t.last_error.empty()) {
      h.acknowledged[t.last_scrape_ms] = h.served;
      tally_.acknowledged += kSeries;
    } else {
      h.last_down_ms = t.last_scrape_ms;
    }
  }
}

void World::JudgeAlerts() {
  const int64_t now = clock_.NowMs();
  if (now < disturbed_until_ms_) return;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    const Host& h = *hosts_[i];
    if (now - h.since_ms < kMustKnow) continue;
    const bool sick = h.state != Host::State::kWell;
    if (sick && !h.told_down) Fail(StrCat(HostName(i), " is down for minutes and nobody knows"));
    if (!sick && h.told_down) Fail(StrCat(HostName(i), " is well for minutes and nobody knows"));
  }
}

void World::JudgeStorage() {
  const int64_t now = clock_.NowMs();
  // A window that retention is about to drop may be gone already.
  const int64_t from = now - 3 * kHour;
  auto querier = db_->queryable().Open(from, now);
  if (!querier.ok()) return Fail(StrCat("reading: ", querier.status().ToString()));
  const std::vector<Matcher> m = {Matcher::Equal("__name__", "m")};
  auto set = (*querier)->Select({.start_ms = from, .end_ms = now, .sorted = true}, m);
  std::map<Labels, std::map<int64_t, double>> got;
  while (set->Next()) {
    const storage::SeriesColumns& c = set->at();
    std::map<int64_t, double>& column = got[c.labels];
    for (size_t k = 0; k < c.t_ms.size(); ++k) {
      if (IsStale(c.values[k])) continue;
      if (!column.emplace(c.t_ms[k], c.values[k]).second) {
        return Fail(StrCat("an instant twice in ", c.labels.ToString()));
      }
    }
  }
  if (!set->status().ok()) return Fail(StrCat("reading: ", set->status().ToString()));
  for (size_t i = 0; i < hosts_.size(); ++i) {
    Host& h = *hosts_[i];
    h.acknowledged.erase(h.acknowledged.begin(), h.acknowledged.lower_bound(from));
    std::erase_if(h.served_at, [&](const auto& s) { return s.second < from - kMinute; });
    for (size_t k = 0; k < kSeries; ++k) {
      const std::map<int64_t, double>& column = got[SeriesOf(i, k)];
      for (const auto& [t, v] : column) {
        ++tally_.samples_checked;
        const auto served = h.served_at.find(static_cast<uint64_t>((v - static_cast<double>(k)) / 10));
        if (served == h.served_at.end() || std::abs(served->second - t) > kSecond) {
          return Fail(StrCat("invented: ", SeriesOf(i, k).ToString(), " = ", v, " at ", t - now,
                             " ms from now"));
        }
      }
      for (const auto& [t, n] : h.acknowledged) {
        const auto sample = column.find(t);
        if (sample == column.end() || sample->second != static_cast<double>(n * 10 + k)) {
          return Fail(StrCat("lost: ", SeriesOf(i, k).ToString(), " at ", t - now, " ms from now"));
        }
      }
    }
  }
}

// The faithful host's sum, as recorded, against what the expression gives for the same instants.
void World::JudgeRecorded() {
  if (weather_ != Weather::kCalm) return;
  const int64_t end = clock_.NowMs();
  auto querier = db_->queryable().Open(end - kHour, end);
  if (!querier.ok()) return Fail(StrCat("reading: ", querier.status().ToString()));
  const std::vector<Matcher> sum = {Matcher::Equal("__name__", "instance:m:sum"),
                                    Matcher::Equal("instance", HostName(kFaithful))};
  auto set = (*querier)->Select({.start_ms = end - kHour, .end_ms = end}, sum);
  while (set->Next()) {
    const storage::SeriesColumns& c = set->at();
    for (size_t i = 0; i < c.t_ms.size(); ++i) {
      if (IsStale(c.values[i])) continue;
      ++tally_.recorded_checked;
      const auto answer = engine_->Run(
          {.text = StrCat("sum by (instance) (m{instance=\"", HostName(kFaithful), "\"})"),
           .start_ms = c.t_ms[i],
           .end_ms = c.t_ms[i]},
          nullptr);
      if (!answer.ok()) return Fail(StrCat("the rule: ", answer.status().ToString()));
      const auto* vector = std::get_if<promql::Vector>(&answer->value);
      if (vector == nullptr || vector->size() != 1 || (*vector)[0].point.value != c.values[i]) {
        return Fail(StrCat("recorded ", c.values[i], " ", end - c.t_ms[i], " ms ago; the rule gives ",
                           vector == nullptr || vector->empty() ? "nothing"
                                                                : StrCat((*vector)[0].point.value)));
      }
    }
  }
  if (!set->status().ok()) Fail(StrCat("reading: ", set->status().ToString()));
}

void World::Tick() {
  const int64_t end = clock_.NowMs() + kTick;
  while (clock_.NowMs() < end) {
    const int64_t nap_ms = scrapes_->RunDue();
    scrapes_->RunReady();
    NoteScrapes();
    clock_.Advance(std::clamp<int64_t>(nap_ms, 1, end - clock_.NowMs()));
  }
  scrapes_->RunDue();
  scrapes_->RunReady();
  NoteScrapes();
  ruler_->EvaluateDue();
  alerting_->RunDue();
  if (end / kTick % 6 == 0) (void)db_->Maintain();  // Fails with the disk.
}

void World::PassHour() {
  const int64_t end = clock_.NowMs() + kHour;
  while (clock_.NowMs() < end && fault_.empty()) {
    ChangeHosts();
    ChangeWeather();
    if (!fault_.empty()) return;
    Tick();
    JudgeAlerts();
  }
  if (fault_.empty() && weather_ == Weather::kCalm) JudgeStorage();
  if (fault_.empty()) JudgeRecorded();
}

}  // namespace vedette::sim
