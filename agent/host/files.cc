#include "agent/host/files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "agent/collector/kept_files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

thread_local uint64_t files_opened = 0;

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  ++files_opened;
  std::string text;
  const int error = KeptFiles::Shared().Read(path, text);
  if (error == 0) return text;
  const std::string reason = StrCat(path, ": ", std::strerror(error));
  if (error == ENOENT) return NotFound(reason);
  return error == EFBIG ? ResourceExhausted(reason) : Unavailable(reason);
}

std::optional<std::string> ReadAttribute(const std::string& path) {
  ++files_opened;
  std::string text;
  if (KeptFiles::Shared().Read(path, text) != 0) return std::nullopt;
  const std::string_view trimmed = Trim(text);
  return trimmed.size() == text.size() ? text : std::string(trimmed);
}

std::optional<double> ReadNumber(const std::string& path) {
  const std::optional<std::string> text = ReadAttribute(path);
  return text ? Real(*text) : std::nullopt;
}

std::vector<std::string> ListDirectory(const std::string& path) {
  ++files_opened;
  std::vector<std::string> names = KeptFiles::Shared().List(path);
  std::ranges::sort(names);
  return names;
}

std::string LinkName(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(path, error);
  if (error) return {};
  return target.has_filename() ? target.filename().string()
                               : target.parent_path().filename().string();
}

std::string ValidUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string(text);
  std::string out;
  bool bad = false;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t want = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const std::string_view one = text.substr(0, want);
    const bool good = one.size() == want && IsValidUtf8(one);
    if (good) out += one;
    if (!good && !bad) out += "\xef\xbf\xbd";
    bad = !good;
    text.remove_prefix(good ? want : 1);
  }
  return out;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  words.reserve(16);  // Most lines have fewer.
  size_t at = 0;
  for (;;) {
    at = line.find_first_not_of(" \t", at);
    if (at == std::string_view::npos) return words;
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
}

std::optional<double> Real(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> AnyNumber(std::string_view text) {
  if (!text.starts_with("0x")) return Real(text);
  const auto value = Number<uint64_t>(text.substr(2), 16);
  if (!value) return std::nullopt;
  return static_cast<double>(*value);
}

std::optional<FileStamp> FileStamp::Of(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileStamp{info.st_ino, info.st_size,
                   info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

uint64_t FilesOpened() { return files_opened; }

}  // namespace vedette::agent
