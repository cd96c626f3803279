#include "server/promql/parser/function_table.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace vedette::promql {
namespace {

constexpr ValueType S = ValueType::kScalar;
constexpr ValueType V = ValueType::kVector;
constexpr ValueType M = ValueType::kMatrix;
constexpr ValueType T = ValueType::kString;

std::vector<FunctionInfo> MakeTable() {
  using enum FunctionId;
  std::vector<FunctionInfo> t = {
      {kAbs, "abs", {V}},
      {kAbsent, "absent", {V}},
      {kAbsentOverTime, "absent_over_time", {M}},
      {kAcos, "acos", {V}},
      {kAcosh, "acosh", {V}},
      {kAsin, "asin", {V}},
      {kAsinh, "asinh", {V}},
      {kAtan, "atan", {V}},
      {kAtanh, "atanh", {V}},
      {kAvgOverTime, "avg_over_time", {M}},
      {kCeil, "ceil", {V}},
      {kChanges, "changes", {M}},
      {kClamp, "clamp", {V, S, S}},
      {kClampMax, "clamp_max", {V, S}},
      {kClampMin, "clamp_min", {V, S}},
      {kCos, "cos", {V}},
      {kCosh, "cosh", {V}},
      {kCountOverTime, "count_over_time", {M}},
      {kDayOfMonth, "day_of_month", {V}, 1},
      {kDayOfWeek, "day_of_week", {V}, 1},
      {kDayOfYear, "day_of_year", {V}, 1},
      {kDaysInMonth, "days_in_month", {V}, 1},
      {kDeg, "deg", {V}},
      {kDelta, "delta", {M}},
      {kDeriv, "deriv", {M}},
      {kDoubleExponentialSmoothing, "double_exponential_smoothing", {M, S, S}, 0, V, true},
      {kEnd, "end", {}, 0, S, true},
      {kExp, "exp", {V}},
      {kFirstOverTime, "first_over_time", {M}, 0, V, true},
      {kFloor, "floor", {V}},
      {kHistogramAvg, "histogram_avg", {V}},
      {kHistogramCount, "histogram_count", {V}},
      {kHistogramFraction, "histogram_fraction", {S, S, V}},
      {kHistogramQuantile, "histogram_quantile", {S, V}},
      {kHistogramQuantiles, "histogram_quantiles", {V, T, S, S}, 9, V, true},
      {kHistogramStddev, "histogram_stddev", {V}},
      {kHistogramStdvar, "histogram_stdvar", {V}},
      {kHistogramSum, "histogram_sum", {V}},
      {kHour, "hour", {V}, 1},
      {kIdelta, "idelta", {M}},
      {kIncrease, "increase", {M}},
      {kInfo, "info", {V, V}, 1, V, true},
      {kIrate, "irate", {M}},
      {kLabelJoin, "label_join", {V, T, T, T}, -1},
      {kLabelReplace, "label_replace", {V, T, T, T, T}},
      {kLastOverTime, "last_over_time", {M}},
      {kLn, "ln", {V}},
      {kLog10, "log10", {V}},
      {kLog2, "log2", {V}},
      {kMadOverTime, "mad_over_time", {M}, 0, V, true},
      {kMaxOf, "max_of", {S, S}, 0, S, true},
      {kMaxOverTime, "max_over_time", {M}},
      {kMinOf, "min_of", {S, S}, 0, S, true},
      {kMinOverTime, "min_over_time", {M}},
      {kMinute, "minute", {V}, 1},
      {kMonth, "month", {V}, 1},
      {kPi, "pi", {}, 0, S},
      {kPredictLinear, "predict_linear", {M, S}},
      {kPresentOverTime, "present_over_time", {M}},
      {kQuantileOverTime, "quantile_over_time", {S, M}},
      {kRad, "rad", {V}},
      {kRange, "range", {}, 0, S, true},
      {kRate, "rate", {M}},
      {kResets, "resets", {M}},
      {kRound, "round", {V, S}, 1},
      {kScalar, "scalar", {V}, 0, S},
      {kSgn, "sgn", {V}},
      {kSin, "sin", {V}},
      {kSinh, "sinh", {V}},
      {kSort, "sort", {V}},
      {kSortByLabel, "sort_by_label", {V, T}, -1, V, true},
      {kSortByLabelDesc, "sort_by_label_desc", {V, T}, -1, V, true},
      {kSortDesc, "sort_desc", {V}},
      {kSqrt, "sqrt", {V}},
      {kStart, "start", {}, 0, S, true},
      {kStartTimestamp, "start_timestamp", {V}, 0, V, true},
      {kStddevOverTime, "stddev_over_time", {M}},
      {kStdvarOverTime, "stdvar_over_time", {M}},
      {kStep, "step", {}, 0, S, true},
      {kSumOverTime, "sum_over_time", {M}},
      {kTan, "tan", {V}},
      {kTanh, "tanh", {V}},
      {kTime, "time", {}, 0, S},
      {kTimestamp, "timestamp", {V}},
      {kTsOfFirstOverTime, "ts_of_first_over_time", {M}, 0, V, true},
      {kTsOfLastOverTime, "ts_of_last_over_time", {M}, 0, V, true},
      {kTsOfMaxOverTime, "ts_of_max_over_time", {M}, 0, V, true},
      {kTsOfMinOverTime, "ts_of_min_over_time", {M}, 0, V, true},
      {kVector, "vector", {S}},
      {kYear, "year", {V}, 1},
  };
  for (FunctionInfo& f : t) {
    // first_over_time is stable as of 3.8; histogram_quantiles repeats its last scalar.
    if (f.id == kFirstOverTime) f.experimental = false;
    if (f.id == kHistogramQuantiles) f.max_repeated = 9;
  }
  return t;
}

const std::vector<FunctionInfo>& Table() {
  static const std::vector<FunctionInfo> table = MakeTable();
  return table;
}

}  // namespace

const FunctionInfo* FindFunction(std::string_view name) {
  static const std::unordered_map<std::string_view, const FunctionInfo*> index = [] {
    std::unordered_map<std::string_view, const FunctionInfo*> m;
    for (const FunctionInfo& f : Table()) m[f.name] = &f;
    return m;
  }();
  const auto it = index.find(name);
  return it == index.end() ? nullptr : it->second;
}

std::span<const FunctionInfo> AllFunctions() { return Table(); }

}  // namespace vedette::promql
