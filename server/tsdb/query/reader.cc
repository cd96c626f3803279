#include "server/tsdb/query/reader.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

class LocalQuerier final : public storage::Querier {
 public:
  LocalQuerier(const ReaderParts& parts, ColumnCache& cache, int64_t min_t_ms, int64_t max_t_ms)
      : parts_(parts), cache_(cache), min_(min_t_ms), max_(max_t_ms) {}

  std::unique_ptr<storage::SeriesSet> Select(const storage::SelectHints& hints,
                                             std::span<const Matcher> matchers) override {
    // Hints of 0..0 with a querier that is wider: the caller left them out.
    const bool given = hints.start_ms != 0 || hints.end_ms != 0;
    const int64_t min = given ? std::max(min_, hints.start_ms) : min_;
    const int64_t max = given ? std::min(max_, hints.end_ms) : max_;
    const bool whole = !hints.sorted && !hints.start_times && hints.limit == 0 &&
                       !MayReadRollups(parts_, min, max, hints);
    if (whole && min <= max) {
      if (auto kept = cache_.Select(parts_, moment_, min, max, matchers)) return kept;
    }
    return ReadSeries(parts_, moment_, min, max, hints, parts_.index.Select(matchers));
  }

  Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher> matchers,
                                           storage::NameLimit* limit) override {
    const std::vector<uint32_t> ids = InRange(matchers).ToVector();
    std::vector<Labels> out;
    parts_.index.LabelsOf(ids, out);
    std::ranges::sort(out, [](const Labels& a, const Labels& b) { return a < b; });
    Cut(out, limit);
    return out;
  }

  Result<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers,
                                              storage::NameLimit* limit) override {
    const Postings within = InRange(matchers);
    std::vector<std::string> out = parts_.index.Names(&within);
    Cut(out, limit);
    return out;
  }

  Result<std::vector<std::string>> LabelValues(const std::string& name,
                                               std::span<const Matcher> matchers,
                                               storage::NameLimit* limit) override {
    const Postings within = InRange(matchers);
    std::vector<std::string> out = parts_.index.Values(name, &within);
    Cut(out, limit);
    return out;
  }

 private:
  template <typename T>
  static void Cut(std::vector<T>& out, storage::NameLimit* limit) {
    if (limit == nullptr || limit->limit == 0 || out.size() <= limit->limit) return;
    out.resize(limit->limit);
    limit->truncated = true;
  }

  // The series that match and may have a sample in the querier's range.
  Postings InRange(std::span<const Matcher> matchers) const {
    constexpr int64_t kFar = int64_t{1} << 50;
    Postings selected = parts_.index.Select(matchers);
    Postings sealed = parts_.presence.In(WindowOf(std::clamp(min_, -kFar, kFar), parts_.window_ms),
                                         WindowOf(std::clamp(max_, -kFar, kFar), parts_.window_ms));
    sealed.IntersectWith(selected);
    selected.Subtract(sealed);
    std::unordered_map<uint32_t, bool> overlaps;
    std::vector<Head::Place> places;
    for (uint32_t id : selected.ToVector()) {
      parts_.head.PlacesOf(id, places);
      for (const Head::Place& place : places) {
        auto [it, added] = overlaps.try_emplace(place.timeline, false);
        if (added) {
          const std::shared_ptr<const TimelineView> view = parts_.head.ViewOf(place.timeline);
          it->second =
              view && !view->empty() && view->first_t_ms() <= max_ && view->last_t_ms() >= min_;
        }
        if (it->second) {
          sealed.Add(id);
          break;
        }
      }
    }
    return sealed;
  }

  const ReaderParts parts_;
  ColumnCache& cache_;
  Moment moment_;  // The same for all of a query's selectors.
  const int64_t min_;
  const int64_t max_;
};

}  // namespace

std::unique_ptr<storage::Querier> MakeQuerier(const ReaderParts& parts, ColumnCache& cache,
                                              int64_t min_t_ms, int64_t max_t_ms) {
  return std::make_unique<LocalQuerier>(parts, cache, min_t_ms, max_t_ms);
}

}  // namespace vedette::tsdb
