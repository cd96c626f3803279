#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/natural.h"

namespace vedette::promql {
namespace {

const std::string& TextOf(const Expr& e) { return WithoutParens(e).As<StringLiteral>().value; }

// Nested calls can double a value at every level: a few dozen of them would fill any memory.
constexpr size_t kMaxValueBytes = 1 << 20;

Status CheckLength(std::string_view function, std::string_view label, size_t bytes) {
  if (bytes <= kMaxValueBytes) return {};
  return FailedPrecondition(StrCat(function, "(): the value of label ", Quoted(label),
                                   " would have ", bytes, " bytes: the limit is ",
                                   kMaxValueBytes));
}

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A replacement as Go's regexp expands it: $1, $name, ${name}, $$.
std::string Expand(std::string_view tmpl, const RE2& re,
                   const std::vector<re2::StringPiece>& groups) {
  std::string out;
  for (size_t i = 0; i < tmpl.size();) {
    if (tmpl[i] != '$' || i + 1 >= tmpl.size()) {
      out += tmpl[i++];
      continue;
    }
    if (tmpl[i + 1] == '$') {
      out += '$';
      i += 2;
      continue;
    }
    size_t from = i + 1;
    size_t end;
    size_t next;
    if (tmpl[from] == '{') {
      end = tmpl.find('}', ++from);
      if (end == std::string_view::npos) {
        out += tmpl[i++];
        continue;
      }
      next = end + 1;
    } else {
      end = from;
      while (end < tmpl.size() && IsWordChar(tmpl[end])) ++end;
      next = end;
    }
    const std::string name(tmpl.substr(from, end - from));
    if (name.empty()) {
      out += tmpl[i++];
      continue;
    }
    const bool number =
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    size_t group = SIZE_MAX;
    if (number && name.size() < 9) {
      group = static_cast<size_t>(std::stoi(name));
    } else if (!number) {
      const auto it = re.NamedCapturingGroups().find(name);
      if (it != re.NamedCapturingGroups().end()) group = static_cast<size_t>(it->second);
    }
    if (group < groups.size()) out.append(groups[group].data(), groups[group].size());
    i = next;
  }
  return out;
}

}  // namespace

Status Evaluator::StreamLabelReplace(const Call& call, const Grid& grid, const Sink& sink) {
  const std::string& dst = TextOf(*call.args[1]);
  const std::string& replacement = TextOf(*call.args[2]);
  const std::string& src = TextOf(*call.args[3]);
  const std::string& pattern = TextOf(*call.args[4]);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const RE2 re(StrCat("^(?s:", pattern, ")$"), options);
  if (!re.ok()) {
    return FailedPrecondition(
        StrCat("invalid regular expression in label_replace(): ", pattern, ": ", re.error()));
  }
  if (dst.empty() || !IsValidUtf8(dst)) {
    return FailedPrecondition(StrCat("invalid destination label name in label_replace(): ", dst));
  }
  const int captures = re.NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> groups(static_cast<size_t>(captures));
  const Sink checked = Unique(sink, false);
  return Stream(*call.args[0], grid, [&](Column& c) -> Status {
    const std::string value(c.labels.Get(src));
    if (re.Match(value, 0, value.size(), RE2::ANCHOR_BOTH, groups.data(), captures)) {
      const std::string expanded = Expand(replacement, re, groups);
      VEDETTE_RETURN_IF_ERROR(CheckLength("label_replace", dst, expanded.size()));
      LabelsBuilder lb(c.labels);
      lb.Set(dst, expanded);
      c.labels = lb.Build();
      if (dst == kMetricNameLabel) c.drop_name = false;
    }
    return checked(c);
  });
}

Status Evaluator::StreamLabelJoin(const Call& call, const Grid& grid, const Sink& sink) {
  const std::string& dst = TextOf(*call.args[1]);
  const std::string& separator = TextOf(*call.args[2]);
  for (size_t i = 3; i < call.args.size(); ++i) {
    const std::string& name = TextOf(*call.args[i]);
    if (name.empty() || !IsValidUtf8(name)) {
      return FailedPrecondition(StrCat("invalid source label name in label_join(): ", name));
    }
  }
  if (dst.empty() || !IsValidUtf8(dst)) {
    return FailedPrecondition(StrCat("invalid destination label name in label_join(): ", dst));
  }
  const Sink checked = Unique(sink, false);
  return Stream(*call.args[0], grid, [&](Column& c) -> Status {
    std::string joined;
    for (size_t i = 3; i < call.args.size(); ++i) {
      if (i > 3) joined += separator;
      joined += c.labels.Get(TextOf(*call.args[i]));
      VEDETTE_RETURN_IF_ERROR(CheckLength("label_join", dst, joined.size()));
    }
    LabelsBuilder lb(c.labels);
    lb.Set(dst, joined);
    c.labels = lb.Build();
    if (dst == kMetricNameLabel) c.drop_name = false;
    return checked(c);
  });
}

Status Evaluator::StreamSort(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  const bool by_value = id == FunctionId::kSort || id == FunctionId::kSortDesc;
  if (context_.step_ms > 0) {
    // A range answer is sorted by labels in the end, whatever happens here.
    notes_.Warn("sort is ineffective for range queries since results are always ordered by labels",
                call.args[0]->pos.start >= 0 ? call.pos : call.pos);
  }
  Charge charge(budget_);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> columns, Collect(*call.args[0], grid, charge));
  if (by_value) {
    for (Column& c : columns) {
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (c.is_histogram(i)) c.Clear(i);
      }
    }
    std::erase_if(columns, [](const Column& c) { return !c.any(); });
    const bool descending = id == FunctionId::kSortDesc;
    std::stable_sort(columns.begin(), columns.end(), [&](const Column& a, const Column& b) {
      const double x = a.values[0];
      const double y = b.values[0];
      if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
      return descending ? x > y : x < y;
    });
  } else {
    const bool descending = id == FunctionId::kSortByLabelDesc;
    std::stable_sort(columns.begin(), columns.end(), [&](const Column& a, const Column& b) {
      for (size_t k = 1; k < call.args.size(); ++k) {
        const std::string_view x = a.labels.Get(TextOf(*call.args[k]));
        const std::string_view y = b.labels.Get(TextOf(*call.args[k]));
        if (x == y) continue;
        return descending ? NaturalLess(y, x) : NaturalLess(x, y);
      }
      return descending ? b.labels < a.labels : a.labels < b.labels;
    });
  }
  for (Column& c : columns) VEDETTE_RETURN_IF_ERROR(sink(c));
  return {};
}

}  // namespace vedette::promql
