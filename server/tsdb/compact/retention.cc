#include "server/tsdb/compact/retention.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {

Status Retention::Apply(int64_t newest_ms) {
  const int32_t current = WindowOf(newest_ms, window_ms_);
  std::vector<int32_t> windows = presence_.Windows(INT32_MIN, current);
  std::vector<Postings> of_rules;
  for (int32_t window : windows) {
    const int64_t age_ms = newest_ms - (window + int64_t{1}) * window_ms_;
    const bool rest_over = Over(options_.keep_ms, age_ms);
    const auto over = [&](const RetentionRule& r) { return Over(r.keep_ms, age_ms); };
    if (rest_over && std::ranges::all_of(options_.rules, over)) {
      VEDETTE_RETURN_IF_ERROR(compactor_.Drop(window));
      ++dropped_by_time_;
    } else if (rest_over || std::ranges::any_of(options_.rules, over)) {
      if (of_rules.empty()) {
        for (const RetentionRule& r : options_.rules) of_rules.push_back(index_.Select(r.matchers));
      }
      VEDETTE_RETURN_IF_ERROR(DropByRule(window, age_ms, of_rules));
    }
  }
  if (options_.max_bytes == 0) return {};
  for (int32_t window : presence_.Windows(INT32_MIN, current - 1)) {
    if (store_.disk_bytes() <= options_.max_bytes) break;
    VEDETTE_RETURN_IF_ERROR(compactor_.Drop(window));
    ++dropped_by_size_;
  }
  return {};
}

Status Retention::DropByRule(int32_t window, int64_t age_ms,
                             const std::vector<Postings>& of_rules) {
  constexpr size_t kSlice = 10'000;
  Postings rest = presence_.In(window, window);
  Postings over;
  for (size_t r = 0; r < of_rules.size(); ++r) {
    Postings mine = of_rules[r];
    mine.IntersectWith(rest);
    rest.Subtract(mine);
    if (Over(options_.rules[r].keep_ms, age_ms)) over.UnionWith(mine);
  }
  if (Over(options_.keep_ms, age_ms)) over.UnionWith(rest);
  const std::vector<uint32_t> series = over.ToVector();
  if (series.empty()) return {};
  std::vector<uint32_t> metrics;
  index_.MetricsOf(series, metrics);
  for (size_t at = 0; at < series.size(); at += kSlice) {
    const size_t n = std::min(kSlice, series.size() - at);
    VEDETTE_RETURN_IF_ERROR(compactor_.DropSeries(window, std::span(metrics).subspan(at, n),
                                                  std::span(series).subspan(at, n)));
  }
  if (presence_.In(window, window).empty()) return compactor_.Drop(window);
  for (Family family : {Family::kChunks, Family::kHistograms}) {
    VEDETTE_RETURN_IF_ERROR(
        store_.CompactRange(family, WindowPrefix(window), WindowPrefix(window + 1)));
  }
  return {};
}

}  // namespace vedette::tsdb
