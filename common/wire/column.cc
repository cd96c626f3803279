#include "common/wire/column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/model/sample.h"

namespace vedette::wire {
namespace {

// Units 0..12 are 10^-i; the 13th is 1024, because what the kernel counts in KiB is shown in bytes.
constexpr std::array<double, 13> kPowers = {1,   1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                            1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
constexpr uint8_t kKibi = 13;
constexpr uint8_t kUnitCount = 14;
constexpr uint8_t kRaw = 15;
// Kinds of an escape beyond the units.
constexpr uint8_t kEscapeRaw = 0x20;
constexpr uint8_t kEscapeAbsent = 0x21;
constexpr uint8_t kEscapeStale = 0x22;
// How the changed positions are written.
constexpr uint8_t kMapNone = 0;
constexpr uint8_t kMapRuns = 1;
constexpr uint8_t kMapBits = 2;
constexpr uint8_t kMapAll = 3;
// Beyond the byte of a raw difference, whose two halves add up to at most 7.
constexpr uint8_t kRawEscape = 0xff;
// A raw position goes back to units after so many values in a row that have one: a sum of decimal
// fractions has one now and then by accident.
constexpr uint8_t kStreakToLeaveRaw = 4;

// Up to here whole numbers are exact; with a fraction, up to where neighbours stay apart.
constexpr int64_t Limit(uint8_t unit) {
  return unit == 0 ? int64_t{1} << 53 : unit == kKibi ? int64_t{1} << 43 : int64_t{1} << 50;
}

bool InRange(int64_t units, uint8_t unit) { return units <= Limit(unit) && units >= -Limit(unit); }

double FromUnits(int64_t units, uint8_t unit) {
  const auto whole = static_cast<double>(units);
  if (unit == 0) return whole;
  return unit == kKibi ? whole * 1024 : whole / kPowers[unit];
}

// Whether `v` is a whole number of `unit`, bit for bit.
bool ToUnits(double v, uint8_t unit, int64_t& units) {
  const double scaled = unit == kKibi ? v / 1024 : v * kPowers[unit];
  if (!(std::abs(scaled) <= static_cast<double>(Limit(unit)))) return false;
  units = std::llrint(scaled);
  return InRange(units, unit) &&
         std::bit_cast<uint64_t>(FromUnits(units, unit)) == std::bit_cast<uint64_t>(v);
}

// The coarsest unit that `v` is a whole number of, or kRaw.
uint8_t FindUnit(double v, int64_t& units) {
  if (v != 0 && ToUnits(v, kKibi, units)) return kKibi;
  for (uint8_t unit = 0; unit < kPowers.size(); ++unit) {
    if (ToUnits(v, unit, units)) return unit;
  }
  return kRaw;
}

bool IsGone(uint64_t bits) { return bits == kAbsentNanBits || bits == kStaleNanBits; }

uint64_t Magnitude(int64_t v) {
  return v < 0 ? uint64_t{0} - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
}

}  // namespace

int64_t Column::Guess(const Cell& cell) {
  if (cell.linear() <= 0) return cell.units();
  const int64_t guess = cell.units() + cell.step();
  return InRange(guess, cell.unit()) ? guess : cell.units();
}

uint64_t Column::GuessBits(const Cell& cell, uint64_t last) {
  if (cell.linear() <= 0 || cell.step() == 0 || cell.unit() == kRaw || IsGone(last)) return last;
  return std::bit_cast<uint64_t>(FromUnits(Guess(cell), cell.unit()));
}

void Column::Learn(Cell& cell, int64_t units) {
  const int64_t step = units - cell.units();
  const uint64_t by_step = Magnitude(step - cell.step());
  const uint64_t by_hold = Magnitude(step);
  int linear = cell.linear();
  if (by_step < by_hold) {
    linear = std::min(linear + 1, 2);
  } else if (by_step > by_hold) {
    linear = std::max(linear - 1, -2);
  }
  cell.SetUnits(units, linear);
  cell.SetStep(step);
}

void Column::PutCell(Cell& cell, uint64_t& last, uint64_t bits, std::string& out) {
  const uint64_t before = std::exchange(last, bits);
  const uint8_t escape = cell.unit() == kRaw ? kRawEscape : 0;
  if (IsGone(bits)) {
    PutByte(out, escape);
    PutByte(out, bits == kAbsentNanBits ? kEscapeAbsent : kEscapeStale);
    cell.SetStep(0);
    cell.SetUnits(cell.units(), 0);
    return;
  }
  const auto v = std::bit_cast<double>(bits);
  const bool was_gone = IsGone(before);
  int64_t units = 0;
  if (cell.unit() != kRaw && ToUnits(v, cell.unit(), units)) {
    // The difference is never 0 where there was a value, which leaves 0 for the escape.
    const uint64_t token = ZigZag(units - Guess(cell)) + (was_gone ? 1 : 0);
    PutVarint(out, token);
    Learn(cell, units);
    return;
  }
  const uint8_t unit = FindUnit(v, units);
  cell.SetStreak(unit == kRaw ? 0 : cell.streak() + 1);
  if (unit != kRaw && (cell.unit() != kRaw || was_gone || cell.streak() >= kStreakToLeaveRaw)) {
    PutByte(out, escape);
    PutByte(out, unit);
    PutSigned(out, units);
    cell.StartOver(units, unit);
    return;
  }
  if (cell.unit() != kRaw || was_gone) {
    PutByte(out, escape);
    PutByte(out, kEscapeRaw);
    PutFixed(out, bits, 8);
    cell.StartOver(0, kRaw);
    return;
  }
  const uint64_t x = bits ^ before;
  const int leading = std::countl_zero(x) / 8;
  const int trailing = std::countr_zero(x) / 8;
  PutByte(out, static_cast<uint8_t>(leading << 4 | trailing));
  PutFixed(out, x >> (8 * trailing), 8 - leading - trailing);
}

bool Column::GetCell(Cell& cell, uint64_t& last, ByteReader& in) {
  const bool was_gone = IsGone(last);
  if (cell.unit() == kRaw) {
    const uint8_t head = in.Byte();
    if (head != kRawEscape) {
      const int leading = head >> 4, trailing = head & 15;
      if (was_gone || leading + trailing > 7) return false;
      const uint64_t x = in.Fixed(8 - leading - trailing) << (8 * trailing);
      if (x == 0) return false;
      last ^= x;
      // Neither marker crosses as a number: it would be read as a hole on one side only.
      return in.ok() && !IsGone(last);
    }
  } else if (const uint64_t token = in.Varint(); token != 0) {
    const int64_t guess = Guess(cell);
    const auto units = static_cast<int64_t>(
        static_cast<uint64_t>(guess) + static_cast<uint64_t>(UnZigZag(token - (was_gone ? 1 : 0))));
    if (!in.ok() || !InRange(units, cell.unit())) return false;
    Learn(cell, units);
    last = std::bit_cast<uint64_t>(FromUnits(units, cell.unit()));
    return true;
  }
  const uint8_t kind = in.Byte();
  if (!in.ok()) return false;
  if (kind == kEscapeAbsent || kind == kEscapeStale) {
    last = kind == kEscapeAbsent ? kAbsentNanBits : kStaleNanBits;
    cell.SetStep(0);
    cell.SetUnits(cell.units(), 0);
    return true;
  }
  if (kind == kEscapeRaw) {
    last = in.Fixed(8);
    cell.StartOver(0, kRaw);
    return in.ok() && !IsGone(last);
  }
  if (kind >= kUnitCount) return false;
  const int64_t units = in.Signed();
  if (!in.ok() || !InRange(units, kind)) return false;
  last = std::bit_cast<uint64_t>(FromUnits(units, kind));
  cell.StartOver(units, kind);
  return true;
}

void Column::Encode(std::span<const double> values, std::string& out) {
  changed_.clear();
  size_t run_bytes = 0, last_end = 0;
  for (size_t i = 0; i < cells_.size(); ++i) {
    Cell& cell = cells_[i];
    const auto bits = std::bit_cast<uint64_t>(values[i]);
    if (bits != GuessBits(cell, std::bit_cast<uint64_t>(values_[i]))) {
      changed_.push_back(static_cast<uint32_t>(i));
    } else if (cell.step() != 0) {
      Learn(cell, Guess(cell));
      values_[i] = values[i];
    }
  }
  if (changed_.empty()) {
    PutByte(out, kMapNone);
    return;
  }
  const auto each_run = [&](auto&& use) {
    for (size_t i = 0; i < changed_.size();) {
      size_t j = i + 1;
      while (j < changed_.size() && changed_[j] == changed_[j - 1] + 1) ++j;
      use(changed_[i], j - i);
      i = j;
    }
  };
  size_t runs = 0;
  each_run([&](uint32_t begin, size_t length) {
    run_bytes += VarintSize(begin - last_end) + VarintSize(length - 1);
    last_end = begin + length;
    ++runs;
  });
  run_bytes += VarintSize(runs);
  const size_t bit_bytes = (cells_.size() + 7) / 8;
  if (changed_.size() == cells_.size()) {
    PutByte(out, kMapAll);
  } else if (run_bytes < bit_bytes) {
    PutByte(out, kMapRuns);
    PutVarint(out, runs);
    last_end = 0;
    each_run([&](uint32_t begin, size_t length) {
      PutVarint(out, begin - last_end);
      PutVarint(out, length - 1);
      last_end = begin + length;
    });
  } else {
    PutByte(out, kMapBits);
    const size_t at = out.size();
    out.resize(at + bit_bytes, '\0');
    for (const uint32_t p : changed_) {
      out[at + p / 8] = static_cast<char>(static_cast<uint8_t>(out[at + p / 8]) | 1u << p % 8);
    }
  }
  for (const uint32_t p : changed_) {
    auto last = std::bit_cast<uint64_t>(values_[p]);
    PutCell(cells_[p], last, std::bit_cast<uint64_t>(values[p]), out);
    values_[p] = std::bit_cast<double>(last);
  }
}

void Column::Resize(size_t n) {
  cells_.resize(n);
  const bool fewer = n < values_.size();
  values_.resize(n, kAbsent);
  if (!fewer || moving_.empty()) return;
  moving_.resize((n + 63) / 64);
  if (n % 64 != 0) moving_.back() &= (uint64_t{1} << n % 64) - 1;
}

Status Column::Decode(ByteReader& in) {
  const size_t n = cells_.size();
  moving_.resize((n + 63) / 64);
  map_.assign(moving_.size(), 0);
  switch (in.Byte()) {
    case kMapNone:
      break;
    case kMapRuns: {
      const size_t runs = in.Count();
      size_t at = 0;
      for (size_t i = 0; i < runs; ++i) {
        const uint64_t gap = in.Varint(), length = in.Varint();
        if (!in.ok() || gap >= n - at || length >= n - at - gap) {
          return DataLoss("changed positions beyond the layout");
        }
        at += gap;
        for (uint64_t k = 0; k <= length; ++k, ++at) map_[at / 64] |= uint64_t{1} << at % 64;
      }
      break;
    }
    case kMapBits: {
      const std::string_view map = in.Bytes((n + 7) / 8);
      if (!in.ok()) return DataLoss("map of changed positions is cut off");
      static_assert(std::endian::native == std::endian::little);
      if (n > 0) std::memcpy(map_.data(), map.data(), map.size());
      if (n % 64 != 0 && map_.back() >> n % 64 != 0) {
        return DataLoss("changed positions beyond the layout");
      }
      break;
    }
    case kMapAll:
      for (size_t p = 0; p < n; ++p) map_[p / 64] |= uint64_t{1} << p % 64;
      break;
    default:
      return DataLoss("unknown map of changed positions");
  }
  if (!in.ok()) return DataLoss("column is cut off");
  for (size_t word = 0; word < map_.size(); ++word) {
    const uint64_t changed = map_[word];
    uint64_t moving = moving_[word];
    for (uint64_t left = changed | moving; left != 0; left &= left - 1) {
      const uint64_t bit = left & -left;
      const size_t i = word * 64 + static_cast<size_t>(std::countr_zero(left));
      Cell& cell = cells_[i];
      auto last = std::bit_cast<uint64_t>(values_[i]);
      if (changed & bit) {
        if (!GetCell(cell, last, in)) return DataLoss("bad value in a column");
      } else {
        last = GuessBits(cell, last);
        Learn(cell, Guess(cell));
      }
      moving = cell.step() != 0 ? moving | bit : moving & ~bit;
      values_[i] = std::bit_cast<double>(last);
    }
    moving_[word] = moving;
  }
  return {};
}

void PutDouble(std::string& out, double v) {
  int64_t units = 0;
  const uint8_t unit = FindUnit(v, units);
  PutByte(out, unit);
  if (unit == kRaw) {
    PutFixed(out, std::bit_cast<uint64_t>(v), 8);
  } else {
    PutSigned(out, units);
  }
}

double GetDouble(ByteReader& in) {
  const uint8_t unit = in.Byte();
  if (unit == kRaw) return std::bit_cast<double>(in.Fixed(8));
  const int64_t units = in.Signed();
  if (unit >= kUnitCount || !InRange(units, unit)) {
    in.Fail();
    return 0;
  }
  return FromUnits(units, unit);
}

}  // namespace vedette::wire
