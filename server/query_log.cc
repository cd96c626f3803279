#include "server/query_log.h"

#include <source_location>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/http/request_id.h"
#include "common/log/log.h"

namespace vedette {

Status QueryLog::Use(const std::string& path) {
  std::shared_ptr<log::LineFile> file;
  if (!path.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(file, log::LineFile::Open(path));
  }
  MutexLock lock(mu_);
  file_ = std::move(file);
  return {};
}

bool QueryLog::enabled() const {
  MutexLock lock(mu_);
  return file_ != nullptr;
}

void LogAccess(const http::ServerOptions::Access& access) {
  constexpr int kServerErrors = 500;
  const bool failed = access.status >= kServerErrors;
  if (!failed && log::level() > log::Level::kDebug) return;
  const http::Request& request = access.request;
  const auto line = failed ? log::Warn : log::Debug;
  // Thinned out by path: one that is asked for all the time does not hide the others.
  line(StrCat(request.method, " ", request.path),
       {{"request_id", request.headers.Get(http::kRequestId)},
        {"status", access.status},
        {"duration_ms", static_cast<double>(access.duration_us) / 1000},
        {"bytes", access.bytes},
        {"peer", request.peer},
        {"user", request.user}},
       std::source_location::current());
}

void QueryLog::Note(const http::ServerOptions::Access& access, int64_t now_ms) {
  const http::Request& request = access.request;
  const bool range = request.path.ends_with("/api/v1/query_range");
  if (!range && !request.path.ends_with("/api/v1/query")) return;
  std::shared_ptr<log::LineFile> file;
  {
    MutexLock lock(mu_);
    file = file_;
  }
  if (file == nullptr) return;
  std::string params;
  for (const std::string_view name : {"query", "start", "end", "step", "time"}) {
    if (!request.params.Has(name)) continue;
    StrAppend(params, params.empty() ? "" : ",", "\"", name,
              "\":", log::JsonQuoted(request.params.Get(name)));
  }
  file->Write(StrCat("{\"time\":\"", log::LogTime(now_ms), "\",\"ts\":\"", log::LogTime(now_ms),
                     "\",\"params\":{", params, "},\"stats\":{\"timings\":{\"execTotalTime\":",
                     static_cast<double>(access.duration_us) / 1e6, "}},\"httpRequest\":{\"clientIP\":",
                     log::JsonQuoted(request.peer_address), ",\"method\":",
                     log::JsonQuoted(request.method), ",\"path\":", log::JsonQuoted(request.path),
                     "},\"status\":", access.status, "}"));
}

}  // namespace vedette
