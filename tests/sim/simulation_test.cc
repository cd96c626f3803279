// Lives of a whole server in a world that is not kind to it. tools/simulate HOURS lives longer.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/world.h"
#include "tests/support/temp_dir.h"

namespace vedette::sim {
namespace {

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, NothingIsLostInventedOrKeptQuiet) {
  constexpr uint64_t kHoursOfALife = 10;
  const uint64_t hours = NumberFromEnvironment("VEDETTE_SIM_HOURS", 20);
  const uint64_t first = NumberFromEnvironment("VEDETTE_SIM_FIRST", 1);
  World::Tally sum;
  uint64_t lived = 0;
  for (uint64_t seed = first; lived < hours; ++seed) {
    const testing::TempDir dir;
    World world(seed, dir.path() + "/data");
    for (uint64_t h = 0; h < kHoursOfALife && lived < hours; ++h, ++lived) {
      world.PassHour();
      ASSERT_EQ(world.fault(), "") << "again: VEDETTE_SIM_FIRST=" << seed
                                   << " VEDETTE_SIM_HOURS=" << kHoursOfALife;
    }
    const World::Tally& t = world.tally();
    sum.scrapes += t.scrapes;
    sum.acknowledged += t.acknowledged;
    sum.told += t.told;
    sum.restarts += t.restarts;
    sum.power_cuts += t.power_cuts;
    sum.disk_faults += t.disk_faults;
    sum.full_disks += t.full_disks;
    sum.samples_checked += t.samples_checked;
    sum.recorded_checked += t.recorded_checked;
  }
  // A world in which nothing happens would prove nothing.
  EXPECT_GT(sum.acknowledged, 1000u);
  EXPECT_GT(sum.samples_checked, 1000u);
  EXPECT_GT(sum.recorded_checked, 100u);
  EXPECT_GT(sum.told, 0u);
  std::printf(
      "%llu simulated hours: %llu scrapes, %llu samples acknowledged, %llu read back, %llu recorded "
      "ones compared, %llu notifications, %llu restarts (%llu power cuts), %llu spells of disk "
      "errors, %llu full disks\n",
      static_cast<unsigned long long>(lived), static_cast<unsigned long long>(sum.scrapes),
      static_cast<unsigned long long>(sum.acknowledged),
      static_cast<unsigned long long>(sum.samples_checked),
      static_cast<unsigned long long>(sum.recorded_checked),
      static_cast<unsigned long long>(sum.told), static_cast<unsigned long long>(sum.restarts),
      static_cast<unsigned long long>(sum.power_cuts),
      static_cast<unsigned long long>(sum.disk_faults),
      static_cast<unsigned long long>(sum.full_disks));
}

}  // namespace
}  // namespace vedette::sim
