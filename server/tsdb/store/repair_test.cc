// Directories whose list of files is lost, on disks that are well and on disks that are not.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "server/tsdb/store/fault_file_system.h"
#include "server/tsdb/store/store.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

namespace fs = std::filesystem;
using vedette::testing::TempDir;

constexpr Family kWritten[] = {Family::kSeries, Family::kHead, Family::kChunks, Family::kInstants};

std::string KeyOf(int i) { return StrCat("key", 100000 + i); }

Status WriteKeys(Store& store, int begin, int end) {
  StoreBatch batch;
  for (int i = begin; i < end; ++i) {
    for (const Family f : kWritten) batch.Put(store, f, KeyOf(i), std::string(100, 'v'));
  }
  return store.Write(batch);
}

int Missing(const Store& store, int end) {
  int missing = 0;
  for (int i = 0; i < end; ++i) {
    for (const Family f : kWritten) {
      const auto value = store.Get(f, KeyOf(i));
      missing += !value.ok() || !value->has_value();
    }
  }
  return missing;
}

void RemoveManifests(const std::string& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename().string().starts_with("MANIFEST-")) fs::remove(entry.path());
  }
}

std::string Told(const Store& store) {
  std::string out;
  for (const std::string& line : store.damage()) out += line + "\n";
  return out;
}

// Some keys in tables of four families, some in the log.
void MakeDirectory(const std::string& path) {
  Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  ASSERT_TRUE(WriteKeys(**store, 0, 20).ok());
  ASSERT_TRUE((*store)->Flush().ok());
  ASSERT_TRUE(WriteKeys(**store, 20, 40).ok());
  ASSERT_TRUE((*store)->Flush().ok());
  ASSERT_TRUE(WriteKeys(**store, 40, 60).ok());
}

TEST(Repair, OnADiskThatFailsIsTakenUpAgainAndLosesNothing) {
  uint64_t faults_met = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    TempDir dir;
    const std::string path = dir.path() + "/data";
    MakeDirectory(path);
    RemoveManifests(path);
    {
      FaultFileSystem disk(seed);
      disk.FailWrites(4 + seed % 20);
      disk.FailReads(seed % 2 == 0 ? 0 : 10);
      for (int tries = 0; tries < 5; ++tries) {
        // Whether it succeeds is chance; it must not end the process.
        (void)Store::Open({.path = path, .file_system = disk.file_system()});
      }
      faults_met += disk.faults();
    }
    Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    ASSERT_EQ(Missing(**store, 60), 0) << Told(**store);
  }
  EXPECT_GT(faults_met, 12U);
}

TEST(Repair, ThatWasInterruptedIsTakenUpAgain) {
  TempDir dir;
  const std::string path = dir.path() + "/data";
  MakeDirectory(path);
  RemoveManifests(path);
  {
    // Nothing can be written behind the first calls: as if the process had been killed there.
    FaultFileSystem disk(1);
    disk.FailWrites(3);
    EXPECT_FALSE(Store::Open({.path = path, .file_system = disk.file_system()}).ok());
  }
  Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  EXPECT_EQ(Missing(**store, 60), 0) << Told(**store);
  EXPECT_NE(Told(**store).find("was interrupted"), std::string::npos) << Told(**store);
  store->reset();
  store = Store::Open({.path = path});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  EXPECT_EQ(Told(**store), "") << "once is enough";
}

// A disk that takes the list of files but not its sync, and then loses power: what it loses had never
// been promised, and is no damage.
TEST(Repair, IsNotBegunForWhatWasNeverSynced) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    TempDir dir;
    const std::string path = dir.path() + "/data";
    FaultFileSystem disk(seed);
    const StoreOptions options = {.path = path, .sync_interval_ms = 1, .file_system = disk.file_system()};
    {
      Result<std::unique_ptr<Store>> store = Store::Open(options);
      ASSERT_TRUE(store.ok()) << store.status().ToString();
      ASSERT_TRUE(WriteKeys(**store, 0, 20).ok());
      ASSERT_TRUE((*store)->Flush().ok());
      ASSERT_TRUE(WriteKeys(**store, 20, 40).ok());
      disk.FailWrites(9 + 2 * seed);
      (void)(*store)->Flush();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));  // The witness may look.
      disk.Die();
    }
    disk.FailWrites(0);
    disk.ComeBack();
    Result<std::unique_ptr<Store>> store = Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    EXPECT_EQ(Told(**store).find("MANIFEST"), std::string::npos) << Told(**store);
    EXPECT_EQ(Missing(**store, 20), 0) << Told(**store);
  }
}

Status WriteLargeKey(Store& store, int i) {
  std::mt19937_64 random(static_cast<uint64_t>(i));  // Compression finds nothing in it.
  std::string value;
  while (value.size() < 33000) value += std::to_string(random());
  StoreBatch batch;
  batch.Put(store, Family::kChunks, KeyOf(i), value);
  return store.Write(batch);
}

int MissingLargeKeys(const Store& store, int end) {
  int missing = 0;
  for (int i = 0; i < end; ++i) {
    const auto value = store.Get(Family::kChunks, KeyOf(i));
    missing += !value.ok() || !value->has_value();
  }
  return missing;
}

// Tables of one level, side by side: what is in them was written in turns.
TEST(Repair, KeepsTablesThatWereMerged) {
  TempDir dir;
  const std::string path = dir.path() + "/data";
  constexpr int kKeys = 1200;
  {
    Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    for (int round = 0; round < 3; ++round) {
      // 40 MB in all, so that merging makes several tables beside each other.
      for (int i = round; i < kKeys; i += 3) ASSERT_TRUE(WriteLargeKey(**store, i).ok());
      ASSERT_TRUE((*store)->Flush().ok());
    }
    ASSERT_TRUE((*store)->CompactAll().ok());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(WriteLargeKey(**store, kKeys + i).ok());
    ASSERT_TRUE((*store)->Flush().ok());
  }
  RemoveManifests(path);
  Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  EXPECT_EQ(MissingLargeKeys(**store, kKeys + 10), 0) << Told(**store);
}

// One family was written out by itself; the log has it still, for the others' sake, who have no table.
TEST(Repair, KeepsALogThatHoldsWhatIsInTablesToo) {
  TempDir dir;
  const std::string path = dir.path() + "/data";
  constexpr int kKeys = 900;
  {
    Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(WriteLargeKey(**store, i).ok());
      StoreBatch batch;
      batch.Put(**store, Family::kHead, KeyOf(i), "v");
      // The newest version counts, and what was deleted stays so.
      batch.Put(**store, Family::kMeta, "turn", StrCat(i));
      if (i == 0) batch.Put(**store, Family::kInstants, "gone", "v");
      if (i == 10) batch.Delete(**store, Family::kInstants, "gone");
      ASSERT_TRUE((*store)->Write(batch).ok());
    }
    EXPECT_GT((*store)->files().tables[static_cast<size_t>(Family::kChunks)], 0U);
    EXPECT_GT((*store)->files().log, 0U);
  }
  RemoveManifests(path);
  for (int again = 0; again < 2; ++again) {
    Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    EXPECT_EQ(MissingLargeKeys(**store, kKeys), 0) << Told(**store);
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_TRUE((*store)->Get(Family::kHead, KeyOf(i))->has_value()) << i << "\n" << Told(**store);
    }
    EXPECT_EQ(**(*store)->Get(Family::kMeta, "turn"), StrCat(kKeys - 1));
    EXPECT_FALSE((*store)->Get(Family::kInstants, "gone")->has_value());
    EXPECT_EQ(Told(**store).find("the log"), std::string::npos) << Told(**store);
    store->reset();
    RemoveManifests(path);  // The families have other numbers now.
  }
}

// While the storage is open: it is opened anew after an I/O error, and finds its list of files gone.
TEST(Repair, OfAnOpenStorageNumbersItsFamiliesAnew) {
  TempDir dir;
  const std::string path = dir.path() + "/data";
  FaultFileSystem disk(1);
  Result<std::unique_ptr<Store>> opened =
      Store::Open({.path = path, .file_system = disk.file_system()});
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  Store& store = **opened;
  constexpr int kKeys = 600;
  // Only one family has a table, so that the others get numbers behind it.
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(WriteLargeKey(store, i).ok());
  ASSERT_TRUE(WriteKeys(store, kKeys, kKeys + 10).ok());
  StoreBatch before;
  before.Put(store, Family::kMeta, "before", "v");
  disk.FailWrites(1);
  EXPECT_FALSE(WriteKeys(store, kKeys + 10, kKeys + 11).ok());
  disk.FailWrites(0);
  RemoveManifests(path);
  ASSERT_TRUE(store.RecoverIfFailed().ok());
  EXPECT_FALSE(store.TakeNewDamage().empty());
  EXPECT_FALSE(store.Write(before).ok()) << "its families are others now";
  ASSERT_TRUE(WriteKeys(store, kKeys + 10, kKeys + 20).ok());
  for (int again = 0; again < 2; ++again) {
    Store& now = **opened;
    EXPECT_EQ(MissingLargeKeys(now, kKeys), 0);
    for (int i = kKeys; i < kKeys + 20; ++i) {
      for (const Family f : kWritten) {
        const auto value = now.Get(f, KeyOf(i));
        ASSERT_TRUE(value.ok() && value->has_value()) << i << " of family " << static_cast<int>(f);
        EXPECT_EQ(**value, std::string(100, 'v'));
      }
    }
    opened->reset();
    opened = Store::Open({.path = path});
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  }
}

}  // namespace
}  // namespace vedette::tsdb
