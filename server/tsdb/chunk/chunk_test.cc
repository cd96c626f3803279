#include "server/tsdb/chunk/chunk.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {
namespace {

TEST(Chunk, RoundTripsWithItsHeader) {
  const std::vector<double> values = {1, 2.5, kAbsent, kStaleNan};
  const std::string bytes = EncodeChunk(77, 45'000, values);
  std::vector<double> got;
  Result<ChunkHeader> header = DecodeChunk(bytes, got);
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(header->instants_id, 77u);
  EXPECT_EQ(header->span_ms, 45'000);
  EXPECT_TRUE(header->has_stale);
  ASSERT_EQ(got.size(), values.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(got[i]), std::bit_cast<uint64_t>(values[i]));
  }
}

std::string SomeInstants() {
  return EncodeInstants(std::vector<int64_t>{-5, 0, 15'000, 30'001, 45'000});
}

TEST(Chunk, EveryTruncationAndBitFlipIsDataLoss) {
  const std::string chunk = EncodeChunk(1, 300, std::vector<double>{3, 1, 4, 1, 5, 9.25, 2, 6});
  const std::string instants = SomeInstants();
  for (const std::string& good : {chunk, instants}) {
    auto status = [&](std::string_view bytes) {
      std::vector<double> values;
      std::vector<int64_t> times;
      return &good == &chunk ? DecodeChunk(bytes, values).status() : DecodeInstants(bytes, times);
    };
    for (size_t n = 0; n < good.size(); ++n) {
      EXPECT_EQ(status(std::string_view(good).substr(0, n)).code(), StatusCode::kDataLoss) << n;
    }
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << (bit % 8));
      std::vector<double> values;
      std::vector<int64_t> times;
      const bool is_chunk = good == chunk;
      const Status s = is_chunk ? DecodeChunk(bad, values).status() : DecodeInstants(bad, times);
      EXPECT_EQ(s.code(), StatusCode::kDataLoss) << "bit " << bit;
    }
  }
}

TEST(Instants, RoundTripAndRegularOnesAreTiny) {
  std::vector<int64_t> got;
  ASSERT_TRUE(DecodeInstants(SomeInstants(), got).ok());
  EXPECT_EQ(got, (std::vector<int64_t>{-5, 0, 15'000, 30'001, 45'000}));

  std::vector<int64_t> regular;
  for (int i = 0; i < 480; ++i) regular.push_back(1'700'000'000'000 + i * 15'000);
  const std::string bytes = EncodeInstants(regular);
  EXPECT_LE(bytes.size(), 18u);
  ASSERT_TRUE(DecodeInstants(bytes, got).ok());
  EXPECT_EQ(got, regular);

  ASSERT_TRUE(DecodeInstants(EncodeInstants({}), got).ok());
  EXPECT_TRUE(got.empty());
}

}  // namespace
}  // namespace vedette::tsdb
