#include "server/push/group_series.h"

#include <algorithm>
#include <utility>

#include "common/model/sample.h"

namespace vedette::push {
namespace {

// A layout with more than so many positions for each live series is begun anew.
constexpr size_t kPositionsPerLive = 3;
constexpr size_t kPositionsToSpare = 256;

}  // namespace

GroupSeries::GroupSeries(storage::Appender& appender, std::string owner)
    : appender_(appender), owner_(std::move(owner)), writer_(appender.OpenTimeline(owner_)) {}

Result<storage::CommitStats> GroupSeries::Commit(int64_t t_ms,
                                                 const std::vector<const MetricFamily*>& families) {
  t_ms = std::max(t_ms, last_ms_ + 1);
  std::fill(column_.begin(), column_.end(), kAbsent);
  std::vector<storage::HistogramAt> histograms;
  std::vector<storage::ExemplarAt> exemplars;
  uint64_t refused = 0;
  size_t there = 0;
  for (const MetricFamily* family : families) {
    for (const FamilySample& sample : family->samples) {
      auto at = positions_.find(sample.labels);
      if (at == positions_.end()) {
        const Result<uint32_t> position = writer_->AddSeries(sample.labels);
        if (!position.ok()) {
          if (position.status().code() != StatusCode::kResourceExhausted) {
            return position.status();
          }
          ++refused;
          continue;
        }
        at = positions_.emplace(sample.labels, *position).first;
        if (*position >= column_.size()) {
          column_.resize(*position + 1, kAbsent);
          live_.resize(*position + 1, false);
        }
      }
      column_[at->second] = sample.histogram == nullptr ? sample.value : 0;
      if (sample.histogram != nullptr) histograms.push_back({at->second, sample.histogram});
      for (const Exemplar& e : sample.exemplars) exemplars.push_back({at->second, e});
      ++there;
    }
  }
  for (size_t p = 0; p < column_.size(); ++p) {
    if (live_[p] && IsAbsent(column_[p])) column_[p] = kStaleNan;
  }
  VEDETTE_ASSIGN_OR_RETURN(storage::CommitStats stats,
                           writer_->Commit({.t_ms = t_ms,
                                            .values = column_,
                                            .histograms = histograms,
                                            .exemplars = exemplars}));
  last_ms_ = t_ms;
  for (size_t p = 0; p < column_.size(); ++p) {
    live_[p] = !IsAbsent(column_[p]) && !IsStale(column_[p]);
  }
  stats.series_limit += refused;
  if (column_.size() > kPositionsPerLive * there + kPositionsToSpare) {
    VEDETTE_RETURN_IF_ERROR(StartOver());
  }
  return stats;
}

// The dead have their markers; the living move to a layout without them.
Status GroupSeries::StartOver() {
  std::unique_ptr<storage::TimelineWriter> writer = appender_.OpenTimeline(owner_);
  std::unordered_map<Labels, uint32_t, LabelsHash> positions;
  for (const auto& [labels, position] : positions_) {
    if (!live_[position]) continue;
    VEDETTE_ASSIGN_OR_RETURN(const uint32_t now, writer->AddSeries(labels));
    positions.emplace(labels, now);
  }
  uint32_t end = 0;
  for (const auto& [labels, position] : positions) end = std::max(end, position + 1);
  writer_ = std::move(writer);
  positions_ = std::move(positions);
  column_.assign(end, kAbsent);
  live_.assign(end, false);
  for (const auto& [labels, position] : positions_) live_[position] = true;
  return {};
}

Status GroupSeries::End(int64_t t_ms) { return Commit(t_ms, {}).status(); }

}  // namespace vedette::push
