#include "common/compress/compress.h"

#include <gtest/gtest.h>
#include <snappy.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include "common/compress/snappy_block.h"

namespace vedette::compress {
namespace {

constexpr Encoding kAll[] = {Encoding::kIdentity, Encoding::kGzip, Encoding::kSnappy,
                             Encoding::kZstd, Encoding::kDeflate};
constexpr Encoding kCompressed[] = {Encoding::kGzip, Encoding::kSnappy, Encoding::kZstd,
                                    Encoding::kDeflate};

TEST(Compress, RoundTripsAtTheExactLimit) {
  std::mt19937 random(7);
  for (Encoding encoding : kAll) {
    for (size_t size : {0u, 1u, 1000u, 65535u, 65536u, 65537u, 300000u}) {
      SCOPED_TRACE(std::string(EncodingName(encoding)) + " " + std::to_string(size));
      std::string in(size, 'x');
      for (size_t i = 0; i < size; i += 3) in[i] = char(random());
      std::string packed, out;
      ASSERT_TRUE(Compress(encoding, in, packed).ok());
      Status status = Decompress(encoding, packed, size, out);
      ASSERT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(out, in);
      if (size > 0) {
        EXPECT_EQ(Decompress(encoding, packed, size - 1, out).code(),
                  StatusCode::kResourceExhausted);
      }
    }
  }
}

TEST(Compress, ABombTakesNoMoreThanTheLimit) {
  const std::string zeros(64 << 20, '\0');
  for (Encoding encoding : kCompressed) {
    SCOPED_TRACE(EncodingName(encoding));
    std::string packed, out;
    ASSERT_TRUE(Compress(encoding, zeros, packed).ok());
    Status status = Decompress(encoding, packed, 100'000, out);
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
    EXPECT_NE(status.message().find("100000"), std::string_view::npos) << status.message();
    EXPECT_LT(out.capacity(), 400'000u);
  }
}

TEST(Compress, EveryTruncationIsRefused) {
  std::string in;
  for (int i = 0; i < 300; ++i) in += "line " + std::to_string(i * i) + "\n";
  for (Encoding encoding : kCompressed) {
    std::string packed, out;
    ASSERT_TRUE(Compress(encoding, in, packed).ok());
    for (size_t n = 0; n < packed.size(); ++n) {
      EXPECT_EQ(Decompress(encoding, packed.substr(0, n), 1 << 20, out).code(),
                StatusCode::kInvalidArgument)
          << EncodingName(encoding) << " cut at " << n;
    }
  }
}

TEST(Compress, MembersAndFramesMayFollowOneAnother) {
  for (Encoding encoding : {Encoding::kGzip, Encoding::kZstd, Encoding::kDeflate}) {
    std::string a, b, out;
    ASSERT_TRUE(Compress(encoding, "first ", a).ok());
    ASSERT_TRUE(Compress(encoding, "second", b).ok());
    ASSERT_TRUE(Decompress(encoding, a + b, 100, out).ok());
    EXPECT_EQ(out, "first second");
    EXPECT_FALSE(Decompress(encoding, a + "rubbish", 100, out).ok());
  }
}

// Blocks of random elements, whole and damaged: what the library decodes is the same here, and what
// it refuses is refused.
TEST(Compress, SnappyElementsAreWhatTheLibraryTakesThemFor) {
  std::mt19937 random(11);
  uint64_t taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string elements;
    size_t length = 0;
    for (uint32_t i = random() % 40; i > 0; --i) {
      const uint32_t n = 1 + random() % 64;
      // Within what is there, as a rule.
      const uint32_t back = random() % 50 == 0 ? random() : 1 + random() % (length + 1);
      const auto put = [&](uint32_t value, int bytes) {
        for (int b = 0; b < bytes; ++b) elements.push_back(static_cast<char>(value >> (8 * b)));
      };
      switch (length == 0 ? 0 : random() % 5) {
        case 0:
          elements.push_back(static_cast<char>(std::min(n, 60u) - 1) << 2);
          elements.append(std::min(n, 60u), static_cast<char>(random()));
          length += std::min(n, 60u);
          break;
        case 1: {
          const int bytes = 1 + static_cast<int>(random() % 4);
          const uint32_t many = 1 + random() % (bytes == 1 ? 256 : 300);
          elements.push_back(static_cast<char>((59 + bytes) << 2));
          put(many - 1, bytes);
          elements.append(many, static_cast<char>(random()));
          length += many;
          break;
        }
        case 2:
          elements.push_back(
              static_cast<char>(1 | random() % 8 << 2 | std::min(back, 2047u) >> 8 << 5));
          length += 4 + (static_cast<uint8_t>(elements.back()) >> 2 & 7);
          put(std::min(back, 2047u) & 0xff, 1);
          break;
        case 3:
          elements.push_back(static_cast<char>(2 | (n - 1) << 2));
          put(back, 2);
          length += n;
          break;
        default:
          elements.push_back(static_cast<char>(3 | (n - 1) << 2));
          put(back, 4);
          length += n;
      }
    }
    if (round % 4 == 1 && !elements.empty()) elements.resize(random() % elements.size());
    if (round % 4 == 2 && !elements.empty()) elements[random() % elements.size()] ^= 1 << random() % 8;
    if (round % 4 == 3) length += random() % 2;
    std::string block;
    for (size_t v = length; ; v >>= 7) {
      block.push_back(static_cast<char>(v < 128 ? v : v | 128));
      if (v < 128) break;
    }
    block += elements;
    std::string expected(length, '\0'), got(length, '\0');
    const bool ok = snappy::RawUncompress(block.data(), block.size(), expected.data());
    ASSERT_EQ(DecodeSnappyElements(elements, got), ok) << "round " << round;
    if (ok) {
      ASSERT_EQ(got, expected) << "round " << round;
    }
    taken += ok;
  }
  EXPECT_GT(taken, 5'000u);
}

TEST(Compress, ALyingSnappyLengthIsRefused) {
  std::string out;
  const std::string lie("\xff\xff\xff\xff\x0f\x00", 6);  // Claims 4 GiB.
  EXPECT_EQ(Decompress(Encoding::kSnappy, lie, size_t(1) << 33, out).code(),
            StatusCode::kInvalidArgument);
}

TEST(StreamCompressor, AFlushedPieceCanBeReadAtOnce) {
  for (Encoding encoding : {Encoding::kGzip, Encoding::kZstd, Encoding::kDeflate}) {
    StreamCompressor stream(encoding);
    std::string packed, out;
    ASSERT_TRUE(stream.Write("one\n", /*flush=*/true, packed).ok());
    EXPECT_GT(packed.size(), 4u);
    const size_t flushed = packed.size();
    ASSERT_TRUE(stream.Write(std::string(100'000, 'y'), /*flush=*/false, packed).ok());
    ASSERT_TRUE(stream.Finish(packed).ok());
    EXPECT_GT(packed.size(), flushed);
    ASSERT_TRUE(Decompress(encoding, packed, 200'000, out).ok());
    EXPECT_EQ(out, "one\n" + std::string(100'000, 'y'));
  }
  std::string out;
  EXPECT_FALSE(StreamCompressor(Encoding::kSnappy).Write("x", true, out).ok());
}

TEST(Encoding, NamesAreReadInAnyCase) {
  EXPECT_EQ(EncodingFromName("GZip"), Encoding::kGzip);
  EXPECT_EQ(EncodingFromName("x-gzip"), Encoding::kGzip);
  EXPECT_EQ(EncodingFromName("zstd"), Encoding::kZstd);
  EXPECT_EQ(EncodingFromName("deflate"), Encoding::kDeflate);
  EXPECT_EQ(EncodingFromName("br"), std::nullopt);
}

}  // namespace
}  // namespace vedette::compress
