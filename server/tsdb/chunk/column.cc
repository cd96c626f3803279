#include "server/tsdb/chunk/column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/model/sample.h"
#include "server/tsdb/chunk/integers.h"

namespace vedette::tsdb {
namespace {

// The first byte: the form in bits 0-2, "has holes" in bit 3, the exponent of kDecimal in bits 4-7.
enum Form : uint8_t {
  kConstant = 0,
  kConstantInteger = 1,
  kDecimal = 2,
  kPatchedDecimal = 3,
  kXor = 4,
  kRaw = 5
};
constexpr uint8_t kHoles = 0x08;

constexpr int kMaxExponent = 15;
constexpr std::array<double, kMaxExponent + 1> kPowers = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
// Integers beyond this are not all doubles.
constexpr double kMaxExact = 9007199254740992.0;

bool FitsDecimal(double v, int exponent, int64_t& integer) {
  const double scaled = v * kPowers[static_cast<size_t>(exponent)];
  if (!(scaled > -kMaxExact && scaled < kMaxExact)) return false;  // NaN is out too.
  // Not nearbyint: a call. This constant pushes the fraction out of the mantissa.
  constexpr double kRound = 6755399441055744.0;
  int64_t i = static_cast<int64_t>(scaled);
  if (exponent > 0) {
    i = scaled > -kRound / 4 && scaled < kRound / 4
            ? static_cast<int64_t>((scaled + kRound) - kRound)
            : static_cast<int64_t>(std::nearbyint(scaled));
  }
  const double back = static_cast<double>(i) / kPowers[static_cast<size_t>(exponent)];
  integer = i;
  return std::bit_cast<uint64_t>(back) == std::bit_cast<uint64_t>(v);
}

struct Patch {
  size_t at;
  uint64_t bits;
};

thread_local std::vector<int64_t> integers;
thread_local std::vector<Patch> patches;

// The smallest exponent under which all but a few values are integers; -1 where there is none.
int FindExponent(std::span<const double> values) {
  const size_t allowed = values.size() / 8 + 1;
  int exponent = 0;
  size_t misfits = 0;
  int64_t unused;
  for (double v : values) {
    if (v == 0 || std::isnan(v) || std::isinf(v)) continue;
    int e = exponent;
    while (e <= kMaxExponent && !FitsDecimal(v, e, unused)) ++e;
    if (e <= kMaxExponent) {
      exponent = e;
    } else if (++misfits > allowed) {
      return -1;
    }
  }
  return exponent;
}

// Most columns are integers: one pass over the values finds that out and has them.
bool AllIntegers(std::span<const double> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!FitsDecimal(values[i], 0, integers[i])) return false;
  }
  return true;
}

bool TryDecimal(std::span<const double> values, std::string& out, uint8_t holes) {
  integers.resize(values.size());
  if (AllIntegers(values)) {
    out.push_back(static_cast<char>(kDecimal | holes));
    EncodeIntegers(integers, out);
    return true;
  }
  const int exponent = FindExponent(values);
  if (exponent < 0) return false;
  patches.clear();
  int64_t last = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!FitsDecimal(values[i], exponent, integers[i])) {
      integers[i] = last;  // Whatever costs least.
      patches.push_back({i, std::bit_cast<uint64_t>(values[i])});
      if (patches.size() > values.size() / 4 + 2) return false;
    }
    last = integers[i];
  }
  // A patch at the front would make the first difference a large one.
  if (!patches.empty() && patches.front().at == 0) {
    size_t lead = 0;
    while (lead < patches.size() && patches[lead].at == lead) ++lead;
    if (lead < values.size()) std::fill_n(integers.begin(), lead, integers[lead]);
  }
  out.push_back(
      static_cast<char>((patches.empty() ? kDecimal : kPatchedDecimal) | holes | exponent << 4));
  if (!patches.empty()) {
    PutVarint(out, patches.size());
    size_t before = 0;
    for (const Patch& p : patches) {
      PutVarint(out, p.at - before);
      PutFixed(out, p.bits);
      before = p.at;
    }
  }
  EncodeIntegers(integers, out);
  return true;
}

// Per value one byte, (leading zero bytes << 4 | meaningful bytes) of the XOR, then those bytes.
void EncodeXor(std::span<const double> values, std::string& out) {
  uint64_t before = 0;
  for (double v : values) {
    const uint64_t bits = std::bit_cast<uint64_t>(v);
    const uint64_t x = bits ^ before;
    before = bits;
    if (x == 0) {
      out.push_back(0);
      continue;
    }
    const int trailing = std::countr_zero(x) / 8;
    const int length = 8 - std::countl_zero(x) / 8 - trailing;
    out.push_back(static_cast<char>(trailing << 4 | length));
    const uint64_t shifted = x >> (8 * trailing);
    out.append(reinterpret_cast<const char*>(&shifted), static_cast<size_t>(length));
  }
}

bool DecodeXor(ByteReader& in, std::span<double> out) {
  uint64_t before = 0;
  for (double& v : out) {
    const uint8_t control = in.Fixed<uint8_t>();
    const int trailing = control >> 4;
    const int length = control & 15;
    if (trailing + length > 8) return false;
    const std::string_view bytes = in.Take(static_cast<size_t>(length));
    if (!in.ok()) return false;
    uint64_t x = 0;
    std::memcpy(&x, bytes.data(), bytes.size());
    if (length > 0) before ^= x << (8 * trailing);
    v = std::bit_cast<double>(before);
  }
  return true;
}

void EncodeDense(std::span<const double> values, std::string& out, uint8_t holes) {
  const uint64_t first = std::bit_cast<uint64_t>(values[0]);
  const bool constant =
      std::ranges::all_of(values, [&](double v) { return std::bit_cast<uint64_t>(v) == first; });
  if (constant) {
    int64_t integer;
    if (FitsDecimal(values[0], 0, integer)) {
      out.push_back(static_cast<char>(kConstantInteger | holes));
      PutSigned(out, integer);
    } else {
      out.push_back(static_cast<char>(kConstant | holes));
      PutFixed(out, first);
    }
    return;
  }
  const size_t start = out.size();
  const size_t raw = values.size() * 8;
  if (TryDecimal(values, out, holes)) {
    if (out.size() - start <= raw * 3 / 4) return;
  }
  thread_local std::string x;
  x.clear();
  x.push_back(static_cast<char>(kXor | holes));
  EncodeXor(values, x);
  const size_t decimal = out.size() - start;
  if (decimal != 0 && decimal <= std::min(x.size(), raw + 1)) return;
  out.resize(start);
  if (x.size() <= raw) {
    out += x;
    return;
  }
  out.push_back(static_cast<char>(kRaw | holes));
  out.append(reinterpret_cast<const char*>(values.data()), raw);
}

bool DecodeDense(ByteReader& in, uint8_t head, std::span<double> out, size_t from) {
  const uint8_t form = head & 7;
  const size_t exponent = head >> 4;
  if (exponent != 0 && form != kDecimal && form != kPatchedDecimal) return false;
  switch (form) {
    case kConstant:
      std::ranges::fill(out.subspan(from), std::bit_cast<double>(in.Fixed<uint64_t>()));
      return in.ok();
    case kConstantInteger:
      std::ranges::fill(out.subspan(from), static_cast<double>(in.Signed()));
      return in.ok();
    case kDecimal:
    case kPatchedDecimal: {
      thread_local std::vector<Patch> patched;
      patched.clear();
      if (form == kPatchedDecimal) {
        const uint64_t count = in.Varint();
        if (!in.ok() || count > out.size()) return false;
        size_t at = 0;
        for (uint64_t i = 0; i < count; ++i) {
          const uint64_t gap = in.Varint();
          const uint64_t bits = in.Fixed<uint64_t>();
          if (!in.ok() || gap >= out.size() - at) return false;
          at += gap;
          patched.push_back({at, bits});
        }
      }
      thread_local std::vector<int64_t> decoded;
      decoded.resize(out.size());
      if (!DecodeIntegers(in, decoded, from)) return false;
      if (exponent == 0) {
        for (size_t i = from; i < out.size(); ++i) out[i] = static_cast<double>(decoded[i]);
      } else {
        const double power = kPowers[exponent];
        for (size_t i = from; i < out.size(); ++i) out[i] = static_cast<double>(decoded[i]) / power;
      }
      for (const Patch& p : patched) out[p.at] = std::bit_cast<double>(p.bits);
      return in.ok();
    }
    case kXor:
      return DecodeXor(in, out);
    case kRaw: {
      const std::string_view bytes = in.Take(out.size() * 8);
      if (!in.ok()) return false;
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

void EncodeColumn(std::span<const double> values, std::string& out) {
  if (values.empty()) return;
  if (std::ranges::none_of(values, IsAbsent)) {
    EncodeDense(values, out, 0);
    return;
  }
  // Run lengths, present first, after the number of them.
  thread_local std::vector<double> dense;
  thread_local std::string runs;
  dense.clear();
  runs.clear();
  uint64_t count = 0;
  for (size_t i = 0; i < values.size();) {
    const bool present = count % 2 == 0;
    size_t end = i;
    while (end < values.size() && IsAbsent(values[end]) != present) ++end;
    if (present)
      dense.insert(dense.end(), values.begin() + static_cast<ptrdiff_t>(i),
                   values.begin() + static_cast<ptrdiff_t>(end));
    PutVarint(runs, end - i);
    ++count;
    i = end;
  }
  thread_local std::string body;
  body.clear();
  if (dense.empty()) {
    body.push_back(static_cast<char>(kConstantInteger | kHoles));
  } else {
    EncodeDense(dense, body, kHoles);
  }
  out.push_back(body[0]);
  PutVarint(out, count);
  out += runs;
  out.append(body, 1);
}

bool ColumnHasHoles(std::string_view bytes) { return static_cast<uint8_t>(bytes[0]) & kHoles; }

bool DecodeColumn(ByteReader& in, std::span<double> out, size_t from) {
  if (out.empty()) return true;
  const uint8_t head = in.Fixed<uint8_t>();
  if (!in.ok()) return false;
  if (!(head & kHoles)) return DecodeDense(in, head, out, std::min(from, out.size()));

  const uint64_t count = in.Varint();
  if (!in.ok() || count > out.size() + 1) return false;
  std::vector<uint32_t> runs(count);
  size_t total = 0;
  size_t present = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t run = in.Varint();
    if (!in.ok() || run > out.size() - total) return false;
    runs[i] = static_cast<uint32_t>(run);
    total += run;
    if (i % 2 == 0) present += run;
  }
  if (total != out.size()) return false;
  if (present > 0 && !DecodeDense(in, head & ~kHoles, out.first(present), 0)) return false;
  if (present == 0 && (head & 7) != kConstantInteger) return false;
  // Spread from the back, so that nothing is overwritten before it is moved.
  size_t to = out.size();
  size_t source = present;
  for (size_t i = runs.size(); i-- > 0;) {
    to -= runs[i];
    if (i % 2 == 0) {
      source -= runs[i];
      std::memmove(out.data() + to, out.data() + source, runs[i] * sizeof(double));
    } else {
      std::fill_n(out.begin() + static_cast<ptrdiff_t>(to), runs[i], kAbsent);
    }
  }
  return true;
}

}  // namespace vedette::tsdb
