#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::compress {

// The content encodings Vedette speaks. Snappy is the block form that remote write uses; deflate is
// that of HTTP, with zlib's header.
enum class Encoding : uint8_t { kIdentity, kGzip, kSnappy, kZstd, kDeflate };

// The word in Content-Encoding and Accept-Encoding: "identity", "gzip", "snappy", "zstd",
// "deflate".
std::string_view EncodingName(Encoding encoding);
std::optional<Encoding> EncodingFromName(std::string_view name);  // Any case; "x-gzip" too.

// Replaces `out` with `in` compressed. `level` 0 is the encoding's own fast default.
Status Compress(Encoding encoding, std::string_view in, std::string& out, int level = 0);

// Replaces `out` with what `in` holds. More than `max_bytes` of output is RESOURCE_EXHAUSTED,
// found before that memory is taken, so a bomb costs at most the limit; damaged or truncated input
// is INVALID_ARGUMENT. Gzip members and zstd frames may follow one another.
Status Decompress(Encoding encoding, std::string_view in, size_t max_bytes, std::string& out);

// StreamCompressor compresses a body whose end is not known yet: each Write appends to `out` what
// is ready, and with `flush` all of it, so that a reader can use the line before the next one is
// written. Not snappy. Not thread-safe.
//
//   StreamCompressor gzip(Encoding::kGzip);
//   gzip.Write(line, /*flush=*/true, out);
//   gzip.Finish(out);
class StreamCompressor {
 public:
  explicit StreamCompressor(Encoding encoding);
  ~StreamCompressor();
  StreamCompressor(StreamCompressor&&) noexcept;
  StreamCompressor& operator=(StreamCompressor&&) noexcept;

  Status Write(std::string_view in, bool flush, std::string& out);
  Status Finish(std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::compress
