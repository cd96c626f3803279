#include "server/ruler/rule_output.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/model/sample.h"

namespace vedette::ruler {
namespace {

// A layout with more dead positions than this, and more dead than live ones, is given up.
constexpr uint32_t kMinDeadPositions = 64;

}  // namespace

RuleOutput::RuleOutput(storage::Appender& appender, std::string owner)
    : appender_(&appender), owner_(std::move(owner)) {}

Result<uint64_t> RuleOutput::Write(int64_t t_ms, const std::vector<OutputSample>& samples) {
  if (samples.empty() && places_.empty()) return 0;
  if (writer_ == nullptr) writer_ = appender_->OpenTimeline(owner_);
  ++round_;
  std::vector<double> values(layout_size_, kAbsent);
  std::vector<storage::HistogramAt> histograms;
  Status failure;
  for (const OutputSample& s : samples) {
    auto [it, is_new] = places_.try_emplace(s.labels);
    if (is_new) {
      Result<uint32_t> position = writer_->AddSeries(s.labels);
      if (!position.ok()) {
        // The series without a place is lost; the others are not.
        if (failure.ok()) failure = position.status();
        places_.erase(it);
        continue;
      }
      it->second.position = *position;
      layout_size_ = std::max(layout_size_, *position + 1);
      values.resize(layout_size_, kAbsent);
    }
    it->second.round = round_;
    if (s.histogram != nullptr) {
      histograms.push_back({it->second.position, s.histogram});
    } else {
      values[it->second.position] = s.value;
    }
  }
  for (const auto& [labels, place] : places_) {
    if (place.round != round_) values[place.position] = kStaleNan;
  }
  Result<storage::CommitStats> stats =
      writer_->Commit({.t_ms = t_ms, .values = values, .histograms = histograms});
  if (!stats.ok()) return stats.status();
  last_t_ms_ = t_ms;
  std::erase_if(places_, [&](const auto& place) { return place.second.round != round_; });
  const auto live = static_cast<uint32_t>(places_.size());
  if (layout_size_ - live > kMinDeadPositions && layout_size_ - live > live) {
    writer_.reset();
    layout_size_ = 0;
    // They get new places in a new layout next time, and must not be missed until then.
    auto fresh = appender_->OpenTimeline(owner_);
    for (auto& [labels, place] : places_) {
      Result<uint32_t> position = fresh->AddSeries(labels);
      if (!position.ok()) return position.status();
      place.position = *position;
      layout_size_ = std::max(layout_size_, *position + 1);
    }
    writer_ = std::move(fresh);
  }
  if (!failure.ok()) return failure;
  if (stats->refused() > 0) {
    return FailedPrecondition(StrCat(stats->refused(), " samples were refused: ", stats->duplicate,
                                     " duplicate, ", stats->out_of_order + stats->too_old,
                                     " out of order, ", stats->too_far_ahead, " in the future, ",
                                     stats->series_limit, " over the series limit"));
  }
  return samples.size();
}

Status RuleOutput::End(int64_t t_ms) {
  Result<uint64_t> written = Write(std::max(t_ms, last_t_ms_ + 1), {});
  return written.status();
}

}  // namespace vedette::ruler
