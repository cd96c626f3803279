#include "common/compress/compress.h"

#include <libdeflate.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "common/base/strings.h"

namespace vedette::compress {
namespace {

constexpr int kZlibWindow = 15;                 // The largest window, with zlib's header,
constexpr int kGzipWindow = kZlibWindow + 16;  // or with gzip's.
constexpr int kGzipLevel = 1;  // Ratio 7.1 on exposition text; level 6 buys 15 % for 4x the time.
constexpr int kZstdLevel = 1;
// A zstd frame may ask for a window of gigabytes before it yields a byte.
constexpr int kMaxZstdWindowLog = 24;
constexpr size_t kFirstPiece = 64 << 10;

struct Name {
  Encoding encoding;
  std::string_view name;
};
constexpr std::array<Name, 6> kNames = {{{Encoding::kIdentity, "identity"},
                                         {Encoding::kGzip, "gzip"},
                                         {Encoding::kSnappy, "snappy"},
                                         {Encoding::kZstd, "zstd"},
                                         {Encoding::kDeflate, "deflate"},
                                         {Encoding::kGzip, "x-gzip"}}};

Status TooLarge(Encoding encoding, size_t max_bytes) {
  return ResourceExhausted(StrCat(EncodingName(encoding), ": more than the limit of ", max_bytes,
                                  " bytes decompressed"));
}

Status Damaged(Encoding encoding, std::string_view what) {
  return InvalidArgument(StrCat(EncodingName(encoding), ": ", what));
}

// Makes room after out[used], at most max_bytes in all and one byte more, so that reaching the
// limit can be told from passing it.
void Grow(std::string& out, size_t used, size_t max_bytes) {
  const size_t cap = max_bytes == std::numeric_limits<size_t>::max() ? max_bytes : max_bytes + 1;
  const size_t want = std::max(kFirstPiece, used * 2);
  out.resize(std::min(cap, want));
}

// The two that are deflated data in one envelope or the other.
bool IsDeflated(Encoding encoding) {
  return encoding == Encoding::kGzip || encoding == Encoding::kDeflate;
}
int WindowOf(Encoding encoding) {
  return encoding == Encoding::kGzip ? kGzipWindow : kZlibWindow;
}

// libdeflate and not zlib: the body is there whole, so nothing needs to be kept between pieces.
Status Inflate(Encoding encoding, std::string_view in, size_t max_bytes, std::string& out) {
  const bool gzip = encoding == Encoding::kGzip;
  using Decompressor = std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)>;
  thread_local Decompressor decompressor(libdeflate_alloc_decompressor(),
                                         libdeflate_free_decompressor);
  if (decompressor == nullptr) return Internal("gzip: no memory for a decompressor");
  if (in.empty()) return Damaged(encoding, "the data ends early");
  size_t used = 0;
  while (!in.empty()) {  // Member by member.
    // Gzip's last four bytes say how long the last member is. A lie must not take memory: the first
    // try trusts them only as far as text is ever compressed.
    constexpr size_t kLikelyRatio = 32;
    uint32_t claim = 0;
    if (gzip && in.size() >= sizeof claim) {
      std::memcpy(&claim, in.data() + in.size() - sizeof claim, sizeof claim);
    }
    size_t room = std::min<size_t>(claim, in.size() * kLikelyRatio);
    while (true) {
      room = std::min(room, max_bytes - used);
      if (out.size() - used < room) out.resize(used + room);
      size_t in_size = 0;
      size_t out_size = 0;
      const auto decompress = gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex;
      const libdeflate_result result = decompress(decompressor.get(), in.data(), in.size(),
                                                  out.data() + used, room, &in_size, &out_size);
      if (result == LIBDEFLATE_SUCCESS) {
        in.remove_prefix(in_size);
        used += out_size;
        break;
      }
      if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
        return Damaged(encoding, "the data is damaged or ends early");
      }
      if (room == max_bytes - used) return TooLarge(encoding, max_bytes);
      room = std::max(kFirstPiece, room * 2);
    }
  }
  out.resize(used);
  return {};
}

Status Unzstd(std::string_view in, size_t max_bytes, std::string& out) {
  // Kept, as gzip's: it is larger than most bodies.
  thread_local std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  if (context == nullptr) return Internal("zstd: no memory for a context");
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  size_t used = 0;
  out.clear();
  size_t rc = 1;  // Not at the end of a frame: an empty input is truncated.
  while (input.pos < input.size || rc != 0) {
    if (used == out.size()) Grow(out, used, max_bytes);
    if (used == out.size()) return TooLarge(Encoding::kZstd, max_bytes);
    ZSTD_outBuffer output{out.data(), out.size(), used};
    const size_t pos_before = input.pos;
    rc = ZSTD_decompressStream(context.get(), &output, &input);
    if (ZSTD_isError(rc)) return Damaged(Encoding::kZstd, ZSTD_getErrorName(rc));
    const bool moved = output.pos != used || input.pos != pos_before;
    used = output.pos;
    if (used > max_bytes) return TooLarge(Encoding::kZstd, max_bytes);
    if (rc != 0 && input.pos == input.size && used < out.size() && !moved) {
      return Damaged(Encoding::kZstd, "the data ends early");
    }
  }
  out.resize(used);
  return {};
}

Status Unsnappy(std::string_view in, size_t max_bytes, std::string& out) {
  size_t length = 0;
  if (!snappy::GetUncompressedLength(in.data(), in.size(), &length)) {
    return Damaged(Encoding::kSnappy, "the length in front is damaged");
  }
  if (length > max_bytes) return TooLarge(Encoding::kSnappy, max_bytes);
  // The densest snappy element makes 64 bytes of 3: a longer claim is a lie told to take memory.
  if (length / 24 > in.size())
    return Damaged(Encoding::kSnappy, "the length in front is impossible");
  out.resize(length);  // What was there is overwritten: only what is new of it is zeroed.
  if (!snappy::RawUncompress(in.data(), in.size(), out.data())) {
    out.clear();
    return Damaged(Encoding::kSnappy, "damaged data");
  }
  return {};
}

// The usual case. As for reading, the body is there whole; what a compressor needs is kept by thread.
Status FastDeflate(Encoding encoding, std::string_view in, std::string& out) {
  using Compressor = std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)>;
  thread_local Compressor compressor(libdeflate_alloc_compressor(kGzipLevel),
                                     libdeflate_free_compressor);
  if (compressor == nullptr) return Internal("gzip: no memory for a compressor");
  const bool gzip = encoding == Encoding::kGzip;
  const auto bound = gzip ? libdeflate_gzip_compress_bound : libdeflate_zlib_compress_bound;
  const auto compress = gzip ? libdeflate_gzip_compress : libdeflate_zlib_compress;
  out.resize(bound(compressor.get(), in.size()));
  const size_t used = compress(compressor.get(), in.data(), in.size(), out.data(), out.size());
  if (used == 0) return Internal("gzip: libdeflate does not finish");
  out.resize(used);
  return {};
}

Status Deflate(Encoding encoding, std::string_view in, int level, std::string& out) {
  if (level == 0) return FastDeflate(encoding, in, out);
  z_stream z{};
  if (deflateInit2(&z, level, Z_DEFLATED, WindowOf(encoding), 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Internal(StrCat("gzip: zlib does not start at level ", level));
  }
  out.resize(deflateBound(&z, in.size()));
  size_t used = 0;
  int rc = Z_OK;
  do {
    const size_t piece = std::min<size_t>(in.size(), 1u << 30);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = uInt(piece);
    const uInt room = uInt(std::min<size_t>(out.size() - used, 1u << 30));
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = room;
    rc = deflate(&z, piece == in.size() ? Z_FINISH : Z_NO_FLUSH);
    in.remove_prefix(piece - z.avail_in);
    used += room - z.avail_out;
  } while (rc == Z_OK);
  deflateEnd(&z);
  if (rc != Z_STREAM_END) return Internal("gzip: zlib does not finish");
  out.resize(used);
  return {};
}

}  // namespace

std::string_view EncodingName(Encoding encoding) {
  for (const Name& n : kNames) {
    if (n.encoding == encoding) return n.name;
  }
  return "";
}

std::optional<Encoding> EncodingFromName(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  }
  for (const Name& n : kNames) {
    if (n.name == lower) return n.encoding;
  }
  return std::nullopt;
}

Status Compress(Encoding encoding, std::string_view in, std::string& out, int level) {
  switch (encoding) {
    case Encoding::kIdentity:
      out.assign(in);
      return {};
    case Encoding::kGzip:
    case Encoding::kDeflate:
      return Deflate(encoding, in, level, out);
    case Encoding::kSnappy:
      if (in.size() > std::numeric_limits<uint32_t>::max()) {
        return ResourceExhausted("snappy: a block holds at most 4 GiB");
      }
      snappy::Compress(in.data(), in.size(), &out);
      return {};
    case Encoding::kZstd: {
      out.resize(ZSTD_compressBound(in.size()));
      const size_t n = ZSTD_compress(out.data(), out.size(), in.data(), in.size(),
                                     level == 0 ? kZstdLevel : level);
      if (ZSTD_isError(n)) return Internal(StrCat("zstd: ", ZSTD_getErrorName(n)));
      out.resize(n);
      return {};
    }
  }
  return InvalidArgument("no such encoding");
}

Status Decompress(Encoding encoding, std::string_view in, size_t max_bytes, std::string& out) {
  Status status;
  switch (encoding) {
    case Encoding::kIdentity:
      if (in.size() > max_bytes) {
        status = TooLarge(encoding, max_bytes);
      } else {
        out.assign(in);
      }
      break;
    case Encoding::kGzip:
    case Encoding::kDeflate:
      status = Inflate(encoding, in, max_bytes, out);
      break;
    case Encoding::kSnappy:
      status = Unsnappy(in, max_bytes, out);
      break;
    case Encoding::kZstd:
      status = Unzstd(in, max_bytes, out);
      break;
  }
  if (!status.ok()) out.clear();
  return status;
}

struct StreamCompressor::State {
  Encoding encoding;
  z_stream z{};
  ZSTD_CCtx* zstd = nullptr;
  bool ready = false;

  ~State() {
    if (IsDeflated(encoding) && ready) deflateEnd(&z);
    ZSTD_freeCCtx(zstd);  // Null is fine.
  }

  Status Run(std::string_view in, int z_flush, ZSTD_EndDirective directive, std::string& out) {
    if (!ready) return Unimplemented(StrCat(EncodingName(encoding), ": not for streams"));
    std::array<char, 16 << 10> piece;
    if (IsDeflated(encoding)) {
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      z.avail_in = uInt(in.size());
      do {
        z.next_out = reinterpret_cast<Bytef*>(piece.data());
        z.avail_out = piece.size();
        if (deflate(&z, z_flush) == Z_STREAM_ERROR) return Internal("gzip: zlib refuses");
        out.append(piece.data(), piece.size() - z.avail_out);
      } while (z.avail_out == 0);
      return {};
    }
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    size_t rest = 0;
    do {
      ZSTD_outBuffer output{piece.data(), piece.size(), 0};
      rest = ZSTD_compressStream2(zstd, &output, &input, directive);
      if (ZSTD_isError(rest)) return Internal(StrCat("zstd: ", ZSTD_getErrorName(rest)));
      out.append(piece.data(), output.pos);
    } while (input.pos < input.size || (directive != ZSTD_e_continue && rest != 0));
    return {};
  }
};

StreamCompressor::StreamCompressor(Encoding encoding) : state_(new State{.encoding = encoding}) {
  if (IsDeflated(encoding)) {
    state_->ready = deflateInit2(&state_->z, kGzipLevel, Z_DEFLATED, WindowOf(encoding), 8,
                                 Z_DEFAULT_STRATEGY) == Z_OK;
  } else if (encoding == Encoding::kZstd) {
    state_->zstd = ZSTD_createCCtx();
    state_->ready = state_->zstd != nullptr;
    if (state_->ready) {
      ZSTD_CCtx_setParameter(state_->zstd, ZSTD_c_compressionLevel, kZstdLevel);
    }
  }
}
StreamCompressor::~StreamCompressor() = default;
StreamCompressor::StreamCompressor(StreamCompressor&&) noexcept = default;
StreamCompressor& StreamCompressor::operator=(StreamCompressor&&) noexcept = default;

Status StreamCompressor::Write(std::string_view in, bool flush, std::string& out) {
  constexpr size_t kPiece = 1 << 30;  // zlib counts in 32 bits.
  for (; in.size() > kPiece; in.remove_prefix(kPiece)) {
    VEDETTE_RETURN_IF_ERROR(state_->Run(in.substr(0, kPiece), Z_NO_FLUSH, ZSTD_e_continue, out));
  }
  return state_->Run(in, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH, flush ? ZSTD_e_flush : ZSTD_e_continue,
                     out);
}

Status StreamCompressor::Finish(std::string& out) {
  return state_->Run({}, Z_FINISH, ZSTD_e_end, out);
}

}  // namespace vedette::compress
