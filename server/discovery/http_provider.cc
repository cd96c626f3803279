#include "server/discovery/http_provider.h"

#include "common/base/strings.h"
#include "server/discovery/target_group_text.h"

namespace vedette::discovery {

Result<std::vector<TargetGroup>> HttpProvider::Refresh(Status&) {
  const double seconds = static_cast<double>(config_.refresh_interval_ms) / 1000;
  VEDETTE_ASSIGN_OR_RETURN(const std::string text,
                           fetch_(config_.url,
                                  {{"Accept", "application/json"},
                                   {"X-Prometheus-Refresh-Interval-Seconds", StrCat(seconds)}},
                                  config_.http, config_.refresh_interval_ms));
  return ParseTargetGroups(text, config_.url, "__meta_url");
}

}  // namespace vedette::discovery
