#include "server/storage_limits.h"

#include <sys/statvfs.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/promql/parser/parser.h"

namespace vedette {

Status LimitStorage(const ServerOptions& options, const config::StorageConfig& config,
                    tsdb::TsdbOptions& storage) {
  storage.max_series = static_cast<uint64_t>(options.max_series);
  storage.max_series_per_owner = static_cast<uint64_t>(options.max_series_per_job);
  storage.max_future_ms = options.max_future_ms;
  storage.column_cache_bytes = static_cast<size_t>(options.column_cache_bytes);
  for (const std::string& text : options.max_series_of_job) {
    const size_t sign = text.rfind('=');
    uint64_t limit = 0;
    const char* end = text.data() + text.size();
    if (sign == std::string::npos || sign == 0 ||
        std::from_chars(text.data() + sign + 1, end, limit).ptr != end || text.back() == '=') {
      return InvalidArgument(StrCat("--storage.max-series-of-job=", Quoted(text),
                                    ": a job and its limit are expected, such as node=100000"));
    }
    storage.max_series_of_owner[text.substr(0, sign)] = limit;
  }
  if (config.retention_percentage && *config.retention_percentage > 0) {
    std::error_code none;
    std::filesystem::create_directories(options.storage_path, none);
    struct statvfs space;
    if (statvfs(options.storage_path.c_str(), &space) != 0) {
      return FailedPrecondition(StrCat("storage.tsdb.retention.percentage: the size of the disk of ",
                                       Quoted(options.storage_path), " cannot be told"));
    }
    const uint64_t share = static_cast<uint64_t>(static_cast<double>(space.f_blocks) *
                                                 static_cast<double>(space.f_frsize) *
                                                 *config.retention_percentage / 100);
    if (storage.retention_bytes == 0 || share < storage.retention_bytes) {
      storage.retention_bytes = share;
    }
  }
  storage.rollups_ms = config.rollups_ms;
  for (const config::RetentionRuleConfig& rule : config.retention_rules) {
    Result<std::vector<Matcher>> matchers = promql::ParseMetricSelector(rule.match);
    if (!matchers.ok()) {
      return matchers.status().Annotate(
          StrCat("storage.tsdb.retention.rules: match ", Quoted(rule.match)));
    }
    storage.retention_rules.push_back({*std::move(matchers), rule.time_ms});
  }
  return {};
}

}  // namespace vedette
