#include "server/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace vedette {
namespace {

TEST(UsableCores, AreThoseThatTheProcessMayRunOn) {
  const int before = UsableCores();
  EXPECT_GE(before, 1);
  int pinned = 0;
  // The affinity is a thread's; a process is started with that of its parent.
  std::thread([&] {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    int core = 0;
    while (!CPU_ISSET(core, &all)) ++core;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    pinned = UsableCores();
  }).join();
  EXPECT_EQ(pinned, 1);
  EXPECT_EQ(UsableCores(), before);
}

}  // namespace
}  // namespace vedette
