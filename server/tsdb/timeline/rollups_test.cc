#include "server/tsdb/timeline/rollups.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "server/tsdb/store/fault_file_system.h"
#include "server/tsdb/store/store.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kHour = 3600 * 1000;

class RollupsTest : public ::testing::Test {
 protected:
  RollupsTest() {
    StoreOptions options;
    options.path = dir_.path() + "/data";
    options.rollups = true;
    options.file_system = disk_.file_system();
    Result<std::unique_ptr<Store>> store = Store::Open(options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
  }

  testing::TempDir dir_;
  FaultFileSystem disk_{1};
  std::unique_ptr<Store> store_;
};

// What has failed may be in the log all the same: whoever changes samples takes roll-ups away until
// it is certain that no start will believe them.
TEST_F(RollupsTest, AMarkOrItsEndThatFailedIsReckonedWith) {
  Rollups rollups(*store_, {kHour});
  EXPECT_FALSE(rollups.Begin(7).rolled());
  ASSERT_TRUE(rollups.StartMaking(7).ok());
  disk_.FailWrites(1);
  EXPECT_FALSE(rollups.FinishMaking(7).ok());
  rollups.StopMaking(7);
  EXPECT_FALSE(rollups.Has(kHour, 7));
  EXPECT_TRUE(rollups.Begin(7).rolled());
  EXPECT_FALSE(rollups.Begin(8).rolled());
  EXPECT_FALSE(rollups.Drop(7).ok());
  EXPECT_TRUE(rollups.Begin(7).rolled());
}

TEST_F(RollupsTest, AMarkIsThereUntilItsWindowGoes) {
  Rollups rollups(*store_, {kHour});
  ASSERT_TRUE(rollups.StartMaking(7).ok());
  ASSERT_TRUE(rollups.FinishMaking(7).ok());
  EXPECT_TRUE(rollups.Has(kHour, 7));
  Rollups later(*store_, {kHour});
  ASSERT_TRUE(later.Load().ok());
  EXPECT_TRUE(later.Has(kHour, 7));
  EXPECT_TRUE(later.Begin(7).rolled());
  ASSERT_TRUE(later.Drop(7).ok());
  EXPECT_FALSE(later.Has(kHour, 7));
  EXPECT_FALSE(later.Begin(7).rolled());
}

}  // namespace
}  // namespace vedette::tsdb
