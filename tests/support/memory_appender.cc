#include "tests/support/memory_appender.h"

#include <utility>

#include "common/base/strings.h"

namespace vedette::testing {

class MemoryAppender::Writer final : public storage::TimelineWriter {
 public:
  Writer(MemoryAppender& appender, std::string owner)
      : appender_(appender), owner_(std::move(owner)) {}

  Result<uint32_t> AddSeries(const Labels& labels) override {
    MutexLock lock(appender_.mu_);
    VEDETTE_ASSIGN_OR_RETURN(Series * series, appender_.SeriesOf(labels));
    series->owner = owner_;
    layout_.push_back(labels.ToString());
    labels_.push_back(labels);
    return static_cast<uint32_t>(layout_.size() - 1);
  }

  Labels LabelsAt(uint32_t position) const override { return labels_[position]; }

  Result<storage::CommitStats> Commit(const storage::Row& row) override {
    MutexLock lock(appender_.mu_);
    if (!appender_.failure_.ok()) return appender_.failure_;
    if (row.values.size() > layout_.size()) {
      return InvalidArgument(
          StrCat("a row of ", row.values.size(), " values for a layout of ", layout_.size()));
    }
    ++appender_.commits_;
    storage::CommitStats stats;
    std::vector<bool> is_histogram(layout_.size());
    for (const storage::HistogramAt& h : row.histograms) {
      is_histogram[h.position] = true;
      appender_.series_[layout_[h.position]].histograms.emplace_back(row.t_ms, h.histogram);
      ++stats.appended;
      ++stats.appended_histograms;
    }
    for (size_t p = 0; p < row.values.size(); ++p) {
      if (IsAbsent(row.values[p]) || is_histogram[p]) continue;
      appender_.series_[layout_[p]].samples.push_back({row.t_ms, row.values[p]});
      ++stats.appended;
    }
    for (const storage::ExemplarAt& e : row.exemplars) {
      appender_.series_[layout_[e.position]].exemplars.push_back(e.exemplar);
      ++stats.exemplars;
    }
    for (const storage::StartAt& start : row.starts) {
      appender_.series_[layout_[start.position]].starts.emplace_back(row.t_ms, start.start_ms);
    }
    return stats;
  }

 private:
  MemoryAppender& appender_;
  const std::string owner_;
  std::vector<std::string> layout_;
  std::vector<Labels> labels_;
};

std::unique_ptr<storage::TimelineWriter> MemoryAppender::OpenTimeline(const std::string& owner) {
  MutexLock lock(mu_);
  ++timelines_;
  return std::make_unique<Writer>(*this, owner);
}

Result<MemoryAppender::Series*> MemoryAppender::SeriesOf(const Labels& labels) {
  const std::string name = labels.ToString();
  if (limit_ > 0 && series_.size() >= limit_ && !series_.contains(name)) {
    return ResourceExhausted("the series budget is used up");
  }
  return &series_[name];
}

Result<storage::CommitStats> MemoryAppender::Write(std::span<const storage::SeriesBatch> batch) {
  MutexLock lock(mu_);
  if (!failure_.ok()) return failure_;
  ++commits_;
  storage::CommitStats stats;
  for (const storage::SeriesBatch& one : batch) {
    Result<Series*> series = SeriesOf(one.labels);
    if (!series.ok()) {
      stats.series_limit += one.samples.size() + one.histograms.size();
      stats.refused_histograms += one.histograms.size();
      continue;
    }
    Series& s = **series;
    s.samples.insert(s.samples.end(), one.samples.begin(), one.samples.end());
    for (const auto& h : one.histograms) s.histograms.emplace_back(h.t_ms, h.histogram);
    s.exemplars.insert(s.exemplars.end(), one.exemplars.begin(), one.exemplars.end());
    stats.appended += one.samples.size() + one.histograms.size();
    stats.appended_histograms += one.histograms.size();
    stats.exemplars += one.exemplars.size();
  }
  return stats;
}

void MemoryAppender::SetMetadata(const std::string& metric_name, const Metadata& metadata) {
  MutexLock lock(mu_);
  metadata_[metric_name] = metadata;
}

std::string MemoryAppender::ToString(const std::string& labels) const {
  MutexLock lock(mu_);
  auto found = series_.find(labels);
  if (found == series_.end()) {
    const std::string name = StrCat("{__name__=\"", labels, "\"");
    for (auto it = series_.begin(); it != series_.end(); ++it) {
      if (it->first.find(name) == 0) found = it;
    }
  }
  if (found == series_.end() || found->second.samples.empty()) return "none";
  std::string out;
  for (const Sample& s : found->second.samples) {
    if (!out.empty()) out.push_back(' ');
    if (IsStale(s.value)) {
      StrAppend(out, "stale@", s.t_ms);
    } else {
      StrAppend(out, s.value, "@", s.t_ms);
    }
  }
  return out;
}

std::vector<std::string> MemoryAppender::SeriesNames() const {
  MutexLock lock(mu_);
  std::vector<std::string> names;
  for (const auto& [name, series] : series_) names.push_back(name);
  return names;
}

std::map<std::string, MemoryAppender::Series> MemoryAppender::series() const {
  MutexLock lock(mu_);
  return series_;
}

std::map<std::string, Metadata> MemoryAppender::metadata() const {
  MutexLock lock(mu_);
  return metadata_;
}

uint64_t MemoryAppender::commits() const {
  MutexLock lock(mu_);
  return commits_;
}

uint64_t MemoryAppender::timelines() const {
  MutexLock lock(mu_);
  return timelines_;
}

void MemoryAppender::FailCommits(Status status) {
  MutexLock lock(mu_);
  failure_ = std::move(status);
}

void MemoryAppender::LimitSeries(size_t limit) {
  MutexLock lock(mu_);
  limit_ = limit;
}

}  // namespace vedette::testing
