// Every fail point: a process dies there, and the next one finds what was acknowledged.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/life.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using testing::TempDir;

// Between the process that dies and the one that looks.
struct Shared {
  std::atomic<uint64_t> steps;  // Acknowledged.
  std::atomic<bool> reached;
  std::atomic<uint64_t> hits_left;
  char name[64];
  char verdict[512];
};
Shared* shared = nullptr;

constexpr uint64_t kSteps = 330;

void DieHere(std::string_view name) {
  if (name != shared->name || --shared->hits_left > 0) return;
  shared->reached = true;
  kill(getpid(), SIGKILL);
}

// Runs in a process of its own, as RocksDB's threads do not survive a fork: the test itself never
// opens a storage. The exit status, or -signal.
template <typename F>
int InChild(F f) {
  const pid_t child = fork();
  if (child == 0) _exit(f());
  int status = 0;
  if (waitpid(child, &status, 0) != child) return 255;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int Verdict(const std::string& text) {
  std::strncpy(shared->verdict, text.c_str(), sizeof shared->verdict - 1);
  return text.empty() ? 0 : 1;
}

// The same life as that of the process that died; its last step was cut off.
int Survivor(const TsdbOptions& options, uint64_t seed) {
  Life life(seed);
  for (uint64_t i = 0; i < shared->steps; ++i) life.Step(nullptr, true);
  if (shared->reached) life.Step(nullptr, false);
  Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, life.clock());
  if (!db.ok()) return Verdict(db.status().ToString());
  if (const std::string wrong = life.Judge(**db); !wrong.empty()) return Verdict(wrong);
  const std::vector<std::string> damage = (*db)->stats().damage;
  if (!damage.empty()) return Verdict("damage: " + damage[0]);
  for (int i = 0; i < 100; ++i) life.Step(db->get());  // And it lives on.
  const std::string wrong = life.Judge(**db);
  life.Detach();
  return Verdict(wrong.empty() ? "" : "later: " + wrong);
}

class Crash : public ::testing::TestWithParam<const char*> {};

TEST_P(Crash, LosesNothingThatWasAcknowledged) {
  shared = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(shared, MAP_FAILED);
  std::strncpy(shared->name, GetParam(), sizeof shared->name - 1);
  uint64_t reached = 0;
  for (const uint64_t hit : {1, 6}) {
    TempDir dir;
    const TsdbOptions options = Life::Options(dir.path() + "/data");
    const uint64_t seed = hit * 7919 + std::strlen(GetParam());
    shared->steps = 0;
    shared->reached = false;
    shared->hits_left = hit;
    const int died = InChild([&] {
      Life life(seed);
      Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, life.clock());
      if (!db.ok()) return 1;
      fail_point_hook() = DieHere;
      for (uint64_t i = 0; i < kSteps; ++i) {
        life.Step(db->get());
        if (life.failures() > 0) return 2;
        shared->steps = i + 1;
      }
      life.Detach();
      return 0;
    });
    ASSERT_TRUE(died == 0 || died == -SIGKILL) << died;
    reached += shared->reached;
    shared->verdict[0] = '\0';
    const int survived = InChild([&] { return Survivor(options, seed); });
    ASSERT_EQ(survived, 0) << "hit " << hit << ", step " << shared->steps << ": "
                           << shared->verdict;
  }
  EXPECT_GT(reached, 0u) << "nobody comes by here";
}

INSTANTIATE_TEST_SUITE_P(
    Points, Crash,
    ::testing::Values("store.write.before", "store.write.after", "journal.written",
                      "commit.before", "commit.written", "seal.before", "seal.written",
                      "seal.drop.before", "seal.drop.written", "merge.before", "merge.written",
                      "delete.before", "delete.written", "drop.before", "drop.hidden",
                      "drop.family", "compact.family", "rollup.before", "rollup.written",
                      "rollup.made"),
    [](const auto& info) {
      std::string name = info.param;
      for (char& c : name) c = c == '.' ? '_' : c;
      return name;
    });

}  // namespace
}  // namespace vedette::tsdb
