// A deletion that empties a series, and commits that bring it, or its neighbours, samples meanwhile.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kHour = 3600 * 1000;
constexpr int64_t kStart = 472'222 * kHour;
constexpr int64_t kLater = kStart + 2 * kHour;  // In another window.

// What is done once at a fail point, by whichever thread gets there.
Mutex mu;
std::string_view where VEDETTE_GUARDED_BY(mu);
std::function<void()> act VEDETTE_GUARDED_BY(mu);

void At(std::string_view name, std::function<void()> f) {
  MutexLock lock(mu);
  where = name;
  act = std::move(f);
}

void Hook(std::string_view name) {
  std::function<void()> f;
  {
    MutexLock lock(mu);
    if (name == where) f = std::exchange(act, nullptr);
  }
  if (f) f();
}

class DeleteRace : public ::testing::Test {
 protected:
  DeleteRace() {
    Open();
    for (const char* series : {"deleted", "other"}) {
      if (series == std::string("deleted")) Write(series, kStart + 1000);
      Write(series, kLater);
    }
    EXPECT_TRUE(db_->Compact().ok());
    fail_point_hook() = Hook;
  }
  ~DeleteRace() override { fail_point_hook() = nullptr; }

  void Open() {
    db_.reset();
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.window_ms = kHour;
    o.retention_ms = 0;
    o.out_of_order_window_ms = 4 * kHour;
    o.maintenance_interval_ms = 0;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
  }

  static Labels Named(const std::string& series) { return Labels::Of({{"__name__", series}}); }

  void Write(const std::string& series, int64_t t_ms) {
    const Sample sample{t_ms, 1};
    const storage::SeriesBatch batch{.labels = Named(series), .samples = std::span(&sample, 1)};
    const auto stats = db_->appender().Write(std::span(&batch, 1));
    ASSERT_TRUE(stats.ok()) << stats.status().ToString();
    ASSERT_EQ(stats->appended, 1u);
  }

  // All that `deleted` has in the first window.
  void Delete() {
    const std::vector<std::vector<Matcher>> selectors = {{Matcher::Equal("__name__", "deleted")}};
    const auto change = db_->Delete(selectors, kStart + 1000, kStart + 2000);
    ASSERT_TRUE(change.ok()) << change.status().ToString();
    EXPECT_EQ(change->samples, 1u);
  }

  std::vector<int64_t> Instants(const std::string& series) {
    auto querier = *db_->queryable().Open(kStart, kLater);
    const std::vector<Matcher> matchers = {Matcher::Equal("__name__", series)};
    auto set = querier->Select({.start_ms = kStart, .end_ms = kLater}, matchers);
    std::vector<int64_t> out;
    while (set->Next()) out.assign(set->at().t_ms.begin(), set->at().t_ms.end());
    EXPECT_TRUE(set->status().ok());
    return out;
  }

  const testing::FakeClock clock_{kLater};
  testing::TempDir dir_;
  std::unique_ptr<Tsdb> db_;
};

TEST_F(DeleteRace, ALateSampleOfASeriesThatIsBeingEmptiedIsThere) {
  At("delete.read", [&] { Write("deleted", kStart + 500); });
  Delete();
  const std::vector<int64_t> want = {kStart + 500, kLater};
  EXPECT_EQ(Instants("deleted"), want);
  Open();
  EXPECT_EQ(Instants("deleted"), want);
}

// Written before the deletion looks for what the disk knows of the window, and shown after it.
TEST_F(DeleteRace, ALateSampleOfAnotherSeriesIsThereAfterAStart) {
  Mutex turns;
  CondVar changed;
  bool written = false;
  bool deleted = false;
  std::thread writer;
  At("delete.read", [&] {
    At("commit.written", [&] {
      MutexLock lock(turns);
      written = true;
      changed.NotifyAll();
      while (!deleted) changed.Wait(turns);
    });
    writer = std::thread([&] { Write("other", kStart + 700); });
    MutexLock lock(turns);
    while (!written) changed.Wait(turns);
  });
  Delete();
  {
    MutexLock lock(turns);
    deleted = true;
    changed.NotifyAll();
  }
  writer.join();
  const std::vector<int64_t> want = {kStart + 700, kLater};
  EXPECT_EQ(Instants("other"), want);
  EXPECT_EQ(Instants("deleted"), std::vector<int64_t>({kLater}));
  Open();
  EXPECT_EQ(Instants("other"), want);
  EXPECT_EQ(Instants("deleted"), std::vector<int64_t>({kLater}));
}

}  // namespace
}  // namespace vedette::tsdb
