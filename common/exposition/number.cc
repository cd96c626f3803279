#include "common/exposition/number.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <system_error>

#include "common/model/sample.h"

namespace vedette::exposition {
namespace {

// Powers of ten that a double holds exactly: a decimal of at most 2^53 times or over one of these
// is rounded once, so the result is the correct one (Clinger's fast path).
constexpr std::array<double, 23> kPowersOfTen = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kExactInteger = uint64_t{1} << 53;

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::optional<double> ParseSlowly(std::string_view text) {
  bool negative = false;
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  if (digits.empty()) return std::nullopt;
  const char first = digits[0];
  if ((first < '0' || first > '9') && first != '.') {
    if (EqualsIgnoringCase(digits, "inf") || EqualsIgnoringCase(digits, "infinity")) {
      const double inf = std::numeric_limits<double>::infinity();
      return negative ? -inf : inf;
    }
    if (digits.size() == text.size() && EqualsIgnoringCase(text, "nan")) return kNormalNan;
    return std::nullopt;
  }
  double value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value);
  if (rest != end) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // from_chars does not say which way; only too large is an error.
    value = std::strtod(std::string(digits).c_str(), nullptr);
    if (std::isinf(value)) return std::nullopt;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

}  // namespace

std::optional<double> ParseValue(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p < end && *p == '-';
  if (negative) ++p;
  uint64_t mantissa = 0;
  int digits = 0;
  int fraction = 0;
  while (p < end && static_cast<unsigned char>(*p - '0') < 10) {
    mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
    ++digits;
  }
  if (p < end && *p == '.') {
    ++p;
    while (p < end && static_cast<unsigned char>(*p - '0') < 10) {
      mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
      ++digits;
      ++fraction;
    }
  }
  int exponent = 0;
  if (p < end && (*p | 0x20) == 'e' && end - p >= 2 && end - p <= 4) {
    const char* e = p + 1;
    const bool down = *e == '-';
    if (*e == '-' || *e == '+') ++e;
    if (e < end) {
      while (e < end && static_cast<unsigned char>(*e - '0') < 10)
        exponent = exponent * 10 + (*e++ - '0');
      if (e == end) p = end;
    }
    if (down) exponent = -exponent;
  }
  exponent -= fraction;
  // 19 digits always fit 64 bits.
  if (p != end || digits == 0 || digits > 19 || mantissa > kExactInteger || exponent < -22 ||
      exponent > 22) {
    return ParseSlowly(text);
  }
  double value = static_cast<double>(mantissa);
  if (exponent < 0) {
    value /= kPowersOfTen[static_cast<size_t>(-exponent)];
  } else {
    value *= kPowersOfTen[static_cast<size_t>(exponent)];
  }
  return negative ? -value : value;
}

namespace {

using Bytes16 = unsigned __int128;  // The first of them lowest.

constexpr Bytes16 All(uint8_t byte) {
  const uint64_t eight = 0x0101010101010101u * byte;
  return Bytes16{eight} << 64 | eight;
}

constexpr Bytes16 First(int bytes) { return bytes >= 16 ? ~Bytes16{0} : (Bytes16{1} << (8 * bytes)) - 1; }

// The place of the first byte whose highest bit is set; 16 where there is none.
int FirstMarked(Bytes16 marks) {
  const uint64_t low = static_cast<uint64_t>(marks);
  const uint64_t high = static_cast<uint64_t>(marks >> 64);
  if (low != 0) return std::countr_zero(low) / 8;
  return high != 0 ? 8 + std::countr_zero(high) / 8 : 16;
}

// The same of the first byte that is `byte`. (What follows it may be marked wrongly.)
int FirstOf(Bytes16 text, uint8_t byte) {
  const Bytes16 x = text ^ All(byte);
  return FirstMarked((x - All(1)) & ~x & All(0x80));
}

// Eight digits of one byte each, neighbours joined three times.
uint64_t JoinDigits(uint64_t v) {
  v = v * 10 + (v >> 8);
  v = (v & 0x000000ff000000ff) * 0x000f424000000064 +
      ((v >> 16) & 0x000000ff000000ff) * 0x0000271000000001;
  return v >> 32;
}

// A number of at most 16 bytes with at most one point and an exponent of two digits, such as Go
// prints; nothing where it is anything else. `text` ends after `length` bytes.
std::optional<double> ParseAtOnce(Bytes16 text, int length) {
  text &= First(length);
  int digits = length;
  int exponent = 0;
  if (const int e = FirstOf(text, 'e'); e < length) {
    if (length - e != 4) return std::nullopt;
    const uint32_t tail = static_cast<uint32_t>(text >> (8 * e));  // e+09
    const uint32_t sign = tail >> 8 & 0xff;
    const uint32_t tens = (tail >> 16 & 0xff) - '0';
    const uint32_t ones = (tail >> 24) - '0';
    if ((sign != '+' && sign != '-') || tens > 9 || ones > 9) return std::nullopt;
    exponent = static_cast<int>(tens * 10 + ones);
    if (sign == '-') exponent = -exponent;
    digits = e;
    text &= First(digits);
  }
  if (const int point = FirstOf(text, '.'); point < digits) {
    exponent -= digits - point - 1;
    text = (text & First(point)) | (text >> 8 & ~First(point));
    --digits;
  }
  if (digits == 0) return std::nullopt;
  text ^= All('0') & First(digits);
  if (((text + All(0x76)) & All(0x80)) != 0 || (text & All(0x80)) != 0) return std::nullopt;
  text <<= 8 * (16 - digits);  // Zeros in front.
  const uint64_t mantissa = JoinDigits(static_cast<uint64_t>(text)) * 100'000'000 +
                            JoinDigits(static_cast<uint64_t>(text >> 64));
  if (mantissa > kExactInteger || exponent < -22 || exponent > 22) return std::nullopt;
  const double value = static_cast<double>(mantissa);
  if (exponent < 0) return value / kPowersOfTen[static_cast<size_t>(-exponent)];
  return value * kPowersOfTen[static_cast<size_t>(exponent)];
}

}  // namespace

std::optional<double> ParseValueAt(const char*& p, const char* end) {
  if (end - p >= 16) {
    Bytes16 text;
    std::memcpy(&text, p, sizeof text);
    // Marked: at most a blank, and no byte beyond ASCII.
    const int length =
        FirstMarked(~((text & All(0x7f)) + All(0x5f)) & ~text & All(0x80));
    if (length < 16) {
      if (const std::optional<double> value = ParseAtOnce(text, length)) {
        p += length;
        return value;
      }
    }
  }
  const char* q = p;
  while (q < end && static_cast<unsigned char>(*q) > ' ') ++q;
  const std::optional<double> value = ParseValue({p, static_cast<size_t>(q - p)});
  if (value) p = q;
  return value;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || text.empty()) return std::nullopt;
  return value;
}

void AppendValue(std::string& out, double value) {
  if (std::isnan(value)) {
    out.append("NaN");
    return;
  }
  if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
    return;
  }
  char buffer[40];
  char* const limit = buffer + sizeof buffer;
  const double magnitude = std::fabs(value);
  if (magnitude < 1e6 && magnitude == std::trunc(magnitude) &&
      (value != 0 || !std::signbit(value))) {
    out.append(buffer, std::to_chars(buffer, limit, static_cast<int64_t>(value)).ptr);
    return;
  }
  // Shortest digits in d.ddde±xx; the exponent then decides the form as Go's 'g' does.
  char* const stop = std::to_chars(buffer, limit, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(stop - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const char* from = text.data() + e + 1;
  std::from_chars(*from == '+' ? from + 1 : from, stop, exponent);
  // As Go decides with the fewest digits: below -4, or from 6 on.
  const bool scientific = value != 0 && (exponent < -4 || exponent >= 6);
  if (scientific) {
    out.append(text);
    return;
  }
  out.append(buffer, std::to_chars(buffer, limit, value, std::chars_format::fixed).ptr);
}

void AppendCanonicalFloat(std::string& out, double value) {
  const size_t before = out.size();
  AppendValue(out, value);
  if (std::isfinite(value) && out.find_first_of(".e", before) == std::string::npos)
    out.append(".0");
}

std::string CanonicalFloat(double value) {
  std::string out;
  AppendCanonicalFloat(out, value);
  return out;
}

}  // namespace vedette::exposition
