#include "common/wire/column.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <span>

#include "common/base/status.h"
#include "common/model/sample.h"
#include "common/wire/bytes.h"

namespace vedette::wire {
namespace {

class Pair {
 public:
  // Sends a column across and returns what it cost.
  size_t Send(const std::vector<double>& values) {
    std::string bytes;
    sender_.Resize(values.size());
    receiver_.Resize(values.size());
    sender_.Encode(values, bytes);
    ByteReader in(bytes);
    const Status status = receiver_.Decode(in);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(in.left(), 0u);
    const std::span<const double> got = receiver_.values();
    EXPECT_EQ(got.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(std::bit_cast<uint64_t>(values[i]), std::bit_cast<uint64_t>(got[i]))
          << "position " << i << ", " << values[i];
    }
    return bytes.size();
  }
  void StartOver() {
    sender_.Resize(0);
    receiver_.Resize(0);
  }

 private:
  Column sender_, receiver_;
};

TEST(Column, EveryDoubleCrossesExactly) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> odd = {0.0,
                                   -0.0,
                                   1,
                                   -1,
                                   kInf,
                                   -kInf,
                                   kAbsent,
                                   kStaleNan,
                                   kNormalNan,
                                   std::bit_cast<double>(0xfff8000000000123),
                                   0.1,
                                   0.1 + 0.2,
                                   1e300,
                                   5e-324,
                                   9007199254740992.0,
                                   9007199254740993.0 * 2,
                                   -4096,
                                   1.5e15,
                                   123456.789};
  Pair pair;
  // From each to each, at every position.
  for (size_t shift = 0; shift < odd.size(); ++shift) {
    for (size_t step = 1; step < odd.size(); ++step) {
      std::vector<double> values;
      for (size_t i = 0; i < odd.size(); ++i) {
        values.push_back(odd[(i * step + shift) % odd.size()]);
      }
      pair.Send(values);
    }
  }
}

TEST(Column, ConstantsAndConstantRatesAreGuessed) {
  Pair pair;
  size_t bytes = 0;
  for (int i = 0; i < 10; ++i) {
    bytes = pair.Send({5, 100.0 + 3 * i, 0.25 * i, 1024.0 * 1024, kAbsent});
  }
  EXPECT_EQ(bytes, 1u);
}

// What stands still is not looked at: it must be right all the same when it moves, stops, goes and
// comes back, and when the layout grows or starts over.
TEST(Column, ValuesThatComeAndGoInAGrowingLayoutCross) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Pair pair;
    std::vector<double> values;
    std::vector<double> steps;
    for (int frame = 0; frame < 200; ++frame) {
      if (frame == 150) {
        pair.StartOver();
        values.clear();
        steps.clear();
      }
      for (size_t more = random() % 7; more > 0; --more) {
        values.push_back(static_cast<double>(random() % 1000));
        steps.push_back(0);
      }
      for (size_t i = 0; i < values.size(); ++i) {
        if (random() % 16 == 0) steps[i] = static_cast<double>(random() % 3);
        if (random() % 64 == 0) values[i] = random() % 2 == 0 ? kAbsent : 0.1 + 0.2 * random();
        if (IsAbsent(values[i])) {
          if (random() % 8 == 0) values[i] = 7;
          continue;
        }
        values[i] += steps[i];
      }
      pair.Send(values);
    }
  }
}

TEST(Column, SmallChangesCostAByte) {
  Pair pair;
  std::vector<double> values(64);
  std::mt19937 random(5);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * 1e6;
  pair.Send(values);
  size_t bytes = 0;
  for (int frame = 0; frame < 5; ++frame) {
    for (double& v : values) v += static_cast<double>(1 + random() % 30);
    bytes = pair.Send(values);
  }
  EXPECT_LE(bytes, 64u + 9u);
}

TEST(Column, DamageIsDataLossAndNothingWorse) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20'000; ++i) {
    Column column;
    column.Resize(1 + random() % 40);
    std::string bytes(1 + random() % 60, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    bytes[0] = static_cast<char>(random() % 5);
    ByteReader in(bytes);
    const Status status = column.Decode(in);
    if (!status.ok()) {
      EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    }
  }
}

}  // namespace
}  // namespace vedette::wire
