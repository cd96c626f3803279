#pragma once

#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::exposition {

// Bounds of classic histograms and quantiles of summaries, `le` and `quantile`, as numbers are written
// by one rule: "1" and "1.0" are the same series to Prometheus from version 3 on, however an exporter
// wrote it. Others' labels, and what is no number, stay as they are.
Labels CanonicalBounds(const Labels& labels, MetricType type);

// The same as exporters in Go write them in text: "1".
Labels ShortBounds(const Labels& labels, MetricType type);

}  // namespace vedette::exposition
