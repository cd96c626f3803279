#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/group_index.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

// A histogram that is being summed up.
struct HistogramSum {
  std::unique_ptr<HistogramTotal> total;
  bool saw_reset = false;
  bool saw_not_reset = false;
};

// The hash that Prometheus' limit_ratio places series by: XXH64 of the very same bytes.
uint64_t RatioHash(const Labels& labels) {
  return XXH64(labels.bytes().data(), labels.bytes().size(), 0);
}

// So many series are put in order before they are folded where order matters.
constexpr size_t kMostOrdered = 4096;

enum : uint8_t { kNothing = 0, kFloats = 1, kHistograms = 2, kMixed = 3, kBroken = 4 };

// The running state of one group: a row a step.
struct Fold {
  Labels labels;
  bool drop_name = false;
  std::vector<uint8_t> seen;
  std::vector<double> value;
  std::vector<double> extra;  // Compensation, or the mean of stddev.
  std::vector<double> count;
  std::vector<Mean> means;
  std::vector<HistogramSum> histograms;
};

// Takes in a column of floats without a choice at every step, as the loop over steps would; false
// where that has to do it.
bool FoldFloats(AggregateOp op, std::span<const double> values, Fold& f) {
  if (op == AggregateOp::kCount) {
    for (size_t i = 0; i < values.size(); ++i) {
      const bool present = !IsAbsent(values[i]);
      f.count[i] += present ? 1.0 : 0.0;
      f.seen[i] |= present ? kFloats : kNothing;
    }
    return true;
  }
  if (op == AggregateOp::kSum) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = values[i];
      if (IsAbsent(v)) continue;
      if (f.seen[i] == kNothing) {
        f.value[i] = v;
      } else {
        CompensatedAdd(v, f.value[i], f.extra[i]);
      }
      f.seen[i] |= kFloats;
    }
    return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> Evaluator::GroupNames(const AggregateExpr& a) const {
  std::vector<std::string> out = a.grouping;
  if (!a.without) {
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }
  out.emplace_back(kMetricNameLabel);
  if (options_.type_and_unit_labels) {
    out.emplace_back("__type__");
    out.emplace_back("__unit__");
  }
  return out;
}

Labels Evaluator::GroupLabels(const AggregateExpr& a, const Labels& labels) const {
  if (!a.without) return a.grouping.empty() ? Labels() : labels.Only(a.grouping);
  return labels.Without(GroupNames(a));
}

bool Evaluator::GroupSeesName(const AggregateExpr& a) const {
  return !a.without && std::ranges::find(a.grouping, kMetricNameLabel) != a.grouping.end();
}

Status Evaluator::StreamAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink) {
  switch (a.op) {
    case AggregateOp::kTopk:
    case AggregateOp::kBottomk:
    case AggregateOp::kQuantile:
    case AggregateOp::kLimitk:
    case AggregateOp::kLimitRatio:
      return SelectAggregate(a, grid, sink);
    case AggregateOp::kCountValues:
      return CountValues(a, grid, sink);
    default:
      return FoldAggregate(a, grid, sink);
  }
}

Status Evaluator::FoldAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink) {
  const auto steps = static_cast<size_t>(grid.steps);
  std::vector<Fold> folds;
  GroupIndex index;
  const std::vector<std::string> names = GroupNames(a);
  const PosRange pos = a.expr->pos;
  const bool sums = a.op == AggregateOp::kSum || a.op == AggregateOp::kAvg;
  const bool sees_name = GroupSeesName(a);
  // What one group's rows take: seen, value and extra, and what only some operators keep.
  const uint64_t fold_bytes =
      sizeof(Fold) + steps * (a.op == AggregateOp::kAvg ? 9 + sizeof(Mean) : 25);
  Charge charge(budget_);

  auto add_histogram = [&](Fold& f, size_t i, const Column& c) {
    const Histogram& h = *c.histograms[i];
    if (f.histograms.empty()) f.histograms.resize(steps);
    HistogramSum& s = f.histograms[i];
    if (h.reset_hint == Histogram::ResetHint::kReset) s.saw_reset = true;
    if (h.reset_hint == Histogram::ResetHint::kNotReset) s.saw_not_reset = true;
    CombineNotes combined;
    if (s.total == nullptr) {
      s.total = std::make_unique<HistogramTotal>(/*mean=*/a.op == AggregateOp::kAvg);
    }
    if (!s.total->Add(h, &combined)) {
      notes_.MixedSchemas(c.labels.metric_name(), pos);
      f.seen[i] = kBroken;
      return;
    }
    if (combined.bounds_reconciled) notes_.BoundsReconciled("aggregation", pos);
  };

  const auto fold = [&](Column& c) -> Status {
    bool fresh = false;
    const size_t group = index.Of(c.labels, names, a.without, &fresh);
    if (fresh) {
      Fold f;
      f.labels = index.labels(group);
      f.seen.assign(steps, kNothing);
      f.value.assign(steps, 0);
      if (a.op != AggregateOp::kAvg) f.extra.assign(steps, 0);
      if (a.op == AggregateOp::kCount || a.op == AggregateOp::kStddev ||
          a.op == AggregateOp::kStdvar) {
        f.count.assign(steps, 0);
      }
      if (a.op == AggregateOp::kAvg) f.means.resize(steps);
      VEDETTE_RETURN_IF_ERROR(charge.Add(steps, fold_bytes + 2 * f.labels.bytes().size()));
      folds.push_back(std::move(f));
    }
    Fold& f = folds[group];
    if (sees_name && c.drop_name) f.drop_name = true;
    if (c.histograms.empty() && FoldFloats(a.op, c.values, f)) return {};
    for (size_t i = 0; i < steps; ++i) {
      if (!c.present(i)) continue;
      const bool histogram = c.is_histogram(i);
      if (histogram && !sums && a.op != AggregateOp::kCount && a.op != AggregateOp::kGroup) {
        notes_.IgnoredInAggregation(OpText(a.op), pos);
        continue;
      }
      const double v = c.values[i];
      const bool first = f.seen[i] == kNothing;
      f.seen[i] |= histogram ? kHistograms : kFloats;
      switch (a.op) {
        case AggregateOp::kSum:
          if (histogram) {
            if (f.seen[i] == kHistograms) add_histogram(f, i, c);
          } else if (first) {
            f.value[i] = v;
          } else {
            CompensatedAdd(v, f.value[i], f.extra[i]);
          }
          break;
        case AggregateOp::kAvg:
          if (histogram) {
            if (f.seen[i] == kHistograms) add_histogram(f, i, c);
          } else {
            f.means[i].Add(v);
          }
          break;
        case AggregateOp::kCount:
          f.count[i] += 1;
          break;
        case AggregateOp::kGroup:
          break;
        case AggregateOp::kMin:
          if (first || f.value[i] > v || std::isnan(f.value[i])) f.value[i] = v;
          break;
        case AggregateOp::kMax:
          if (first || f.value[i] < v || std::isnan(f.value[i])) f.value[i] = v;
          break;
        case AggregateOp::kStddev:
        case AggregateOp::kStdvar: {
          // Welford; `extra` is the mean.
          f.count[i] += 1;
          if (first) {
            f.extra[i] = v;
            f.value[i] = std::isfinite(v) ? 0 : kNormalNan;
            break;
          }
          const double delta = v - f.extra[i];
          f.extra[i] += delta / f.count[i];
          f.value[i] += delta * (v - f.extra[i]);
          break;
        }
        default:
          break;
      }
    }
    return {};
  };
  // Deviations are sums without compensation: their last digits come from the order of the terms,
  // which is that of the labels where there are few enough.
  bool wait = a.op == AggregateOp::kStddev || a.op == AggregateOp::kStdvar;
  std::vector<Column> waiting;
  const auto fold_waiting = [&]() -> Status {
    for (Column& c : waiting) VEDETTE_RETURN_IF_ERROR(fold(c));
    waiting.clear();
    return {};
  };
  VEDETTE_RETURN_IF_ERROR(Stream(*a.expr, grid, [&](Column& c) -> Status {
    if (!wait) return fold(c);
    VEDETTE_RETURN_IF_ERROR(charge.Add(c));
    waiting.push_back(std::move(c));
    c = Column();
    wait = waiting.size() < kMostOrdered;
    return wait ? Status() : fold_waiting();
  }));
  std::ranges::sort(waiting, [](const Column& x, const Column& y) { return x.labels < y.labels; });
  VEDETTE_RETURN_IF_ERROR(fold_waiting());

  for (Fold& f : folds) {
    Column out;
    out.labels = std::move(f.labels);
    out.drop_name = f.drop_name;
    out.values.assign(steps, kAbsent);
    for (size_t i = 0; i < steps; ++i) {
      if (f.seen[i] == kNothing) continue;
      switch (a.op) {
        case AggregateOp::kSum:
        case AggregateOp::kAvg:
          if (f.seen[i] & kBroken) break;
          if (f.seen[i] == kMixed) {
            notes_.MixedFloatsHistogramsInAggregation(pos);
          } else if (f.seen[i] == kHistograms) {
            HistogramSum& s = f.histograms[i];
            if (s.saw_reset && s.saw_not_reset) notes_.ResetCollision("aggregation", pos);
            out.Set(i, s.total->Value());
          } else if (a.op == AggregateOp::kAvg) {
            out.Set(i, f.means[i].Value());
          } else {
            out.Set(i, f.value[i] + f.extra[i]);
          }
          break;
        case AggregateOp::kCount:
          out.Set(i, f.count[i]);
          break;
        case AggregateOp::kGroup:
          out.Set(i, 1.0);
          break;
        case AggregateOp::kStddev:
          out.Set(i, std::sqrt(f.value[i] / f.count[i]));
          break;
        case AggregateOp::kStdvar:
          out.Set(i, f.value[i] / f.count[i]);
          break;
        default:
          out.Set(i, f.value[i]);
          break;
      }
    }
    VEDETTE_RETURN_IF_ERROR(Emit(out, sink));
  }
  return {};
}

Status Evaluator::SelectAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink) {
  const auto steps = static_cast<size_t>(grid.steps);
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> params, Scalars(*a.param, grid));
  const PosRange pos = a.expr->pos;
  const bool takes_k =
      a.op == AggregateOp::kTopk || a.op == AggregateOp::kBottomk || a.op == AggregateOp::kLimitk;
  std::vector<int64_t> ks(steps);
  std::vector<double> ratios(steps);
  bool any_step = false;
  for (size_t i = 0; i < steps; ++i) {
    const double p = params[i];
    if (takes_k || a.op == AggregateOp::kLimitRatio) {
      if (std::isnan(p)) {
        return FailedPrecondition(a.op == AggregateOp::kLimitRatio ? "Ratio value is NaN"
                                                                   : "Parameter value is NaN");
      }
    }
    if (takes_k) {
      if (p >= 9.223372036854775807e18) {
        return FailedPrecondition(StrCat("Scalar value ", GoFloat(p), " overflows int64"));
      }
      if (p <= -9.223372036854775808e18) {
        return FailedPrecondition(StrCat("Scalar value ", GoFloat(p), " underflows int64"));
      }
      ks[i] = static_cast<int64_t>(p);
      if (ks[i] >= 1) any_step = true;
    } else if (a.op == AggregateOp::kLimitRatio) {
      ratios[i] = p;
      if (p < -1 || p > 1) {
        ratios[i] = p < -1 ? -1 : 1;
        notes_.BadRatio(p, ratios[i], a.param->pos);
      }
      if (ratios[i] != 0) any_step = true;
    } else {
      if (std::isnan(p) || p < 0 || p > 1) notes_.BadQuantile(p, a.param->pos);
      any_step = true;
    }
  }
  if (!any_step) return {};
  Charge charge(budget_);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> columns, Collect(*a.expr, grid, charge));
  std::vector<std::vector<size_t>> groups;
  std::vector<Labels> group_labels;
  std::unordered_map<Labels, size_t, LabelsHash> index;
  for (size_t k = 0; k < columns.size(); ++k) {
    Labels key = GroupLabels(a, columns[k].labels);
    const auto [it, fresh] = index.try_emplace(key, groups.size());
    if (fresh) {
      groups.emplace_back();
      group_labels.push_back(std::move(key));
    }
    groups[it->second].push_back(k);
  }

  if (a.op == AggregateOp::kQuantile) {
    std::vector<double> values;
    for (size_t g = 0; g < groups.size(); ++g) {
      Column out;
      out.labels = group_labels[g];
      for (size_t k : groups[g]) {
        if (GroupSeesName(a) && columns[k].drop_name) out.drop_name = true;
      }
      out.values.assign(steps, kAbsent);
      for (size_t i = 0; i < steps; ++i) {
        VEDETTE_RETURN_IF_ERROR(budget_.Work(groups[g].size() * 16));
        values.clear();
        for (size_t k : groups[g]) {
          const Column& c = columns[k];
          if (!c.present(i)) continue;
          if (c.is_histogram(i)) {
            notes_.IgnoredInAggregation("quantile", pos);
          } else {
            values.push_back(c.values[i]);
          }
        }
        if (!values.empty()) out.values[i] = QuantileOf(params[i], values);
      }
      VEDETTE_RETURN_IF_ERROR(Emit(out, sink));
    }
    return {};
  }

  // The others pick whole elements: what is not picked is cleared.
  const bool bottom = a.op == AggregateOp::kBottomk;
  std::vector<size_t> order;
  std::vector<size_t> instant_order;
  std::vector<bool> pick(columns.size());
  for (size_t i = 0; i < steps; ++i) {
    VEDETTE_RETURN_IF_ERROR(budget_.Work(columns.size() * 16));
    std::fill(pick.begin(), pick.end(), false);
    for (const std::vector<size_t>& group : groups) {
      order.clear();
      for (size_t k : group) {
        const Column& c = columns[k];
        if (!c.present(i)) continue;
        if ((a.op == AggregateOp::kTopk || bottom) && c.is_histogram(i)) {
          notes_.IgnoredInAggregation(OpText(a.op), pos);
          continue;
        }
        order.push_back(k);
      }
      if (a.op == AggregateOp::kLimitRatio) {
        for (size_t k : order) {
          // The hash of the labels as a number in [0, 1): the same series are always in.
          const double offset =
              static_cast<double>(RatioHash(columns[k].labels)) / 18446744073709551616.0;
          const double r = ratios[i];
          if ((r >= 0 && offset < r) || (r < 0 && offset >= 1.0 + r)) pick[k] = true;
        }
        continue;
      }
      const size_t n = ks[i] < 1 ? 0 : std::min<size_t>(order.size(), static_cast<size_t>(ks[i]));
      if (a.op == AggregateOp::kLimitk) {
        for (size_t j = 0; j < n; ++j) pick[order[j]] = true;
        continue;
      }
      // Only those that are picked have to be in order; of equals the first comes first.
      const auto before = [&](size_t x, size_t y) {
        const double vx = columns[x].values[i];
        const double vy = columns[y].values[i];
        const bool nan_x = std::isnan(vx);
        const bool nan_y = std::isnan(vy);
        if (nan_x != nan_y) return nan_y;
        if (nan_x || vx == vy) return x < y;
        return bottom ? vx < vy : vx > vy;
      };
      std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(n), order.end(),
                        before);
      for (size_t j = 0; j < n; ++j) {
        pick[order[j]] = true;
        if (steps == 1) instant_order.push_back(order[j]);
      }
    }
    for (size_t k = 0; k < columns.size(); ++k) {
      if (!pick[k]) columns[k].Clear(i);
    }
  }
  if (!instant_order.empty()) {
    for (size_t k : instant_order) VEDETTE_RETURN_IF_ERROR(sink(columns[k]));
    return {};
  }
  for (Column& c : columns) VEDETTE_RETURN_IF_ERROR(Emit(c, sink));
  return {};
}

Status Evaluator::CountValues(const AggregateExpr& a, const Grid& grid, const Sink& sink) {
  const auto steps = static_cast<size_t>(grid.steps);
  const std::string& label = WithoutParens(*a.param).As<StringLiteral>().value;
  if (label.empty() || !IsValidUtf8(label)) {
    return FailedPrecondition(StrCat("invalid label name ", Quoted(label)));
  }
  std::vector<Column> outs;
  std::unordered_map<Labels, size_t, LabelsHash> index;
  Charge charge(budget_);
  VEDETTE_RETURN_IF_ERROR(Stream(*a.expr, grid, [&](Column& c) -> Status {
    const Labels base = GroupLabels(a, c.labels);
    VEDETTE_RETURN_IF_ERROR(budget_.Work(steps * 64));
    double last = 0;
    size_t last_at = SIZE_MAX;
    for (size_t i = 0; i < steps; ++i) {
      if (!c.present(i)) continue;
      size_t at;
      if (!c.is_histogram(i) && last_at != SIZE_MAX && c.values[i] == last) {
        at = last_at;
      } else {
        LabelsBuilder lb(base);
        lb.Set(label, c.is_histogram(i) ? HistogramText(*c.histograms[i])
                                       : FixedFloat(c.values[i]));
        Labels key = lb.Build();
        const auto [it, fresh] = index.try_emplace(key, outs.size());
        if (fresh) {
          Column out;
          out.labels = std::move(key);
          out.drop_name = GroupSeesName(a) && c.drop_name;
          out.values.assign(steps, kAbsent);
          VEDETTE_RETURN_IF_ERROR(charge.Add(out));
          outs.push_back(std::move(out));
        }
        at = it->second;
        if (!c.is_histogram(i)) {
          last = c.values[i];
          last_at = at;
        }
      }
      double& v = outs[at].values[i];
      v = IsAbsent(v) ? 1 : v + 1;
    }
    return {};
  }));
  for (Column& out : outs) VEDETTE_RETURN_IF_ERROR(sink(out));
  return {};
}

}  // namespace vedette::promql
