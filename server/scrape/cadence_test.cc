#include "server/scrape/cadence.h"

#include <gtest/gtest.h>

namespace vedette::scrape {
namespace {

constexpr int64_t kInterval = 10'000;

Cadence Agreed() {
  Cadence cadence;
  cadence.Begin(100'000, kInterval, 5'000);
  cadence.Agree();
  return cadence;
}

TEST(Cadence, KnowsAnEvenPace) {
  Cadence cadence;
  EXPECT_FALSE(cadence.Continues(100'000, kInterval)) << "nothing was before";
  EXPECT_TRUE(cadence.Continues(110'000, kInterval));
  EXPECT_TRUE(cadence.Continues(120'040, kInterval)) << "a little late";
  EXPECT_TRUE(cadence.Continues(130'000, kInterval));
  EXPECT_FALSE(cadence.Continues(131'000, kInterval)) << "watched";
  EXPECT_FALSE(cadence.Continues(151'000, kInterval)) << "one was missed";
  EXPECT_TRUE(cadence.Continues(152'000, 1'000)) << "another interval";
}

TEST(Cadence, SaysWhichTurnAScrapeIs) {
  const Cadence cadence = Agreed();
  EXPECT_TRUE(cadence.Holds(110'000, kInterval, 5'000));
  EXPECT_EQ(cadence.TurnAt(110'000), 1u);
  EXPECT_EQ(cadence.TurnAt(119'960), 2u);
  EXPECT_EQ(cadence.TurnAt(120'040), 2u);
  EXPECT_FALSE(cadence.Holds(115'000, kInterval, 5'000)) << "between two";
  EXPECT_FALSE(cadence.Holds(100'000, kInterval, 5'000)) << "the one that set it";
  EXPECT_FALSE(cadence.Holds(90'000, kInterval, 5'000)) << "the clock went back";
  EXPECT_FALSE(cadence.Holds(110'000, 5'000, 5'000)) << "another interval";
  EXPECT_FALSE(cadence.Holds(110'000, kInterval, 4'000)) << "another timeout";
  Cadence asked;
  asked.Begin(100'000, kInterval, 5'000);
  EXPECT_FALSE(asked.Holds(110'000, kInterval, 5'000)) << "the agent has not agreed";
}

TEST(Cadence, AnAgentIsPutInItsPlaceSoon) {
  Cadence cadence = Agreed();
  cadence.NoteLateness(31);
  cadence.NoteLateness(30);
  EXPECT_TRUE(cadence.wandered());
  EXPECT_EQ(cadence.Shift(), -29);
}

TEST(Cadence, MovesAnAgentWhoseClockWanders) {
  Cadence cadence = Agreed();
  cadence.NoteLateness(900);
  EXPECT_FALSE(cadence.wandered()) << "one is none";
  cadence.NoteLateness(2);
  EXPECT_FALSE(cadence.wandered()) << "the other one was on a slow way";
  EXPECT_EQ(cadence.Shift(), 0);
  const auto note = [&](int64_t late_ms, int times) {
    for (int i = 0; i < times; ++i) cadence.NoteLateness(late_ms);
  };
  note(60, 1);
  note(80, 6);
  EXPECT_FALSE(cadence.wandered()) << "not for a few frames, once it is in its place";
  note(80, 1);
  EXPECT_TRUE(cadence.wandered());
  EXPECT_EQ(cadence.Shift(), -59);
  EXPECT_EQ(cadence.Shift(), 0) << "what was before counts no more";
  note(-51, 1);
  note(7, 7);
  EXPECT_EQ(cadence.Shift(), 52) << "early";
  EXPECT_TRUE(cadence.on());
  note(-3'000, 8);
  EXPECT_EQ(cadence.Shift(), 0);
  EXPECT_FALSE(cadence.on()) << "a clock was set";
}

}  // namespace
}  // namespace vedette::scrape
