#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::ctl {

enum class Format : uint8_t { kTable, kJson, kCsv };

// "table", "json" or "csv".
Result<Format> ParseFormat(std::string_view text);

// What a verb prints: rows under named columns, for people (aligned), for programs (an array of
// objects) or for a spreadsheet (RFC 4180). Control characters are escaped in a table, so that what
// a server says cannot steer a terminal.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  void Print(Format format, std::ostream& out) const;
};

// `text` as a JSON string, quotes included.
std::string JsonString(std::string_view text);

// The shortest decimal that reads back; NaN, +Inf and -Inf as Prometheus writes them.
std::string FormatValue(double value);

// "0 B", "1.5 KiB", "12 MiB": three digits, for people.
std::string BytesText(uint64_t bytes);

// 2027-03-01T12:00:00.000Z.
std::string FormatTime(int64_t t_ms);

// A time on the command line: "now", seconds since the epoch ("1700000000.5"), RFC 3339
// ("2027-03-01T12:00:00Z", "…+02:00"), or an age ("15m": fifteen minutes before now).
Result<int64_t> ParseTime(std::string_view text, int64_t now_ms);

}  // namespace vedette::ctl
