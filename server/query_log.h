#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/http/server.h"
#include "common/log/line_file.h"

namespace vedette {

// query_log_file: one line of JSON for each query over HTTP, when it has been answered. Thread-safe.
class QueryLog {
 public:
  // From now on to this file, opened anew; "" to none. On an error nothing changes.
  Status Use(const std::string& path) VEDETTE_EXCLUDES(mu_);
  bool enabled() const VEDETTE_EXCLUDES(mu_);

  // Writes a line if the request was a query.
  void Note(const http::ServerOptions::Access& access, int64_t now_ms) VEDETTE_EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  std::shared_ptr<log::LineFile> file_ VEDETTE_GUARDED_BY(mu_);
};

// A line for a request that has been answered: what failed in us (5xx) as a warning, the rest at
// debug level. Its request_id is the answer's X-Request-Id.
void LogAccess(const http::ServerOptions::Access& access);

}  // namespace vedette
