#include "server/tsdb/chunk/integers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

namespace vedette::tsdb {
namespace {

// The first byte: transform in bits 0-1, packing in bits 2-3, "has a divisor" in bit 4.
constexpr int kMaxTransform = 2;
enum Packing : uint8_t { kEqual = 0, kPacked = 1, kBitmap = 2, kGaps = 3 };
constexpr uint8_t kHasDivisor = 0x10;

int Width(uint64_t v) { return 64 - std::countl_zero(v); }
uint64_t Mask(int width) { return width == 64 ? ~0ULL : (1ULL << width) - 1; }
size_t PackedBytes(size_t n, int width) { return (n * static_cast<size_t>(width) + 7) / 8; }
size_t VarintBytes(uint64_t v) { return v == 0 ? 1 : static_cast<size_t>(Width(v) + 6) / 7; }

void Pack(std::span<const uint64_t> values, int width, std::string& out) {
  if (width == 0) return;
  const size_t start = out.size();
  out.resize(start + PackedBytes(values.size(), width));
  char* p = out.data() + start;
  unsigned __int128 pending = 0;
  int bits = 0;
  const uint64_t mask = Mask(width);
  for (uint64_t v : values) {
    pending |= static_cast<unsigned __int128>(v & mask) << bits;
    bits += width;
    if (bits >= 64) {
      const uint64_t word = static_cast<uint64_t>(pending);
      std::memcpy(p, &word, 8);
      p += 8;
      pending >>= 64;
      bits -= 64;
    }
  }
  const uint64_t word = static_cast<uint64_t>(pending);
  std::memcpy(p, &word, static_cast<size_t>(bits + 7) / 8);
}

// `ones` bits of every `period`, from the lowest of `bits` on.
uint64_t Stripes(size_t ones, size_t period, size_t bits) {
  uint64_t out = 0;
  for (size_t at = 0; at < bits; at += period) out |= Mask(static_cast<int>(ones)) << at;
  return out & Mask(static_cast<int>(bits));
}

uint64_t SumOfLanes(uint64_t lanes, size_t width) {
  uint64_t sum = 0;
  for (; lanes != 0; lanes >>= width) sum += lanes & Mask(static_cast<int>(width));
  return sum;
}

// The sum of the first values, as far as `end` and where eight bytes are there to load for each.
uint64_t SumPacked(const char* p, int width, size_t end) {
  const uint64_t mask = Mask(width);
  const size_t w = static_cast<size_t>(width);
  uint64_t sum = 0;
  size_t i = 0;
  // As many values as a load has whole wherever it begins are added up side by side, in lanes that are
  // twice as wide as a value, or four times where values are narrow, until one of them could be full.
  constexpr size_t kBits = 57;
  if (width <= 4) {
    const size_t values = kBits / (4 * w) * 4;
    const uint64_t every_2nd = Stripes(w, 2 * w, values * w);
    const uint64_t every_4th = Stripes(2 * w, 4 * w, values * w);
    const size_t room = (Mask(4 * width)) / (4 * mask);
    while (i + values <= end) {
      uint64_t lanes = 0;
      for (size_t n = 0; n < room && i + values <= end; ++n, i += values) {
        uint64_t word;
        std::memcpy(&word, p + (i * w >> 3), 8);
        word >>= i * w & 7;
        const uint64_t pairs = (word & every_2nd) + (word >> w & every_2nd);
        lanes += (pairs & every_4th) + (pairs >> 2 * w & every_4th);
      }
      sum += SumOfLanes(lanes, 4 * w);
    }
  } else if (width <= 28) {
    const size_t values = kBits / (2 * w) * 2;
    const uint64_t every_2nd = Stripes(w, 2 * w, values * w);
    while (i + values <= end) {
      uint64_t even = 0;
      uint64_t odd = 0;
      for (size_t n = 0; n <= mask && i + values <= end; ++n, i += values) {
        uint64_t word;
        std::memcpy(&word, p + (i * w >> 3), 8);
        word >>= i * w & 7;
        even += word & every_2nd;
        odd += word >> w & every_2nd;
      }
      sum += SumOfLanes(even, 2 * w) + SumOfLanes(odd, 2 * w);
    }
  }
  for (; i < end; ++i) {
    uint64_t word;
    std::memcpy(&word, p + (i * w >> 3), 8);
    sum += word >> (i * w & 7) & mask;
  }
  return sum;
}

// The first `skip` values are left undefined; `skipped` is set to their sum.
bool Unpack(ByteReader& in, int width, std::span<uint64_t> out, size_t skip, uint64_t& skipped) {
  skipped = 0;
  if (width == 0) {
    std::ranges::fill(out.subspan(skip), 0);
    return true;
  }
  const std::string_view bytes = in.Take(PackedBytes(out.size(), width));
  if (!in.ok()) return false;
  const char* p = bytes.data();
  const uint64_t mask = Mask(width);
  const size_t n = out.size();
  size_t i = 0;
  if (width <= 56 && bytes.size() >= 8) {
    // One unaligned load a value, as long as eight bytes are there to load.
    const size_t safe_bits = (bytes.size() - 8) * 8 + 7;
    const size_t safe = std::min(n, safe_bits / static_cast<size_t>(width) + 1);
    i = std::min(skip, safe);
    skipped = SumPacked(p, width, i);
    size_t bit = i * static_cast<size_t>(width);
    for (; i < safe; ++i, bit += static_cast<size_t>(width)) {
      uint64_t word;
      std::memcpy(&word, p + (bit >> 3), 8);
      out[i] = (word >> (bit & 7)) & mask;
    }
  }
  for (; i < n; ++i) {
    const size_t bit = i * static_cast<size_t>(width);
    unsigned __int128 word = 0;
    const size_t from = bit >> 3;
    std::memcpy(&word, p + from, std::min<size_t>(16, bytes.size() - from));
    const uint64_t value = static_cast<uint64_t>(word >> (bit & 7)) & mask;
    if (i < skip) {
      skipped += value;
    } else {
      out[i] = value;
    }
  }
  return true;
}

// Unsigned offsets: a width, then patches for what is wider.
struct PforPlan {
  int width = 0;
  size_t patches = 0;
  size_t bytes = 0;
};

PforPlan PlanPfor(std::span<const uint64_t> offsets) {
  std::array<uint32_t, 65> of_width{};
  for (uint64_t v : offsets) ++of_width[static_cast<size_t>(Width(v))];
  int max = 64;
  while (max > 0 && of_width[static_cast<size_t>(max)] == 0) --max;
  PforPlan best{max, 0, PackedBytes(offsets.size(), max) + 2};
  size_t patches = 0;
  size_t patch_bytes = 0;
  for (int w = max - 1; w >= 0; --w) {
    const size_t n = of_width[static_cast<size_t>(w + 1)];
    patches += n;
    if (patches > offsets.size() / 8) break;
    patch_bytes = patches * (1 + static_cast<size_t>(max - w + 6) / 7);
    const size_t bytes = PackedBytes(offsets.size(), w) + 2 + patch_bytes;
    if (bytes < best.bytes) best = {w, patches, bytes};
  }
  return best;
}

void PutPfor(std::span<const uint64_t> offsets, const PforPlan& plan, std::string& out) {
  out.push_back(static_cast<char>(plan.width));
  PutVarint(out, plan.patches);
  Pack(offsets, plan.width, out);
  size_t last = 0;
  for (size_t i = 0; plan.patches > 0 && i < offsets.size(); ++i) {
    if (Width(offsets[i]) <= plan.width) continue;
    PutVarint(out, i - last);
    PutVarint(out, offsets[i] >> plan.width);
    last = i;
  }
}

bool GetPfor(ByteReader& in, std::span<uint64_t> out, size_t skip, uint64_t& skipped) {
  const uint8_t width = in.Fixed<uint8_t>();
  const uint64_t patches = in.Varint();
  if (!in.ok() || width > 64 || patches > out.size()) return false;
  if (!Unpack(in, width, out, skip, skipped)) return false;
  size_t at = 0;
  for (uint64_t i = 0; i < patches; ++i) {
    const uint64_t gap = in.Varint();
    const uint64_t high = in.Varint();
    if (!in.ok() || gap >= out.size() - at || width == 64) return false;
    at += gap;
    if (at < skip) {
      skipped += high << width;
    } else {
      out[at] |= high << width;
    }
  }
  return true;
}

bool GetPfor(ByteReader& in, std::span<uint64_t> out) {
  uint64_t none = 0;
  return GetPfor(in, out, 0, none);
}

// One transform with its packing, costed but not written.
struct Plan {
  int transform = 0;
  Packing packing = kEqual;
  uint64_t base = 0;
  uint64_t divisor = 1;
  PforPlan pfor;
  PforPlan gaps;
  size_t bytes = 0;
};

thread_local std::vector<uint64_t> scratch_transformed[kMaxTransform + 1];
thread_local std::vector<uint64_t> scratch_offsets[kMaxTransform + 1];
thread_local std::vector<uint64_t> scratch_gaps[kMaxTransform + 1];

// What one pass over a transform's values shows of them.
struct Shape {
  int64_t min = 0;
  int64_t max = 0;
  size_t zeros = 0;

  bool sparse(size_t n) const { return zeros * 2 > n; }
};

Shape ShapeOf(std::span<const uint64_t> v) {
  Shape shape;
  if (v.empty()) return shape;
  shape.min = shape.max = static_cast<int64_t>(v[0]);
  for (uint64_t u : v) {
    const int64_t s = static_cast<int64_t>(u);
    shape.min = std::min(shape.min, s);
    shape.max = std::max(shape.max, s);
    shape.zeros += u == 0;
  }
  return shape;
}

// About as many bits as the values will take, base and packing included: halfway between each at
// its own width, which is what patches aim for, and all at the widest.
size_t EstimateBits(std::span<const uint64_t> v, const Shape& shape) {
  if (shape.min == shape.max) return 8 * VarintBytes(ZigZag(shape.min));
  size_t own = 0;
  if (shape.sparse(v.size())) {
    const uint64_t widest = std::max(ZigZag(shape.min), ZigZag(shape.max));
    for (uint64_t u : v) own += static_cast<size_t>(Width(ZigZag(static_cast<int64_t>(u))));
    const size_t others = v.size() - shape.zeros;
    const size_t gaps = others * static_cast<size_t>(Width(v.size())) + 16;
    return std::min(v.size(), gaps) + (own + others * static_cast<size_t>(Width(widest))) / 2;
  }
  const uint64_t base = static_cast<uint64_t>(shape.min);
  for (uint64_t u : v) own += static_cast<size_t>(Width(u - base));
  const uint64_t widest = static_cast<uint64_t>(shape.max) - base;
  return 8 * VarintBytes(ZigZag(shape.min)) +
         (own + v.size() * static_cast<size_t>(Width(widest))) / 2;
}

// `v` holds what is left after the transform, without its `transform` leading values.
Plan PlanFor(int transform, const Shape& shape) {
  const std::vector<uint64_t>& v = scratch_transformed[transform];
  Plan plan{.transform = transform};
  if (v.empty()) return plan;
  if (shape.min == shape.max) {
    plan.base = static_cast<uint64_t>(shape.min);
    plan.bytes = VarintBytes(ZigZag(shape.min));
    return plan;
  }

  const bool sparse = shape.sparse(v.size());
  plan.base = sparse ? 0 : static_cast<uint64_t>(shape.min);
  std::vector<uint64_t>& offsets = scratch_offsets[transform];
  offsets.clear();
  uint64_t divisor = 0;
  if (sparse) {
    for (uint64_t u : v) {
      if (u == 0) continue;
      offsets.push_back(ZigZag(static_cast<int64_t>(u)));
      const uint64_t magnitude = static_cast<int64_t>(u) < 0 ? 0 - u : u;
      if (divisor != 1) divisor = std::gcd(divisor, magnitude);
    }
    if (divisor > 1) {
      for (uint64_t& o : offsets) {
        o = ZigZag(UnZigZag(o) / static_cast<int64_t>(divisor));
      }
    }
  } else {
    offsets.reserve(v.size());
    for (uint64_t u : v) {
      const uint64_t o = u - plan.base;
      offsets.push_back(o);
      if (divisor != 1) divisor = std::gcd(divisor, o);
    }
    if (divisor > 1) {
      for (uint64_t& o : offsets) o /= divisor;
    }
  }
  // A divisor of 2^63 would not survive the signed division above.
  plan.divisor = divisor == 0 ? 1 : divisor;
  plan.pfor = PlanPfor(offsets);
  plan.bytes = VarintBytes(ZigZag(static_cast<int64_t>(plan.base))) + plan.pfor.bytes +
               (plan.divisor > 1 ? VarintBytes(plan.divisor) : 0);
  if (!sparse) {
    plan.packing = kPacked;
    return plan;
  }
  std::vector<uint64_t>& gaps = scratch_gaps[transform];
  gaps.clear();
  size_t last = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i] == 0) continue;
    gaps.push_back(i - last);
    last = i;
  }
  plan.gaps = PlanPfor(gaps);
  const size_t count = VarintBytes(offsets.size());
  const size_t bitmap = (v.size() + 7) / 8;
  plan.packing = plan.gaps.bytes + count < bitmap ? kGaps : kBitmap;
  plan.bytes += std::min(plan.gaps.bytes + count, bitmap);
  return plan;
}

void Write(std::span<const int64_t> values, const Plan& plan, std::string& out) {
  const bool divided = plan.divisor > 1;
  out.push_back(
      static_cast<char>(plan.transform | plan.packing << 2 | (divided ? kHasDivisor : 0)));
  if (plan.transform >= 1) PutSigned(out, values[0]);
  if (plan.transform == 2) {
    PutSigned(out, static_cast<int64_t>(static_cast<uint64_t>(values[1]) -
                                        static_cast<uint64_t>(values[0])));
  }
  const std::vector<uint64_t>& v = scratch_transformed[plan.transform];
  const std::vector<uint64_t>& offsets = scratch_offsets[plan.transform];
  if (divided) PutVarint(out, plan.divisor);
  if (plan.packing == kEqual || plan.packing == kPacked) {
    PutSigned(out, static_cast<int64_t>(plan.base));
  }
  if (plan.packing == kEqual) return;
  if (plan.packing == kGaps) {
    PutVarint(out, offsets.size());
    PutPfor(scratch_gaps[plan.transform], plan.gaps, out);
  } else if (plan.packing == kBitmap) {
    const size_t start = out.size();
    out.resize(start + (v.size() + 7) / 8);
    for (size_t i = 0; i < v.size(); ++i) {
      if (v[i] != 0) out[start + i / 8] = static_cast<char>(out[start + i / 8] | 1 << (i % 8));
    }
  }
  PutPfor(offsets, plan.pfor, out);
}

}  // namespace

void EncodeIntegers(std::span<const int64_t> values, std::string& out) {
  if (values.empty()) return;
  const size_t n = values.size();
  // Each transform is looked at, which is a pass or two; planned, which costs more than all of
  // that, is only what may turn out the smallest.
  struct Candidate {
    Shape shape;
    size_t lead_bytes = 0;
    size_t bits = 0;
  };
  std::array<Candidate, kMaxTransform + 1> candidates;
  int count = 0;
  size_t least_bits = SIZE_MAX;
  for (int transform = 0; transform <= kMaxTransform; ++transform) {
    if (n <= static_cast<size_t>(transform)) break;
    std::vector<uint64_t>& v = scratch_transformed[transform];
    const size_t left = n - static_cast<size_t>(transform);
    v.resize(left);
    Candidate& c = candidates[static_cast<size_t>(transform)];
    if (transform == 0) {
      std::memcpy(v.data(), values.data(), n * sizeof(uint64_t));
    } else {
      const std::vector<uint64_t>& before = scratch_transformed[transform - 1];
      for (size_t i = 0; i < left; ++i) v[i] = before[i + 1] - before[i];
      c.lead_bytes = VarintBytes(ZigZag(values[0])) +
                     (transform == 2 ? VarintBytes(ZigZag(static_cast<int64_t>(before[0]))) : 0);
    }
    c.shape = ShapeOf(v);
    c.bits = 8 * c.lead_bytes + EstimateBits(v, c.shape);
    least_bits = std::min(least_bits, c.bits);
    count = transform + 1;
    if (c.shape.min == c.shape.max) break;  // The differences of equal values say no more.
  }
  Plan best;
  bool have = false;
  for (int transform = 0; transform < count; ++transform) {
    const Candidate& c = candidates[static_cast<size_t>(transform)];
    // Patches and divisors are not in the estimate.
    if (c.bits > least_bits + least_bits / 8 + 16) continue;
    Plan plan = PlanFor(transform, c.shape);
    plan.bytes += c.lead_bytes;
    if (!have || plan.bytes < best.bytes) best = plan;
    have = true;
  }
  Write(values, best, out);
}

bool DecodeIntegers(ByteReader& in, std::span<int64_t> out, size_t from) {
  if (out.empty()) return true;
  const uint8_t head = in.Fixed<uint8_t>();
  const size_t transform = head & 3;
  const uint8_t packing = head >> 2 & 3;
  if (!in.ok() || transform > kMaxTransform || (head & ~0x1f) != 0 || out.size() <= transform) {
    return false;
  }
  uint64_t first = 0;
  uint64_t second = 0;
  if (transform >= 1) first = static_cast<uint64_t>(in.Signed());
  if (transform == 2) second = static_cast<uint64_t>(in.Signed());
  uint64_t divisor = 1;
  if (head & kHasDivisor) divisor = in.Varint();
  uint64_t base = 0;
  if (packing == kEqual || packing == kPacked) base = static_cast<uint64_t>(in.Signed());
  if (!in.ok()) return false;

  uint64_t* v = reinterpret_cast<uint64_t*>(out.data()) + transform;
  const size_t n = out.size() - transform;
  // What lies before `from` goes into the values behind it as a sum, where the transform lets it.
  const size_t skip = transform == 2 || from < transform ? 0 : from - transform;
  if (skip > n) return false;
  uint64_t skipped = 0;
  if (packing == kEqual) {
    std::fill(v + skip, v + n, base);
    skipped = base * skip;
  } else if (packing == kPacked) {
    if (!GetPfor(in, {v, n}, skip, skipped)) return false;
    skipped = skipped * divisor + base * skip;
    if (divisor == 1) {
      for (size_t i = skip; i < n; ++i) v[i] += base;
    } else {
      for (size_t i = skip; i < n; ++i) v[i] = v[i] * divisor + base;
    }
  } else {
    thread_local std::vector<uint64_t> positions;
    thread_local std::vector<uint64_t> offsets;
    positions.clear();
    if (packing == kGaps) {
      const uint64_t count = in.Varint();
      if (!in.ok() || count > n) return false;
      positions.resize(count);
      if (!GetPfor(in, positions)) return false;
      uint64_t at = 0;
      for (size_t i = 0; i < positions.size(); ++i) {
        if (positions[i] >= n - at) return false;
        at += positions[i];
        positions[i] = at;
      }
    } else {
      const std::string_view bitmap = in.Take((n + 7) / 8);
      if (!in.ok()) return false;
      for (size_t i = 0; i < bitmap.size(); ++i) {
        for (unsigned bits = static_cast<uint8_t>(bitmap[i]); bits != 0; bits &= bits - 1) {
          const size_t at = i * 8 + static_cast<size_t>(std::countr_zero(bits));
          if (at >= n) return false;
          positions.push_back(at);
        }
      }
    }
    offsets.resize(positions.size());
    if (!GetPfor(in, offsets)) return false;
    std::fill(v + skip, v + n, 0);
    for (size_t i = 0; i < positions.size(); ++i) {
      const uint64_t value = static_cast<uint64_t>(UnZigZag(offsets[i])) * divisor;
      if (positions[i] < skip) {
        skipped += value;
      } else {
        v[positions[i]] = value;
      }
    }
  }
  if (transform == 2) {
    uint64_t delta = second;
    uint64_t value = first;
    v[-2] = value;
    v[-1] = value + delta;
    value += delta;
    for (size_t i = 0; i < n; ++i) {
      delta += v[i];
      value += delta;
      v[i] = value;
    }
  } else if (transform == 1) {
    v[-1] = first;
    uint64_t value = first + skipped;
    for (size_t i = skip; i < n; ++i) {
      value += v[i];
      v[i] = value;
    }
  }
  return true;
}

}  // namespace vedette::tsdb
