#include "common/log/line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "common/base/strings.h"

namespace vedette::log {

Result<std::shared_ptr<LineFile>> LineFile::Open(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return Unavailable(StrCat(path, ": cannot be opened: ", std::strerror(errno)));
  return std::shared_ptr<LineFile>(new LineFile(file));
}

LineFile::~LineFile() { close(file_); }

void LineFile::Write(std::string_view line) {
  const std::string whole = StrCat(line, "\n");
  MutexLock lock(mu_);
  // One write a line: O_APPEND keeps them whole among several processes, too.
  (void)!write(file_, whole.data(), whole.size());
}

std::string LogTime(int64_t t_ms) {
  const time_t seconds = static_cast<time_t>(t_ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + n, sizeof text - n, ".%03dZ", static_cast<int>(t_ms % 1000));
  return text;
}

std::string JsonQuoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

}  // namespace vedette::log
