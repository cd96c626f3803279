#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "server/scrape/job.h"

namespace vedette::scrape {

// What happens to the labels of an exposed series before it is stored, once per series and never in
// the steady state: the target's labels are put on (honor_labels decides who wins, the loser of a
// conflict is called exported_X), metric_relabel_configs run, limits are checked.
//
// Nothing: a rule dropped the series. `empty_names` are labels exposed with an empty value: under
// honor_labels they keep the target's label of that name away, as Pushgateway means it.
Result<std::optional<Labels>> SeriesLabels(const Labels& exposed,
                                           std::span<const std::string> empty_names,
                                           const Labels& target, const Job& job);

// The labels of up, scrape_duration_seconds and the like: no relabelling.
Labels ReportLabels(std::string_view name, const Labels& target);

// native_histogram_min_bucket_factor and native_histogram_bucket_limit: halves the resolution until
// buckets are as wide as asked for and not too many. kResourceExhausted when even the coarsest has
// more. Null stays null; a histogram that fits is handed back as it is.
Result<std::shared_ptr<const Histogram>> LimitHistogram(
    std::shared_ptr<const Histogram> histogram, const Limits& limits);

}  // namespace vedette::scrape
