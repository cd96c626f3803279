#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/model/histogram.h"
#include "common/model/labels.h"

namespace vedette::promql {

// One sample of an answer: a float, or a histogram where there is one.
struct Point {
  int64_t t_ms = 0;
  double value = 0;
  std::shared_ptr<const Histogram> histogram;
};

struct Scalar {
  int64_t t_ms = 0;
  double value = 0;
};

struct String {
  int64_t t_ms = 0;
  std::string value;
};

// One element of an instant vector.
struct VectorSample {
  Labels metric;
  Point point;
};
using Vector = std::vector<VectorSample>;

// One series of a range answer; points ascending in time.
struct Series {
  Labels metric;
  std::vector<Point> points;
};
using Matrix = std::vector<Series>;

// What a query answers with. A range query of a scalar expression answers with a Matrix.
using Value = std::variant<Scalar, String, Vector, Matrix>;

}  // namespace vedette::promql
