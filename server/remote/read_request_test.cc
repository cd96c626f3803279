#include "server/remote/read_request.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/remote/protobuf_reader.h"
#include "server/remote/protobuf_writer.h"
#include "server/remote/xor_chunk.h"

namespace vedette::remote {
namespace {

std::string RequestBytes(std::vector<uint64_t> accepted, uint64_t matcher_type = 2) {
  std::string matcher;
  ProtobufWriter m(&matcher);
  m.Varint(1, matcher_type);
  m.Bytes(2, "job");
  m.Bytes(3, "a|b");
  std::string query;
  ProtobufWriter q(&query);
  q.Int(1, -5);
  q.Int(2, 100);
  q.Message(3, matcher);
  std::string out;
  ProtobufWriter r(&out);
  r.Message(1, query);
  std::string packed;
  for (const uint64_t v : accepted) ProtobufWriter(&packed).Raw(v);
  r.Bytes(2, packed);
  return out;
}

TEST(ReadRequest, HasTimesMatchersAndTheFirstKnownAnswer) {
  const auto request = ReadReadRequest(RequestBytes({7, 1, 0}));
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_TRUE(request->streamed);
  ASSERT_EQ(request->queries.size(), 1u);
  EXPECT_EQ(request->queries[0].start_ms, -5);
  EXPECT_EQ(request->queries[0].end_ms, 100);
  ASSERT_EQ(request->queries[0].matchers.size(), 1u);
  EXPECT_EQ(request->queries[0].matchers[0].ToString(), "job=~\"a|b\"");
  EXPECT_FALSE(ReadReadRequest(RequestBytes({}))->streamed);
}

TEST(ReadRequest, RefusesWhatItCannotAnswer) {
  EXPECT_FALSE(ReadReadRequest(RequestBytes({7})).ok());
  EXPECT_FALSE(ReadReadRequest(RequestBytes({}, 4)).ok());
  const std::string whole = RequestBytes({1});
  EXPECT_FALSE(ReadReadRequest(std::string_view(whole).substr(0, whole.size() - 1)).ok());
}

// The other direction of EncodeXorChunk, written apart from it.
std::vector<Sample> Decode(std::string_view chunk) {
  size_t at = 16;
  const auto bits = [&](int n) {
    uint64_t v = 0;
    for (; n > 0; --n, ++at) {
      v = v << 1 | (static_cast<uint8_t>(chunk.at(at / 8)) >> (7 - at % 8) & 1);
    }
    return v;
  };
  const auto varint = [&] {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const uint64_t b = bits(8);
      v |= (b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
  };
  const auto n =
      static_cast<size_t>(static_cast<uint8_t>(chunk[0]) << 8 | static_cast<uint8_t>(chunk[1]));
  std::vector<Sample> out;
  uint64_t t = 0;
  uint64_t delta = 0;
  uint64_t value = 0;
  int leading = 0;
  int trailing = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i == 0) {
      const uint64_t z = varint();
      t = z >> 1 ^ (0 - (z & 1));
      value = bits(64);
    } else {
      if (i == 1) {
        delta = varint();
      } else {
        int ones = 0;
        while (ones < 4 && bits(1) == 1) ++ones;
        constexpr int kBits[] = {0, 14, 17, 20, 64};
        const int width = kBits[ones];
        uint64_t turn = width == 0 ? 0 : bits(width);
        if (width > 0 && width < 64 && turn > uint64_t{1} << (width - 1)) {
          turn -= uint64_t{1} << width;
        }
        delta += turn;
      }
      t += delta;
      if (bits(1) == 1) {
        if (bits(1) == 1) {
          leading = static_cast<int>(bits(5));
          const int significant = static_cast<int>(bits(6));
          trailing = 64 - leading - (significant == 0 ? 64 : significant);
        }
        value ^= bits(64 - leading - trailing) << trailing;
      }
    }
    out.push_back({static_cast<int64_t>(t), std::bit_cast<double>(value)});
  }
  return out;
}

TEST(XorChunk, ReadsBackToTheSameSamples) {
  const std::vector<int64_t> t = {
      -1500,           0,       1500,          3001,          3001 + 8192,
      20'000,          100'000, 1'000'000'000, 1'000'000'001, 1'000'000'002,
      int64_t{1} << 50};
  const std::vector<double> v = {0, 1, 1, -2.5, 1e300, kStaleNan, 3.25, 3.25, 3.5, 1e-300, -0.0};
  const std::vector<Sample> back = Decode(EncodeXorChunk(t, v));
  ASSERT_EQ(back.size(), t.size());
  for (size_t i = 0; i < t.size(); ++i) {
    EXPECT_EQ(back[i].t_ms, t[i]) << i;
    EXPECT_EQ(std::bit_cast<uint64_t>(back[i].value), std::bit_cast<uint64_t>(v[i])) << i;
  }
}

TEST(Crc32c, IsTheOneOfTheStandard) {
  // RFC 3720, B.4: 32 bytes of zeros.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
}

TEST(ReadAnswer, AddsExternalLabelsAndFramesChunks) {
  const Labels external = Labels::Of({{"region", "eu"}, {"job", "other"}});
  storage::SeriesColumns series;
  series.labels = Labels::Of({{"__name__", "up"}, {"job", "node"}});
  const std::vector<int64_t> t = {1, 2};
  const std::vector<double> v = {1, 0};
  series.t_ms = t;
  series.values = v;
  ReadAnswer answer(/*streamed=*/true, external);
  answer.Begin(3);
  ASSERT_TRUE(answer.Add(series).ok());
  answer.End();
  const std::string frame = answer.Take();
  ASSERT_GT(frame.size(), 5u);
  ASSERT_EQ(static_cast<uint8_t>(frame[0]), frame.size() - 5);  // Short: one byte of length.
  const std::string_view message = std::string_view(frame).substr(5);
  uint32_t crc = 0;
  for (int i = 1; i <= 4; ++i) crc = crc << 8 | static_cast<uint8_t>(frame[i]);
  EXPECT_EQ(crc, Crc32c(message));
  std::string labels;
  for (ProtobufReader r(message); r.Next();) {
    if (r.field() == 2) {
      EXPECT_EQ(r.varint(), 3u);
    }
    if (r.field() != 1) continue;
    for (ProtobufReader s(r.bytes()); s.Next();) {
      if (s.field() != 1) continue;
      for (ProtobufReader l(s.bytes()); l.Next();) labels += std::string(l.bytes()) + " ";
    }
  }
  EXPECT_EQ(labels, "__name__ up job node region eu ");
}

}  // namespace
}  // namespace vedette::remote
