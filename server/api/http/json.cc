#include "server/api/http/json.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "common/base/shortest.h"
#include "common/base/strings.h"

namespace vedette::api {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

bool Plain(char c) {
  const auto b = static_cast<uint8_t>(c);
  return b >= 0x20 && b < 0x80 && c != '"' && c != '\\';
}

// The bounds of one bucket of an exponential histogram, or of one with custom bounds.
double UpperBound(const Histogram& h, int32_t index) {
  if (h.schema == Histogram::kCustomSchema) {
    if (index < 0) return -INFINITY;
    return static_cast<size_t>(index) < h.custom_values.size()
               ? h.custom_values[static_cast<size_t>(index)]
               : INFINITY;
  }
  if (h.schema < 0) return std::exp2(std::ldexp(static_cast<double>(index), -h.schema));
  // The fraction apart from the whole exponent: powers of two come out exact.
  const int32_t whole = index >> h.schema;
  const int32_t part = index - whole * (1 << h.schema);
  return std::ldexp(std::exp2(std::ldexp(static_cast<double>(part), -h.schema)), whole);
}

}  // namespace

void AppendFloat(std::string& out, double v) {
  if (std::isnan(v)) {
    out += "NaN";
    return;
  }
  if (std::isinf(v)) {
    out += v > 0 ? "+Inf" : "-Inf";
    return;
  }
  // An exponent below 1e-6 and from 1e21 on, of two digits at least, as Go writes it.
  const double magnitude = std::fabs(v);
  const bool exponent = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  if (!exponent) {
    AppendShortestFixed(out, v);
    return;
  }
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
  out.append(buffer, end);
}

std::string FormatTime(int64_t t_ms) {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> t{std::chrono::milliseconds(t_ms)};
  const auto day = floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(t - day);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  std::string out = buffer;
  if (const auto ms = clock.subseconds().count(); ms != 0) {
    std::snprintf(buffer, sizeof buffer, ".%03d", static_cast<int>(ms));
    out += buffer;
    while (out.back() == '0') out.pop_back();
  }
  return out + "Z";
}

void JsonWriter::FlushNow() {
  if (flush_ == nullptr) return;
  if (!gone_) gone_ = !flush_(out_);
  out_.clear();
}

JsonWriter& JsonWriter::Open(char bracket) {
  Comma();
  out_.push_back(bracket);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  out_.push_back(bracket);
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  String(key);
  out_.push_back(':');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view text) {
  Comma();
  out_.push_back('"');
  while (!text.empty()) {
    size_t n = 0;
    while (n < text.size() && Plain(text[n])) ++n;
    out_.append(text.substr(0, n));
    text.remove_prefix(n);
    if (text.empty()) break;
    const char c = text[0];
    const auto b = static_cast<uint8_t>(c);
    if (b >= 0x80) {
      // One character, whole, or one byte replaced. No more than one: what follows it may be a
      // quote or a backslash.
      size_t run = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
      if (run > text.size() || !IsValidUtf8(text.substr(0, run))) run = 0;
      out_.append(run > 0 ? text.substr(0, run) : kReplacement);
      text.remove_prefix(run > 0 ? run : 1);
      continue;
    }
    text.remove_prefix(1);
    switch (c) {
      case '"':
        out_ += "\\\"";
        break;
      case '\\':
        out_ += "\\\\";
        break;
      case '\n':
        out_ += "\\n";
        break;
      case '\r':
        out_ += "\\r";
        break;
      case '\t':
        out_ += "\\t";
        break;
      default:
        out_ += {'\\', 'u', '0', '0', kHex[b >> 4], kHex[b & 15]};
    }
  }
  out_.push_back('"');
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t v) {
  Comma();
  StrAppend(out_, v);
  return *this;
}

JsonWriter& JsonWriter::Uint(uint64_t v) {
  Comma();
  StrAppend(out_, v);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool v) {
  Comma();
  out_ += v ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Comma();
  out_ += "null";
  return *this;
}

JsonWriter& JsonWriter::Number(double v) {
  if (!std::isfinite(v)) return Null();
  Comma();
  AppendFloat(out_, v);
  return *this;
}

JsonWriter& JsonWriter::Float(double v) {
  Comma();
  out_.push_back('"');
  AppendFloat(out_, v);
  out_.push_back('"');
  return *this;
}

JsonWriter& JsonWriter::Time(int64_t t_ms) {
  Comma();
  // Built from digits, not from a double: 13 digits of milliseconds are exact that way.
  uint64_t magnitude = static_cast<uint64_t>(t_ms);
  if (t_ms < 0) {
    out_.push_back('-');
    magnitude = 0 - magnitude;
  }
  StrAppend(out_, magnitude / 1000);
  if (const auto ms = static_cast<uint32_t>(magnitude % 1000); ms != 0) {
    out_ += {'.', static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10),
             static_cast<char>('0' + ms % 10)};
  }
  return *this;
}

JsonWriter& JsonWriter::Object(const Labels& labels) {
  BeginObject();
  for (const Label& l : labels) Key(l.name).String(l.value);
  return EndObject();
}

JsonWriter& JsonWriter::Object(const Histogram& h) {
  BeginObject();
  Key("count").Float(h.count);
  Key("sum").Float(h.sum);
  struct Bucket {
    double lower, upper, count;
    int boundaries;  // 0: (lower, upper], 1: [lower, upper), 2: open, 3: closed.
  };
  bool any = false;
  const auto write = [&](const Bucket& b) {
    if (b.count == 0) return;
    if (!any) Key("buckets").BeginArray();
    any = true;
    BeginArray().Int(b.boundaries).Float(b.lower).Float(b.upper).Float(b.count).EndArray();
  };
  const auto visit = [](const std::vector<Histogram::Span>& spans,
                        const std::vector<double>& counts, auto use) {
    int32_t index = 0;
    size_t at = 0;
    for (const Histogram::Span& s : spans) {
      index += s.offset;
      for (uint32_t i = 0; i < s.length && at < counts.size(); ++i) use(index++, counts[at++]);
    }
  };
  std::vector<Bucket> negative;
  visit(h.negative_spans, h.negative_buckets, [&](int32_t index, double count) {
    negative.push_back({-UpperBound(h, index), -UpperBound(h, index - 1), count, 1});
  });
  for (auto b = negative.rbegin(); b != negative.rend(); ++b) write(*b);
  const bool custom = h.schema == Histogram::kCustomSchema;
  // A zero bucket that arithmetic made negative is not shown, nor is one that is NaN.
  if (!custom && h.zero_count > 0) {
    write({-h.zero_threshold, h.zero_threshold, h.zero_count, 3});
  }
  visit(h.positive_spans, h.positive_buckets, [&](int32_t index, double count) {
    write({UpperBound(h, index - 1), UpperBound(h, index), count, custom && index == 0 ? 3 : 0});
  });
  if (any) EndArray();
  return EndObject();
}

JsonWriter& JsonWriter::Raw(std::string_view json) {
  Comma();
  out_.append(json);
  return *this;
}

}  // namespace vedette::api
