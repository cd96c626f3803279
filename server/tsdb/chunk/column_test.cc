#include "server/tsdb/chunk/column.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/model/sample.h"

namespace vedette::tsdb {
namespace {

std::string Encoded(const std::vector<double>& values) {
  std::string out;
  EncodeColumn(values, out);
  return out;
}

void ExpectRoundTrip(const std::vector<double>& values) {
  const std::string bytes = Encoded(values);
  std::vector<double> got(values.size());
  ByteReader in(bytes);
  ASSERT_TRUE(DecodeColumn(in, got));
  EXPECT_TRUE(in.done());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint64_t>(values[i]), std::bit_cast<uint64_t>(got[i])) << "at " << i;
  }
  // The end of it alone is the same.
  for (const size_t from : {size_t{1}, values.size() / 2, values.size()}) {
    std::vector<double> tail(values.size());
    ByteReader again(bytes);
    ASSERT_TRUE(DecodeColumn(again, tail, from));
    EXPECT_TRUE(again.done());
    for (size_t i = from; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint64_t>(values[i]), std::bit_cast<uint64_t>(tail[i]))
          << "at " << i << " from " << from;
    }
  }
}

TEST(Column, KeepsEveryBitOfOddValues) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> odd = {0.0,
                                   -0.0,
                                   1e308,
                                   -1e308,
                                   5e-324,
                                   inf,
                                   -inf,
                                   kStaleNan,
                                   kNormalNan,
                                   kAbsent,
                                   std::bit_cast<double>(0xfff8dead0000beefULL),
                                   9007199254740993.0,
                                   -9223372036854775808.0,
                                   9223372036854775807.0,
                                   0.1,
                                   1.0 / 3};
  ExpectRoundTrip(odd);
  for (double v : odd) {
    ExpectRoundTrip({v});
    ExpectRoundTrip({v, v, v});
    ExpectRoundTrip({v, 1, 2});
    ExpectRoundTrip({1, v, 2});
    ExpectRoundTrip({1.5, 2.25, v});
  }
  ExpectRoundTrip({});
}

// Shapes of life: what each should cost at most, in bytes for 120 values.
TEST(Column, ShapedDataIsSmall) {
  std::mt19937_64 random(7);
  auto make = [&](auto&& f) {
    std::vector<double> v(120);
    for (size_t i = 0; i < v.size(); ++i) v[i] = f(i);
    return v;
  };
  double counter = 1e6;
  const struct {
    const char* name;
    std::vector<double> values;
    size_t most;
  } kCases[] = {
      {"zero", make([](size_t) { return 0.0; }), 2},
      {"constant with decimals", make([](size_t) { return 0.3; }), 9},
      {"counter at a steady rate", make([](size_t i) { return 1e9 + 15.0 * i; }), 14},
      {"counter with jitter", make([&](size_t) { return counter += 1000 + random() % 16; }), 75},
      {"bytes in pages", make([&](size_t) { return 4096.0 * (random() % 1024); }), 165},
      {"centiseconds", make([&](size_t i) { return std::round(100 * (5 + 0.15 * i)) / 100; }), 20},
      {"rarely moving", make([](size_t i) { return i < 60 ? 3.0 : 4.0; }), 12},
      {"ended", make([](size_t i) { return i < 100 ? 7.0 : kAbsent; }), 8},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.name);
    ExpectRoundTrip(c.values);
    EXPECT_LE(Encoded(c.values).size(), c.most);
  }
}

TEST(Column, RandomShapesRoundTrip) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<double> v(random() % 300);
    const int shape = static_cast<int>(random() % 8);
    const double scale = std::pow(10, static_cast<double>(random() % 12));
    double walk = static_cast<double>(random() % 1000000);
    for (double& x : v) {
      const double noise = static_cast<double>(random() % 1000);
      switch (shape) {
        case 0:
          x = walk += noise;
          break;
        case 1:
          x = (walk += noise) / scale;
          break;
        case 2:
          x = std::bit_cast<double>(random());
          break;
        case 3:
          x = random() % 10 == 0 ? walk += noise : walk;
          break;
        case 4:
          x = walk -= noise * scale;
          break;
        case 5:
          x = noise / 7;
          break;
        case 6:
          x = random() % 3 == 0 ? 1.0 / 3 : noise;
          break;
        default:
          x = static_cast<double>(static_cast<int64_t>(random()));
          break;
      }
      if (random() % 16 == 0) x = kAbsent;
      if (random() % 40 == 0) x = kStaleNan;
    }
    ExpectRoundTrip(v);
  }
}

// Read from any place on: integers under each transform and packing, with patches and divisors.
TEST(Column, TheEndIsTheSameFromAnywhere) {
  std::mt19937_64 random(11);
  double walk = 0;
  const std::vector<std::function<double(size_t)>> shapes = {
      [&](size_t) { return static_cast<double>(random() % 7); },
      [&](size_t) { return 4096.0 * static_cast<double>(random() % 100'000); },
      [&](size_t) { return walk += static_cast<double>(random() % 5); },
      [&](size_t) { return walk += 512.0 * static_cast<double>(random() % 3000); },
      [&](size_t i) { return walk += i % 29 == 3 ? 5e9 : static_cast<double>(random() % 8); },
      [&](size_t i) { return i % 40 == 7 ? 1e12 : static_cast<double>(random() % 8); },
      [&](size_t) { return walk -= 0.25 * static_cast<double>(random() % 900'000'000); },
      [&](size_t i) { return i % 13 == 0 ? walk += 3 : walk; },
      [&](size_t i) { return i % 3 == 0 ? walk -= 100 : walk; },
      [&](size_t i) { return i % 17 == 5 ? 9.0 : 0.0; },
      [&](size_t i) { return 15.0 * static_cast<double>(i); },
      [&](size_t i) { return static_cast<double>(i * i + random() % 2); },
      [](size_t) { return 42.0; },
      [](size_t) { return 0.3; },
      [&](size_t i) { return i % 11 == 2 ? 1.0 / 3 : static_cast<double>(random() % 64); },
      [&](size_t) { return static_cast<double>(random()) / 1e19; },
  };
  for (size_t shape = 0; shape < shapes.size(); ++shape) {
    for (const size_t n : {size_t{1}, size_t{2}, size_t{3}, size_t{9}, size_t{64}, size_t{257}}) {
      walk = 1e6;
      std::vector<double> values(n);
      for (size_t i = 0; i < n; ++i) values[i] = shapes[shape](i);
      const std::string bytes = Encoded(values);
      for (size_t from = 0; from <= n; ++from) {
        std::vector<double> got(n);
        ByteReader in(bytes);
        ASSERT_TRUE(DecodeColumn(in, got, from)) << shape;
        EXPECT_TRUE(in.done());
        for (size_t i = from; i < n; ++i) {
          ASSERT_EQ(std::bit_cast<uint64_t>(values[i]), std::bit_cast<uint64_t>(got[i]))
              << "shape " << shape << " at " << i << " of " << n << " from " << from;
        }
      }
    }
  }
}

// What is skipped is added up several differences at a time: none of them may run over.
TEST(Column, DifferencesOfEveryWidthAddUp) {
  std::mt19937_64 random(12);
  for (uint64_t width = 1; width <= 34; ++width) {
    const uint64_t mask = (uint64_t{1} << width) - 1;
    for (const bool widest : {false, true}) {
      std::vector<double> values(1500);
      double walk = 7;
      for (double& v : values) {
        v = walk += static_cast<double>(widest && random() % 50 != 0 ? mask : random() & mask);
      }
      const std::string bytes = Encoded(values);
      for (const size_t from : {size_t{1}, size_t{700}, size_t{1403}, size_t{1499}}) {
        std::vector<double> got(values.size());
        ByteReader in(bytes);
        ASSERT_TRUE(DecodeColumn(in, got, from));
        for (size_t i = from; i < values.size(); ++i) {
          ASSERT_EQ(values[i], got[i]) << "width " << width << " at " << i << " from " << from;
        }
      }
    }
  }
}

TEST(Column, EveryTruncationIsRefused) {
  const std::vector<std::vector<double>> kColumns = {{1, 2, 4, 8, 16, 3, 5},
                                                     {0.1, 0.25, kStaleNan, 4},
                                                     {kAbsent, 1, kAbsent, 2, kAbsent},
                                                     {1.0 / 3, 2.0 / 3, 1.0 / 7},
                                                     {5, 5, 5},
                                                     {0.3, 0.3}};
  for (const std::vector<double>& values : kColumns) {
    const std::string bytes = Encoded(values);
    for (size_t n = 0; n < bytes.size(); ++n) {
      std::vector<double> got(values.size());
      ByteReader in(std::string_view(bytes).substr(0, n));
      EXPECT_FALSE(DecodeColumn(in, got)) << n << " of " << bytes.size();
    }
  }
}

// On disk since the first release: a change of these bytes is a change of the format.
TEST(Column, BytesAreFrozen) {
  auto hex = [](const std::string& s) {
    std::string out;
    for (char c : s) {
      static constexpr char kDigits[] = "0123456789abcdef";
      out += kDigits[static_cast<uint8_t>(c) >> 4];
      out += kDigits[c & 15];
    }
    return out;
  };
  EXPECT_EQ(hex(Encoded({7, 7, 7})), "010e");
  EXPECT_EQ(hex(Encoded({1, 3, 4, 9})), "02040204002083");
  EXPECT_EQ(hex(Encoded({0.5, 0.7, 0.6})), "12020a0405");
  EXPECT_EQ(hex(Encoded({1, kAbsent, 3})), "0a03010101010204");
}

}  // namespace
}  // namespace vedette::tsdb
