#include "ctl/prometheus_block.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "server/remote/xor_chunk.h"

namespace vedette::ctl {
namespace {

// The encoder is checked against Prometheus by its own tests; here is its other half.
TEST(XorChunk, EveryChunkComesBackAsItWas) {
  std::mt19937_64 random(7);
  for (const int kind : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(kind);
    std::vector<int64_t> t_ms;
    std::vector<double> values;
    int64_t t = 1'700'000'000'000;
    double v = 1;
    for (int i = 0; i < 240; ++i) {
      // Steady, jittering, wild and very far apart instants.
      const int64_t jitter = kind == 1   ? static_cast<int64_t>(random() % 40)
                             : kind == 2 ? static_cast<int64_t>(random() % 700'000)
                             : kind == 3 ? static_cast<int64_t>(random() % 10'000'000'000)
                                         : 0;
      t += 15'000 + jitter;
      v = kind == 0 ? 5 : kind == 4 ? std::bit_cast<double>(random() >> 2) : v + 0.25 * (i % 7);
      t_ms.push_back(t);
      values.push_back(v);
    }
    std::vector<Sample> got;
    const std::string chunk = remote::EncodeXorChunk(t_ms, values);
    ASSERT_TRUE(DecodeXorChunk(chunk, &got).ok());
    ASSERT_EQ(got.size(), t_ms.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].t_ms, t_ms[i]) << i;
      ASSERT_EQ(std::bit_cast<uint64_t>(got[i].value), std::bit_cast<uint64_t>(values[i])) << i;
    }
    got.clear();
    EXPECT_FALSE(DecodeXorChunk(std::string_view(chunk).substr(0, chunk.size() / 2), &got).ok());
  }
}

TEST(PrometheusBlock, WhatIsNoBlockIsAnError) {
  BlockStats stats;
  const auto take = [](const Labels&, const std::vector<Sample>&) { return Status(); };
  EXPECT_EQ(ReadPrometheusBlock("/nowhere", take, &stats).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace vedette::ctl
