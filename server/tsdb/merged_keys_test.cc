#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/storage/appender.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kStart = 1'700'000'000'000 / (60 * kMinute) * (60 * kMinute);

std::set<std::string> ChunkKeys(const std::string& path) {
  std::set<std::string> out;
  const Result<std::unique_ptr<Store>> store = Store::Open({.path = path, .read_only = true});
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  if (!store.ok()) return out;
  StoreIterator it = (*store)->Iterate(Family::kChunks);
  for (it.SeekToFirst(); it.valid(); it.Next()) out.emplace(it.key());
  return out;
}

// A timeline whose sealing failed, and was in the log all the same, seals its rows once more after a
// start. Had a merged chunk the name of one of its parts it would be replaced by that part: fault seed
// 40078 lost two rows that way.
TEST(MergedKeys, AreNotThoseOfTheirParts) {
  const testing::TempDir dir;
  testing::FakeClock clock{kStart};
  TsdbOptions options;
  options.path = dir.path() + "/data";
  options.maintenance_interval_ms = 0;
  options.window_ms = 60 * kMinute;
  const auto open = [&] {
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, clock);
    EXPECT_TRUE(db.ok()) << db.status().ToString();
    return db.ok() ? *std::move(db) : nullptr;
  };
  // A timeline that is sealed twice in a window: two chunks of each of its series, under its number.
  {
    const std::unique_ptr<Tsdb> db = open();
    ASSERT_NE(db, nullptr);
    auto writer = db->appender().OpenTimeline("node");
    for (const char* name : {"a", "b"}) {
      ASSERT_TRUE(writer->AddSeries(Labels::Of({{"__name__", name}})).ok());
    }
    for (int row = 0; row < 8; ++row) {
      clock.Set(kStart + row * kMinute);
      const std::vector<double> values(2, row);
      ASSERT_TRUE(writer->Commit({.t_ms = clock.NowMs(), .values = values}).ok());
      if (row == 3) {
        ASSERT_TRUE(db->Compact().ok());
      }
    }
    writer.reset();
    ASSERT_TRUE(db->Maintain().ok());
  }
  const std::set<std::string> parts = ChunkKeys(options.path);
  ASSERT_EQ(parts.size(), 4u);
  {
    const std::unique_ptr<Tsdb> db = open();
    ASSERT_NE(db, nullptr);
    ASSERT_TRUE(db->Compact().ok());
  }
  const std::set<std::string> merged = ChunkKeys(options.path);
  EXPECT_EQ(merged.size(), 2u);
  for (const std::string& key : merged) EXPECT_FALSE(parts.contains(key));
}

}  // namespace
}  // namespace vedette::tsdb
