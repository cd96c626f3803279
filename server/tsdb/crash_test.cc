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
#include "common/model/matcher.h"
#include "server/tsdb/compact/retention_rule.h"
#include "server/tsdb/life.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/fault_file_system.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using testing::TempDir;

constexpr uint64_t kSteps = 330;

// Between the process that dies and the one that looks.
struct Shared {
  std::atomic<uint64_t> steps;  // That are over,
  std::atomic<bool> acknowledged[kSteps];  // and what the storage said to each.
  std::atomic<bool> reached;
  std::atomic<uint64_t> hits_left;
  char name[64];
  char verdict[512];
};
Shared* shared = nullptr;

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

// What a life needs to come by a fail point.
struct Needs {
  explicit Needs(std::string_view point)
      : rule(point.starts_with("expire.")),
        churn(point.starts_with("forget.")),
        faults(point.starts_with("restate.") || point.starts_with("open.") ||
               point.starts_with("reopen.")) {}
  bool rule;    // A retention of its own for one metric.
  bool churn;   // Series that come and go.
  bool faults;  // Writes that fail for a while.

  void Prepare(TsdbOptions& options, Life& life) const {
    constexpr int64_t kKeepMs = 2 * Life::kWindow;
    if (churn) {
      options.retention_ms = kKeepMs;
      options.forget_at_least = 1;
      life.Churn();
      life.KeepOnly("", kKeepMs);
    }
    if (!rule) return;
    options.retention_rules.push_back({{Matcher::Equal("__name__", "m4")}, kKeepMs});
    life.KeepOnly("m4", kKeepMs);
  }
};

int Victim(TsdbOptions options, const Needs& needs, uint64_t seed) {
  Life life(seed);
  needs.Prepare(options, life);
  FaultFileSystem disk(seed);
  if (needs.faults) options.file_system = disk.file_system();
  Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, life.clock());
  if (!db.ok()) return 1;
  fail_point_hook() = DieHere;
  for (uint64_t i = 0; i < kSteps; ++i) {
    // Fails for 20 steps of 40, and lives on.
    if (needs.faults && i % 40 == 10) disk.FailWrites(5);
    if (needs.faults && i % 40 == 30) {
      disk.FailWrites(0);
      for (int k = 0; k < 400 && !(*db)->Maintain().ok(); ++k) usleep(5000);
    }
    const uint64_t before = life.failures();
    life.Step(db->get());
    if (life.failures() > before && !needs.faults) return 2;
    shared->acknowledged[i] = life.failures() == before;
    shared->steps = i + 1;
  }
  life.Detach();
  return 0;
}

// The same life as that of the process that died; its last step was cut off.
int Survivor(TsdbOptions options, const Needs& needs, uint64_t seed) {
  Life life(seed);
  needs.Prepare(options, life);
  for (uint64_t i = 0; i < shared->steps; ++i) life.Step(nullptr, shared->acknowledged[i]);
  if (shared->reached) life.Step(nullptr, false);
  Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, life.clock());
  if (!db.ok()) return Verdict(db.status().ToString());
  if (const std::string wrong = life.Judge(**db); !wrong.empty()) return Verdict(wrong);
  const std::vector<std::string> damage = (*db)->stats().damage;
  // A record that a failing disk took by half is said.
  if (!damage.empty() && !needs.faults) return Verdict("damage: " + damage[0]);
  for (int i = 0; i < 100; ++i) life.Step(db->get());  // And it lives on.
  const std::string wrong = life.Judge(**db);
  life.Detach();
  return Verdict(wrong.empty() ? "" : "later: " + wrong);
}

class Crash : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Crash, LosesNothingThatWasAcknowledged) {
  shared = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(shared, MAP_FAILED);
  const std::string point(GetParam());
  std::strncpy(shared->name, point.c_str(), sizeof shared->name - 1);
  const Needs needs(point);
  uint64_t reached = 0;
  for (const uint64_t hit : {1, 6}) {
    TempDir dir;
    const TsdbOptions options = Life::Options(dir.path() + "/data");
    const uint64_t seed = hit * 7919 + point.size();
    shared->steps = 0;
    shared->reached = false;
    shared->hits_left = hit;
    const int died = InChild([&] { return Victim(options, needs, seed); });
    ASSERT_TRUE(died == 0 || died == -SIGKILL) << died;
    reached += shared->reached;
    shared->verdict[0] = '\0';
    const int survived = InChild([&] { return Survivor(options, needs, seed); });
    ASSERT_EQ(survived, 0) << "hit " << hit << ", step " << shared->steps << ": "
                           << shared->verdict;
  }
  EXPECT_GT(reached, 0u) << "nobody comes by here";
}

INSTANTIATE_TEST_SUITE_P(Points, Crash, ::testing::ValuesIn(kFailPoints), [](const auto& info) {
  std::string name(info.param);
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace vedette::tsdb
