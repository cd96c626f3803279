#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::agent {

// Reads a whole small file of /proc or /sys. NOT_FOUND says that the kernel does not have it;
// anything else is UNAVAILABLE. Never more than 16 MiB.
Result<std::string> ReadFile(const std::string& path);

// The same without white space at both ends; nothing where the file cannot be read. For the many
// optional attributes under /sys.
std::optional<std::string> ReadAttribute(const std::string& path);
std::optional<double> ReadNumber(const std::string& path);

// Names in a directory, sorted; empty where there is none.
std::vector<std::string> ListDirectory(const std::string& path);

// The last name of what a symbolic link points at; empty if `path` is none.
std::string LinkName(const std::string& path);

// `text` with each run of bytes that are no UTF-8 replaced by U+FFFD: firmware writes what it likes.
std::string ValidUtf8(std::string_view text);

// Words between blanks and tabs; views into `line`.
std::vector<std::string_view> Words(std::string_view line);

// A number at the start of `text`; nothing where there is none.
template <typename T>
std::optional<T> Number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc()) return std::nullopt;
  return value;
}
std::optional<double> Real(std::string_view text);
// The same, and 0x at its front makes it hexadecimal.
std::optional<double> AnyNumber(std::string_view text);

// What tells a plain file from the one that it was before: one call, where to read it and to make sense
// of it are many.
struct FileStamp {
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t changed_ns = 0;

  // Nothing where there is no such file.
  static std::optional<FileStamp> Of(const std::string& path);
  bool operator==(const FileStamp&) const = default;
};

// How many files this thread has opened through ReadFile and ListDirectory: what a collector costs,
// in docs/collectors.md.
uint64_t FilesOpened();

// Calls visit(line) for every line, without its newline.
template <typename Visit>
void ForEachLine(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    visit(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace vedette::agent
