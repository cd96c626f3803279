#pragma once

#include "common/model/metric_family.h"

namespace vedette::scrape {

// convert_classic_histograms_to_nhcb: every classic histogram of the family becomes one native
// histogram with custom bounds, under the family's own name. With `keep_classic` its classic series
// stay beside it. A histogram whose buckets fall, or that has no +Inf bucket and no count, stays
// what it is. Other families are left alone.
void ConvertClassicHistograms(MetricFamily& family, bool keep_classic);

}  // namespace vedette::scrape
