#include "server/tsdb/tsdb.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"
#include "server/storage/queryable.h"
#include "tests/support/fake_clock.h"
#include "tests/support/rounds.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using storage::CommitStats;
using storage::SeriesBatch;
using storage::TimelineWriter;
using testing::FakeClock;
using testing::TempDir;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kDay = 86'400'000;

using Column = std::map<int64_t, uint64_t>;  // Instant -> bits of the value.
using Model = std::map<Labels, Column>;

Labels SeriesNamed(int i) {
  return Labels::Of({{"__name__", "m" + std::to_string(i % 7)},
                     {"instance", "host" + std::to_string(i / 7)},
                     {"job", "node"}});
}

class TsdbTest : public ::testing::Test {
 protected:
  TsdbOptions Options() {
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.maintenance_interval_ms = 0;
    return o;
  }
  void Open(const TsdbOptions& options) {
    db_.reset();
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, clock_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
  }
  void Open() { Open(Options()); }

  Model Read(int64_t min = INT64_MIN, int64_t max = INT64_MAX, std::vector<Matcher> matchers = {},
             bool sorted = true) {
    Model out;
    auto querier = *db_->queryable().Open(min, max);
    storage::SelectHints hints;
    hints.start_ms = min;
    hints.end_ms = max;
    hints.sorted = sorted;
    auto set = querier->Select(hints, matchers);
    Labels before;
    uint64_t key = 0;
    std::vector<int64_t> instants;
    while (set->Next()) {
      const storage::SeriesColumns& c = set->at();
      if (sorted && !out.empty()) {
        EXPECT_LT(before, c.labels);
      }
      before = c.labels;
      EXPECT_EQ(c.t_ms.size(), c.values.size());
      EXPECT_FALSE(out.contains(c.labels)) << "twice: " << c.labels.ToString();
      Column& column = out[c.labels];
      bool stale = false;
      for (size_t i = 0; i < c.t_ms.size(); ++i) {
        if (i > 0) {
          EXPECT_LT(c.t_ms[i - 1], c.t_ms[i]);
        }
        EXPECT_FALSE(IsAbsent(c.values[i]));
        stale = stale || IsStale(c.values[i]);
        column[c.t_ms[i]] = std::bit_cast<uint64_t>(c.values[i]);
      }
      EXPECT_EQ(stale, c.has_stale);
      if (c.timeline_key != 0 && c.timeline_key == key) {
        EXPECT_TRUE(std::ranges::equal(instants, c.t_ms));
      }
      key = c.timeline_key;
      instants.assign(c.t_ms.begin(), c.t_ms.end());
    }
    EXPECT_TRUE(set->status().ok()) << set->status().ToString();
    EXPECT_TRUE(set->warnings().empty());
    if (reads_++ % 16 == 0) {
      EXPECT_EQ(ReadInParts(*querier, hints, matchers), out);
    }
    return out;
  }
  // The same, part by part, as two threads do.
  static Model ReadInParts(storage::Querier& querier, const storage::SelectHints& hints,
                           const std::vector<Matcher>& matchers) {
    Model out;
    auto whole = querier.Select(hints, matchers);
    const uint64_t size = whole->places() / 3 + 1;
    for (uint64_t first = 0; first < whole->places(); first += size) {
      const auto part = whole->Part(first, size);
      while (part->Next()) {
        const storage::SeriesColumns& c = part->at();
        EXPECT_FALSE(out.contains(c.labels)) << "in two parts: " << c.labels.ToString();
        for (size_t i = 0; i < c.t_ms.size(); ++i) {
          out[c.labels][c.t_ms[i]] = std::bit_cast<uint64_t>(c.values[i]);
        }
      }
      EXPECT_TRUE(part->status().ok()) << part->status().ToString();
    }
    return out;
  }

  void ExpectModel(const Model& model, int64_t min = INT64_MIN, int64_t max = INT64_MAX) {
    Model want;
    for (const auto& [labels, column] : model) {
      for (const auto& [t, bits] : column) {
        if (t >= min && t <= max) want[labels][t] = bits;
      }
    }
    const Model got = Read(min, max);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [labels, column] : want) {
      const auto it = got.find(labels);
      ASSERT_TRUE(it != got.end()) << labels.ToString();
      ASSERT_EQ(it->second.size(), column.size()) << labels.ToString();
      ASSERT_TRUE(it->second == column) << labels.ToString();
    }
  }

  TempDir dir_;
  FakeClock clock_{kNow};
  std::unique_ptr<Tsdb> db_;
  int reads_ = 0;
};

TEST_F(TsdbTest, ARowIsReadAtOnceAfterAReopenAndAfterCompaction) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  std::vector<Labels> labels;
  for (int i = 0; i < 3; ++i) {
    labels.push_back(SeriesNamed(i));
    EXPECT_EQ(*writer->AddSeries(labels.back()), static_cast<uint32_t>(i));
  }
  Model model;
  for (int r = 0; r < 300; ++r) {
    const int64_t t = kNow + r * 15'000;
    clock_.Set(t);
    const std::vector<double> values = {1.0 * r, r % 5 == 0 ? kAbsent : 0.5 * r,
                                        r == 200 ? kStaleNan : 7};
    Result<CommitStats> s = writer->Commit({.t_ms = t, .values = values});
    ASSERT_TRUE(s.ok());
    EXPECT_EQ(s->refused(), 0u);
    for (size_t p = 0; p < 3; ++p) {
      if (!IsAbsent(values[p])) model[labels[p]][t] = std::bit_cast<uint64_t>(values[p]);
    }
  }
  ExpectModel(model);
  ExpectModel(model, kNow + 100 * 15'000, kNow + 260 * 15'000 - 1);
  writer.reset();
  Open();
  ExpectModel(model);
  EXPECT_EQ(db_->min_t_ms(), kNow);
  EXPECT_EQ(db_->max_t_ms(), kNow + 299 * 15'000);
  ASSERT_TRUE(db_->Compact().ok());
  ExpectModel(model);
  EXPECT_EQ(db_->stats().timelines, 0u);
  Open();
  ExpectModel(model);
  ExpectModel(model, kNow + 100 * 15'000, kNow + 260 * 15'000 - 1);
}

// The law: whatever is written in whatever way, with restarts, sealing and merging in between, is
// read back as from a map.
class RandomLife : public TsdbTest, public ::testing::WithParamInterface<int> {};

TEST_P(RandomLife, AgreesWithAMap) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  TsdbOptions options = Options();
  options.out_of_order_window_ms = 2 * kDay;
  options.window_ms = GetParam() % 2 ? 2 * 3600 * 1000 : kDay;
  options.retention_ms = 0;
  Open(options);
  Model model;
  struct Scrape {
    std::unique_ptr<TimelineWriter> writer;
    std::vector<Labels> labels;
  };
  std::vector<Scrape> scrapes(3);
  auto open_scrapes = [&] {
    for (size_t i = 0; i < scrapes.size(); ++i) {
      scrapes[i].writer = db_->appender().OpenTimeline("node");
      scrapes[i].labels.clear();
    }
  };
  open_scrapes();
  int64_t now = GetParam() % 3 == 0 ? 0 : kNow;
  auto value = [&]() -> double {
    switch (random() % 6) {
      case 0:
        return kStaleNan;
      case 1:
        return static_cast<double>(random() % 1000) / 10;
      case 2:
        return std::bit_cast<double>(random() >> 12 | 0x3ff0000000000000);
      default:
        return static_cast<double>(random() % 50);
    }
  };
  auto make_row = [&](size_t which, std::vector<double>& values) -> storage::Row {
    Scrape& s = scrapes[which];
    if (s.labels.size() < 20 && random() % 4 == 0) {
      // The third shares series with the others.
      const int id = static_cast<int>(which == 2 ? random() % 60 : which * 30 + s.labels.size());
      const Labels l = SeriesNamed(id);
      if (std::ranges::find(s.labels, l) == s.labels.end()) {
        EXPECT_TRUE(s.writer->AddSeries(l).ok());
        s.labels.push_back(l);
      }
    }
    values.resize(s.labels.size());
    const bool backfill = random() % 20 == 0;
    const int64_t t = backfill ? now - static_cast<int64_t>(random() % (3 * kDay / 2)) : now;
    for (size_t p = 0; p < values.size(); ++p) {
      values[p] = random() % 8 == 0 ? kAbsent : value();
      // Two writers of one series at one instant: which wins is not promised.
      if (model[s.labels[p]].contains(t)) values[p] = kAbsent;
      if (!IsAbsent(values[p])) model[s.labels[p]][t] = std::bit_cast<uint64_t>(values[p]);
    }
    return {.t_ms = t, .values = values, .backfill = backfill};
  };
  int note = -1;
  for (int step = 0; step < 900; ++step) {
    now += static_cast<int64_t>(random() % 4 == 0 ? random() % 600'000 : 15'000);
    clock_.Set(now);
    const int action = static_cast<int>(random() % 100);
    if (action < 60) {
      // One writer's row, or those of two together with a note of the step.
      const size_t which = random() % scrapes.size();
      const bool together = random() % 3 == 0;
      std::vector<storage::WriterRow> rows;
      std::vector<double> columns[2];
      for (size_t k = 0; k < (together ? 2u : 1u); ++k) {
        const size_t at = (which + k) % scrapes.size();
        rows.push_back({scrapes[at].writer.get(), make_row(at, columns[k])});
      }
      const std::vector<storage::KeyValue::Change> notes = {{"note", std::to_string(step)}};
      if (together) note = step;
      Result<CommitStats> stats = together ? db_->appender().CommitTogether(rows, notes)
                                           : rows[0].writer->Commit(rows[0].row);
      ASSERT_TRUE(stats.ok()) << stats.status().ToString();
      ASSERT_EQ(stats->refused(), 0u);
    } else if (action < 90) {
      std::vector<SeriesBatch> batch(1 + random() % 12);
      std::vector<std::vector<Sample>> samples(batch.size());
      const int first = 100 + static_cast<int>(random() % 30);
      uint64_t want_duplicates = 0;
      const size_t count = random() % 10 == 0 ? 40 : 1 + random() % 3;
      const int64_t same_t = now - static_cast<int64_t>(random() % 100'000);
      const bool aligned = random() % 2 == 0;
      for (size_t i = 0; i < batch.size(); ++i) {
        batch[i].labels = SeriesNamed(first + static_cast<int>(i));
        Column& column = model[batch[i].labels];
        for (size_t k = 0; k < count; ++k) {
          const int64_t t = aligned ? same_t - static_cast<int64_t>(count - k) * 1000
                                    : now - static_cast<int64_t>(random() % kDay);
          const double v = value();
          samples[i].push_back({t, v});
          const auto [it, added] = column.try_emplace(t, std::bit_cast<uint64_t>(v));
          want_duplicates += !added && it->second != std::bit_cast<uint64_t>(v);
        }
        batch[i].samples = samples[i];
      }
      Result<CommitStats> stats = db_->appender().Write(batch);
      ASSERT_TRUE(stats.ok()) << stats.status().ToString();
      ASSERT_EQ(stats->duplicate, want_duplicates);
      ASSERT_EQ(stats->refused(), want_duplicates);
    } else if (action < 92) {
      for (Scrape& s : scrapes) s.writer.reset();
      Open(options);
      open_scrapes();
    } else if (action < 93) {
      ASSERT_TRUE(db_->Compact().ok());
    } else if (action < 95) {
      ASSERT_TRUE(db_->Maintain().ok());
    } else {
      const int64_t a = now - static_cast<int64_t>(random() % (2 * kDay));
      ExpectModel(model, a, a + static_cast<int64_t>(random() % kDay));
      if (HasFatalFailure()) FAIL() << "step " << step;
    }
    std::erase_if(model, [](const auto& e) { return e.second.empty(); });
  }
  ExpectModel(model);
  EXPECT_EQ(**db_->key_value().Get("note"), std::to_string(note));
  for (Scrape& s : scrapes) s.writer.reset();
  ASSERT_TRUE(db_->Compact().ok());
  ExpectModel(model);
  Open(options);
  ExpectModel(model);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomLife, ::testing::Range(0, testing::Rounds(12)));

TEST_F(TsdbTest, RowsOfOneCommitAreThereTogetherOrNotAtAll) {
  Open();
  auto a = db_->appender().OpenTimeline("node");
  auto b = db_->appender().OpenTimeline("app");
  auto empty = db_->appender().OpenTimeline("app");
  ASSERT_TRUE(a->AddSeries(SeriesNamed(1)).ok());
  ASSERT_TRUE(b->AddSeries(SeriesNamed(2)).ok());
  const std::vector<double> one = {1}, two = {2, 3};
  const std::vector<storage::KeyValue::Change> notes = {{"cursor/x", "7"}};
  // A row of b that is too long: nothing of a is kept either, and a takes the next row.
  const std::vector<storage::WriterRow> bad = {{a.get(), {.t_ms = kNow, .values = one}},
                                               {b.get(), {.t_ms = kNow, .values = two}}};
  EXPECT_EQ(db_->appender().CommitTogether(bad, notes).status().code(),
            StatusCode::kInvalidArgument);
  const std::vector<storage::WriterRow> twice = {{a.get(), {.t_ms = kNow, .values = one}},
                                                 {a.get(), {.t_ms = kNow + 1, .values = one}}};
  EXPECT_EQ(db_->appender().CommitTogether(twice, notes).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(Read().empty());
  EXPECT_FALSE(*db_->key_value().Get("cursor/x"));
  const std::vector<storage::WriterRow> good = {{b.get(), {.t_ms = kNow, .values = one}},
                                                {empty.get(), {.t_ms = kNow}},
                                                {a.get(), {.t_ms = kNow, .values = one}}};
  const auto stats = db_->appender().CommitTogether(good, notes);
  ASSERT_TRUE(stats.ok()) << stats.status().ToString();
  EXPECT_EQ(stats->appended, 2u);
  a = nullptr;
  b = nullptr;
  empty = nullptr;
  Open();
  EXPECT_EQ(Read().size(), 2u);
  EXPECT_EQ(**db_->key_value().Get("cursor/x"), "7");
}

// The law: samples of known series come to the same as batches of them, whatever their order, with
// series twice, instants mixed, and timelines sealed away in between.
TEST_F(TsdbTest, SamplesByReferenceComeToTheSameAsBatches) {
  TsdbOptions options = Options();
  options.out_of_order_window_ms = 2 * kDay;
  options.retention_ms = 0;
  Open(options);
  constexpr size_t kSeries = 50;
  std::mt19937_64 random(3);
  Model model;
  std::vector<storage::SeriesRef> refs(kSeries, 0);
  int64_t now = kNow;
  // Made by two requests, so that they are of two timelines.
  for (size_t half = 0; half < 2; ++half) {
    std::vector<SeriesBatch> batch(kSeries / 2);
    std::vector<Sample> samples(batch.size(), Sample{now + static_cast<int64_t>(half), 1});
    for (size_t i = 0; i < batch.size(); ++i) {
      batch[i] = {.labels = SeriesNamed(static_cast<int>(half * batch.size() + i)),
                  .samples = std::span(&samples[i], 1)};
      model[batch[i].labels][samples[i].t_ms] = std::bit_cast<uint64_t>(1.0);
    }
    const auto own = std::span(refs).subspan(half * batch.size(), batch.size());
    ASSERT_TRUE(db_->appender().WriteKnown(batch, own).ok());
  }
  for (int step = 0; step < 600; ++step) {
    now += 15'000;
    clock_.Set(now);
    std::vector<storage::SeriesRef> some;
    std::vector<Sample> samples;
    uint64_t want_duplicates = 0;
    const bool ordered = random() % 3 != 0;
    for (size_t k = 0; k < kSeries; ++k) {
      if (random() % 8 == 0) continue;
      const size_t i = ordered ? k : random() % kSeries;
      const int64_t t = random() % 200 == 0 ? now - static_cast<int64_t>(random() % kDay) : now;
      const double v = static_cast<double>(random() % 3);
      some.push_back(refs[i]);
      samples.push_back({t, v});
      const auto [it, added] =
          model[SeriesNamed(static_cast<int>(i))].try_emplace(t, std::bit_cast<uint64_t>(v));
      want_duplicates += !added && it->second != std::bit_cast<uint64_t>(v);
    }
    if (some.empty()) continue;
    const auto stats = db_->appender().WriteSamples(some, samples);
    ASSERT_TRUE(stats.ok()) << stats.status().ToString();
    ASSERT_EQ(stats->refused(), want_duplicates);
    ASSERT_EQ(stats->appended, some.size() - want_duplicates);
    if (step % 150 == 149) {
      now += options.idle_ms + 1;
      clock_.Set(now);
      ASSERT_TRUE(db_->Maintain().ok());
    }
  }
  ExpectModel(model);
  const std::vector<storage::SeriesRef> unknown = {refs[0], 1'000'000};
  const std::vector<Sample> two = {{now + 1, 1}, {now + 1, 1}};
  EXPECT_EQ(db_->appender().WriteSamples(unknown, two).status().code(), StatusCode::kNotFound);
  ExpectModel(model);
}

TEST_F(TsdbTest, OrderAndDuplicatesAreTreatedAsPrometheusDoes) {
  Open();
  const Labels labels = SeriesNamed(1);
  auto write = [&](int64_t t, double v) {
    const Sample sample{t, v};
    const SeriesBatch batch{.labels = labels, .samples = std::span(&sample, 1)};
    return *db_->appender().Write(std::span(&batch, 1));
  };
  EXPECT_EQ(write(kNow, 1).appended, 1u);
  EXPECT_EQ(write(kNow, 1).refused(), 0u);
  EXPECT_EQ(write(kNow, 2).duplicate, 1u);
  EXPECT_EQ(write(kNow - 1, 2).out_of_order, 1u);
  EXPECT_EQ(write(kNow + 11 * 60'000, 2).too_far_ahead, 1u);
  EXPECT_EQ(write(INT64_MAX, 2).too_far_ahead, 1u);
  EXPECT_EQ(write(INT64_MIN, 2).too_old, 1u);
  TsdbOptions options = Options();
  options.out_of_order_window_ms = 60'000;
  Open(options);
  EXPECT_EQ(write(kNow - 1, 2).appended, 1u);
  EXPECT_EQ(write(kNow - 60'001, 2).too_old, 1u);
  EXPECT_EQ(Read()[labels].size(), 2u);
}

TEST_F(TsdbTest, BudgetsRefuseNewSeriesOfTheOffenderOnly) {
  TsdbOptions options = Options();
  options.max_series_of_owner["greedy"] = 2;
  Open(options);
  auto greedy = db_->appender().OpenTimeline("greedy");
  auto modest = db_->appender().OpenTimeline("modest");
  EXPECT_TRUE(greedy->AddSeries(SeriesNamed(1)).ok());
  EXPECT_TRUE(greedy->AddSeries(SeriesNamed(2)).ok());
  EXPECT_EQ(greedy->AddSeries(SeriesNamed(3)).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(modest->AddSeries(SeriesNamed(3)).ok());
  EXPECT_EQ(db_->stats().series_by_owner["greedy"], 2u);
  greedy.reset();
  greedy = db_->appender().OpenTimeline("greedy");
  EXPECT_TRUE(greedy->AddSeries(SeriesNamed(1)).ok());
  EXPECT_EQ(db_->stats().series_refused, 1u);
}

TEST_F(TsdbTest, HistogramsExemplarsMetadataAndKeysSurviveAReopen) {
  Open();
  auto h = std::make_shared<Histogram>();
  h->schema = 3;
  h->count = 5;
  h->sum = 1.25;
  h->positive_spans = {{-1, 2}, {3, 1}};
  h->positive_buckets = {1, 2.5, 3};
  h->reset_hint = Histogram::ResetHint::kGauge;
  {
    auto writer = db_->appender().OpenTimeline("app");
    (void)*writer->AddSeries(SeriesNamed(1));
    (void)*writer->AddSeries(SeriesNamed(2));
    const std::vector<double> values = {1, 2};
    const std::vector<storage::HistogramAt> histograms = {{1, h}};
    const std::vector<storage::ExemplarAt> exemplars = {
        {0, {Labels::Of({{"trace_id", "abc"}}), 0.5, std::nullopt}}};
    ASSERT_TRUE(
        writer
            ->Commit(
                {.t_ms = kNow, .values = values, .histograms = histograms, .exemplars = exemplars})
            .ok());
    db_->appender().SetMetadata("m1", {MetricType::kCounter, "Help.", "seconds"});
    const std::vector<storage::KeyValue::Change> changes = {{"silence/1", "x"}, {"silence/2", "y"}};
    ASSERT_TRUE(db_->key_value().Apply(changes, true).ok());
    const std::vector<storage::KeyValue::Change> gone = {{"silence/1", std::nullopt}};
    ASSERT_TRUE(db_->key_value().Apply(gone, false).ok());
  }
  for (int round = 0; round < 2; ++round) {
    auto querier = *db_->queryable().Open(0, INT64_MAX);
    storage::SelectHints hints{.start_ms = 0, .end_ms = INT64_MAX, .sorted = true};
    auto set = querier->Select(hints, {});
    ASSERT_TRUE(set->Next());
    EXPECT_TRUE(set->at().histograms.empty());
    ASSERT_TRUE(set->Next());
    ASSERT_EQ(set->at().histograms.size(), 1u);
    EXPECT_EQ(*set->at().histograms[0], *h);
    EXPECT_FALSE(set->Next());
    const std::vector<std::vector<Matcher>> selectors = {{Matcher::Equal("__name__", "m1")}};
    const auto exemplars = *db_->exemplars().Select(0, INT64_MAX, selectors);
    ASSERT_EQ(exemplars.size(), 1u);
    EXPECT_EQ(exemplars[0].exemplars[0].t_ms, kNow);
    ASSERT_EQ(db_->metadata().Select("m1").size(), 1u);
    EXPECT_EQ(db_->metadata().Select("")[0].metadata.unit, "seconds");
    EXPECT_FALSE(db_->key_value().Get("silence/1")->has_value());
    std::string keys;
    ASSERT_TRUE(db_->key_value()
                    .Scan("silence/",
                          [&](std::string_view k, std::string_view v) {
                            keys += std::string(k) + "=" + std::string(v);
                            return true;
                          })
                    .ok());
    EXPECT_EQ(keys, "silence/2=y");
    set.reset();
    querier.reset();
    Open();
  }
}

TEST_F(TsdbTest, NamesAndValuesAreThoseOfTheRange) {
  Open();
  const Sample old_sample{kNow - 3 * kDay, 1};
  const Sample new_sample{kNow, 1};
  const std::vector<SeriesBatch> batch = {{.labels = Labels::Of({{"__name__", "old"}, {"a", "1"}}),
                                           .samples = std::span(&old_sample, 1)},
                                          {.labels = Labels::Of({{"__name__", "new"}, {"b", "2"}}),
                                           .samples = std::span(&new_sample, 1)}};
  ASSERT_TRUE(db_->appender().Write(batch).ok());
  for (int round = 0; round < 2; ++round) {
    auto recent = *db_->queryable().Open(kNow - kDay / 2, kNow);
    EXPECT_EQ(*recent->LabelNames({}, nullptr), (std::vector<std::string>{"__name__", "b"}));
    EXPECT_EQ(*recent->LabelValues("__name__", {}, nullptr), std::vector<std::string>{"new"});
    auto all = *db_->queryable().Open(0, kNow);
    storage::NameLimit limit{.limit = 1};
    EXPECT_EQ(all->SeriesLabels({}, &limit)->size(), 1u);
    EXPECT_TRUE(limit.truncated);
    const std::vector<Matcher> a = {Matcher::Equal("a", "1")};
    EXPECT_EQ((*all->SeriesLabels(a, nullptr))[0].metric_name(), "old");
    all.reset();
    recent.reset();
    ASSERT_TRUE(db_->Compact().ok());
  }
}

TEST_F(TsdbTest, RetentionDropsWholeWindows) {
  TsdbOptions options = Options();
  options.retention_ms = 3 * kDay;
  Open(options);
  Model model;
  auto writer = db_->appender().OpenTimeline("node");
  (void)*writer->AddSeries(SeriesNamed(1));
  for (int day = 0; day < 10; ++day) {
    const int64_t t = kNow + day * kDay;
    clock_.Set(t);
    const std::vector<double> values = {1.0 * day};
    ASSERT_TRUE(writer->Commit({.t_ms = t, .values = values}).ok());
  }
  ASSERT_TRUE(db_->Maintain().ok());
  const Model got = Read();
  const Column& column = got.at(SeriesNamed(1));
  EXPECT_LE(column.size(), 5u);
  EXPECT_GE(column.size(), 4u);
  EXPECT_EQ(column.rbegin()->first, kNow + 9 * kDay);
}

TEST_F(TsdbTest, DeleteTakesJustWhatItIsAskedFor) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  for (int i = 0; i < 4; ++i) (void)*writer->AddSeries(SeriesNamed(i));
  Model model;
  for (int r = 0; r < 200; ++r) {
    const int64_t t = kNow + r * 1000;
    const std::vector<double> values = {1, 2, 3.5 * r, 4};
    ASSERT_TRUE(writer->Commit({.t_ms = t, .values = values}).ok());
    for (int i = 0; i < 4; ++i) {
      if (i == 2 && r >= 50 && r <= 150) continue;
      model[SeriesNamed(i)][t] = std::bit_cast<uint64_t>(values[static_cast<size_t>(i)]);
    }
  }
  const std::vector<std::vector<Matcher>> selectors = {{Matcher::Equal("__name__", "m2")}};
  Result<ByteChange> change = db_->Delete(selectors, kNow + 50'000, kNow + 150'000);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->samples, 101u);
  ExpectModel(model);
  ASSERT_TRUE(db_->CleanTombstones().ok());
  ExpectModel(model);
  writer.reset();
  Open();
  ExpectModel(model);
}

TEST_F(TsdbTest, ASnapshotOpensWithWhatWasThere) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  (void)*writer->AddSeries(SeriesNamed(1));
  Model model;
  for (int r = 0; r < 40; ++r) {
    const std::vector<double> values = {1.5 * r};
    ASSERT_TRUE(writer->Commit({.t_ms = kNow + r, .values = values}).ok());
    model[SeriesNamed(1)][kNow + r] = std::bit_cast<uint64_t>(values[0]);
  }
  ASSERT_TRUE(db_->Snapshot(dir_.path() + "/copy").ok());
  const std::vector<double> later = {9};
  ASSERT_TRUE(writer->Commit({.t_ms = kNow + 100, .values = later}).ok());
  writer.reset();
  TsdbOptions options = Options();
  options.path = dir_.path() + "/copy";
  Open(options);
  ExpectModel(model);
}

// A child commits and says each instant when it is acknowledged, until it is killed; the parent
// finds everything that was said, and nothing that was not written.
TEST_F(TsdbTest, KillLosesNothingThatWasAcknowledged) {
  for (int round = 0; round < 4; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(Options(), clock_);
      if (!db.ok()) _exit(1);
      auto writer = (*db)->appender().OpenTimeline("node");
      for (int i = 0; i < 200; ++i) (void)writer->AddSeries(SeriesNamed(i));
      std::vector<double> values(200);
      for (int32_t r = 0;; ++r) {
        for (size_t p = 0; p < 200; ++p) values[p] = r + static_cast<double>(p);
        const int64_t t = kNow + (round * 100'000 + r) * 10;
        clock_.Set(t);
        if (!writer->Commit({.t_ms = t, .values = values}).ok()) _exit(2);
        if (write(pipe_ends[1], &r, sizeof r) != sizeof r) _exit(3);
      }
    }
    close(pipe_ends[1]);
    int32_t last = -1;
    const int32_t until = 300 + round * 137;
    while (last < until && read(pipe_ends[0], &last, sizeof last) == sizeof last) {
    }
    kill(child, SIGKILL);
    // What was said before it died.
    int32_t more;
    while (read(pipe_ends[0], &more, sizeof more) == sizeof more) last = more;
    close(pipe_ends[0]);
    int wait_status;
    ASSERT_EQ(waitpid(child, &wait_status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(wait_status));
    ASSERT_GE(last, until);

    Open();
    const int64_t begin = kNow + round * 1'000'000;
    const Model got = Read(begin, begin + 999'999);
    ASSERT_EQ(got.size(), 200u);
    for (int i = 0; i < 200; ++i) {
      const Column& column = got.at(SeriesNamed(i));
      // At most one more than was said: the commit that was cut off before it could say so.
      ASSERT_GE(column.size(), static_cast<size_t>(last + 1));
      ASSERT_LE(column.size(), static_cast<size_t>(last + 2));
      for (const auto& [t, bits] : column) {
        ASSERT_EQ(std::bit_cast<double>(bits), static_cast<double>((t - begin) / 10 + i));
      }
    }
    db_.reset();
  }
}

TEST_F(TsdbTest, ReadersAndWritersRunBesideEachOther) {
  TsdbOptions options = Options();
  options.maintenance_interval_ms = 5;
  options.idle_ms = 1;
  Open(options);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::atomic<int64_t> acknowledged[2] = {0, 0};
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      auto writer = db_->appender().OpenTimeline("node");
      for (int i = 0; i < 20; ++i) (void)writer->AddSeries(SeriesNamed(w * 100 + i));
      std::vector<double> values(20);
      for (int r = 1; r <= 1500; ++r) {
        std::ranges::fill(values, r);
        ASSERT_TRUE(writer->Commit({.t_ms = kNow + r, .values = values}).ok());
        acknowledged[w] = r;
      }
    });
  }
  threads.emplace_back([&] {
    for (int r = 1; r <= 300; ++r) {
      const Sample s{kNow + r, 1.0 * r};
      std::vector<SeriesBatch> batch(10);
      for (int i = 0; i < 10; ++i) {
        batch[static_cast<size_t>(i)] = {.labels = SeriesNamed(500 + i),
                                         .samples = std::span(&s, 1)};
      }
      ASSERT_TRUE(db_->appender().Write(batch).ok());
    }
  });
  std::thread reader([&] {
    while (!stop) {
      const int64_t said[2] = {acknowledged[0], acknowledged[1]};
      auto querier = *db_->queryable().Open(0, INT64_MAX);
      auto set = querier->Select({.start_ms = 0, .end_ms = INT64_MAX}, {});
      while (set->Next()) {
        const storage::SeriesColumns& c = set->at();
        for (size_t i = 0; i < c.t_ms.size(); ++i) {
          ASSERT_EQ(c.values[i], static_cast<double>(c.t_ms[i] - kNow));
          ASSERT_EQ(c.t_ms[i], kNow + 1 + static_cast<int64_t>(i));
        }
        const Labels first = SeriesNamed(0);
        if (c.labels == first) {
          ASSERT_GE(c.t_ms.size(), static_cast<size_t>(said[0]));
        }
      }
      ASSERT_TRUE(set->status().ok());
    }
  });
  std::thread compactor([&] {
    while (!stop) ASSERT_TRUE(db_->Compact().ok());
  });
  for (std::thread& t : threads) t.join();
  stop = true;
  reader.join();
  compactor.join();
  const Model got = Read();
  EXPECT_EQ(got.size(), 50u);
  EXPECT_EQ(got.at(SeriesNamed(100)).size(), 1500u);
}

TEST_F(TsdbTest, ACommitSaysWhatBecameOfSamplesHistogramsAndExemplarsEach) {
  Open();
  auto h = std::make_shared<Histogram>();
  h->count = 5;
  auto other = std::make_shared<Histogram>();
  other->count = 6;
  using HistogramSample = storage::SeriesBatch::HistogramSample;
  const std::vector<Sample> samples = {{kNow, 1}, {kNow + 1000, 2}};
  const std::vector<HistogramSample> histograms = {{kNow, h}, {kNow + 1000, h}};
  const std::vector<Exemplar> exemplars = {{Labels::Of({{"trace_id", "a"}}), 1, kNow},
                                           {Labels::Of({{"trace_id", "b"}}), 1, kNow}};
  const std::vector<storage::SeriesBatch> first = {
      {.labels = SeriesNamed(1), .samples = samples, .exemplars = exemplars},
      {.labels = SeriesNamed(2), .histograms = histograms}};
  const auto write = [&](const std::vector<storage::SeriesBatch>& batch) {
    Result<CommitStats> stats = db_->appender().Write(batch);
    EXPECT_TRUE(stats.ok()) << stats.status().ToString();
    return stats.ok() ? *stats : CommitStats();
  };
  CommitStats s = write(first);
  EXPECT_EQ(s.appended, 4u);
  EXPECT_EQ(s.appended_histograms, 2u);
  EXPECT_EQ(s.exemplars, 2u);
  EXPECT_EQ(s.refused(), 0u);
  s = write(first);  // The same again is no fault.
  EXPECT_EQ(s.appended, 4u);
  EXPECT_EQ(s.appended_histograms, 2u);
  EXPECT_EQ(s.exemplars, 2u);

  const std::vector<Sample> late = {{kNow - 1000, 1}, {kNow + 2000, 3}};
  const std::vector<HistogramSample> bad = {
      {kNow, other}, {kNow - 1000, h}, {kNow + 2000, h}, {kNow + (int64_t{1} << 40), h}};
  s = write(
      {{.labels = SeriesNamed(1), .samples = late}, {.labels = SeriesNamed(2), .histograms = bad}});
  EXPECT_EQ(s.appended, 2u);
  EXPECT_EQ(s.appended_histograms, 1u);
  EXPECT_EQ(s.duplicate, 1u);
  EXPECT_EQ(s.out_of_order, 2u);
  EXPECT_EQ(s.too_far_ahead, 1u);
  EXPECT_EQ(s.refused_histograms, 3u);
  EXPECT_EQ(db_->stats().appended_histograms, 5u);

  TsdbOptions none = Options();
  none.max_exemplars = 0;
  Open(none);
  EXPECT_EQ(write(first).exemplars, 0u) << "none are kept";
}

TEST_F(TsdbTest, StatsTellWhatIsInMemoryAndWhatIsOnDisk) {
  TsdbOptions options = Options();
  options.out_of_order_window_ms = 600'000;
  Open(options);
  TsdbStats s = db_->stats();
  EXPECT_EQ(s.windows, 0u);
  EXPECT_EQ(s.lowest_t_ms, INT64_MAX);
  EXPECT_EQ(s.first_open_t_ms, INT64_MAX);
  auto writer = db_->appender().OpenTimeline("node");
  const std::vector<double> values = {1, 2};
  (void)*writer->AddSeries(SeriesNamed(1));
  (void)*writer->AddSeries(SeriesNamed(2));
  ASSERT_TRUE(writer->Commit({.t_ms = kNow, .values = values}).ok());
  const std::vector<Sample> late = {{kNow + 10'000, 1}};
  const std::vector<Sample> later = {{kNow + 5'000, 1}};
  const std::vector<storage::SeriesBatch> one = {{.labels = SeriesNamed(3), .samples = late}};
  const std::vector<storage::SeriesBatch> two = {{.labels = SeriesNamed(3), .samples = later}};
  ASSERT_TRUE(db_->appender().Write(one).ok());
  ASSERT_TRUE(db_->appender().Write(two).ok());
  s = db_->stats();
  EXPECT_EQ(s.open_columns, 3u);
  EXPECT_EQ(s.first_open_t_ms, kNow);
  EXPECT_EQ(s.lowest_t_ms, kNow);
  EXPECT_EQ(s.late_samples, 1u);
  EXPECT_EQ(s.active_series, 3u);
  EXPECT_EQ(s.removed_series, 0u);
  writer.reset();
  ASSERT_TRUE(db_->Maintain().ok());
  s = db_->stats();
  EXPECT_EQ(s.active_series, 1u);
  EXPECT_EQ(s.removed_series, 2u);
  EXPECT_EQ(s.windows, 1u);
  EXPECT_EQ(s.open_columns, 1u);
  EXPECT_EQ(s.lowest_t_ms, kNow) << "not before what was ever written";
  EXPECT_EQ(s.seals, 1u);
  EXPECT_EQ(s.maintenance_rounds, 1u);
  EXPECT_EQ(s.maintenance_failures, 0u);
}

}  // namespace
}  // namespace vedette::tsdb
