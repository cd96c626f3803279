#include "agent/snapshot/ring.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "agent/snapshot/ring_files.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

Snapshot Make(uint64_t sequence) {
  Snapshot s{.run_id = 1, .sequence = sequence, .t_ms = static_cast<int64_t>(sequence) * 1000};
  MetricFamily f{.name = "x", .metadata = {.help = "h"}};
  f.samples.push_back(
      {.labels = Labels::Of({{"__name__", "x"}}), .value = static_cast<double>(sequence * 10)});
  s.sources.push_back({.state = {.name = "host", .up = true}, .families = {f}});
  return s;
}

std::vector<uint64_t> Sequences(const std::vector<Snapshot>& snapshots) {
  std::vector<uint64_t> out;
  for (const Snapshot& s : snapshots) {
    EXPECT_EQ(s.t_ms, static_cast<int64_t>(s.sequence) * 1000);
    EXPECT_EQ(s.sources.at(0).families.at(0).samples.at(0).value,
              static_cast<double>(s.sequence * 10));
    out.push_back(s.sequence);
  }
  return out;
}

TEST(Ring, GivesBackWhatNobodyHasOldestFirst) {
  Ring ring(1 << 20);
  for (uint64_t i = 1; i <= 200; ++i) ring.Push(Make(i));
  EXPECT_EQ(Sequences(ring.Oldest(3)), (std::vector<uint64_t>{1, 2, 3}));
  ring.Done(std::vector<uint64_t>{1, 2, 3, 5, 999});
  EXPECT_EQ(Sequences(ring.Oldest(3)), (std::vector<uint64_t>{4, 6, 7}));
  EXPECT_EQ(Sequences(ring.Oldest(2, std::vector<uint64_t>{4, 7})), (std::vector<uint64_t>{6, 8}));
  EXPECT_EQ(ring.waiting(), 196u);
  EXPECT_EQ(ring.Oldest(1000).size(), 196u);
  EXPECT_EQ(ring.dropped(), 0u);
}

TEST(Ring, IsEmptyAgainWhenEverythingArrived) {
  Ring ring(1 << 20);
  for (uint64_t i = 1; i <= 200; ++i) {
    ring.Push(Make(i));
    ring.Done(std::vector<uint64_t>{i});
  }
  EXPECT_EQ(ring.waiting(), 0u);
  EXPECT_TRUE(ring.Oldest(10).empty());
  // One segment at most stays behind.
  EXPECT_LT(ring.bytes(), 20'000u);
  ring.Push(Make(201));
  EXPECT_EQ(Sequences(ring.Oldest(10)), (std::vector<uint64_t>{201}));
}

TEST(Ring, DropsTheOldestBeyondItsBoundAndCountsThem) {
  Ring ring(20'000);
  for (uint64_t i = 1; i <= 1000; ++i) ring.Push(Make(i));
  EXPECT_LE(ring.bytes(), 20'000u);
  EXPECT_GT(ring.dropped(), 0u);
  const std::vector<uint64_t> left = Sequences(ring.Oldest(2000));
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(left.back(), 1000u);
  EXPECT_EQ(left.front(), 1000 - left.size() + 1);
  EXPECT_EQ(ring.dropped() + ring.waiting(), 1000u);
}

TEST(Ring, ASnapshotLargerThanTheBoundIsDroppedAndSoCounted) {
  Ring ring(10);
  ring.Push(Make(1));
  EXPECT_EQ(ring.waiting(), 0u);
  EXPECT_EQ(ring.dropped(), 1u);
  ring.Push(Make(2));
  EXPECT_EQ(ring.dropped(), 2u);
}

std::unique_ptr<RingFiles> OpenFiles(const std::string& folder, uint64_t fresh_run_id = 9) {
  auto files = RingFiles::Open(folder, fresh_run_id);
  EXPECT_TRUE(files.ok()) << files.status().ToString();
  return files.ok() ? *std::move(files) : nullptr;
}

TEST(Ring, ARestartLosesNothingThatTheFilesHold) {
  const testing::TempDir dir;
  {
    auto files = OpenFiles(dir.path());
    Ring ring(1 << 20, files.get());
    for (uint64_t i = 1; i <= 150; ++i) ring.Push(Make(i));
    ring.Done(std::vector<uint64_t>{1, 2, 70});
    ring.NoteInterval(5000);
  }
  auto files = OpenFiles(dir.path(), 10);
  EXPECT_EQ(files->run_id(), 9u);
  EXPECT_EQ(files->interval_ms(), 5000);
  Ring ring(1 << 20, files.get());
  EXPECT_EQ(ring.loaded_sequence(), 150u);
  EXPECT_EQ(ring.waiting(), 147u);
  std::vector<uint64_t> want;
  for (uint64_t i = 3; i <= 150; ++i) {
    if (i != 70) want.push_back(i);
  }
  EXPECT_EQ(Sequences(ring.Oldest(1000)), want);
  ring.Push(Make(151));
  ring.Done(want);
  EXPECT_EQ(Sequences(ring.Oldest(1000)), (std::vector<uint64_t>{151}));
}

TEST(Ring, FilesGoWithTheirSegments) {
  const testing::TempDir dir;
  auto files = OpenFiles(dir.path());
  Ring ring(20'000, files.get());
  for (uint64_t i = 1; i <= 2000; ++i) ring.Push(Make(i));
  EXPECT_GT(ring.dropped(), 0u);
  size_t segments = 0;
  for (const auto& item : std::filesystem::directory_iterator(dir.path())) {
    segments += item.path().extension() == ".ring";
  }
  EXPECT_LE(segments, ring.waiting() / Ring::kSegmentFrames + 1);
  EXPECT_EQ(ring.file_failures(), 0u);
}

TEST(Ring, OneFolderIsOneAgents) {
  const testing::TempDir dir;
  auto files = OpenFiles(dir.path());
  auto second = RingFiles::Open(dir.path(), 1);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
}

// However a segment is cut, what stands before the cut is there and what comes back is true.
TEST(Ring, EveryTruncationKeepsWhatIsBeforeIt) {
  const testing::TempDir dir;
  {
    auto files = OpenFiles(dir.path());
    Ring ring(1 << 20, files.get());
    for (uint64_t i = 1; i <= 5; ++i) ring.Push(Make(i));
  }
  const std::string path = dir.path() + "/0000000000000001.ring";
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  size_t before = 0;
  for (size_t n = 0; n <= whole.size(); ++n) {
    bool damaged = false;
    const size_t count = ReadRingSegment(std::string_view(whole).substr(0, n), &damaged).size();
    EXPECT_GE(count, before);
    before = count;
  }
  EXPECT_EQ(before, 5u);
  for (size_t n = 0; n < whole.size(); n += 7) {
    std::string bad = whole;
    bad[n] = static_cast<char>(bad[n] ^ 0x20);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bad;
    auto files = OpenFiles(dir.path());
    Ring ring(1 << 20, files.get());
    for (const uint64_t s : Sequences(ring.Oldest(100))) EXPECT_LE(s, 5u);
    EXPECT_LT(ring.Oldest(100).size(), 5u);
  }
}

}  // namespace
}  // namespace vedette::agent
