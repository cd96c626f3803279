#include "server/tsdb/chunk/chunk.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/column.h"
#include "server/tsdb/chunk/integers.h"

namespace vedette::tsdb {
namespace {

constexpr uint8_t kStaleFlag = 1;
constexpr uint64_t kStaleBits = 0x7ff0000000000002;
constexpr size_t kChecksumBytes = 4;

void PutChecksum(std::string& out) { PutFixed(out, Checksum(out)); }

// The bytes before the checksum, or why not.
Result<std::string_view> Checked(std::string_view bytes, std::string_view what) {
  if (bytes.size() < kChecksumBytes) {
    return DataLoss(StrCat(what, " of ", bytes.size(), " bytes is too short"));
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(body.size()));
  if (tail.Fixed<uint32_t>() != Checksum(body)) return DataLoss(StrCat(what, ": checksum differs"));
  return body;
}

Result<ChunkHeader> TakeHeader(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t flags = in.Fixed<uint8_t>();
  ChunkHeader header;
  header.has_stale = flags & kStaleFlag;
  const uint64_t count = in.Varint();
  const uint64_t id = in.Varint();
  const uint64_t span = in.Varint();
  if (!in.ok() || in.left() == 0 || flags > kStaleFlag || count == 0 || count > kMaxChunkValues ||
      id > UINT32_MAX || span > INT64_MAX) {
    return DataLoss("chunk: header is damaged");
  }
  header.count = static_cast<uint32_t>(count);
  header.instants_id = static_cast<uint32_t>(id);
  header.span_ms = static_cast<int64_t>(span);
  header.has_holes = ColumnHasHoles(in.rest());
  header.column_at = bytes.size() - in.left();
  return header;
}

}  // namespace

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

std::string EncodeChunk(uint32_t instants_id, int64_t span_ms, std::span<const double> values) {
  std::string out;
  out.reserve(64 + values.size());
  const bool stale = std::ranges::any_of(
      values, [](double v) { return std::bit_cast<uint64_t>(v) == kStaleBits; });
  out.push_back(static_cast<char>(stale ? kStaleFlag : 0));
  PutVarint(out, values.size());
  PutVarint(out, instants_id);
  PutVarint(out, static_cast<uint64_t>(span_ms));
  EncodeColumn(values, out);
  PutChecksum(out);
  return out;
}

Result<ChunkHeader> ReadChunkHeader(std::string_view bytes) { return TakeHeader(bytes); }

Status CheckChunk(std::string_view bytes) { return Checked(bytes, "chunk").status(); }

Status DecodeChunkValues(std::string_view bytes, const ChunkHeader& header, std::span<double> out,
                         size_t from) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string_view body, Checked(bytes, "chunk"));
  if (header.column_at >= body.size()) return DataLoss("chunk: header is damaged");
  ByteReader in(body.substr(header.column_at));
  if (!DecodeColumn(in, out, from) || !in.done()) return DataLoss("chunk: column is damaged");
  return {};
}

Result<ChunkHeader> DecodeChunk(std::string_view bytes, std::vector<double>& values) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string_view body, Checked(bytes, "chunk"));
  VEDETTE_ASSIGN_OR_RETURN(const ChunkHeader header, TakeHeader(body));
  values.resize(header.count);
  ByteReader in(body.substr(header.column_at));
  if (!DecodeColumn(in, values) || !in.done()) return DataLoss("chunk: column is damaged");
  return header;
}

std::string EncodeInstants(std::span<const int64_t> instants) {
  std::string out;
  PutVarint(out, instants.size());
  if (!instants.empty()) {
    PutSigned(out, instants[0]);
    std::vector<int64_t> deltas(instants.size() - 1);
    for (size_t i = 0; i < deltas.size(); ++i) {
      deltas[i] = static_cast<int64_t>(static_cast<uint64_t>(instants[i + 1]) -
                                       static_cast<uint64_t>(instants[i]));
    }
    EncodeIntegers(deltas, out);
  }
  PutChecksum(out);
  return out;
}

Status DecodeInstants(std::string_view bytes, std::vector<int64_t>& instants) {
  VEDETTE_ASSIGN_OR_RETURN(std::string_view body, Checked(bytes, "instants"));
  ByteReader in(body);
  const uint64_t count = in.Varint();
  if (!in.ok() || count > kMaxChunkValues) return DataLoss("instants: count is damaged");
  instants.resize(count);
  if (count > 0) {
    instants[0] = in.Signed();
    if (!DecodeIntegers(in, std::span(instants).subspan(1))) {
      return DataLoss("instants: differences are damaged");
    }
    for (size_t i = 1; i < count; ++i) {
      // Unsigned, as damaged input may overflow.
      instants[i] = static_cast<int64_t>(static_cast<uint64_t>(instants[i - 1]) +
                                         static_cast<uint64_t>(instants[i]));
      if (instants[i] <= instants[i - 1]) return DataLoss("instants: not ascending");
    }
  }
  return in.done() ? Status() : DataLoss("instants: bytes are left over");
}

}  // namespace vedette::tsdb
