#include "server/promql/parser/print.h"

#include <charconv>
#include <cmath>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "server/promql/parser/function_table.h"
#include "server/promql/parser/lexer.h"

namespace vedette::promql {
namespace {

constexpr size_t kLineLength = 100;

std::string Number(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
}

std::string Name(std::string_view label) {
  return IsLegacyLabelName(label) ? std::string(label) : Quoted(label);
}

std::string List(const std::vector<std::string>& labels) {
  std::string out = "(";
  for (const std::string& l : labels) StrAppend(out, out.size() > 1 ? ", " : "", Name(l));
  return out + ")";
}

std::string Seconds(const DurationExpr& d) {
  const double ms = d.seconds * 1000;
  if (d.is_duration_text && std::fabs(ms) < 9e15 && ms == std::floor(ms)) {
    return StrCat(ms < 0 ? "-" : "", DurationText(static_cast<int64_t>(std::fabs(ms))));
  }
  return Number(d.seconds);
}

std::string Shift(const TimeShift& s) {
  std::string out;
  if (s.at == TimeShift::At::kTimestamp) {
    const int64_t ms = s.at_ms < 0 ? -s.at_ms : s.at_ms;
    std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
    StrAppend(out, " @ ", s.at_ms < 0 ? "-" : "", ms / 1000, ".", fraction);
  }
  if (s.at == TimeShift::At::kStart) out += " @ start()";
  if (s.at == TimeShift::At::kEnd) out += " @ end()";
  if (s.offset) StrAppend(out, " offset ", Print(*s.offset));
  return out;
}

std::string Selector(const VectorSelector& v, std::string_view range) {
  std::string inside;
  const bool plain = v.name.empty() || (IsLegacyMetricName(v.name) && !IsKeyword(v.name));
  std::string out = plain ? v.name : "";
  if (!plain) inside = Quoted(v.name);
  for (const Matcher& m : v.matchers) {
    if (!v.name.empty() && m.name() == kMetricNameLabel) continue;
    StrAppend(inside, inside.empty() ? "" : ",", m.ToString());
  }
  if (!inside.empty() || out.empty()) StrAppend(out, "{", inside, "}");
  StrAppend(out, range, v.anchored ? " anchored" : "", v.smoothed ? " smoothed" : "");
  return out + Shift(v.shift);
}

std::string Operator(const BinaryExpr& b) {
  const VectorMatching& m = b.matching;
  std::string out = StrCat(OpText(b.op), b.return_bool ? " bool" : "");
  if (m.given) {
    StrAppend(out, m.on ? " on " : " ignoring ", List(m.labels));
    if (m.card == VectorMatching::Card::kManyToOne) StrAppend(out, " group_left ", List(m.include));
    if (m.card == VectorMatching::Card::kOneToMany)
      StrAppend(out, " group_right ", List(m.include));
  }
  if (m.fill_left) StrAppend(out, " fill_left (", Number(*m.fill_left), ")");
  if (m.fill_right) StrAppend(out, " fill_right (", Number(*m.fill_right), ")");
  return out;
}

class Printer {
 public:
  explicit Printer(bool pretty) : pretty_(pretty) {}

  std::string Node(const Expr& e, int level) const {
    if (!pretty_) return Inner(e, 0, false);
    const std::string indent(static_cast<size_t>(level) * 2, ' ');
    const std::string flat = Printer(false).Node(e, 0);
    if (indent.size() + flat.size() <= kLineLength) return indent + flat;
    return Inner(e, level, true);
  }

 private:
  // `e` flat, or broken over lines that are indented `level` deep.
  std::string Inner(const Expr& e, int level, bool broken) const {
    const std::string indent = broken ? std::string(static_cast<size_t>(level) * 2, ' ') : "";
    const std::string end = broken ? "\n" + indent : "";
    auto child = [&](const Expr& c) {
      return broken ? "\n" + Node(c, level + 1) : Inner(c, 0, false);
    };
    auto same = [&](const Expr& c) { return broken ? Node(c, level) : Inner(c, 0, false); };
    switch (e.kind) {
      case Expr::Kind::kNumber: {
        const auto& n = e.As<NumberLiteral>();
        const double ms = n.value * 1000;
        if (n.is_duration_text && std::fabs(ms) < 9e15 && ms == std::floor(ms)) {
          return StrCat(indent, ms < 0 ? "-" : "",
                        DurationText(static_cast<int64_t>(std::fabs(ms))));
        }
        return indent + Number(n.value);
      }
      case Expr::Kind::kString:
        return indent + Quoted(e.As<StringLiteral>().value);
      case Expr::Kind::kVectorSelector:
        return indent + Selector(e.As<VectorSelector>(), "");
      case Expr::Kind::kMatrixSelector: {
        const auto& m = e.As<MatrixSelector>();
        return indent + Selector(*m.selector, StrCat("[", Print(*m.range), "]"));
      }
      case Expr::Kind::kSubquery: {
        const auto& s = e.As<SubqueryExpr>();
        return StrCat(same(*s.expr), "[", Print(*s.range), ":", s.step ? Print(*s.step) : "", "]",
                      Shift(s.shift));
      }
      case Expr::Kind::kAggregate: {
        const auto& a = e.As<AggregateExpr>();
        std::string out = StrCat(indent, OpText(a.op));
        if (a.has_grouping && (a.without || !a.grouping.empty())) {
          StrAppend(out, a.without ? " without " : " by ", List(a.grouping), " ");
        }
        out += "(";
        if (a.param) StrAppend(out, child(*a.param), broken ? "," : ", ");
        return StrCat(out, child(*a.expr), end, ")");
      }
      case Expr::Kind::kCall: {
        const auto& c = e.As<Call>();
        std::string out = StrCat(indent, c.function->name, "(");
        for (size_t i = 0; i < c.args.size(); ++i) {
          StrAppend(out, i == 0 ? "" : broken ? "," : ", ", child(*c.args[i]));
        }
        return StrCat(out, c.args.empty() ? "" : end, ")");
      }
      case Expr::Kind::kBinary: {
        const auto& b = e.As<BinaryExpr>();
        std::string lhs = broken ? Node(*b.lhs, level + 1) : Inner(*b.lhs, 0, false);
        // A sign in front of a power would be read as the sign of the whole power.
        if (b.op == BinaryOp::kPow && lhs.ends_with("+Inf") &&
            b.lhs->kind == Expr::Kind::kNumber) {
          lhs.erase(lhs.size() - 4, 1);
        }
        if (!broken) return StrCat(lhs, " ", Operator(b), " ", Inner(*b.rhs, 0, false));
        return StrCat(lhs, "\n", indent, Operator(b), "\n", Node(*b.rhs, level + 1));
      }
      case Expr::Kind::kUnary: {
        const auto& u = e.As<UnaryExpr>();
        std::string inner = same(*u.expr);
        return StrCat(indent, u.negate ? "-" : "+", inner.substr(indent.size()));
      }
      case Expr::Kind::kParen:
        return StrCat(indent, "(", child(*e.As<ParenExpr>().expr), end, ")");
    }
    return "";
  }

  const bool pretty_;
};

}  // namespace

std::string DurationText(int64_t ms) {
  if (ms == 0) return "0s";
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"y", 31536000000}, {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
      {"m", 60000},       {"s", 1000},      {"ms", 1}};
  std::string out;
  for (const auto& [unit, length] : kUnits) {
    // Years and weeks only when nothing else is left: 8d stays 8d.
    const bool exact = unit == "y" || unit == "w";
    if (exact ? ms % length != 0 : ms < length) continue;
    if (ms / length > 0) StrAppend(out, ms / length, unit);
    ms %= length;
  }
  return out;
}

std::string Print(const DurationExpr& d) {
  std::string out;
  switch (d.kind) {
    case DurationExpr::Kind::kLiteral:
      out = Seconds(d);
      break;
    case DurationExpr::Kind::kStep:
      out = "step()";
      break;
    case DurationExpr::Kind::kRange:
      out = "range()";
      break;
    case DurationExpr::Kind::kMinOf:
      out = StrCat("min_of(", Print(*d.lhs), ", ", Print(*d.rhs), ")");
      break;
    case DurationExpr::Kind::kMaxOf:
      out = StrCat("max_of(", Print(*d.lhs), ", ", Print(*d.rhs), ")");
      break;
    case DurationExpr::Kind::kNegate:
      out = "-" + Print(*d.lhs);
      break;
    case DurationExpr::Kind::kPlus:
      out = "+" + Print(*d.lhs);
      break;
    case DurationExpr::Kind::kBinary:
      out = StrCat(Print(*d.lhs), " ", OpText(d.op), " ", Print(*d.rhs));
      break;
  }
  return d.in_parens ? "(" + out + ")" : out;
}

std::string Print(const Expr& expr) { return Printer(false).Node(expr, 0); }
std::string PrettyPrint(const Expr& expr) { return Printer(true).Node(expr, 0); }

}  // namespace vedette::promql
