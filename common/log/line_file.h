#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette::log {

// LineFile appends whole lines to a file: Prometheus' query_log_file and scrape_failure_log_file.
// Lines of several threads never mix. A file that was renamed away is made anew by the next Open,
// that is, by a reload. Thread-safe.
class LineFile {
 public:
  static Result<std::shared_ptr<LineFile>> Open(const std::string& path);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // Adds the newline. A disk that takes nothing loses the line: a log must not stop the work.
  void Write(std::string_view line) VEDETTE_EXCLUDES(mu_);

 private:
  explicit LineFile(int file) : file_(file) {}

  const int file_;
  Mutex mu_;
};

// "2026-11-28T06:00:00.123Z", as both files say the time.
std::string LogTime(int64_t t_ms);
// `text` in quotes, as JSON has it.
std::string JsonQuoted(std::string_view text);

}  // namespace vedette::log
