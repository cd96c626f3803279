#pragma once

#include <cmath>

namespace vedette {

// A sum with Neumaier's compensation: what rounding loses is carried along in `c` and added at the
// end. An infinite sum drops the compensation, which would only turn it into NaN.
inline void CompensatedAdd(double v, double& sum, double& c) {
  const double t = sum + v;
  if (std::isinf(t)) {
    c = 0;
  } else if (std::fabs(sum) >= std::fabs(v)) {
    c += (sum - t) + v;
  } else {
    c += (v - t) + sum;
  }
  sum = t;
}

}  // namespace vedette
