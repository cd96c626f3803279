#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/base/status.h"
#include "common/base/strings.h"

// The log of both programs: one line an event on stderr, logfmt or JSON, through glog.
//
//   log::Warn("scrape failed", {{"target", url}, {"err", status}});
//
//   ts=2026-01-05T10:00:00.123Z level=warn source=loop.cc:88 msg="scrape failed" target=... err=...
//
// Repeats from one place are thinned out (kRepeatBurst lines of one message in kRepeatWindowMs,
// then one with suppressed=N), so that a thousand failing targets do not fill the disk. Values
// given to RegisterSecret come out as <secret> wherever they appear. A line below the level costs
// one atomic load, plus whatever the caller spent on its fields. Thread-safe throughout; works, at
// info level, before Init.
namespace vedette::log {

enum class Level : uint8_t { kDebug, kInfo, kWarn, kError };
enum class Format : uint8_t { kLogfmt, kJson };

inline constexpr int kRepeatBurst = 20;
inline constexpr int64_t kRepeatWindowMs = 10'000;

// "debug", "info", "warn", "error"; "logfmt", "json".
Result<Level> ParseLevel(std::string_view text);
Result<Format> ParseFormat(std::string_view text);
std::string_view LevelName(Level level);

// Once, at the start of main. `program` is argv[0].
void Init(std::string_view program, Level level, Format format);

void SetLevel(Level level);
Level level();

// From now on `value` never appears in a line. Values shorter than four characters are left alone:
// masking them would mask everything. At most kMaxSecrets are kept, the oldest go first.
inline constexpr size_t kMaxSecrets = 4096;
void RegisterSecret(std::string_view value);
// `text` with every registered secret replaced by <secret>; for texts that leave by other doors.
std::string MaskSecrets(std::string_view text);

// Where whole lines go instead of stderr; null restores stderr. For tests.
using Writer = std::function<void(std::string_view line)>;
void SetWriter(Writer writer);

// One key and its value, made from whatever has a plain text form.
struct Field {
  std::string_view key;
  std::string value;
  bool bare = false;  // A number or a bool: JSON writes it without quotes.

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const Status& v) : key(k), value(v.ToString()) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  Field(std::string_view k, T v) : key(k), value(StrCat(v)), bare(true) {}
};
using Fields = std::initializer_list<Field>;

void Debug(std::string_view message, Fields fields = {},
           std::source_location where = std::source_location::current());
void Info(std::string_view message, Fields fields = {},
          std::source_location where = std::source_location::current());
void Warn(std::string_view message, Fields fields = {},
          std::source_location where = std::source_location::current());
void Error(std::string_view message, Fields fields = {},
           std::source_location where = std::source_location::current());

}  // namespace vedette::log
