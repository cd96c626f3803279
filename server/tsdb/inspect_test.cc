// A look at a storage from outside: what it costs, whether it is whole, and that looking changes
// nothing.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/cost.h"
#include "server/tsdb/life.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

namespace fs = std::filesystem;
using storage::CostReport;
using storage::CostRow;

constexpr uint64_t kFooterBytes = 53;  // Of a table.

uint64_t BytesOnDisk(const std::string& directory) {
  uint64_t sum = 0;
  for (const auto& e : fs::directory_iterator(directory)) {
    struct stat s = {};
    if (e.is_regular_file() && ::stat(e.path().c_str(), &s) == 0) {
      sum += std::min<uint64_t>(static_cast<uint64_t>(s.st_size),
                                static_cast<uint64_t>(s.st_blocks) * 512);
    }
  }
  return sum;
}

std::map<std::string, std::string> Contents(const std::string& directory) {
  std::map<std::string, std::string> out;
  for (const auto& e : fs::directory_iterator(directory)) {
    if (!e.is_regular_file()) continue;
    std::ifstream in(e.path(), std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    out[e.path().filename()] = bytes.str();
  }
  return out;
}

const CostRow* Row(const CostReport& report, const std::string& name) {
  const auto it = std::ranges::find(report.rows, name, &CostRow::name);
  return it == report.rows.end() ? nullptr : &*it;
}

class InspectTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(false); }
  void Open(bool read_only) {
    db_.reset();
    TsdbOptions o = Life::Options(path());
    o.retention_ms = 0;
    o.read_only = read_only;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
  }
  std::string path() const { return dir_.path() + "/data"; }

  // `wide` has four times the series of `narrow`, `noisy` values that do not compress.
  void Fill(int rows) {
    std::mt19937_64 random(7);
    const auto names = [](const char* job) {
      std::vector<Labels> out;
      for (int i = 0; i < 40; ++i) {
        const char* metric = i < 8 ? "narrow" : i < 39 ? "wide" : "noisy";
        out.push_back(Labels::Of({{"__name__", metric},
                                  {"instance", std::string(job) + ":1"},
                                  {"job", job},
                                  {"n", std::to_string(i)}}));
      }
      return out;
    };
    for (const char* job : {"a", "b"}) {
      auto writer = db_->appender().OpenTimeline(job);
      const std::vector<Labels> labels = names(job);
      for (const Labels& l : labels) ASSERT_TRUE(writer->AddSeries(l).ok());
      std::vector<double> values(labels.size());
      for (int r = 0; r < rows; ++r) {
        for (size_t i = 0; i < values.size(); ++i) values[i] = r % 7;
        values.back() = static_cast<double>(random()) / 3;
        const int64_t t_ms = Life::kStart + r * 15'000;
        clock_.Set(t_ms);
        ASSERT_TRUE(writer->Commit({.t_ms = t_ms, .values = values}).ok());
      }
    }
  }

  CostReport Cost(const std::string& label,
                  std::vector<storage::ReceivedBytes> received = {}) const {
    Result<CostReport> report = db_->Cost({.label = label, .received = std::move(received)});
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *std::move(report) : CostReport();
  }

  testing::TempDir dir_;
  testing::FakeClock clock_{Life::kStart};
  std::unique_ptr<Tsdb> db_;
};

void ExpectSums(const CostReport& report) {
  CostRow sum = report.shared;
  for (const CostRow& row : report.rows) {
    sum.disk_bytes += row.disk_bytes;
    sum.memory_bytes += row.memory_bytes;
    sum.wire_bytes += row.wire_bytes;
  }
  EXPECT_EQ(sum.disk_bytes, report.total.disk_bytes);
  EXPECT_EQ(sum.memory_bytes, report.total.memory_bytes);
  EXPECT_EQ(sum.wire_bytes, report.total.wire_bytes);
  const CostReport::Disk& d = report.disk;
  EXPECT_EQ(d.chunks + d.histograms + d.instants + d.log + d.index + d.other,
            report.total.disk_bytes);
  EXPECT_EQ(report.memory.head + report.memory.index + report.memory.store,
            report.total.memory_bytes);
}

TEST_F(InspectTest, CostsAddUpToWhatIsOnTheDisk) {
  Fill(300);
  for (const bool sealed : {false, true}) {
    SCOPED_TRACE(sealed ? "sealed" : "in memory and log");
    if (sealed) {
      ASSERT_TRUE(db_->Compact().ok());
    }
    for (const char* label : {"__name__", "job", "instance", "n", "nobody", ""}) {
      SCOPED_TRACE(label);
      // The log is written in the background too: counted before and after, until it stood still.
      uint64_t before = 0;
      CostReport report;
      do {
        before = BytesOnDisk(path());
        report = Cost(label);
      } while (BytesOnDisk(path()) != before);
      ExpectSums(report);
      EXPECT_EQ(report.total.disk_bytes, before);
    }
  }
  const CostReport by_metric = Cost("__name__");
  ASSERT_EQ(by_metric.rows.size(), 3u);
  const CostRow* noisy = Row(by_metric, "noisy");
  const CostRow* narrow = Row(by_metric, "narrow");
  ASSERT_TRUE(noisy != nullptr && narrow != nullptr);
  EXPECT_EQ(noisy->series, 2u);
  EXPECT_EQ(narrow->series, 16u);
  // What compresses costs a tenth of what does not, series by series.
  EXPECT_GT(noisy->disk_bytes / 2, 10 * narrow->disk_bytes / 16);
  // Random bits: eight bytes a sample and a little for keys, instants and blocks.
  EXPECT_GE(noisy->disk_bytes, 2u * 300 * 6);
  EXPECT_LE(noisy->disk_bytes, 2u * 300 * 10 + 4096);
  const CostReport by_job = Cost("job");
  ASSERT_EQ(by_job.rows.size(), 2u);
  EXPECT_NEAR(static_cast<double>(by_job.rows[0].disk_bytes),
              static_cast<double>(by_job.rows[1].disk_bytes),
              0.05 * static_cast<double>(by_job.rows[0].disk_bytes));
}

TEST_F(InspectTest, ALabelOwnsItsTextAndNotTheSamples) {
  Fill(64);
  ASSERT_TRUE(db_->Compact().ok());
  const CostReport report = Cost("");
  const CostRow* n = Row(report, "n");
  const CostRow* job = Row(report, "job");
  const CostRow* samples = Row(report, "(samples)");
  ASSERT_TRUE(n != nullptr && job != nullptr && samples != nullptr);
  EXPECT_EQ(n->values, 40u);
  EXPECT_EQ(job->values, 2u);
  EXPECT_GT(n->memory_bytes, job->memory_bytes);
  EXPECT_GT(samples->disk_bytes, n->disk_bytes);
  // All series carry both.
  EXPECT_EQ(n->carried_disk_bytes, job->carried_disk_bytes);
}

TEST_F(InspectTest, WhatATargetSentIsItsSeries) {
  Fill(4);
  const auto labels = Labels::Of({{"instance", "a:1"}, {"job", "a"}});
  using From = storage::ReceivedBytes::From;
  const std::vector<storage::ReceivedBytes> received = {{From::kTarget, labels, 10'000},
                                                        {From::kTarget, Labels::Of({{"job", "gone"}}), 7},
                                                        {From::kWriter, Labels(), 3}};
  const CostReport by_job = Cost("job", received);
  ExpectSums(by_job);
  EXPECT_EQ(by_job.total.wire_bytes, 10'010u);
  EXPECT_EQ(Row(by_job, "a")->wire_bytes, 10'000u);
  EXPECT_EQ(Row(by_job, "b")->wire_bytes, 0u);
  EXPECT_EQ(by_job.shared.wire_bytes, 10u);  // No series is there to carry it.
  const CostReport by_metric = Cost("__name__", received);
  EXPECT_GT(Row(by_metric, "wide")->wire_bytes, Row(by_metric, "narrow")->wire_bytes);
}

TEST_F(InspectTest, LookingChangesNothingAndSeesTheSame) {
  Fill(300);
  const CostReport before = Cost("__name__");
  db_.reset();
  const std::map<std::string, std::string> files = Contents(path());
  Open(true);
  const CostReport after = Cost("__name__");
  EXPECT_EQ(after.rows.size(), before.rows.size());
  Result<VerifyReport> verified = db_->Verify();
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->whole()) << verified->sentences[0];
  const Sample sample{clock_.NowMs() + 1, 1};
  const storage::SeriesBatch one{.labels = Labels::Of({{"__name__", "x"}}),
                                 .samples = std::span(&sample, 1)};
  EXPECT_EQ(db_->appender().Write(std::span(&one, 1)).status().code(), StatusCode::kUnavailable);
  db_.reset();
  EXPECT_EQ(Contents(path()), files);
}

TEST_F(InspectTest, WhereThereIsNoStorageNoneIsMade) {
  TsdbOptions o = Life::Options(dir_.path() + "/nowhere");
  o.read_only = true;
  EXPECT_EQ(Tsdb::Open(o, clock_).status().code(), StatusCode::kNotFound);
  fs::create_directory(o.path);
  EXPECT_EQ(Tsdb::Open(o, clock_).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(fs::is_empty(o.path));
}

// A bit anywhere in a table is found by reading it, and what is found is said.
TEST_F(InspectTest, EveryTurnedBitOfATableIsFound) {
  Fill(300);
  ASSERT_TRUE(db_->Compact().ok());
  Result<VerifyReport> whole = db_->Verify();
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(whole->whole());
  EXPECT_EQ(whole->samples, 2u * 40 * 300);
  EXPECT_GT(whole->chunks, 0u);
  db_.reset();
  std::vector<fs::path> tables;
  for (const auto& e : fs::directory_iterator(path())) {
    if (e.path().extension() == ".sst") tables.push_back(e.path());
  }
  ASSERT_FALSE(tables.empty());
  std::ranges::sort(tables);
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 30; ++trial) {
    const fs::path file = tables[random() % tables.size()];
    const uint64_t at = random() % fs::file_size(file);
    const char bit = static_cast<char>(1 << random() % 8);
    SCOPED_TRACE(file.string() + " byte " + std::to_string(at));
    const auto turn = [&] {
      std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
      f.seekg(static_cast<std::streamoff>(at));
      const char before = static_cast<char>(f.get());
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(before ^ bit));
    };
    turn();
    TsdbOptions o = Life::Options(path());
    o.read_only = true;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    if (db.ok()) {
      Result<VerifyReport> report = (*db)->Verify();
      ASSERT_TRUE(report.ok()) << report.status().ToString();
      // RocksDB pads the footer with bytes that nobody reads and no checksum covers.
      if (at + kFooterBytes < fs::file_size(file)) {
        EXPECT_FALSE(report->whole());
      } else if (report->whole()) {
        EXPECT_EQ(report->samples, whole->samples);
      }
    } else {
      EXPECT_EQ(db.status().code(), StatusCode::kDataLoss) << db.status().ToString();
    }
    turn();
  }
}

}  // namespace
}  // namespace vedette::tsdb
