#include "ctl/prometheus_block.h"

#include <bit>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>

#include "common/base/strings.h"

namespace vedette::ctl {
namespace {

constexpr uint32_t kIndexMagic = 0xBAAAD700;
constexpr uint32_t kChunksMagic = 0x85BD40DD;
constexpr size_t kTocBytes = 6 * 8 + 4;
constexpr uint64_t kMaxFileBytes = 8ULL << 30;
constexpr int kXor = 1;

Result<std::string> Slurp(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return NotFound(StrCat(path, ": ", error.message()));
  if (size > kMaxFileBytes) {
    return ResourceExhausted(StrCat(path, " has ", size, " bytes, limit: ", kMaxFileBytes));
  }
  std::ifstream in(path, std::ios::binary);
  std::string out(size, '\0');
  if (!in.read(out.data(), static_cast<std::streamsize>(size))) {
    return Unavailable(StrCat("cannot read ", path));
  }
  return out;
}

// Reads big-endian numbers and Go's varints; after the end everything is 0 and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }

  uint64_t Big(int bytes) {
    if (rest_.size() < static_cast<size_t>(bytes)) return Bad();
    uint64_t v = 0;
    for (int i = 0; i < bytes; ++i)
      v = v << 8 | static_cast<uint8_t>(rest_[static_cast<size_t>(i)]);
    rest_.remove_prefix(static_cast<size_t>(bytes));
    return v;
  }
  uint64_t Uvarint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto b = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      v |= uint64_t{b & 0x7fu} << shift;
      if (b < 0x80) return v;
    }
    return Bad();
  }
  int64_t Varint() {
    const uint64_t v = Uvarint();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }
  std::string_view Bytes(uint64_t n) {
    if (n > rest_.size()) {
      Bad();
      return {};
    }
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }

 private:
  uint64_t Bad() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }

  uint64_t Bits(int n) {
    uint64_t v = 0;
    for (int i = 0; i < n; ++i) {
      if (at_ / 8 >= bytes_.size()) {
        ok_ = false;
        return 0;
      }
      v = v << 1 | ((static_cast<uint8_t>(bytes_[at_ / 8]) >> (7 - at_ % 8)) & 1u);
      ++at_;
    }
    return v;
  }
  uint64_t Uvarint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && ok_; shift += 7) {
      const uint64_t b = Bits(8);
      v |= (b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    ok_ = false;
    return 0;
  }
  int64_t Varint() {
    const uint64_t v = Uvarint();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// The change of a delta: 0, or a prefix of ones and so many bits in two's complement.
int64_t DeltaOfDelta(BitReader& bits) {
  int ones = 0;
  while (ones < 4 && bits.Bits(1) == 1) ++ones;
  constexpr int kWidths[] = {0, 14, 17, 20, 64};
  const int width = kWidths[ones];
  if (width == 0) return 0;
  const uint64_t v = bits.Bits(width);
  if (width == 64) return static_cast<int64_t>(v);
  // Above half the range is negative; exactly half is positive, as the writer has it.
  const uint64_t half = 1ULL << (width - 1);
  return v > half ? static_cast<int64_t>(v) - (int64_t{1} << width) : static_cast<int64_t>(v);
}

int64_t Sum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace

Status DecodeXorChunk(std::string_view data, std::vector<Sample>* out) {
  const auto damaged = [] { return DataLoss("an XOR chunk is damaged"); };
  if (data.size() < 2) return damaged();
  Reader head(data);
  const uint64_t count = head.Big(2);
  BitReader bits(data.substr(2));
  int64_t t_ms = 0;
  uint64_t delta = 0, value = 0;
  uint8_t leading = 0, trailing = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (i == 0) {
      t_ms = bits.Varint();
      value = bits.Bits(64);
    } else {
      delta = i == 1 ? bits.Uvarint()
                     : static_cast<uint64_t>(Sum(static_cast<int64_t>(delta), DeltaOfDelta(bits)));
      t_ms = Sum(t_ms, static_cast<int64_t>(delta));
      if (bits.Bits(1) == 1) {
        if (bits.Bits(1) == 1) {
          leading = static_cast<uint8_t>(bits.Bits(5));
          uint64_t significant = bits.Bits(6);
          if (significant == 0) significant = 64;  // 64 does not fit into six bits.
          if (leading + significant > 64) return damaged();
          trailing = static_cast<uint8_t>(64 - leading - significant);
        }
        const int significant = 64 - leading - trailing;
        value ^= bits.Bits(significant) << trailing;
      }
    }
    if (!bits.ok()) return damaged();
    out->push_back({t_ms, std::bit_cast<double>(value)});
  }
  return {};
}

Status ReadPrometheusBlock(const std::string& dir, const TakeSeries& take, BlockStats* stats) {
  const std::string path = dir + "/index";
  VEDETTE_ASSIGN_OR_RETURN(const std::string index, Slurp(path));
  const auto damaged = [&](std::string_view what) {
    return DataLoss(StrCat(path, ": ", what, " is damaged"));
  };
  Reader head(index);
  if (index.size() < 5 + kTocBytes || head.Big(4) != kIndexMagic) {
    return InvalidArgument(StrCat(path, " is no index of a Prometheus block"));
  }
  if (const uint64_t version = head.Big(1); version != 2) {
    return Unimplemented(
        StrCat(path, ": version ", version, " of the index; this reads version 2"));
  }
  Reader toc(std::string_view(index).substr(index.size() - kTocBytes));
  const uint64_t symbols_at = toc.Big(8), series_at = toc.Big(8), series_end = toc.Big(8);
  if (symbols_at > index.size() || series_at > series_end || series_end > index.size()) {
    return damaged("the table of contents");
  }

  std::vector<std::string_view> symbols;
  Reader table(std::string_view(index).substr(symbols_at));
  table.Big(4);
  const uint64_t count = table.Big(4);
  if (count > table.left()) return damaged("the table of symbols");
  symbols.reserve(count);
  for (uint64_t i = 0; i < count && table.ok(); ++i) {
    const uint64_t size = table.Uvarint();
    symbols.push_back(table.Bytes(size));
  }
  if (!table.ok()) return damaged("the table of symbols");

  std::map<uint64_t, std::string> files;  // Chunk files, each read when first needed.
  std::vector<Label> labels;
  std::vector<Sample> samples;
  for (uint64_t at = series_at; at < series_end;) {
    if (at % 16 != 0) at += 16 - at % 16;  // Each series starts at a multiple of 16.
    if (at >= series_end) break;
    const std::string_view here = std::string_view(index).substr(at, series_end - at);
    Reader r(here);
    const uint64_t size = r.Uvarint();
    const size_t prefix = here.size() - r.left();
    if (!r.ok() || size + 4 > r.left()) return damaged(StrCat("the series at ", at));
    if (size == 0) break;  // Padding behind the last one.
    Reader s(r.Bytes(size));
    at += prefix + size + 4;

    labels.clear();
    for (uint64_t n = s.Uvarint(); n > 0 && s.ok(); --n) {
      const uint64_t name = s.Uvarint(), value = s.Uvarint();
      if (name >= symbols.size() || value >= symbols.size()) return damaged("a label");
      labels.push_back({symbols[name], symbols[value]});
    }
    samples.clear();
    uint64_t ref = 0;
    const uint64_t chunks = s.Uvarint();
    for (uint64_t i = 0; i < chunks && s.ok(); ++i) {
      // Times of the chunk: only its place is of use here.
      if (i == 0) {
        s.Varint();
      } else {
        s.Uvarint();
      }
      s.Uvarint();
      ref =
          i == 0 ? s.Uvarint() : static_cast<uint64_t>(Sum(static_cast<int64_t>(ref), s.Varint()));
      const uint64_t file = ref >> 32, offset = ref & 0xffffffff;
      auto it = files.find(file);
      if (it == files.end()) {
        std::string name = StrCat(file + 1);
        name.insert(0, name.size() < 6 ? 6 - name.size() : 0, '0');
        VEDETTE_ASSIGN_OR_RETURN(std::string bytes, Slurp(StrCat(dir, "/chunks/", name)));
        if (Reader(bytes).Big(4) != kChunksMagic) {
          return InvalidArgument(StrCat(dir, "/chunks/", name, " is no file of chunks"));
        }
        it = files.emplace(file, std::move(bytes)).first;
      }
      if (offset >= it->second.size()) return damaged("a reference to a chunk");
      Reader c(std::string_view(it->second).substr(offset));
      const uint64_t length = c.Uvarint();
      const uint64_t encoding = c.Big(1);
      const std::string_view data = c.Bytes(length);
      if (!c.ok()) return damaged("a chunk");
      if (encoding != kXor) {
        ++stats->histogram_chunks;
        continue;
      }
      const Status decoded = DecodeXorChunk(data, &samples);
      if (!decoded.ok()) return decoded.Annotate(dir);
    }
    if (!s.ok()) return damaged("a series");
    if (samples.empty()) continue;
    ++stats->series;
    stats->samples += samples.size();
    VEDETTE_RETURN_IF_ERROR(take(Labels::Of(labels), samples));
  }
  return {};
}

}  // namespace vedette::ctl
