// The storage on a disk that fails: I/O errors at any call, a full disk, power cuts. A short set of
// seeds by default; tools/faults runs as many as you like.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/tsdb/life.h"
#include "server/tsdb/store/fault_file_system.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/rounds.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using testing::TempDir;

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Calls `trial` with each seed, until one fails.
void ForSeeds(uint64_t otherwise, void (*trial)(uint64_t seed)) {
  const uint64_t first = NumberFromEnvironment("VEDETTE_FAULT_FIRST", 1);
  const uint64_t count = NumberFromEnvironment("VEDETTE_FAULT_SEEDS", testing::Rounds(otherwise));
  for (uint64_t seed = first; seed < first + count && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("VEDETTE_FAULT_SEEDS=1 VEDETTE_FAULT_FIRST=" + std::to_string(seed));
    trial(seed);
  }
}

std::unique_ptr<Tsdb> MustOpen(const TsdbOptions& options, const Clock& clock) {
  Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, clock);
  EXPECT_TRUE(db.ok()) << db.status().ToString();
  return db.ok() ? *std::move(db) : nullptr;
}

struct Errors {
  uint64_t given = 0;
  uint64_t refused = 0;  // Calls that failed for them.
} errors;

// The verdict; where something is wrong, with what a start of a copy finds, which tells whether the
// disk has it. The storage is closed then.
std::string Judged(const std::string& verdict, uint64_t seed, const TempDir& dir, Life& life,
                   std::unique_ptr<Tsdb>& db) {
  if (verdict.empty()) return "";
  constexpr auto kAll = std::filesystem::copy_options::recursive;
  if (const char* kept = std::getenv("VEDETTE_FAULT_KEEP")) {
    std::filesystem::copy(dir.path(), StrCat(kept, "/", seed), kAll);
  }
  const TempDir other;
  std::filesystem::copy(dir.path() + "/data", other.path() + "/data", kAll);
  const std::string now = life.Judge(*db, Life::Loss::kSaid, true);
  life.Detach();
  db.reset();
  db = MustOpen(Life::Options(other.path() + "/data"), life.clock());
  const std::string started = db == nullptr ? "no start" : life.Judge(*db);
  life.Detach();
  db.reset();
  return StrCat(verdict, "\nasked again: ", now, "\na start of a copy: ", started);
}

void LiveWithErrors(uint64_t seed) {
  TempDir dir;
  Life life(seed);
  FaultFileSystem disk(seed);
  TsdbOptions options = Life::Options(dir.path() + "/data");
  options.file_system = disk.file_system();
  std::unique_ptr<Tsdb> db = MustOpen(options, life.clock());
  ASSERT_NE(db, nullptr);
  const Life::Detacher detacher{life};
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 60; ++i) life.Step(db.get());
    disk.FailWrites(3 + seed % 50);
    disk.FailReads(seed % 3 == 0 ? 20 : 0);
    for (int i = 0; i < 60; ++i) {
      life.Step(db.get());
      if (i % 20 == 7) {
        // Wrong never; failing is allowed where reads fail.
        ASSERT_EQ(Judged(life.Judge(*db, Life::Loss::kSaid, true), seed, dir, life, db), "")
            << "round " << round << ", on a disk that fails";
        // What refuses says why.
        EXPECT_EQ(db->writable(), db->stats().background_error.empty());
      }
    }
    disk.FailWrites(0);
    disk.FailReads(0);
    if (seed % 2 == 0) {
      life.Detach();
      db.reset();
      db = MustOpen(options, life.clock());
      ASSERT_NE(db, nullptr);
    } else {
      // Healthy again by itself.
      Status s;
      for (int i = 0; i < 400 && !(s = db->Maintain()).ok(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      ASSERT_TRUE(s.ok()) << s.ToString();
      ASSERT_TRUE(db->writable());
    }
    ASSERT_EQ(Judged(life.Judge(*db), seed, dir, life, db), "") << "round " << round;
  }
  errors.given += disk.faults();
  errors.refused += life.failures();
  life.Detach();
}

TEST(Faults, AnErrorAtAnyCallLosesNothingThatWasAcknowledged) {
  errors = {};
  ForSeeds(6, LiveWithErrors);
  EXPECT_GT(errors.given, 0u);
  EXPECT_GT(errors.refused, 0u);
}

// Its sealing of a timeline failed, was in the log all the same, and hid the rows of the next
// scrapes at the next start.
TEST(Faults, WhatFailedButIsInTheLogHidesNothing) { LiveWithErrors(2444); }

// As above; then its chunks were merged with older ones, and the next sealing of the same rows took
// the place of what had been merged.
TEST(Faults, WhatFailedButWasMergedIsNotReplaced) { LiveWithErrors(3044); }

TEST(Faults, AFullDiskRefusesWritesAnswersQueriesAndStarts) {
  ForSeeds(4, [](uint64_t seed) {
    TempDir dir;
    Life life(seed);
    FaultFileSystem disk(seed);
    TsdbOptions options = Life::Options(dir.path() + "/data");
    options.file_system = disk.file_system();
    std::unique_ptr<Tsdb> db = MustOpen(options, life.clock());
    ASSERT_NE(db, nullptr);
    const Life::Detacher detacher{life};
    for (int i = 0; i < 150; ++i) life.Step(db.get());
    for (int round = 0; round < 2; ++round) {
      disk.SetFull(true);
      const uint64_t before = life.failures();
      for (int i = 0; i < 40; ++i) life.Step(db.get());
      EXPECT_GT(life.failures(), before);
      EXPECT_FALSE(db->writable());
      EXPECT_NE(db->stats().background_error, "");
      ASSERT_EQ(life.Judge(*db), "");
      if (round == 1) {  // Starts while it is full, and answers.
        life.Detach();
        db.reset();
        db = MustOpen(options, life.clock());
        ASSERT_NE(db, nullptr);
        EXPECT_FALSE(db->writable());
        ASSERT_EQ(life.Judge(*db), "");
        const Sample sample{life.clock().NowMs(), 1};
        const storage::SeriesBatch one{.labels = Labels::Of({{"__name__", "late"}}),
                                       .samples = std::span(&sample, 1)};
        EXPECT_EQ(db->appender().Write(std::span(&one, 1)).status().code(),
                  StatusCode::kUnavailable);
      }
      disk.SetFull(false);
      Status s;
      for (int i = 0; i < 400 && !(s = db->Maintain()).ok(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      ASSERT_TRUE(s.ok()) << s.ToString();
      EXPECT_TRUE(db->writable());
      for (int i = 0; i < 40; ++i) life.Step(db.get());
      ASSERT_EQ(life.Judge(*db), "");
    }
    life.Detach();
    db.reset();
    db = MustOpen(options, life.clock());
    ASSERT_NE(db, nullptr);
    ASSERT_EQ(life.Judge(*db), "");
  });
}

// The family that they need cannot be made without room, and none can be read that is not there.
TEST(Faults, RollupsAskedForOnAFullDiskWaitForTheNextStart) {
  TempDir dir;
  Life life(1);
  FaultFileSystem disk(1);
  TsdbOptions options = Life::Options(dir.path() + "/data");
  options.file_system = disk.file_system();
  const std::vector<int64_t> rollups = std::exchange(options.rollups_ms, {});
  ASSERT_FALSE(rollups.empty());
  std::unique_ptr<Tsdb> db = MustOpen(options, life.clock());
  ASSERT_NE(db, nullptr);
  const Life::Detacher detacher{life};
  for (int i = 0; i < 150; ++i) life.Step(db.get());
  const auto again = [&] {
    life.Detach();
    db.reset();
    db = MustOpen(options, life.clock());
  };
  options.rollups_ms = rollups;
  disk.SetFull(true);
  again();
  ASSERT_NE(db, nullptr);
  EXPECT_FALSE(db->writable());
  ASSERT_EQ(life.Judge(*db), "");
  disk.SetFull(false);
  Status s;
  for (int i = 0; i < 400 && !(s = db->Maintain()).ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(s.ok()) << s.ToString();
  for (int i = 0; i < 60; ++i) life.Step(db.get());
  ASSERT_TRUE(db->Compact().ok());
  ASSERT_EQ(life.Judge(*db), "");
  again();
  ASSERT_NE(db, nullptr);
  for (int i = 0; i < 60; ++i) life.Step(db.get());
  ASSERT_TRUE(db->Compact().ok());
  ASSERT_EQ(life.Judge(*db), "");
}

TEST(Faults, APowerCutCostsNothingWhereEveryCommitIsSynced) {
  ForSeeds(5, [](uint64_t seed) {
    TempDir dir;
    Life life(seed);
    FaultFileSystem disk(seed);
    TsdbOptions options = Life::Options(dir.path() + "/data");
    options.file_system = disk.file_system();
    options.wal_sync_ms = 0;
    for (int round = 0; round < 4; ++round) {
      std::unique_ptr<Tsdb> db = MustOpen(options, life.clock());
      ASSERT_NE(db, nullptr);
      const Life::Detacher detacher{life};
      ASSERT_EQ(life.Judge(*db), "") << "round " << round;
      for (uint64_t i = 0; i < 40 + seed % 60; ++i) life.Step(db.get());
      ASSERT_EQ(life.Judge(*db), "") << "before the cut of round " << round;
      disk.Die();
      life.Detach();
      db.reset();
      disk.ComeBack();
    }
  });
}

TEST(Faults, APowerCutCostsNoMoreThanTheSyncInterval) {
  ForSeeds(5, [](uint64_t seed) {
    TempDir dir;
    Life life(seed);
    FaultFileSystem disk(seed);
    TsdbOptions options = Life::Options(dir.path() + "/data");
    options.file_system = disk.file_system();
    options.wal_sync_ms = 10;
    std::unique_ptr<Tsdb> db = MustOpen(options, life.clock());
    ASSERT_NE(db, nullptr);
    const Life::Detacher detacher{life};
    for (uint64_t i = 0; i < 100 + seed % 60; ++i) life.Step(db.get());
    // The interval passes: what was written is on the disk.
    for (int i = 0; i < 4000 && !disk.LogsAreSynced(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(disk.LogsAreSynced());
    life.MarkSafe();
    for (uint64_t i = 0; i < seed % 40; ++i) life.Step(db.get());
    disk.Die();
    life.Detach();
    db.reset();
    disk.ComeBack();
    life.OnlySafeCounts();
    db = MustOpen(options, life.clock());
    ASSERT_NE(db, nullptr);
    ASSERT_EQ(life.Judge(*db), "");
    // And goes on.
    const Sample sample{life.clock().NowMs(), 1};
    const storage::SeriesBatch one{.labels = Labels::Of({{"__name__", "after"}}),
                                   .samples = std::span(&sample, 1)};
    EXPECT_TRUE(db->appender().Write(std::span(&one, 1)).ok());
  });
}

}  // namespace
}  // namespace vedette::tsdb
