#include "common/rpc/byte_budget.h"

#include <gtest/gtest.h>

namespace vedette::rpc {
namespace {

using Verdict = ByteBudget::Verdict;

constexpr uint64_t kMiB = 1 << 20;

TEST(ByteBudget, WhoAsksMuchIsLetAsk) {
  ByteBudget budget({}, 0);
  // A thousand calls a second, each with headers of some size and a message.
  for (int64_t s = 1; s <= 3600; ++s) {
    ASSERT_EQ(budget.Take({.bytes = 2 * kMiB, .calls = 1000, .messages = 1000}, s * 1000),
              Verdict::kFine)
        << s;
  }
  // A stream that stands, with small messages, and nothing but TLS around them.
  for (int64_t s = 3601; s <= 7200; ++s) {
    ASSERT_EQ(budget.Take({.bytes = 200'000, .messages = 4}, s * 1000), Verdict::kFine) << s;
  }
}

TEST(ByteBudget, TheLargestMessageIsNoFlood) {
  ByteBudget budget({}, 0);
  for (int64_t s = 1; s <= 15; ++s) {
    ASSERT_EQ(budget.Take({.bytes = kMiB}, s * 1000), Verdict::kFine) << s;
  }
  EXPECT_EQ(budget.Take({.bytes = kMiB, .messages = 1}, 16'000), Verdict::kFine);
}

TEST(ByteBudget, FramesThatAskNothingAreAFlood) {
  ByteBudget budget({}, 0);
  int64_t s = 1;
  while (s < 100 && budget.Take({.bytes = kMiB, .calls = 1}, s * 1000) == Verdict::kFine) ++s;
  EXPECT_EQ(s, 22) << "20 MiB and those of the seconds";
  // Whoever goes on slowly is not told again.
  for (int64_t later = s + 1; later < s + 100; ++later) {
    ASSERT_EQ(budget.Take({.bytes = 60 << 10}, later * 1000), Verdict::kFine) << later;
  }
}

TEST(ByteBudget, BytesAreAFloodWhateverTheyAre) {
  ByteBudget budget({}, 0);
  int64_t s = 1;
  while (s < 100 && budget.Take({.bytes = 10 * kMiB, .calls = 5000}, s * 1000) == Verdict::kFine) ++s;
  EXPECT_EQ(s, 4);
  EXPECT_EQ(budget.Take({.bytes = 10 * kMiB, .calls = 5000}, s * 1000 + 1), Verdict::kTooManyBytes);
}

TEST(ByteBudget, IsFullAgainWhenItHasBeenQuiet) {
  ByteBudget budget({}, 0);
  EXPECT_TRUE(budget.Full(0));
  EXPECT_EQ(budget.Take({.bytes = kMiB}, 0), Verdict::kFine);
  EXPECT_FALSE(budget.Full(15'000));
  EXPECT_TRUE(budget.Full(16'000));
}

}  // namespace
}  // namespace vedette::rpc
