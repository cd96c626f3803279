#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <set>
#include <string>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/group_index.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

// A label's value as a bound; false where it is none.
bool ParseBound(std::string_view text, double* out) {
  if (text.empty()) return false;
  const std::string copy(text);
  char* end = nullptr;
  *out = std::strtod(copy.c_str(), &end);
  return end == copy.c_str() + copy.size() && copy[0] != ' ';
}

// A number as a label value: always with a point or an exponent.
std::string OpenMetricsFloat(double v) {
  std::string s = GoFloat(v);
  if (std::isfinite(v) && s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

// As %.2g writes it.
std::string TwoDigits(double v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2g", v);
  return buffer;
}

// 2026-11-28T05:00:00Z, without what is below a second.
std::string UtcSeconds(int64_t t_ms) {
  const time_t seconds = static_cast<time_t>(std::floor(static_cast<double>(t_ms) / 1000));
  tm utc{};
  gmtime_r(&seconds, &utc);
  char buffer[64];
  const size_t n = strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(buffer, n);
}

// The classic buckets, or the native histograms, of one label set.
struct BucketGroup {
  Labels labels;
  bool drop_name = false;
  std::vector<std::pair<double, Column>> classic;
  std::vector<Column> native;
};

}  // namespace

Status Evaluator::StreamHistogramValue(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  const Sink checked = unique_needed(*call.args[0]) ? Unique(sink, false) : sink;
  return Stream(*call.args[0], grid, [&](Column& c) -> Status {
    bool any = false;
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (!c.present(i)) continue;
      if (!c.is_histogram(i)) {
        c.Clear(i);
        continue;
      }
      const Histogram& h = *c.histograms[i];
      double v = 0;
      switch (id) {
        case FunctionId::kHistogramAvg:
          v = h.sum / h.count;
          break;
        case FunctionId::kHistogramCount:
          v = h.count;
          break;
        case FunctionId::kHistogramSum:
          v = h.sum;
          break;
        case FunctionId::kHistogramStdvar:
          v = NativeVariance(h);
          break;
        default:
          v = std::sqrt(NativeVariance(h));
          break;
      }
      c.Set(i, v);
      any = true;
    }
    if (!any) return {};
    c.histograms.clear();
    MarkNameDropped(c);
    return checked(c);
  });
}

Status Evaluator::StreamHistogramQuantile(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  const auto steps = static_cast<size_t>(grid.steps);
  const bool fraction = id == FunctionId::kHistogramFraction;
  const bool many = id == FunctionId::kHistogramQuantiles;
  const Expr& vector = *call.args[many ? 0 : fraction ? 2 : 1];
  const PosRange pos = vector.pos;
  // Every quantile is a row of scalars, and the label value that it gets.
  std::vector<std::vector<double>> params;
  for (size_t k = 0; k < call.args.size(); ++k) {
    if (call.args[k]->type != ValueType::kScalar) continue;
    VEDETTE_ASSIGN_OR_RETURN(std::vector<double> p, Scalars(*call.args[k], grid));
    params.push_back(std::move(p));
    if (fraction) continue;
    for (double q : params.back()) {
      if (std::isnan(q) || q < 0 || q > 1) notes_.BadQuantile(q, call.args[k]->pos);
    }
  }
  // Of every quantile the label value at every step: one that changes is a series for each.
  std::vector<std::vector<std::string>> quantiles(many ? params.size() : 0);
  for (size_t k = 0; k < quantiles.size(); ++k) {
    for (const double q : params[k]) quantiles[k].push_back(OpenMetricsFloat(q));
  }
  std::vector<BucketGroup> groups;
  GroupIndex index;
  // What a native histogram loses, and what its classic buckets lose with it.
  std::vector<std::string> dropped;
  if (!delayed_names()) dropped.emplace_back(kMetricNameLabel);
  if (!delayed_names() && options_.type_and_unit_labels) {
    dropped.emplace_back("__type__");
    dropped.emplace_back("__unit__");
  }
  std::vector<std::string> dropped_by_buckets = dropped;
  dropped_by_buckets.emplace_back("le");
  Charge charge(budget_);
  VEDETTE_RETURN_IF_ERROR(Stream(vector, grid, [&](Column& c) -> Status {
    VEDETTE_RETURN_IF_ERROR(charge.Add(c));
    bool floats = false;
    bool histograms = false;
    for (size_t i = 0; i < steps; ++i) {
      if (!c.present(i)) continue;
      (c.is_histogram(i) ? histograms : floats) = true;
    }
    double bound = 0;
    const std::string_view le = c.labels.Get("le");
    const bool has_bound = ParseBound(le, &bound);
    auto group = [&](const std::vector<std::string>& names) -> BucketGroup& {
      bool fresh = false;
      const size_t at = index.Of(c.labels, names, /*without=*/true, &fresh);
      if (fresh) {
        groups.emplace_back();
        groups.back().labels = index.labels(at);
      }
      groups[at].drop_name = true;
      return groups[at];
    };
    const std::string_view name = c.labels.metric_name();
    if (floats && !has_bound) notes_.BadBucketLabel(name, le, pos);
    if (histograms) group(dropped).native.push_back(c);
    if (floats && has_bound) {
      group(dropped_by_buckets).classic.emplace_back(bound, std::move(c));
    }
    return {};
  }));

  std::vector<ClassicBucket> buckets;
  for (BucketGroup& g : groups) {
    std::vector<Column> outs(many ? params.size() : 1);
    for (Column& o : outs) o.values.assign(steps, kAbsent);
    const std::string name(g.classic.empty() ? g.labels.metric_name()
                                             : g.classic[0].second.labels.metric_name());
    ClassicNotes total;
    int64_t forced_samples = 0;
    int64_t first_forced_ms = 0;
    int64_t last_forced_ms = 0;
    for (size_t i = 0; i < steps; ++i) {
      VEDETTE_RETURN_IF_ERROR(budget_.Work((g.native.size() + g.classic.size()) * 16));
      const Histogram* native = nullptr;
      for (const Column& c : g.native) {
        if (c.is_histogram(i)) native = c.histograms[i].get();
      }
      bool classic = false;
      for (const auto& [bound, c] : g.classic) {
        if (c.present(i) && !c.is_histogram(i)) classic = true;
      }
      if (native != nullptr && classic) {
        notes_.MixedClassicNative(name, pos);
        continue;
      }
      if (native == nullptr && !classic) continue;
      for (size_t k = 0; k < outs.size(); ++k) {
        double v;
        if (native != nullptr) {
          if (fraction) {
            bool nans = false;
            v = NativeFraction(params[0][i], params[1][i], *native, &nans);
            if (nans) {
              notes_.Info(StrCat("input to histogram_fraction has NaN observations, which are "
                                 "excluded from all fractions",
                                 name.empty() ? "" : StrCat(" for metric name ", Quoted(name))),
                          pos);
            }
          } else {
            bool nan_result = false;
            bool nan_skew = false;
            v = NativeQuantile(params[k][i], *native, &nan_result, &nan_skew);
            if (nan_result || nan_skew) {
              notes_.Info(StrCat("input to histogram_quantile has NaN observations, result is ",
                                 nan_result ? "NaN" : "skewed higher",
                                 name.empty() ? "" : StrCat(" for metric name ", Quoted(name))),
                          pos);
            }
          }
        } else {
          buckets.clear();
          for (const auto& [bound, c] : g.classic) {
            if (c.present(i) && !c.is_histogram(i)) buckets.push_back({bound, c.values[i]});
          }
          ClassicNotes notes;
          v = fraction ? ClassicFraction(params[0][i], params[1][i], buckets)
                       : ClassicQuantile(params[k][i], buckets, &notes);
          if (notes.forced_monotonic) {
            if (!total.forced_monotonic) total.min_bucket = notes.min_bucket;
            total.forced_monotonic = true;
            total.min_bucket = std::min(total.min_bucket, notes.min_bucket);
            total.max_bucket = std::max(total.max_bucket, notes.max_bucket);
            total.max_diff = std::max(total.max_diff, notes.max_diff);
            last_forced_ms = grid.At(static_cast<int64_t>(i));
            if (++forced_samples == 1) first_forced_ms = last_forced_ms;
          }
        }
        outs[k].values[i] = v;
      }
    }
    if (total.forced_monotonic) {
      notes_.Info(
          StrCat("input to histogram_quantile needed to be fixed for monotonicity (see "
                 "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                 "#histogram_quantile)",
                 name.empty() ? "" : StrCat(" for metric name ", Quoted(name)), ", from buckets ",
                 GoFloat(total.min_bucket), " to ", GoFloat(total.max_bucket),
                 ", with a max diff of ", TwoDigits(total.max_diff), ", over ", forced_samples,
                 " samples from ", UtcSeconds(first_forced_ms), " to ",
                 UtcSeconds(last_forced_ms)),
          pos);
    }
    for (size_t k = 0; k < outs.size(); ++k) {
      outs[k].labels = g.labels;
      outs[k].drop_name = delayed_names();
      if (!many) {
        VEDETTE_RETURN_IF_ERROR(Emit(outs[k], sink));
        continue;
      }
      for (const std::string& quantile : std::set(quantiles[k].begin(), quantiles[k].end())) {
        Column part = outs[k];
        for (size_t i = 0; i < steps; ++i) {
          if (quantiles[k][i] != quantile) part.Clear(i);
        }
        LabelsBuilder lb(g.labels);
        lb.Set(WithoutParens(*call.args[1]).As<StringLiteral>().value, quantile);
        part.labels = lb.Build();
        VEDETTE_RETURN_IF_ERROR(Emit(part, sink));
      }
    }
  }
  return {};
}

}  // namespace vedette::promql
