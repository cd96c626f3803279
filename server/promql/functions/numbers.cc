#include "server/promql/functions/numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "common/base/shortest.h"
#include "common/model/sample.h"

namespace vedette::promql {

std::string GoFloat(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  if (v == 0) return std::signbit(v) ? "-0" : "0";
  char buffer[40];
  const char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string_view exponent = text.substr(text.find('e') + 1);
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  int power = 0;
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), power);
  return power < -4 || power >= 6 ? std::string(text) : FixedFloat(v);
}

std::string FixedFloat(double v) {
  if (!std::isfinite(v)) return GoFloat(v);
  std::string out;
  AppendShortestFixed(out, v);
  return out;
}

double QuantileOf(double q, std::vector<double>& values) {
  if (values.empty() || std::isnan(q)) return kNormalNan;
  if (q < 0) return -std::numeric_limits<double>::infinity();
  if (q > 1) return std::numeric_limits<double>::infinity();
  const double n = static_cast<double>(values.size());
  const double rank = q * (n - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const double upper = std::min(n - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  // NaN is below everything. Of the others only two are wanted: nothing is sorted.
  const auto begin = values.begin();
  const auto numbers =
      std::partition(begin, values.end(), [](double v) { return std::isnan(v); });
  const auto below = begin + static_cast<ptrdiff_t>(lower);
  auto above = begin + static_cast<ptrdiff_t>(upper);
  if (below >= numbers) std::nth_element(numbers, below, values.end());
  if (above > below && above >= numbers) above = std::min_element(above, values.end());
  return *below * (1 - weight) + *above * weight;
}

Line LeastSquares(std::span<const int64_t> t_ms, std::span<const double> values,
                  int64_t intercept_ms) {
  double n = 0;
  double x_sum = 0, x_c = 0, y_sum = 0, y_c = 0, xy_sum = 0, xy_c = 0, xx_sum = 0, xx_c = 0;
  bool constant = true;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != values[0]) constant = false;
    n += 1;
    const double x = static_cast<double>(t_ms[i] - intercept_ms) / 1e3;
    CompensatedAdd(x, x_sum, x_c);
    CompensatedAdd(values[i], y_sum, y_c);
    CompensatedAdd(x * values[i], xy_sum, xy_c);
    CompensatedAdd(x * x, xx_sum, xx_c);
  }
  if (constant) {
    if (std::isinf(values[0])) return {kNormalNan, kNormalNan};
    return {0, values[0]};
  }
  x_sum += x_c;
  y_sum += y_c;
  xy_sum += xy_c;
  xx_sum += xx_c;
  const double covariance = xy_sum - x_sum * y_sum / n;
  const double variance = xx_sum - x_sum * x_sum / n;
  Line line;
  line.slope = covariance / variance;
  line.intercept = y_sum / n - line.slope * x_sum / n;
  return line;
}

CivilTime CivilOf(int64_t unix_seconds) {
  int64_t days = unix_seconds / 86400;
  int64_t rest = unix_seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  CivilTime c;
  c.hour = static_cast<int>(rest / 3600);
  c.minute = static_cast<int>(rest / 60 % 60);
  c.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  // Howard Hinnant's civil_from_days: eras of 400 years, years that begin in March.
  const int64_t z = days + 719468;
  const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const int64_t day_of_era = z - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153;
  c.day = static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1);
  c.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  c.year = year_of_era + era * 400 + (c.month <= 2 ? 1 : 0);
  const bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
  static constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  c.yearday = c.day;
  for (int m = 1; m < c.month; ++m) c.yearday += kLengths[m - 1] + (m == 2 && leap ? 1 : 0);
  c.days_in_month = kLengths[c.month - 1] + (c.month == 2 && leap ? 1 : 0);
  return c;
}

}  // namespace vedette::promql
