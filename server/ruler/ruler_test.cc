#include "server/ruler/ruler.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "tests/support/fake_clock.h"

namespace vedette::ruler {
namespace {

constexpr int64_t kMinute = 60'000;

// Answers each expression with what the test put there.
class FakeEngine final : public promql::Engine {
 public:
  Result<promql::QueryAnswer> Run(const promql::Query& query, const promql::CancelFlag*) override {
    MutexLock lock(mu_);
    ++runs_;
    if (query.text == "broken") return FailedPrecondition("many-to-many matching");
    promql::QueryAnswer answer;
    auto it = answers_.find(query.text);
    answer.value = it == answers_.end() ? promql::Vector() : it->second;
    return answer;
  }
  void SetDefaultSubqueryStep(int64_t) override {}
  const promql::EngineOptions& options() const override { return options_; }

  void Set(const std::string& text, promql::Vector vector) {
    MutexLock lock(mu_);
    answers_[text] = std::move(vector);
  }
  int runs() {
    MutexLock lock(mu_);
    return runs_;
  }

 private:
  Mutex mu_;
  std::map<std::string, promql::Vector> answers_ VEDETTE_GUARDED_BY(mu_);
  int runs_ VEDETTE_GUARDED_BY(mu_) = 0;
  promql::EngineOptions options_;
};

// Keeps every sample by series; both sides of a storage in one.
class FakeStorage final : public storage::Appender, public storage::Queryable {
 public:
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string&) override {
    return std::make_unique<Writer>(*this);
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch>) override {
    return Unimplemented("not used");
  }
  void SetMetadata(const std::string&, const Metadata&) override {}

  Result<std::unique_ptr<storage::Querier>> Open(int64_t min_ms, int64_t max_ms) const override {
    return std::unique_ptr<storage::Querier>(new FakeQuerier(*this, min_ms, max_ms));
  }

  // "" when there is none at this instant, "stale", or the value.
  std::string At(const Labels& series, int64_t t_ms) const {
    MutexLock lock(mu_);
    auto it = data_.find(series);
    if (it == data_.end()) return "";
    for (const Sample& s : it->second) {
      if (s.t_ms == t_ms) return IsStale(s.value) ? "stale" : StrCat(s.value);
    }
    return "";
  }
  void Put(const Labels& series, Sample sample) {
    MutexLock lock(mu_);
    data_[series].push_back(sample);
  }
  void Refuse(bool refusing) { refusing_ = refusing; }

 private:
  class Writer final : public storage::TimelineWriter {
   public:
    explicit Writer(FakeStorage& storage) : storage_(storage) {}
    Result<uint32_t> AddSeries(const Labels& labels) override {
      series_.push_back(labels);
      return static_cast<uint32_t>(series_.size() - 1);
    }
    Labels LabelsAt(uint32_t position) const override { return series_[position]; }
    Result<storage::CommitStats> Commit(const storage::Row& row) override {
      if (storage_.refusing_) return Unavailable("the disk is full");
      for (size_t i = 0; i < row.values.size(); ++i) {
        if (!IsAbsent(row.values[i])) storage_.Put(series_[i], {row.t_ms, row.values[i]});
      }
      return storage::CommitStats{};
    }

   private:
    FakeStorage& storage_;
    std::vector<Labels> series_;
  };

  class FakeSet final : public storage::SeriesSet {
   public:
    explicit FakeSet(std::vector<std::pair<Labels, std::vector<Sample>>> all)
        : all_(std::move(all)) {}
    bool Next() override {
      if (next_ == all_.size()) return false;
      columns_.labels = all_[next_].first;
      t_ms_.clear();
      values_.clear();
      for (const Sample& s : all_[next_].second) {
        t_ms_.push_back(s.t_ms);
        values_.push_back(s.value);
      }
      columns_.t_ms = t_ms_;
      columns_.values = values_;
      ++next_;
      return true;
    }
    const storage::SeriesColumns& at() const override { return columns_; }
    Status status() const override { return Status(); }

   private:
    std::vector<std::pair<Labels, std::vector<Sample>>> all_;
    size_t next_ = 0;
    std::vector<int64_t> t_ms_;
    std::vector<double> values_;
    storage::SeriesColumns columns_;
  };

  class FakeQuerier final : public storage::Querier {
   public:
    FakeQuerier(const FakeStorage& s, int64_t min_ms, int64_t max_ms)
        : storage_(s), min_ms_(min_ms), max_ms_(max_ms) {}
    std::unique_ptr<storage::SeriesSet> Select(const storage::SelectHints&,
                                               std::span<const Matcher> matchers) override {
      std::vector<std::pair<Labels, std::vector<Sample>>> found;
      MutexLock lock(storage_.mu_);
      for (const auto& [labels, samples] : storage_.data_) {
        bool all = true;
        for (const Matcher& m : matchers) all &= m.Matches(labels.Get(m.name()));
        if (!all) continue;
        std::vector<Sample> inside;
        for (const Sample& s : samples) {
          if (s.t_ms >= min_ms_ && s.t_ms <= max_ms_) inside.push_back(s);
        }
        found.emplace_back(labels, inside);
      }
      return std::make_unique<FakeSet>(std::move(found));
    }
    Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher>,
                                             storage::NameLimit*) override {
      return Unimplemented("not used");
    }
    Result<std::vector<std::string>> LabelNames(std::span<const Matcher>,
                                                storage::NameLimit*) override {
      return Unimplemented("not used");
    }
    Result<std::vector<std::string>> LabelValues(const std::string&, std::span<const Matcher>,
                                                 storage::NameLimit*) override {
      return Unimplemented("not used");
    }

   private:
    const FakeStorage& storage_;
    int64_t min_ms_, max_ms_;
  };

  mutable Mutex mu_;
  std::map<Labels, std::vector<Sample>> data_ VEDETTE_GUARDED_BY(mu_);
  bool refusing_ = false;  // Set between evaluations.
};

promql::VectorSample S(std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
                       double value) {
  return {Labels::Of(labels), {.value = value}};
}

class RulerTest : public ::testing::Test {
 protected:
  RulerTest() { Restart(); }

  void Restart() {
    ruler_.reset();
    ruler_ = std::make_unique<Ruler>(RulerOptions{.external_url = "http://v:9090/"}, engine_,
                                     storage_, storage_, clock_, [this](std::vector<Alert> alerts) {
                                       MutexLock lock(mu_);
                                       sent_.insert(sent_.end(), alerts.begin(), alerts.end());
                                     });
  }
  config::RuleGroupConfig Group(std::vector<config::RuleConfig> rules) {
    return {.name = "g", .file = "f.yml", .interval_ms = kMinute, .rules = std::move(rules)};
  }
  Status Load(std::vector<config::RuleConfig> rules, int64_t limit = 0) {
    config::RuleGroupConfig group = Group(std::move(rules));
    group.limit = limit;
    return ruler_->Update({.groups = {group}, .external_labels = Labels::Of({{"region", "eu"}})});
  }
  void Eval() {
    clock_.Advance(kMinute);
    ruler_->EvaluateAt(clock_.NowMs());
  }
  RuleStatus Rule(size_t i = 0) { return ruler_->Groups().at(0)->rules.at(i); }
  std::string Alerts(std::string_view state, int64_t t_ms) {
    return storage_.At(
        Labels::Of({{"__name__", "ALERTS"}, {"alertname", "A"}, {"alertstate", state}, {"i", "1"}}),
        t_ms);
  }
  int64_t now() { return clock_.NowMs(); }

  testing::FakeClock clock_{1'700'000'000'000};
  FakeEngine engine_;
  FakeStorage storage_;
  Mutex mu_;
  std::vector<Alert> sent_;
  std::unique_ptr<Ruler> ruler_;
};

TEST_F(RulerTest, ARecordingRuleRenamesLabelsAndMarksWhatVanishes) {
  ASSERT_TRUE(
      Load({{.record = "job:up:sum", .expr = "up", .labels = {{"team", "x"}, {"drop", ""}}}}).ok());
  engine_.Set("up", {S({{"__name__", "up"}, {"i", "1"}, {"drop", "y"}}, 3), S({{"i", "2"}}, 4)});
  Eval();
  const Labels one = Labels::Of({{"__name__", "job:up:sum"}, {"i", "1"}, {"team", "x"}});
  const Labels two = Labels::Of({{"__name__", "job:up:sum"}, {"i", "2"}, {"team", "x"}});
  EXPECT_EQ(storage_.At(one, now()), "3");
  EXPECT_EQ(storage_.At(two, now()), "4");
  engine_.Set("up", {S({{"i", "2"}}, 5)});
  Eval();
  EXPECT_EQ(storage_.At(one, now()), "stale");
  EXPECT_EQ(storage_.At(two, now()), "5");
  Eval();
  EXPECT_EQ(storage_.At(one, now()), "") << "one marker is enough";
  EXPECT_EQ(ruler_->Groups()[0]->samples_written, 1u);
}

TEST_F(RulerTest, ATimeThatIsFilledInLaterIsRecordedAgain) {
  ASSERT_TRUE(Load({{.record = "r", .expr = "up"}}).ok());
  const auto pass = [&] {
    clock_.Advance(kMinute);
    ruler_->EvaluateDue();
  };
  for (int i = 0; i < 5; ++i) pass();
  // Instants of the group's own grid: three of them without an answer then.
  const int64_t last_ms = ruler_->Groups()[0]->last_evaluation_ms;
  const Labels series = Labels::Of({{"__name__", "r"}, {"i", "1"}});
  EXPECT_EQ(storage_.At(series, last_ms - 2 * kMinute), "");
  engine_.Set("up", {S({{"__name__", "up"}, {"i", "1"}}, 3)});
  ruler_->FilledIn(last_ms - 2 * kMinute);
  ruler_->FilledIn(last_ms - kMinute);
  pass();
  EXPECT_EQ(storage_.At(series, last_ms - 2 * kMinute), "3");
  EXPECT_EQ(storage_.At(series, last_ms - kMinute), "3");
  EXPECT_EQ(storage_.At(series, last_ms - 3 * kMinute), "") << "nothing has come in for it";
  const int runs = engine_.runs();
  pass();
  EXPECT_EQ(engine_.runs(), runs + 1) << "it is done once";
  // What has a value keeps it.
  engine_.Set("{__name__=\"r\"}", {S({{"__name__", "r"}, {"i", "1"}}, 3)});
  engine_.Set("up", {S({{"__name__", "up"}, {"i", "1"}}, 4)});
  ruler_->FilledIn(last_ms - 2 * kMinute);
  pass();
  EXPECT_EQ(storage_.At(series, last_ms - 2 * kMinute), "3");
}

TEST_F(RulerTest, EvidenceIsMeasuredFromFireToEnd) {
  RulerOptions options{.external_url = "http://v:9090"};
  options.condition = [](const std::string&) {
    return AlertCondition{.measured = "x", .lower_is_worse = false};
  };
  ruler_ = std::make_unique<Ruler>(options, engine_, storage_, storage_, clock_,
                                   [this](std::vector<Alert> alerts) {
                                     MutexLock lock(mu_);
                                     sent_.insert(sent_.end(), alerts.begin(), alerts.end());
                                   });
  ASSERT_TRUE(Load({{.alert = "A", .expr = "x > 1"}}).ok());
  for (const double v : {3.0, 7.0, 4.0}) {
    engine_.Set("x > 1", {S({{"__name__", "x"}, {"i", "1"}}, v)});
    Eval();
  }
  engine_.Set("x > 1", {});
  engine_.Set("x", {S({{"__name__", "x"}, {"i", "1"}}, 0.5)});
  Eval();
  ASSERT_FALSE(sent_.empty());
  const Alert& last = sent_.back();
  ASSERT_TRUE(last.resolved_at(now()));
  ASSERT_TRUE(last.evidence.has_value());
  EXPECT_EQ(last.evidence->at_fire, 3);
  EXPECT_EQ(last.evidence->worst, 7);
  EXPECT_EQ(last.evidence->at_resolve, 0.5);
  EXPECT_NE(last.evidence->graph_url.find("http://v:9090/graph?g0.expr=x&"), std::string::npos)
      << last.evidence->graph_url;
}

TEST_F(RulerTest, AStorageThatRefusesNeitherSilencesAnAlertNorEndsIt) {
  ASSERT_TRUE(Load({{.alert = "A", .expr = "up == 0"}}).ok());
  for (int i = 0; i < 5; ++i) Eval();  // Nothing is written before there was time to restore.
  storage_.Refuse(true);
  engine_.Set("up == 0", {S({{"__name__", "up"}, {"i", "1"}}, 0)});
  Eval();
  ASSERT_EQ(sent_.size(), 1u) << "told, although ALERTS could not be written";
  EXPECT_EQ(Rule().health, RuleHealth::kErr);
  // The lookback is over: there is no `up` any more, because nothing is stored.
  engine_.Set("up == 0", {});
  for (int i = 0; i < 30; ++i) {
    Eval();
    EXPECT_FALSE(sent_.back().resolved_at(now())) 
        << "told again, before it ends by time-out; " << i;
  }
  storage_.Refuse(false);
  Eval();
  EXPECT_FALSE(sent_.back().resolved_at(now())) << "targets have not been scraped yet";
  Eval();
  Eval();
  EXPECT_TRUE(sent_.back().resolved_at(now()));
}

TEST_F(RulerTest, AFailingRuleKeepsItsErrorAndStopsNoOther) {
  ASSERT_TRUE(Load({{.record = "a", .expr = "broken"},
                    {.record = "b", .expr = "dup"},
                    {.record = "c", .expr = "up"}})
                  .ok());
  engine_.Set("dup", {S({{"__name__", "x"}}, 1), S({{"__name__", "y"}}, 1)});
  engine_.Set("up", {S({}, 1)});
  Eval();
  EXPECT_EQ(Rule(0).health, RuleHealth::kErr);
  EXPECT_EQ(Rule(0).last_error, "many-to-many matching");
  EXPECT_NE(Rule(1).last_error.find("same labelset after applying rule labels"), std::string::npos);
  EXPECT_EQ(Rule(2).health, RuleHealth::kOk);
  EXPECT_EQ(ruler_->Groups()[0]->evaluation_failures, 2u);
}

TEST_F(RulerTest, AnAlertGoesPendingFiringResolved) {
  ASSERT_TRUE(Load({{.alert = "A",
                     .expr = "x > 1",
                     .for_ms = 2 * kMinute,
                     .labels = {{"severity", "{{ if gt $value 5.0 }}page{{ else }}info{{ end }}"}},
                     .annotations = {{"summary", "{{ $labels.i }} is {{ $value }}"},
                                     {"bad", "{{ query \"none\" | first | value }}"}}}})
                  .ok());
  engine_.Set("x > 1", {S({{"__name__", "x"}, {"i", "1"}}, 7.5)});
  Eval();
  const int64_t began_ms = now();
  ASSERT_EQ(Rule().alerts.size(), 1u);
  EXPECT_EQ(Rule().state, AlertState::kPending);
  EXPECT_EQ(Rule().alerts[0].labels,
            Labels::Of({{"alertname", "A"}, {"i", "1"}, {"severity", "page"}}));
  EXPECT_EQ(Rule().alerts[0].annotations.Get("summary"), "1 is 7.5");
  EXPECT_NE(Rule().alerts[0].annotations.Get("bad").find("<error expanding template: "),
            std::string_view::npos);
  Eval();
  EXPECT_TRUE(sent_.empty());
  Eval();
  EXPECT_EQ(Rule().state, AlertState::kFiring);
  EXPECT_EQ(Rule().alerts[0].active_at_ms, began_ms);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].labels.Get("region"), "eu");
  EXPECT_EQ(sent_[0].starts_at_ms, now());
  EXPECT_EQ(sent_[0].ends_at_ms, now() + 4 * kMinute);
  EXPECT_EQ(sent_[0].generator_url, "http://v:9090/graph?g0.expr=x+%3E+1&g0.tab=1");
  engine_.Set("x > 1", {});
  Eval();
  EXPECT_EQ(Rule().state, AlertState::kInactive);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].ends_at_ms, now());
  for (int i = 0; i < 30; ++i) Eval();
  const size_t after_15_minutes = sent_.size();
  EXPECT_GE(after_15_minutes, 7u) << "resolved is told again for 15 minutes";
  Eval();
  EXPECT_EQ(sent_.size(), after_15_minutes);
}

TEST_F(RulerTest, AlertsAreSeriesWithStaleMarkersBetweenStates) {
  ASSERT_TRUE(Load({{.alert = "A", .expr = "x", .for_ms = kMinute}}).ok());
  engine_.Set("x", {S({{"i", "1"}}, 1)});
  // The first load looks for an older `for` first: ALERTS begins after that.
  Eval();
  const int64_t began_ms = now();
  EXPECT_EQ(Alerts("pending", now()), "");
  engine_.Set("x", {});
  Eval();
  Eval();
  engine_.Set("x", {S({{"i", "1"}}, 1)});
  Eval();
  EXPECT_EQ(Alerts("pending", now()), "1");
  Eval();
  EXPECT_EQ(Alerts("pending", now()), "stale");
  EXPECT_EQ(Alerts("firing", now()), "1");
  const Labels for_state =
      Labels::Of({{"__name__", "ALERTS_FOR_STATE"}, {"alertname", "A"}, {"i", "1"}});
  EXPECT_EQ(storage_.At(for_state, now()), StrCat((began_ms + 3 * kMinute) / 1000.0));
  engine_.Set("x", {});
  Eval();
  EXPECT_EQ(Alerts("firing", now()), "stale");
}

TEST_F(RulerTest, KeepFiringForHoldsAnAlertThatLostItsCondition) {
  ASSERT_TRUE(Load({{.alert = "A", .expr = "x", .keep_firing_for_ms = 3 * kMinute}}).ok());
  engine_.Set("x", {S({}, 1)});
  Eval();
  engine_.Set("x", {});
  for (int i = 0; i < 3; ++i) {
    Eval();
    EXPECT_EQ(Rule().state, AlertState::kFiring) << i;
  }
  Eval();
  EXPECT_EQ(Rule().state, AlertState::kInactive);
}

TEST_F(RulerTest, TheLimitClearsAndIsAnError) {
  ASSERT_TRUE(Load({{.alert = "A", .expr = "x"}}, 1).ok());
  engine_.Set("x", {S({{"i", "1"}}, 1), S({{"i", "2"}}, 1)});
  Eval();
  EXPECT_EQ(Rule().health, RuleHealth::kErr);
  EXPECT_EQ(Rule().last_error, "exceeded limit of 1 with 2 alerts");
  EXPECT_TRUE(Rule().alerts.empty());
  EXPECT_TRUE(sent_.empty());
}

TEST_F(RulerTest, ForIsRestoredAfterARestartWithoutTheOutage) {
  const struct {
    int64_t pending_ms;  // Before the outage.
    int64_t outage_ms;
    int64_t want_active_before_now_ms;  // At the restore; -1: as new.
  } kCases[] = {
      {5 * kMinute, 10 * kMinute, 5 * kMinute},    // 25 min to go: the outage does not count.
      {25 * kMinute, 10 * kMinute, 20 * kMinute},  // 5 min to go: the grace period of 10.
      {40 * kMinute, 10 * kMinute, 50 * kMinute},  // It was firing: it fires again.
      {5 * kMinute, 70 * kMinute, -1},             // Over the outage tolerance.
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.outage_ms);
    storage_.~FakeStorage();
    new (&storage_) FakeStorage();
    Restart();
    const int64_t down_ms = now() + 2 * kMinute - c.outage_ms;
    storage_.Put(Labels::Of({{"__name__", "ALERTS_FOR_STATE"}, {"alertname", "A"}, {"i", "1"}}),
                 {down_ms, static_cast<double>((down_ms - c.pending_ms) / 1000)});
    engine_.Set("x", {S({{"i", "1"}}, 1)});
    ASSERT_TRUE(Load({{.alert = "A", .expr = "x", .for_ms = 30 * kMinute}}).ok());
    Eval();
    const int64_t first_ms = now();
    Eval();
    // The state is seen at the next evaluation.
    const int64_t restored_ms = now();
    Eval();
    const int64_t want =
        c.want_active_before_now_ms < 0 ? first_ms : restored_ms - c.want_active_before_now_ms;
    EXPECT_EQ(Rule().alerts[0].active_at_ms, want);
  }
}

TEST_F(RulerTest, AReloadKeepsTheStateOfWhatStayed) {
  const config::RuleConfig a{.alert = "A", .expr = "x", .for_ms = 5 * kMinute};
  ASSERT_TRUE(Load({a, {.record = "r", .expr = "x"}}).ok());
  engine_.Set("x", {S({{"i", "1"}}, 1)});
  Eval();
  const int64_t began_ms = now();
  config::RuleConfig changed = a;
  changed.expr = "y";
  engine_.Set("y", {S({{"i", "1"}}, 2)});
  ASSERT_TRUE(Load({{.record = "new", .expr = "x"}, changed}).ok());
  Eval();
  EXPECT_EQ(Rule(1).alerts[0].active_at_ms, began_ms);
  EXPECT_EQ(storage_.At(Labels::Of({{"__name__", "r"}, {"i", "1"}}), now()), "stale");
  EXPECT_EQ(ruler_->Groups()[0]->iterations, 2u);
}

TEST_F(RulerTest, ABadConfigurationChangesNothing) {
  ASSERT_TRUE(Load({{.record = "r", .expr = "x"}}).ok());
  const Status bad = Load({{.alert = "A", .expr = "x", .labels = {{"l", "{{ .X"}}, .line = 7}});
  EXPECT_FALSE(bad.ok());
  EXPECT_NE(bad.message().find("f.yml:7: group \"g\", rule \"A\": label \"l\": template: "),
            std::string_view::npos)
      << bad.ToString();
  EXPECT_EQ(Rule().name, "r");
}

TEST_F(RulerTest, GroupsRunOnTheirGridAndCountWhatTheyMiss) {
  ASSERT_TRUE(Load({{.record = "r", .expr = "x"}}).ok());
  clock_.Advance(kMinute);
  ruler_->EvaluateDue();
  EXPECT_EQ(engine_.runs(), 1);
  const int64_t first_ms = ruler_->Groups()[0]->last_evaluation_ms;
  EXPECT_LE(first_ms, now());
  ruler_->EvaluateDue();
  EXPECT_EQ(engine_.runs(), 1);
  clock_.Advance(5 * kMinute);
  ruler_->EvaluateDue();
  EXPECT_EQ(engine_.runs(), 2);
  EXPECT_EQ(ruler_->Groups()[0]->iterations_missed, 4u);
  EXPECT_EQ((ruler_->Groups()[0]->last_evaluation_ms - first_ms) % kMinute, 0);
}

TEST_F(RulerTest, ThreadsEvaluateAndStopInOrder) {
  ASSERT_TRUE(Load({{.record = "r", .expr = "x"}}).ok());
  clock_.Advance(2 * kMinute);
  ruler_->Start();
  while (engine_.runs() == 0) std::this_thread::yield();
  ASSERT_TRUE(Load({{.record = "other", .expr = "x"}}).ok());
  ruler_->Stop();
}

}  // namespace
}  // namespace vedette::ruler
