#include "server/start_times/start_times.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "tests/support/memory_appender.h"
#include "tests/support/memory_storage.h"

namespace vedette {
namespace {

// A storage of both sides: what is written is what is read.
class Written final : public storage::Appender {
 public:
  explicit Written(MemoryStorage& storage) : storage_(storage) {}
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override {
    return unused_.OpenTimeline(owner);
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override {
    storage::CommitStats stats;
    for (const storage::SeriesBatch& b : batch) {
      for (const Sample& s : b.samples) storage_.Add(b.labels, s.t_ms, s.value);
      for (const auto& h : b.histograms) storage_.Add(b.labels, h.t_ms, h.histogram);
      stats.appended += b.samples.size() + b.histograms.size();
    }
    return stats;
  }
  void SetMetadata(const std::string& name, const Metadata& metadata) override {}

 private:
  MemoryStorage& storage_;
  testing::MemoryAppender unused_;
};

// The same for whom a series is known by a number from its first sample on, until it forgets all.
class Numbering final : public storage::Appender {
 public:
  explicit Numbering(Written& inner) : inner_(inner) {}
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override {
    return inner_.OpenTimeline(owner);
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override {
    return inner_.Write(batch);
  }
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch> batch,
                                          std::span<storage::SeriesRef> refs) override {
    std::vector<storage::SeriesBatch> named(batch.begin(), batch.end());
    for (size_t i = 0; i < batch.size(); ++i) {
      if (refs[i] == 0) {
        known_.push_back(batch[i].labels);
        refs[i] = known_.size();
      } else if (refs[i] > known_.size()) {
        return NotFound("forgotten");
      } else {
        named[i].labels = known_[refs[i] - 1];
        ++by_number;
      }
    }
    return inner_.Write(named);
  }
  void SetMetadata(const std::string& name, const Metadata& metadata) override {}
  void Forget() { known_.clear(); }

  int by_number = 0;

 private:
  Written& inner_;
  std::vector<Labels> known_;
};

TEST(StartTimesOfKnownSeries, ComeByNumberToo) {
  MemoryStorage storage;
  Written written(storage);
  Numbering numbering(written);
  StartTimes starts(numbering, storage);
  const Labels labels = Labels::Of({{"__name__", "c_total"}});
  std::vector<storage::SeriesRef> refs = {0};
  const auto write = [&](const Labels& named, int64_t t_ms, int64_t start_ms) {
    const std::vector<Sample> samples = {{t_ms, 1}};
    const std::vector<int64_t> told = {start_ms};
    const storage::SeriesBatch series{
        .labels = named, .samples = samples, .sample_starts = told};
    return starts.WriteKnown({&series, 1}, refs).status();
  };
  ASSERT_TRUE(write(labels, 1000, 0).ok());
  ASSERT_NE(refs[0], 0u);
  EXPECT_EQ(write({}, 2000, 500).code(), StatusCode::kNotFound) << "nobody knows its companion";
  ASSERT_TRUE(write(labels, 2000, 500).ok());
  numbering.by_number = 0;
  ASSERT_TRUE(write({}, 3000, 500).ok());
  EXPECT_EQ(numbering.by_number, 2) << "the series and its companion";
  ASSERT_TRUE(write({}, 4000, 0).ok()) << "a sample without a start is a sample";

  numbering.Forget();
  EXPECT_EQ(write({}, 5000, 4500).code(), StatusCode::kNotFound);
  refs = {0};
  ASSERT_TRUE(write(labels, 5000, 4500).ok());

  const std::vector<Matcher> all = {Matcher::Equal("__name__", "c_total")};
  const auto querier = starts.Open(0, 10'000);
  ASSERT_TRUE(querier.ok());
  const auto set =
      (*querier)->Select({.start_ms = 0, .end_ms = 10'000, .start_times = true}, all);
  ASSERT_TRUE(set->Next());
  EXPECT_EQ(std::vector<int64_t>(set->at().start_ms.begin(), set->at().start_ms.end()),
            (std::vector<int64_t>{0, 500, 500, 0, 4500}));
}

class StartTimesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<Sample> samples = {{1000, 5}, {2000, 6}, {3000, 1}};
    const std::vector<int64_t> starts = {500, 0, 2500};
    const std::vector<Sample> plain = {{1000, 1}};
    const std::vector<storage::SeriesBatch> batch = {
        {.labels = kWith, .samples = samples, .sample_starts = starts},
        {.labels = kWithout, .samples = plain}};
    const auto stats = starts_.Write(batch);
    ASSERT_TRUE(stats.ok());
    EXPECT_EQ(stats->appended, 4u) << "companions are nobody's samples";
    auto querier = starts_.Open(0, 10'000);
    ASSERT_TRUE(querier.ok());
    querier_ = *std::move(querier);
  }

  const Labels kWith = Labels::Of({{"__name__", "c_total"}, {"job", "a"}});
  const Labels kWithout = Labels::Of({{"__name__", "c_total"}, {"job", "b"}});
  const std::vector<Matcher> kAll = {Matcher::Equal("__name__", "c_total")};
  MemoryStorage storage_;
  Written written_{storage_};
  StartTimes starts_{written_, storage_};
  std::unique_ptr<storage::Querier> querier_;
};

TEST_F(StartTimesTest, StartsStandBesideTheirSamples) {
  const auto set = querier_->Select({.start_ms = 0, .end_ms = 10'000, .start_times = true}, kAll);
  ASSERT_TRUE(set->Next());
  EXPECT_EQ(set->at().labels, kWith);
  EXPECT_EQ(std::vector<int64_t>(set->at().start_ms.begin(), set->at().start_ms.end()),
            (std::vector<int64_t>{500, 0, 2500}));
  ASSERT_TRUE(set->Next());
  EXPECT_EQ(set->at().labels, kWithout);
  EXPECT_TRUE(set->at().start_ms.empty());
  EXPECT_FALSE(set->Next());
  EXPECT_TRUE(set->status().ok());
}

TEST(StartTimesOfTimelines, AreAColumnBesideTheirSeriesAndEndWithIt) {
  testing::MemoryAppender written;
  const MemoryStorage unread;
  StartTimes starts(written, unread);
  const auto writer = starts.OpenTimeline("node");
  const Labels labels = Labels::Of({{"__name__", "c_total"}});
  ASSERT_EQ(*writer->AddSeries(Labels::Of({{"__name__", "up"}})), 0u);
  ASSERT_EQ(*writer->AddSeries(labels), 1u);
  const std::vector<double> values = {1, 5};
  const std::vector<storage::StartAt> told = {{1, 500}};
  const auto stats = writer->Commit({.t_ms = 1000, .values = values, .starts = told});
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->appended, 2u) << "companions are nobody's samples";
  ASSERT_TRUE(writer->Commit({.t_ms = 2000, .values = values}).ok());
  const std::vector<double> end = {1, kStaleNan};
  ASSERT_TRUE(writer->Commit({.t_ms = 3000, .values = end}).ok());
  EXPECT_EQ(written.ToString("{__name__=\"c_total\", __start_timestamp__=\"1\"}"),
            "500@1000 stale@3000");
  EXPECT_EQ(written.series().size(), 3u) << "one without a start has no companion";
}

TEST(StartTimesOfTimelines, StandBesideRowsThatAreStoredTogether) {
  testing::MemoryAppender written;
  MemoryStorage unread;
  StartTimes starts(written, unread);
  const auto a = starts.OpenTimeline("a"), b = starts.OpenTimeline("b");
  ASSERT_TRUE(a->AddSeries(Labels::Of({{"__name__", "c_total"}, {"job", "a"}})).ok());
  ASSERT_TRUE(b->AddSeries(Labels::Of({{"__name__", "c_total"}, {"job", "b"}})).ok());
  const std::vector<double> values = {5};
  const std::vector<storage::StartAt> told = {{0, 500}};
  const std::vector<storage::WriterRow> rows = {
      {a.get(), {.t_ms = 1000, .values = values}},
      {b.get(), {.t_ms = 1000, .values = values, .starts = told}}};
  const auto stats = starts.CommitTogether(rows, {});
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->appended, 2u) << "companions are nobody's samples";
  EXPECT_EQ(written.ToString("{__name__=\"c_total\", __start_timestamp__=\"1\", job=\"b\"}"),
            "500@1000");
  EXPECT_EQ(written.series().size(), 3u);
}

TEST_F(StartTimesTest, ARangeThatBeginsLaterStillFindsTheRightOnes) {
  const auto set = querier_->Select({.start_ms = 2500, .end_ms = 10'000, .start_times = true}, kAll);
  ASSERT_TRUE(set->Next());
  ASSERT_EQ(set->at().t_ms.size(), 1u);
  EXPECT_EQ(set->at().start_ms[0], 2500);
}

TEST_F(StartTimesTest, CompanionsAreNeverSeen) {
  const auto set = querier_->Select({.start_ms = 0, .end_ms = 10'000}, kAll);
  size_t seen = 0;
  while (set->Next()) ++seen;
  EXPECT_EQ(seen, 2u);
  EXPECT_EQ(querier_->SeriesLabels(kAll, nullptr)->size(), 2u);
  const std::vector<std::string> names = {"__name__", "job"};
  EXPECT_EQ(*querier_->LabelNames({}, nullptr), names);
  EXPECT_EQ(*querier_->LabelNames(kAll, nullptr), names);
  storage::NameLimit limit{.limit = 1};
  EXPECT_EQ(querier_->LabelNames({}, &limit)->size(), 1u);
  EXPECT_TRUE(limit.truncated);
  const std::string label(StartTimes::kStartTimeLabel);
  EXPECT_TRUE(querier_->LabelValues(label, {}, nullptr)->empty());
}

}  // namespace
}  // namespace vedette
