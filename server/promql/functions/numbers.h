#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/compensated_add.h"

namespace vedette::promql {

// A mean as Prometheus takes it: a compensated sum, and once that overflows, a running mean.
struct Mean {
  double count = 0;
  double sum = 0;  // The mean itself once `running`.
  double c = 0;
  bool running = false;

  void Add(double v) {
    count += 1;
    if (count == 1) {
      sum = v;
      return;
    }
    if (!running) {
      double s = sum;
      double k = c;
      CompensatedAdd(v, s, k);
      if (!std::isinf(s)) {
        sum = s;
        c = k;
        return;
      }
      running = true;
      sum /= count - 1;
      c /= count - 1;
    }
    const double q = (count - 1) / count;
    sum *= q;
    c *= q;
    CompensatedAdd(v / count, sum, c);
  }
  double Value() const { return running ? sum + c : sum / count + c / count; }
};

// A float as Go prints it with %g: 100000, 1e+06, +Inf.
std::string GoFloat(double v);
// Its digits alone, never an exponent: a label value of count_values.
std::string FixedFloat(double v);

// Go's math.Max and math.Min: NaN wins.
inline double GoMax(double a, double b) {
  if (std::isinf(a) && a > 0) return a;
  if (std::isinf(b) && b > 0) return b;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  return a > b ? a : b;
}
inline double GoMin(double a, double b) {
  if (std::isinf(a) && a < 0) return a;
  if (std::isinf(b) && b < 0) return b;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  return a < b ? a : b;
}

// The q-quantile with linear interpolation between ranks; NaN counts as smaller than all. Leaves
// `values` in another order.
double QuantileOf(double q, std::vector<double>& values);

// Least squares over (t - intercept_ms, v).
struct Line {
  double slope = 0;
  double intercept = 0;
};
Line LeastSquares(std::span<const int64_t> t_ms, std::span<const double> values,
                  int64_t intercept_ms);

// The date of an instant, UTC, proleptic Gregorian.
struct CivilTime {
  int64_t year = 1970;
  int month = 1;
  int day = 1;
  int hour = 0;
  int minute = 0;
  int weekday = 4;  // 0: Sunday.
  int yearday = 1;
  int days_in_month = 31;
};
CivilTime CivilOf(int64_t unix_seconds);

}  // namespace vedette::promql
