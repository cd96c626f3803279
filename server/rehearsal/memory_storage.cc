#include "server/rehearsal/memory_storage.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "common/model/sample.h"

namespace vedette {
namespace {

using Series = std::map<Labels, MemoryStorage::Stored>;

bool MatchesAll(const Labels& labels, std::span<const Matcher> matchers) {
  return std::ranges::all_of(matchers,
                             [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); });
}

class MemorySet final : public storage::SeriesSet {
 public:
  MemorySet(Series::const_iterator first, Series::const_iterator end, std::vector<Matcher> matchers,
            int64_t start_ms, int64_t end_ms)
      : matchers_(std::move(matchers)),
        next_(first),
        end_(end),
        start_ms_(start_ms),
        end_ms_(end_ms) {}

  bool Next() override {
    for (; next_ != end_; ++next_) {
      if (!MatchesAll(next_->first, matchers_)) continue;
      const MemoryStorage::Stored& s = next_->second;
      const auto from = std::lower_bound(s.t_ms.begin(), s.t_ms.end(), start_ms_);
      const auto to = std::upper_bound(from, s.t_ms.end(), end_ms_);
      if (from == to) continue;
      const auto at = static_cast<size_t>(from - s.t_ms.begin());
      const auto n = static_cast<size_t>(to - from);
      now_.labels = next_->first;
      now_.t_ms = std::span(s.t_ms).subspan(at, n);
      now_.values = std::span(s.values).subspan(at, n);
      now_.histograms = {};
      now_.histogram_before = at > 0 ? s.histograms[at - 1] : nullptr;
      if (s.any_histogram) now_.histograms = std::span(s.histograms).subspan(at, n);
      now_.has_stale = std::ranges::any_of(now_.values, IsStale);
      const std::vector<int64_t> timeline(now_.t_ms.begin(), now_.t_ms.end());
      now_.timeline_key = timelines_.try_emplace(timeline, timelines_.size() + 1).first->second;
      ++next_;
      return true;
    }
    return false;
  }
  const storage::SeriesColumns& at() const override { return now_; }
  Status status() const override { return {}; }
  uint64_t places() const override { return static_cast<uint64_t>(std::distance(next_, end_)); }
  std::unique_ptr<storage::SeriesSet> Part(uint64_t first, uint64_t count) const override {
    const auto step = [&](Series::const_iterator from, uint64_t n) {
      while (n > 0 && from != end_) ++from, --n;
      return from;
    };
    const auto from = step(next_, first);
    return std::make_unique<MemorySet>(from, step(from, count), matchers_, start_ms_, end_ms_);
  }

 private:
  const std::vector<Matcher> matchers_;
  Series::const_iterator next_;
  const Series::const_iterator end_;
  const int64_t start_ms_;
  const int64_t end_ms_;
  std::map<std::vector<int64_t>, uint64_t> timelines_;
  storage::SeriesColumns now_;
};

void Limit(std::vector<std::string>& out, storage::NameLimit* limit) {
  if (limit == nullptr || limit->limit == 0 || out.size() <= limit->limit) return;
  out.resize(limit->limit);
  limit->truncated = true;
}

class MemoryQuerier final : public storage::Querier {
 public:
  MemoryQuerier(const Series& series, int64_t min_t_ms, int64_t max_t_ms)
      : series_(series), min_t_ms_(min_t_ms), max_t_ms_(max_t_ms) {}

  std::unique_ptr<storage::SeriesSet> Select(const storage::SelectHints& hints,
                                             std::span<const Matcher> matchers) override {
    return std::make_unique<MemorySet>(
        series_.begin(), series_.end(), std::vector<Matcher>(matchers.begin(), matchers.end()),
        std::max(hints.start_ms, min_t_ms_), std::min(hints.end_ms, max_t_ms_));
  }

  Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher> matchers,
                                           storage::NameLimit* limit) override {
    std::vector<Labels> out;
    for (const auto& [labels, stored] : series_) {
      if (!MatchesAll(labels, matchers)) continue;
      if (limit != nullptr && limit->limit != 0 && out.size() == limit->limit) {
        limit->truncated = true;
        break;
      }
      out.push_back(labels);
    }
    return out;
  }

  Result<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers,
                                              storage::NameLimit* limit) override {
    std::set<std::string> names;
    for (const auto& [labels, stored] : series_) {
      if (!MatchesAll(labels, matchers)) continue;
      for (const Label& l : labels) names.emplace(l.name);
    }
    std::vector<std::string> out(names.begin(), names.end());
    Limit(out, limit);
    return out;
  }

  Result<std::vector<std::string>> LabelValues(const std::string& name,
                                               std::span<const Matcher> matchers,
                                               storage::NameLimit* limit) override {
    std::set<std::string> values;
    for (const auto& [labels, stored] : series_) {
      if (MatchesAll(labels, matchers) && labels.Has(name)) values.emplace(labels.Get(name));
    }
    std::vector<std::string> out(values.begin(), values.end());
    Limit(out, limit);
    return out;
  }

 private:
  const Series& series_;
  const int64_t min_t_ms_;
  const int64_t max_t_ms_;
};

}  // namespace

void MemoryStorage::Put(const Labels& labels, int64_t t_ms, double value,
                        std::shared_ptr<const Histogram> histogram) {
  Stored& s = series_[labels];
  if (histogram != nullptr) s.any_histogram = true;
  const auto it = std::lower_bound(s.t_ms.begin(), s.t_ms.end(), t_ms);
  const auto at = it - s.t_ms.begin();
  if (it != s.t_ms.end() && *it == t_ms) {
    s.values[static_cast<size_t>(at)] = value;
    s.histograms[static_cast<size_t>(at)] = std::move(histogram);
    return;
  }
  s.t_ms.insert(it, t_ms);
  s.values.insert(s.values.begin() + at, value);
  s.histograms.insert(s.histograms.begin() + at, std::move(histogram));
}

void MemoryStorage::Add(const Labels& labels, int64_t t_ms, double value) {
  Put(labels, t_ms, value, nullptr);
}

void MemoryStorage::Add(const Labels& labels, int64_t t_ms,
                        std::shared_ptr<const Histogram> histogram) {
  Put(labels, t_ms, 0, std::move(histogram));
}

Result<std::unique_ptr<storage::Querier>> MemoryStorage::Open(int64_t min_t_ms,
                                                              int64_t max_t_ms) const {
  return std::unique_ptr<storage::Querier>(
      std::make_unique<MemoryQuerier>(series_, min_t_ms, max_t_ms));
}

}  // namespace vedette
