// A byte turned, a file cut or gone, anywhere in the directory: the storage starts, serves what is
// left, says that something is missing, and never gives a wrong value.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/tsdb/life.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/rounds.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What was done, to be told when it goes wrong.
std::string Damage(const std::string& directory, std::mt19937_64& random) {
  std::vector<fs::path> files;
  for (const auto& e : fs::directory_iterator(directory)) {
    if (e.is_regular_file()) files.push_back(e.path());
  }
  std::ranges::sort(files);
  const fs::path file = files[random() % files.size()];
  const uint64_t size = fs::file_size(file);
  const uint64_t at = size == 0 ? 0 : random() % size;
  switch (size == 0 ? 2 : random() % 3) {
    case 0: {
      std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
      f.seekg(static_cast<std::streamoff>(at));
      const char before = static_cast<char>(f.get());
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(before ^ (1 << random() % 8)));
      return file.filename().string() + ": a bit of byte " + std::to_string(at);
    }
    case 1:
      fs::resize_file(file, at);
      return file.filename().string() + ": cut to " + std::to_string(at) + " of " +
             std::to_string(size);
    default:
      fs::remove(file);
      return file.filename().string() + ": removed";
  }
}

TEST(DamagedDirectory, IsServedAsFarAsItGoesAndNeverLies) {
  const uint64_t first = NumberFromEnvironment("VEDETTE_DAMAGE_FIRST", 1);
  const uint64_t trials =
      NumberFromEnvironment("VEDETTE_DAMAGE_TRIALS", testing::Rounds(uint64_t{12}));
  TempDir dir;
  uint64_t nothing_lost = 0;
  double lost = 0;
  for (uint64_t trial = first; trial < first + trials; ++trial) {
    const std::string path = dir.path() + "/data";
    Life life(trial / 10);
    // Ten trials share a life. Nothing is flushed at its end, so the log has the newest of it.
    {
      Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(Life::Options(path), life.clock());
      ASSERT_TRUE(db.ok());
      const Life::Detacher detacher{life};
      for (int i = 0; i < 400; ++i) life.Step(db->get());
      ASSERT_EQ(life.Judge(**db), "");
      life.Detach();
    }
    std::mt19937_64 random(trial);
    const std::string what = Damage(path, random);
    SCOPED_TRACE("VEDETTE_DAMAGE_TRIALS=1 VEDETTE_DAMAGE_FIRST=" + std::to_string(trial) + ": " +
                 what);
    for (int open = 0; open < 2; ++open) {
      Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(Life::Options(path), life.clock());
      ASSERT_TRUE(db.ok()) << db.status().ToString();
      const Life::Detacher detacher{life};
      // A second start knows nothing of what the first one gave up.
      const Life::Loss allowed = open == 0 ? Life::Loss::kSaid : Life::Loss::kAny;
      ASSERT_EQ(life.Judge(**db, allowed), "");
      if (open == 0) {
        nothing_lost += life.missing() == 0;
        lost +=
            static_cast<double>(life.missing()) / static_cast<double>(life.acknowledged_samples());
      }
      // New samples are taken, and stay.
      const Sample sample{life.clock().NowMs() + 1 + open, 1};
      const storage::SeriesBatch one{
          .labels = Labels::Of({{"__name__", "m0"}, {"instance", "host0"}, {"job", "write"}}),
          .samples = std::span(&sample, 1)};
      const Result<storage::CommitStats> stats = (*db)->appender().Write(std::span(&one, 1));
      ASSERT_TRUE(stats.ok()) << stats.status().ToString();
      life.Know(one.labels, sample);
      if (open == 0) {
        for (int i = 0; i < 60; ++i) life.Step(db->get());
        ASSERT_EQ(life.Judge(**db, Life::Loss::kAny), "");
      }
      EXPECT_TRUE((*db)->writable());
      life.Detach();
    }
    fs::remove_all(path);
  }
  std::printf("%llu trials: nothing lost in %llu, on average %.2f %% of the samples\n",
              static_cast<unsigned long long>(trials),
              static_cast<unsigned long long>(nothing_lost),
              100 * lost / static_cast<double>(trials));
}

}  // namespace
}  // namespace vedette::tsdb
