#include "common/compress/compress.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

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
