#include "server/tsdb/store/store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/shape.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using vedette::testing::TempDir;

std::unique_ptr<Store> MustOpen(const std::string& path) {
  Result<std::unique_ptr<Store>> store = Store::Open({.path = path});
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  return store.ok() ? *std::move(store) : nullptr;
}

TEST(Store, WritesAreThereAfterAReopen) {
  TempDir dir;
  {
    auto store = MustOpen(dir.path() + "/data");
    StoreBatch batch;
    batch.Put(*store, Family::kMeta, "a", "1");
    batch.Put(*store, Family::kChunks, "a", "2");
    ASSERT_TRUE(store->Write(batch).ok());
  }
  auto store = MustOpen(dir.path() + "/data");
  EXPECT_EQ(**store->Get(Family::kMeta, "a"), "1");
  EXPECT_EQ(**store->Get(Family::kChunks, "a"), "2");
  EXPECT_FALSE(store->Get(Family::kMeta, "b")->has_value());
}

TEST(Store, TheShapeCountsTheTablesOfEachFamily) {
  TempDir dir;
  auto store = MustOpen(dir.path() + "/data");
  EXPECT_TRUE(store->shape().levels.empty());
  StoreBatch batch;
  batch.Put(*store, Family::kSeries, "a", std::string(4096, 'x'));
  batch.Put(*store, Family::kChunks, "a", "2");
  ASSERT_TRUE(store->Write(batch).ok());
  EXPECT_GT(store->shape().memtable_bytes, 0U);
  ASSERT_TRUE(store->Flush().ok());
  const StoreShape shape = store->shape();
  std::set<std::string> families;
  for (const StoreShape::Level& level : shape.levels) {
    families.insert(level.family);
    EXPECT_EQ(level.files, 1U) << level.family;
    EXPECT_GT(level.bytes, 0U) << level.family;
  }
  EXPECT_TRUE(families.contains("series"));
  EXPECT_TRUE(families.contains("chunks"));
  EXPECT_FALSE(families.contains("histograms"));
  EXPECT_FALSE(shape.writes_stopped);
}

TEST(Store, WhatFillsSlowlyIsWrittenOutAllTheSame) {
  TempDir dir;
  Result<std::unique_ptr<Store>> store =
      Store::Open({.path = dir.path() + "/data", .sync_interval_ms = 10, .max_filling_ms = 40});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  StoreBatch batch;
  batch.Put(**store, Family::kHead, "large", std::string(2 << 20, 'x'));
  batch.Put(**store, Family::kMeta, "small", "1");  // Not worth a table.
  ASSERT_TRUE((*store)->Write(batch).ok());
  StoreShape shape;
  for (int i = 0; i < 600 && shape.levels.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    shape = (*store)->shape();
  }
  ASSERT_EQ(shape.levels.size(), 1U);
  EXPECT_EQ(shape.levels[0].family, "head");
  EXPECT_LT((*store)->memory().memtables, 2U << 20);
  EXPECT_EQ(**(*store)->Get(Family::kMeta, "small"), "1");
  EXPECT_EQ((**(*store)->Get(Family::kHead, "large")).size(), 2U << 20);
}

// RocksDB begins to merge them as soon as it is open: the tables that go then are not missing.
TEST(Store, TablesThatAreMergedWhileItOpensAreNoDamage) {
  const TempDir dir;
  const auto write = [](Store& store, int from) {
    for (int i = from; i < from + 3; ++i) {
      StoreBatch batch;
      for (const char* key : {"a", "b"}) {
        batch.Put(store, Family::kChunks, StrCat(key, i), std::string(1 << 20, 'x'));
      }
      ASSERT_TRUE(store.Write(batch).ok());
    }
  };
  {
    auto store = MustOpen(dir.path());
    for (int table = 0; table < 3; ++table) {
      write(*store, table);
      ASSERT_TRUE(store->Flush().ok());
    }
    write(*store, 3);
  }
  // Less memory: what is in the log becomes tables when it is opened, enough of them to be merged.
  fail_point_hook() = [](std::string_view name) {
    if (name == "open.listed") std::this_thread::sleep_for(std::chrono::milliseconds(700));
  };
  const Result<std::unique_ptr<Store>> store =
      Store::Open({.path = dir.path(), .max_write_buffer_bytes = 1 << 20});
  fail_point_hook() = nullptr;
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  EXPECT_TRUE((*store)->damage().empty()) << (*store)->damage()[0];
}

TEST(Store, ASecondOpenIsRefused) {
  TempDir dir;
  auto first = MustOpen(dir.path());
  Result<std::unique_ptr<Store>> second = Store::Open({.path = dir.path()});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
}

TEST(Store, ASnapshotDoesNotSeeLaterWrites) {
  TempDir dir;
  auto store = MustOpen(dir.path());
  auto snapshot = store->TakeSnapshot();
  StoreBatch batch;
  batch.Put(*store, Family::kSeries, "k", "v");
  ASSERT_TRUE(store->Write(batch, /*sync=*/true).ok());
  EXPECT_FALSE(store->Get(Family::kSeries, "k", snapshot.get())->has_value());
  StoreIterator it = store->Iterate(Family::kSeries);
  it.SeekToFirst();
  ASSERT_TRUE(it.valid());
  EXPECT_EQ(it.value(), "v");
}

TEST(Store, ACheckpointOpensAsAStore) {
  TempDir dir;
  auto store = MustOpen(dir.path() + "/data");
  StoreBatch batch;
  batch.Put(*store, Family::kHead, "k", "v");
  ASSERT_TRUE(store->Write(batch).ok());
  ASSERT_TRUE(store->Checkpoint(dir.path() + "/copy").ok());
  auto copy = MustOpen(dir.path() + "/copy");
  EXPECT_EQ(**copy->Get(Family::kHead, "k"), "v");
}

TEST(Store, DropRangeTakesJustTheRange) {
  TempDir dir;
  auto store = MustOpen(dir.path());
  StoreBatch batch;
  for (char c = 'a'; c < 'f'; ++c) batch.Put(*store, Family::kChunks, std::string(1, c), "v");
  ASSERT_TRUE(store->Write(batch).ok());
  ASSERT_TRUE(store->CompactAll().ok());
  ASSERT_TRUE(store->DropRange(Family::kChunks, "b", "d").ok());
  std::string left;
  StoreIterator it = store->Iterate(Family::kChunks);
  for (it.SeekToFirst(); it.valid(); it.Next()) left += it.key();
  EXPECT_EQ(left, "ade");
}

}  // namespace
}  // namespace vedette::tsdb
