#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/sample.h"

namespace vedette::promql {

using HistogramPtr = std::shared_ptr<const Histogram>;

// The instants an expression is evaluated at: start, start + step, ... Only `steps` of them.
struct Grid {
  int64_t start_ms = 0;
  int64_t step_ms = 0;
  int64_t steps = 1;

  int64_t At(int64_t i) const { return start_ms + i * step_ms; }
  int64_t end_ms() const { return At(steps - 1); }
};

// One series of an intermediate result: a value for every step of the grid, kAbsent where there is
// none. Where histograms[i] is set, the step holds that histogram and values[i] is 0.
struct Column {
  Labels labels;
  // The metric name is to be dropped, but later rules may still see it (delayed name removal).
  bool drop_name = false;
  std::vector<double> values;
  std::vector<HistogramPtr> histograms;  // Empty, or one a step.

  bool present(size_t i) const { return !IsAbsent(values[i]); }
  bool is_histogram(size_t i) const { return !histograms.empty() && histograms[i] != nullptr; }
  void Clear(size_t i) {
    values[i] = kAbsent;
    if (!histograms.empty()) histograms[i].reset();
  }
  void Set(size_t i, double v) {
    values[i] = v;
    if (!histograms.empty()) histograms[i].reset();
  }
  void Set(size_t i, HistogramPtr h) {
    if (histograms.empty()) histograms.resize(values.size());
    values[i] = 0;
    histograms[i] = std::move(h);
  }
  bool any() const {
    for (double v : values) {
      if (!IsAbsent(v)) return true;
    }
    return false;
  }
};

}  // namespace vedette::promql
