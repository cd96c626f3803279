#include "ctl/output.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <ostream>

#include "common/base/strings.h"
#include "common/model/duration.h"

namespace vedette::ctl {
namespace {

std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\x%02x", u);
      out += escape.data();
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Letters, not bytes: continuation bytes of UTF-8 take no room.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void PrintTable(const Table& table, std::ostream& out) {
  std::vector<size_t> widths;
  for (const std::string& column : table.columns) widths.push_back(Width(column));
  std::vector<std::vector<std::string>> rows = {table.columns};
  for (const auto& row : table.rows) {
    rows.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      rows.back().push_back(Printable(row[i]));
      widths[i] = std::max(widths[i], Width(rows.back().back()));
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    out << line << '\n';
  }
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  return out + '"';
}

void PrintCsv(const Table& table, std::ostream& out) {
  const auto line = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) out << (i == 0 ? "" : ",") << CsvField(row[i]);
    out << '\n';
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
}

void PrintJson(const Table& table, std::ostream& out) {
  out << '[';
  for (size_t r = 0; r < table.rows.size(); ++r) {
    out << (r == 0 ? "\n  {" : ",\n  {");
    for (size_t i = 0; i < table.columns.size(); ++i) {
      out << (i == 0 ? "" : ", ") << JsonString(table.columns[i]) << ": "
          << JsonString(table.rows[r][i]);
    }
    out << '}';
  }
  out << (table.rows.empty() ? "]\n" : "\n]\n");
}

// Reads exactly `digits` digits at the front of `text`.
bool TakeNumber(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits || text[0] == '-') return false;
  text.remove_prefix(digits);
  return true;
}

bool Take(std::string_view& text, std::string_view one_of) {
  if (text.empty() || one_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool ParseRfc3339(std::string_view text, int64_t& t_ms) {
  int year, month, day, hour, minute, second;
  if (!TakeNumber(text, 4, year) || !Take(text, "-") || !TakeNumber(text, 2, month) ||
      !Take(text, "-") || !TakeNumber(text, 2, day) || !Take(text, "Tt ") ||
      !TakeNumber(text, 2, hour) || !Take(text, ":") || !TakeNumber(text, 2, minute) ||
      !Take(text, ":") || !TakeNumber(text, 2, second)) {
    return false;
  }
  int64_t fraction_ms = 0;
  if (Take(text, ".")) {
    int64_t unit_ms = 100;
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
      fraction_ms += (text.front() - '0') * unit_ms;
      unit_ms /= 10;
    }
  }
  int offset_minutes = 0;
  if (!Take(text, "Zz")) {
    const bool west = text.starts_with('-');
    int hours, minutes;
    if (!Take(text, "+-") || !TakeNumber(text, 2, hours) || !Take(text, ":") ||
        !TakeNumber(text, 2, minutes) || hours > 23 || minutes > 59) {
      return false;
    }
    offset_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
  }
  if (!text.empty() || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
      second > 60) {
    return false;
  }
  std::tm tm{};
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  tm.tm_hour = hour;
  tm.tm_min = minute;
  tm.tm_sec = second;
  t_ms = (static_cast<int64_t>(timegm(&tm)) - offset_minutes * 60) * 1000 + fraction_ms;
  return tm.tm_mday == day;  // timegm turns 31 April into 1 May.
}

}  // namespace

Result<Format> ParseFormat(std::string_view text) {
  if (text == "table") return Format::kTable;
  if (text == "json") return Format::kJson;
  if (text == "csv") return Format::kCsv;
  return InvalidArgument(StrCat("output format ", Quoted(text), ": want table, json or csv"));
}

void Table::Print(Format format, std::ostream& out) const {
  switch (format) {
    case Format::kTable:
      return PrintTable(*this, out);
    case Format::kJson:
      return PrintJson(*this, out);
    case Format::kCsv:
      return PrintCsv(*this, out);
  }
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (u < 0x20) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\u%04x", u);
      out += escape.data();
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

std::string FormatValue(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return StrCat(value);
}

std::string BytesText(uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double n = static_cast<double>(bytes);
  size_t unit = 0;
  // 999.5 would be written as four digits.
  while (n >= 999.5 && unit + 1 < kUnits.size()) {
    n /= 1024;
    ++unit;
  }
  const int decimals = unit == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", decimals, n, kUnits[unit]);
  return text;
}

std::string FormatTime(int64_t t_ms) {
  int64_t seconds = t_ms / 1000;
  int64_t ms = t_ms % 1000;
  if (ms < 0) {
    ms += 1000;
    --seconds;
  }
  const std::time_t t = static_cast<std::time_t>(seconds);
  std::tm tm{};
  gmtime_r(&t, &tm);
  std::array<char, 64> text;
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &tm);
  std::snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(ms));
  return text.data();
}

Result<int64_t> ParseTime(std::string_view text, int64_t now_ms) {
  if (text.empty() || text == "now") return now_ms;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && std::abs(seconds) < 1e12) {
    return static_cast<int64_t>(std::llround(seconds * 1000));
  }
  int64_t t_ms = 0;
  if (ParseRfc3339(text, t_ms)) return t_ms;
  if (const Result<int64_t> age_ms = ParseDuration(text); age_ms.ok()) return now_ms - *age_ms;
  return InvalidArgument(StrCat("time ", Quoted(text),
                                ": want now, an age such as 15m, seconds since 1970, or "
                                "2027-03-01T12:00:00Z"));
}

}  // namespace vedette::ctl
