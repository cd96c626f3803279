#include "server/scrape/start_lines.h"

#include <cmath>
#include <string>

namespace vedette::scrape {
namespace {

constexpr std::string_view kCreatedSuffix = "_created";

// The suffixes of the lines of a family that count from its start.
std::vector<std::string_view> SuffixesOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return {"_total"};
    case MetricType::kHistogram:
      return {"_bucket", "_count", "_sum"};
    case MetricType::kSummary:
      return {"_count", "_sum"};
    default:
      return {};
  }
}

}  // namespace

StartLines::Kind StartLines::Note(uint32_t key, const Labels& exposed, MetricType type) {
  const std::string_view name = exposed.metric_name();
  Kind kind = Kind::kNone;
  std::string_view base;
  const std::vector<std::string_view> suffixes = SuffixesOf(type);
  if (suffixes.empty()) return kind;
  if (name.ends_with(kCreatedSuffix)) {
    kind = Kind::kCreated;
    base = name.substr(0, name.size() - kCreatedSuffix.size());
  }
  for (const std::string_view suffix : suffixes) {
    if (kind != Kind::kNone || !name.ends_with(suffix)) continue;
    kind = Kind::kCounts;
    base = name.substr(0, name.size() - suffix.size());
  }
  if (kind == Kind::kNone) return kind;
  LabelsBuilder labels(exposed);
  labels.Set(kMetricNameLabel, base);
  if (type == MetricType::kHistogram) labels.Delete("le");
  const auto [group, fresh] =
      group_of_.try_emplace(labels.Build().Hash(), static_cast<uint32_t>(groups_.size()));
  if (fresh) groups_.emplace_back();
  const auto [it, new_line] = group_of_line_.try_emplace(key, group->second);
  if (new_line && kind == Kind::kCounts) groups_[it->second].lines.push_back(key);
  return kind;
}

void StartLines::Begin() {
  for (Group& group : groups_) group.start_ms = 0;
}

void StartLines::Created(uint32_t key, double seconds) {
  // An instant that milliseconds can hold, and every double can hold in them.
  constexpr double kMost = 9e12;
  const auto it = group_of_line_.find(key);
  if (it == group_of_line_.end() || !(seconds > 0 && seconds < kMost)) return;
  groups_[it->second].start_ms = std::llround(seconds * 1000);
}

void StartLines::End(const std::function<void(uint32_t key, int64_t start_ms)>& tell) const {
  for (const Group& group : groups_) {
    for (const uint32_t key : group.lines) tell(key, group.start_ms);
  }
}

}  // namespace vedette::scrape
