#include "common/http/same_origin.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace vedette::http {
namespace {

bool Changes(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

// "https://host:port" to "host:port".
std::string_view HostOf(std::string_view origin) {
  const size_t at = origin.find("://");
  return at == std::string_view::npos ? origin : origin.substr(at + 3);
}

bool Foreign(const Request& request) {
  const std::string_view site = request.headers.Get("Sec-Fetch-Site");
  // "none" is a person's own doing: an address typed in, a bookmark.
  if (!site.empty()) return site != "same-origin" && site != "none";
  const std::string_view origin = request.headers.Get("Origin");
  return !origin.empty() && HostOf(origin) != request.headers.Get("Host");
}

}  // namespace

Router::Filter SameOriginWrites(std::vector<std::string> reads) {
  return [reads = std::move(reads)](Request& request, Response& response, const RouteOptions&) {
    if (!Changes(request.method) || !Foreign(request)) return true;
    const std::string_view path = request.path;
    const bool only_reads = std::any_of(reads.begin(), reads.end(), [&](const std::string& end) {
      return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
    });
    if (only_reads) return true;
    response.SetError(403, "a page from another origin may not change anything here");
    return false;
  };
}

}  // namespace vedette::http
