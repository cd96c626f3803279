#include "server/discovery/http_provider.h"

#include "common/base/strings.h"
#include "server/discovery/target_group_text.h"

namespace vedette::discovery {

Result<std::vector<TargetGroup>> HttpProvider::Refresh(Status&) {
  const double seconds = static_cast<double>(config_.refresh_interval_ms) / 1000;
  HttpCall call;
  call.url = config_.url;
  call.headers["Accept"] = "application/json";
  call.headers["X-Prometheus-Refresh-Interval-Seconds"] = StrCat(seconds);
  call.http = config_.http;
  call.timeout_ms = config_.refresh_interval_ms;
  VEDETTE_ASSIGN_OR_RETURN(const HttpAnswer answer, http_(call));
  if (answer.status != 200) {
    return Unavailable(StrCat("the server answered with status ", answer.status));
  }
  return ParseTargetGroups(answer.body, config_.url, "__meta_url");
}

}  // namespace vedette::discovery
