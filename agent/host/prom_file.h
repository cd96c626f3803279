#pragma once

#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/metric_family.h"

namespace vedette::agent {

// What a *.prom file says, judged as node_exporter judges it, so that a file is either good for both
// or for neither:
//
// - The last line ends with a newline: one that does not may be half written.
// - HELP and TYPE come once a family, TYPE before its samples, of a type that the text format has.
// - No sample has a timestamp: it is as old as the scrape.
// - A backslash in a label's value is \\, \" or \n; `le` and `quantile` are numbers.
// - Of two samples of one series the first counts. Families without samples are not there.
// - A histogram has its +Inf bucket, and it and a summary _sum and _count, if the file has them not;
//   bounds are written in as few digits as they need.
//
// INVALID_ARGUMENT names the line or the family.
Result<std::vector<MetricFamily>> ParsePromFile(std::string_view text);

}  // namespace vedette::agent
