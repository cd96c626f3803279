#include "agent/host/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr size_t kMaxFile = 16 << 20;

thread_local uint64_t files_opened = 0;

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  ++files_opened;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string reason = StrCat(path, ": ", std::strerror(errno));
    return errno == ENOENT ? NotFound(reason) : Unavailable(reason);
  }
  std::string text;
  size_t used = 0;
  for (;;) {
    if (text.size() - used < 4096) text.resize(std::max<size_t>(8192, text.size() * 2));
    const ssize_t n = read(fd, text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const Status failed = Unavailable(StrCat(path, ": ", std::strerror(errno)));
      close(fd);
      return failed;
    }
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > kMaxFile) {
      close(fd);
      return ResourceExhausted(StrCat(path, " is larger than 16 MiB"));
    }
  }
  close(fd);
  text.resize(used);
  return text;
}

std::optional<std::string> ReadAttribute(const std::string& path) {
  Result<std::string> text = ReadFile(path);
  if (!text.ok()) return std::nullopt;
  return std::string(Trim(*text));
}

std::optional<double> ReadNumber(const std::string& path) {
  const std::optional<std::string> text = ReadAttribute(path);
  return text ? Real(*text) : std::nullopt;
}

std::vector<std::string> ListDirectory(const std::string& path) {
  ++files_opened;
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
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

uint64_t FilesOpened() { return files_opened; }

}  // namespace vedette::agent
