#include "server/template/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "common/base/shortest.h"
#include "common/base/strings.h"
#include "server/template/time_format.h"

namespace vedette::tmpl {
namespace {

constexpr int kShortestLimit = 6;
constexpr int kMaxWidth = 10'000;  // A width or precision from a template; Go allows a million.

size_t RuneCount(std::string_view s) {
  return static_cast<size_t>(std::count_if(
      s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

struct Flags {
  bool minus = false, plus = false, sharp = false, space = false, zero = false;
  std::optional<int> width, precision;
};

std::string Pad(std::string s, const Flags& f) {
  const size_t runes = RuneCount(s);
  if (!f.width || runes >= static_cast<size_t>(*f.width)) return s;
  const size_t fill = static_cast<size_t>(*f.width) - runes;
  if (f.minus) return s + std::string(fill, ' ');
  if (f.zero) {
    const size_t sign = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    return s.substr(0, sign) + std::string(fill, '0') + s.substr(sign);
  }
  return std::string(fill, ' ') + s;
}

std::string FormatInteger(int64_t v, int base, bool upper, const Flags& f) {
  char buffer[72];
  const uint64_t magnitude = v < 0 ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  std::string digits(buffer, std::to_chars(buffer, buffer + sizeof buffer, magnitude, base).ptr);
  if (upper)
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (f.precision && digits.size() < static_cast<size_t>(*f.precision)) {
    digits.insert(0, static_cast<size_t>(*f.precision) - digits.size(), '0');
  }
  if (f.sharp && base == 16) digits.insert(0, upper ? "0X" : "0x");
  if (f.sharp && base == 8) digits.insert(0, "0");
  const char* sign = v < 0 ? "-" : f.plus ? "+" : f.space ? " " : "";
  return Pad(sign + digits, f);
}

std::string FormatReal(double v, char verb, const Flags& f) {
  const bool shortest = verb == 'v' || ((verb == 'g' || verb == 'G') && !f.precision);
  const char format = verb == 'v' ? 'g' : verb == 'F' ? 'f' : verb;
  std::string s = FormatFloat(v, format, shortest && !f.precision ? -1 : f.precision.value_or(6));
  if (s[0] != '-' && s[0] != '+') {
    if (f.plus)
      s.insert(0, "+");
    else if (f.space)
      s.insert(0, " ");
  }
  Flags padding = f;
  if (std::isnan(v) || std::isinf(v)) padding.zero = false;
  return Pad(std::move(s), padding);
}

std::string Truncate(std::string_view s, const Flags& f) {
  if (!f.precision) return std::string(s);
  size_t i = 0;
  for (int n = 0; i < s.size() && n < *f.precision; ++n) {
    ++i;
    while (i < s.size() && (static_cast<unsigned char>(s[i]) & 0xc0) == 0x80) ++i;
  }
  return std::string(s.substr(0, i));
}

std::string HexOf(std::string_view s, bool upper) {
  const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  for (unsigned char c : s) {
    out.push_back(digits[c >> 4]);
    out.push_back(digits[c & 15]);
  }
  return out;
}

std::string Utf8(int64_t rune) {
  std::string out;
  uint32_t r = rune < 0 || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)
                   ? 0xfffd
                   : static_cast<uint32_t>(rune);
  if (r < 0x80) {
    out.push_back(static_cast<char>(r));
    return out;
  }
  char tail[4];
  int n = 0;
  while (r > (n == 0 ? 0x3fu : n == 1 ? 0x1fu : 0x0fu)) {
    tail[n++] = static_cast<char>(0x80 | (r & 0x3f));
    r >>= 6;
  }
  out.push_back(static_cast<char>((n == 1 ? 0xc0 : n == 2 ? 0xe0 : 0xf0) | r));
  while (n > 0) out.push_back(tail[--n]);
  return out;
}

std::string FormatWithVerb(const Value& v, char verb, const Flags& f);

std::string BadVerb(const Value& v, char verb) {
  if (v.is(Value::Kind::kNil)) return StrCat("%!", std::string(1, verb), "(<nil>)");
  return StrCat("%!", std::string(1, verb), "(", v.type_name(), "=", FormatValue(v), ")");
}

// Lists and maps apply the verb to their elements, as Go does.
std::string FormatContainer(const Value& v, char verb, const Flags& f) {
  std::string out;
  if (v.is(Value::Kind::kList)) {
    out = "[";
    for (const Value& e : v.list()) {
      if (out.size() > 1) out += ' ';
      out += FormatWithVerb(e, verb, f);
    }
    return out + "]";
  }
  const bool is_struct = v.type() != nullptr && v.type()->absent == TypeInfo::Absent::kError;
  out = is_struct ? "{" : "map[";
  bool first = true;
  for (const auto& [key, e] : v.map()) {
    if (!first) out += ' ';
    first = false;
    if (!is_struct) StrAppend(out, verb == 'q' ? Quoted(key) : key, ":");
    out += FormatWithVerb(e, verb, f);
  }
  return out + (is_struct ? "}" : "]");
}

std::string FormatWithVerb(const Value& v, char verb, const Flags& f) {
  using Kind = Value::Kind;
  if (verb == 'T') return Pad(std::string(v.type_name()), f);
  switch (v.kind()) {
    case Kind::kNil:
      return verb == 'v' ? Pad("<nil>", f) : BadVerb(v, verb);
    case Kind::kBool:
      if (verb == 't' || verb == 'v') return Pad(v.boolean() ? "true" : "false", f);
      return BadVerb(v, verb);
    case Kind::kInt:
      switch (verb) {
        case 'd':
        case 'v':
          return FormatInteger(v.integer(), 10, false, f);
        case 'b':
          return FormatInteger(v.integer(), 2, false, f);
        case 'o':
        case 'O':
          return FormatInteger(v.integer(), 8, false, f);
        case 'x':
          return FormatInteger(v.integer(), 16, false, f);
        case 'X':
          return FormatInteger(v.integer(), 16, true, f);
        case 'c':
          return Pad(Utf8(v.integer()), f);
        case 'q':
          return Pad(StrCat("'", Utf8(v.integer()), "'"), f);
        case 'U': {
          std::string hex = FormatInteger(v.integer(), 16, true, {});
          if (hex.size() < 4) hex.insert(0, 4 - hex.size(), '0');
          return Pad("U+" + hex, f);
        }
        default:
          return BadVerb(v, verb);
      }
    case Kind::kFloat:
      switch (verb) {
        case 'v':
        case 'e':
        case 'E':
        case 'f':
        case 'F':
        case 'g':
        case 'G':
          return FormatReal(v.real(), verb, f);
        default:
          return BadVerb(v, verb);
      }
    case Kind::kString:
      switch (verb) {
        case 's':
        case 'v':
          return Pad(Truncate(v.string(), f), f);
        case 'q':
          return Pad(Quoted(Truncate(v.string(), f)), f);
        case 'x':
        case 'X':
          return Pad(HexOf(v.string(), verb == 'X'), f);
        default:
          return BadVerb(v, verb);
      }
    case Kind::kTime:
      if (verb == 'v' || verb == 's') return Pad(TimeString(v.time()), f);
      return BadVerb(v, verb);
    case Kind::kDuration:
      if (verb == 'v' || verb == 's') return Pad(DurationString(v.duration().ns), f);
      if (verb == 'd') return FormatInteger(v.duration().ns, 10, false, f);
      return BadVerb(v, verb);
    case Kind::kList:
    case Kind::kMap:
      return FormatContainer(v, verb, f);
  }
  return "";
}

}  // namespace

std::string FormatFloat(double v, char format, int precision) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v < 0 ? "-Inf" : "+Inf";
  const bool upper = format == 'E' || format == 'G';
  if (format == 'E') format = 'e';
  if (format == 'G') format = 'g';
  char buffer[2048];
  if (precision >= 0 && format != 'g') {
    const char spec[] = {'%', '.', '*', format, 0};
    std::string out(static_cast<size_t>(std::snprintf(nullptr, 0, spec, precision, v)) + 1, 0);
    std::snprintf(out.data(), out.size(), spec, precision, v);
    out.pop_back();
    if (upper) std::replace(out.begin(), out.end(), 'e', 'E');
    return out;
  }
  if (format == 'f') {
    std::string out;
    AppendShortestFixed(out, v);
    return out;
  }
  // The digits and the exponent, then laid out as asked.
  char* end;
  if (precision < 0) {
    end = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr;
  } else {
    end = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific,
                        std::clamp(precision, 1, 1000) - 1)
              .ptr;
  }
  std::string text(buffer, end);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  std::string mantissa = text.substr(0, e);
  if (format == 'g') {
    if (mantissa.find('.') != std::string::npos) {
      while (mantissa.back() == '0') mantissa.pop_back();
      if (mantissa.back() == '.') mantissa.pop_back();
    }
    const bool negative = mantissa[0] == '-';
    std::string digits;
    for (char c : mantissa) {
      if (c >= '0' && c <= '9') digits.push_back(c);
    }
    const int count = static_cast<int>(digits.size());
    // Where the number of digits is free, Go decides for an exponent as if it were six.
    int limit = precision < 0 ? kShortestLimit : std::max(precision, 1);
    if (precision > count && count >= exponent + 1) limit = count;
    if (exponent >= -4 && exponent < limit) {
      std::string out;
      if (exponent < 0) {
        out = "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
      } else if (count <= exponent + 1) {
        out = digits + std::string(static_cast<size_t>(exponent + 1 - count), '0');
      } else {
        out = digits.substr(0, static_cast<size_t>(exponent) + 1) + "." +
              digits.substr(static_cast<size_t>(exponent) + 1);
      }
      return negative ? "-" + out : out;
    }
  }
  std::string out = mantissa;
  const int magnitude = std::abs(exponent);
  StrAppend(out, upper ? "E" : "e", exponent < 0 ? "-" : "+", magnitude < 10 ? "0" : "", magnitude);
  return out;
}

std::string FormatValue(const Value& v) {
  if (v.is(Value::Kind::kNil)) return "<no value>";
  return FormatWithVerb(v, 'v', {});
}

std::string Sprintf(std::string_view format, std::span<const Value> args) {
  std::string out;
  size_t arg = 0;
  size_t i = 0;
  bool reordered = false;
  while (i < format.size()) {
    const size_t percent = format.find('%', i);
    out.append(format.substr(i, percent == format.npos ? percent : percent - i));
    if (percent == format.npos) break;
    i = percent + 1;
    Flags f;
    for (; i < format.size(); ++i) {
      const char c = format[i];
      if (c == '-')
        f.minus = true;
      else if (c == '+')
        f.plus = true;
      else if (c == '#')
        f.sharp = true;
      else if (c == ' ')
        f.space = true;
      else if (c == '0')
        f.zero = true;
      else
        break;
    }
    auto position = [&] {  // %[2]d
      if (i >= format.size() || format[i] != '[') return;
      const size_t close = format.find(']', i);
      if (close == format.npos) return;
      size_t n = 0;
      std::from_chars(format.data() + i + 1, format.data() + close, n);
      if (n >= 1 && n <= args.size()) {
        arg = n - 1;
        reordered = true;
      }
      i = close + 1;
    };
    auto number = [&]() -> std::optional<int> {
      if (i < format.size() && format[i] == '*') {
        ++i;
        if (arg < args.size() && args[arg].is(Value::Kind::kInt)) {
          return static_cast<int>(
              std::clamp<int64_t>(args[arg++].integer(), -kMaxWidth, kMaxWidth));
        }
        ++arg;
        out += "%!(BADWIDTH)";
        return std::nullopt;
      }
      std::optional<int> n;
      while (i < format.size() && format[i] >= '0' && format[i] <= '9') {
        n = std::min(n.value_or(0) * 10 + (format[i++] - '0'), kMaxWidth);
      }
      return n;
    };
    position();
    f.width = number();
    if (f.width && *f.width < 0) {
      f.minus = true;
      f.width = -*f.width;
    }
    if (i < format.size() && format[i] == '.') {
      ++i;
      position();
      f.precision = number().value_or(0);
      if (*f.precision < 0) f.precision.reset();
    }
    position();
    if (f.minus) f.zero = false;
    if (i >= format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    const char verb = format[i++];
    if (verb == '%') {
      out += '%';
    } else if (arg >= args.size()) {
      StrAppend(out, "%!", std::string(1, verb), "(MISSING)");
    } else {
      const Value& v = args[arg++];
      out += FormatWithVerb(v, verb, f);
    }
  }
  if (!reordered && arg < args.size()) {
    out += "%!(EXTRA ";
    for (size_t n = arg; n < args.size(); ++n) {
      if (n > arg) out += ", ";
      if (args[n].is(Value::Kind::kNil))
        out += "<nil>";
      else
        StrAppend(out, args[n].type_name(), "=", FormatWithVerb(args[n], 'v', {}));
    }
    out += ")";
  }
  return out;
}

std::string Sprint(std::span<const Value> args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (i > 0 && !args[i].is(Value::Kind::kString) && !args[i - 1].is(Value::Kind::kString)) {
      out += ' ';
    }
    out += FormatWithVerb(args[i], 'v', {});
  }
  return out;
}

std::string Sprintln(std::span<const Value> args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (i > 0) out += ' ';
    out += FormatWithVerb(args[i], 'v', {});
  }
  return out + "\n";
}

}  // namespace vedette::tmpl
