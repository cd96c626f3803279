#include "common/base/shortest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>

namespace vedette {
namespace {

std::string Fixed(double v) {
  std::string out;
  AppendShortestFixed(out, v);
  return out;
}

TEST(ShortestFixed, IsWhatGoWrites) {
  const struct {
    double value;
    const char* want;
  } kCases[] = {{0, "0"},
                {-0.0, "-0"},
                {1.5, "1.5"},
                {1e-7, "0.0000001"},
                {9007199254740991.0, "9007199254740991"},
                {9007199254740992.0, "9007199254740992"},
                {9007199254740994.0, "9007199254740994"},
                {12345678901234567.0, "12345678901234568"},
                {123456789012345678.0, "123456789012345680"},
                {67222402947319955456.0, "67222402947319955000"},
                {-67222402947319955456.0, "-67222402947319955000"},
                {1e21, "1000000000000000000000"},
                {1e23, "100000000000000000000000"}};
  for (const auto& c : kCases) EXPECT_EQ(Fixed(c.value), c.want);
  EXPECT_EQ(Fixed(1.5e300), "15" + std::string(299, '0'));
  EXPECT_EQ(Fixed(5e-324).size(), 326u);
}

TEST(ShortestFixed, ComesBackAsItWas) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const double v =
        std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 400) - 200);
    const std::string text = Fixed(v);
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), v) << text;
    EXPECT_EQ(text.find('e'), std::string::npos);
  }
}

}  // namespace
}  // namespace vedette
