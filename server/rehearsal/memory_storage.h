#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/storage/queryable.h"

namespace vedette {

// Samples in memory behind storage::Queryable, for tests of whatever reads, of rules, and for
// rehearsals. Series come back in the order of their labels; series sampled at the same instants
// share a timeline key. Fill it before querying: not thread-safe while it changes.
class MemoryStorage final : public storage::Queryable {
 public:
  struct Stored {
    std::vector<int64_t> t_ms;
    std::vector<double> values;
    std::vector<std::shared_ptr<const Histogram>> histograms;  // As long as t_ms.
    bool any_histogram = false;
  };

  // Timestamps of one series ascend; a sample at an instant that is there already replaces it.
  void Add(const Labels& labels, int64_t t_ms, double value);
  void Add(const Labels& labels, int64_t t_ms, std::shared_ptr<const Histogram> histogram);
  void Clear() { series_.clear(); }
  const std::map<Labels, Stored>& series() const { return series_; }

  Result<std::unique_ptr<storage::Querier>> Open(int64_t min_t_ms, int64_t max_t_ms) const override;

 private:
  void Put(const Labels& labels, int64_t t_ms, double value,
           std::shared_ptr<const Histogram> histogram);
  std::map<Labels, Stored> series_;
};

}  // namespace vedette
