#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/matcher.h"
#include "server/api/http/call.h"
#include "server/storage/queryable.h"

namespace vedette::api {

// Reads a series selector such as up{job="node"}; errors have PromQL's position in them.
using ParseSelector = std::function<Result<std::vector<Matcher>>(std::string_view)>;

// /api/v1/series, labels, label/:name/values, metadata, query_exemplars: what is known of series
// without their samples. Thread-safe; the storage outlives it.
class SeriesDoor {
 public:
  SeriesDoor(const storage::Queryable& queryable, const storage::MetadataQueryable& metadata,
             const storage::ExemplarQueryable& exemplars, ParseSelector parse)
      : queryable_(queryable),
        metadata_(metadata),
        exemplars_(exemplars),
        parse_(std::move(parse)) {}

  Reply Series(const Call& call);
  Reply LabelNames(const Call& call);
  Reply LabelValues(const Call& call);
  Reply Metadata(const Call& call);
  Reply Exemplars(const Call& call,
                  const std::function<Result<std::vector<std::vector<Matcher>>>(std::string_view)>&
                      selectors_of_query);

 private:
  Result<std::vector<std::vector<Matcher>>> Selectors(const Call& call) const;
  // The union of what `ask` finds for each match[], sorted, cut at the limit.
  template <typename T, typename Ask, typename Write>
  Reply Union(const Call& call, bool selector_required, Ask ask, Write write) const;

  const storage::Queryable& queryable_;
  const storage::MetadataQueryable& metadata_;
  const storage::ExemplarQueryable& exemplars_;
  const ParseSelector parse_;
};

}  // namespace vedette::api
