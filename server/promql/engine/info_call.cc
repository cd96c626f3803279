#include <algorithm>
#include <map>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"

namespace vedette::promql {
namespace {

const std::vector<std::string> kIdentifying = {"instance", "job"};

// The offset and @ that the samples of an expression were read with: info series are read with the
// same.
const TimeShift* FirstShift(const Expr& e) {
  const TimeShift* shift = nullptr;
  if (e.kind == Expr::Kind::kVectorSelector) shift = &e.As<VectorSelector>().shift;
  if (e.kind == Expr::Kind::kSubquery) shift = &e.As<SubqueryExpr>().shift;
  if (shift != nullptr && (shift->at != TimeShift::At::kNone || shift->offset_ms != 0)) {
    return shift;
  }
  for (const Expr* child : Children(e)) {
    if (const TimeShift* found = FirstShift(*child)) return found;
  }
  return nullptr;
}

// One info series over the grid.
struct InfoSeries {
  Labels labels;
  std::vector<double> t;  // When its sample of the step was taken; kAbsent: none.
};

}  // namespace

// info(v, {selector}): adds the data labels of info series (by default target_info) that have the
// same instance and job.
Status Evaluator::StreamInfo(const Call& call, const Grid& grid, const Sink& sink) {
  const auto steps = static_cast<size_t>(grid.steps);
  std::vector<Matcher> names;
  std::vector<Matcher> data;
  if (call.args.size() > 1) {
    for (const Matcher& m : WithoutParens(*call.args[1]).As<VectorSelector>().matchers) {
      (m.name() == kMetricNameLabel ? names : data).push_back(m);
    }
  }
  const bool required =
      std::ranges::any_of(data, [](const Matcher& m) { return !m.MatchesEmpty(); });
  const bool positive = std::ranges::any_of(names, [](const Matcher& m) {
    return m.op() == Matcher::Op::kEqual || m.op() == Matcher::Op::kRegex;
  });
  VectorSelector selector;
  selector.pos = call.pos;
  selector.matchers = names;
  if (names.empty()) {
    selector.matchers.push_back(Matcher::Equal(kMetricNameLabel, "target_info"));
  } else if (!positive) {
    VEDETTE_ASSIGN_OR_RETURN(Matcher any,
                             Matcher::Make(Matcher::Op::kRegex, kMetricNameLabel, ".+_info"));
    selector.matchers.push_back(std::move(any));
  }
  const std::vector<Matcher> name_matchers = selector.matchers;
  for (const Matcher& m : data) selector.matchers.push_back(m);
  if (const TimeShift* shift = FirstShift(*call.args[0])) {
    selector.shift.at = shift->at;
    selector.shift.at_ms = shift->at_ms;
    selector.shift.offset_ms = shift->offset_ms;
  }

  Charge charge(budget_);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> base, Collect(*call.args[0], grid, charge));
  std::unordered_map<Labels, std::vector<InfoSeries>, LabelsHash> infos;
  std::unordered_map<Labels, bool, LabelsHash> wanted;
  for (const Column& c : base) wanted[c.labels.Only(kIdentifying)] = true;
  VEDETTE_RETURN_IF_ERROR(StreamSelector(selector, grid, Shows::kValue, [&](Column& c) -> Status {
    if (!wanted.contains(c.labels.Only(kIdentifying))) return {};
    for (size_t i = 0; i < steps; ++i) {
      if (c.is_histogram(i)) {
        return FailedPrecondition(
            StrCat("this should be an info metric, with float samples: ", c.labels.ToString()));
      }
    }
    return {};
  }));
  VEDETTE_RETURN_IF_ERROR(StreamSelector(selector, grid, Shows::kTime, [&](Column& c) -> Status {
    const Labels key = c.labels.Only(kIdentifying);
    if (key.empty() || !wanted.contains(key)) return {};
    VEDETTE_RETURN_IF_ERROR(charge.Add(c));
    infos[key].push_back({c.labels, c.values});
    return {};
  }));

  for (Column& c : base) {
    const bool is_info = std::ranges::all_of(
        name_matchers, [&](const Matcher& m) { return m.Matches(c.labels.metric_name()); });
    if (is_info) {
      VEDETTE_RETURN_IF_ERROR(sink(c));
      continue;
    }
    const auto found = infos.find(c.labels.Only(kIdentifying));
    // One output series for every label set that the steps lead to.
    std::map<Labels, Column> outs;
    for (size_t i = 0; i < steps; ++i) {
      if (!c.present(i)) continue;
      // The newest sample of every info metric.
      std::map<std::string_view, const InfoSeries*> newest;
      if (found != infos.end()) {
        for (const InfoSeries& s : found->second) {
          if (IsAbsent(s.t[i])) continue;
          const InfoSeries*& best = newest[s.labels.metric_name()];
          if (best != nullptr && best->t[i] == s.t[i]) {
            return FailedPrecondition(StrCat("found duplicate series for info metric: existing ",
                                             best->labels.ToString(), ", other ",
                                             s.labels.ToString()));
          }
          if (best == nullptr || best->t[i] < s.t[i]) best = &s;
        }
      }
      LabelsBuilder lb(c.labels);
      std::map<std::string_view, std::string_view> added;
      for (const auto& [name, s] : newest) {
        for (const Label& l : s->labels) {
          if (l.name == kMetricNameLabel || l.name == "instance" || l.name == "job") continue;
          if (!data.empty() &&
              std::ranges::none_of(data, [&](const Matcher& m) { return m.name() == l.name; })) {
            continue;
          }
          if (c.labels.Has(l.name)) continue;  // What the series says itself is what counts.
          const auto [it, fresh] = added.try_emplace(l.name, l.value);
          if (!fresh && it->second != l.value) {
            return FailedPrecondition(StrCat("conflicting label: ", l.name));
          }
          lb.Set(l.name, l.value);
        }
      }
      if (newest.empty() && required) continue;
      Column& out = outs[lb.Build()];
      if (out.values.empty()) out.values.assign(steps, kAbsent);
      if (c.is_histogram(i)) {
        out.Set(i, c.histograms[i]);
      } else {
        out.Set(i, c.values[i]);
      }
    }
    for (auto& [labels, out] : outs) {
      out.labels = labels;
      out.drop_name = c.drop_name;
      VEDETTE_RETURN_IF_ERROR(sink(out));
    }
  }
  return {};
}

}  // namespace vedette::promql
