#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/api/http/call.h"
#include "server/api/http/series.h"
#include "server/storage/queryable.h"

namespace vedette::api {

// /api/v1/search/metric_names, label_names, label_values: what an editor asks while somebody types.
// Answers are lines of JSON, some results in each, the best first where sort_by=score; the last line
// says {"status":"success","has_more":...}. Thread-safe; the storage outlives it.
//
// Parameters: search[] (any of them may match; none: everything), match[], start, end, fuzz_alg
// (subsequence or jarowinkler), fuzz_threshold (0..100), case_sensitive, sort_by (alpha or score),
// sort_dir (asc or dsc), include_score, include_metadata (metric names), label (label values), limit
// (default 100), batch_size (default 100).
class SearchDoor {
 public:
  SearchDoor(const storage::Queryable& queryable, const storage::MetadataQueryable& metadata,
             ParseSelector parse, uint64_t max_limit)
      : queryable_(queryable),
        metadata_(metadata),
        parse_(std::move(parse)),
        max_limit_(max_limit) {}

  Reply MetricNames(const Call& call) const { return Search(call, "__name__", true); }
  Reply LabelNames(const Call& call) const { return Search(call, "", false); }
  Reply LabelValues(const Call& call) const;

 private:
  // Values of `label`; "": names of labels.
  Reply Search(const Call& call, std::string_view label, bool metrics) const;

  const storage::Queryable& queryable_;
  const storage::MetadataQueryable& metadata_;
  const ParseSelector parse_;
  const uint64_t max_limit_;
};

// How well `candidate` fits what was typed, from 0 (not at all) to 1 (the same).
double SubsequenceScore(std::string_view typed, std::string_view candidate);
double JaroWinklerScore(std::string_view a, std::string_view b);

}  // namespace vedette::api
