#include "server/api/http/parse_tree.h"

#include <string_view>

#include "common/base/strings.h"
#include "server/api/http/json.h"
#include "server/promql/parser/function_table.h"

namespace vedette::api {
namespace {

using promql::Expr;

std::string_view OpName(Matcher::Op op) {
  static constexpr std::string_view kNames[] = {"=", "!=", "=~", "!~"};
  return kNames[static_cast<int>(op)];
}

std::string_view CardName(promql::VectorMatching::Card card) {
  switch (card) {
    case promql::VectorMatching::Card::kOneToOne:
      return "one-to-one";
    case promql::VectorMatching::Card::kManyToOne:
      return "many-to-one";
    case promql::VectorMatching::Card::kOneToMany:
      return "one-to-many";
    case promql::VectorMatching::Card::kManyToMany:
      return "many-to-many";
  }
  return "one-to-one";
}

void Strings(JsonWriter& json, std::string_view key, const std::vector<std::string>& list) {
  json.Key(key).BeginArray();
  for (const std::string& s : list) json.String(s);
  json.EndArray();
}

// A duration is shown in milliseconds where the text says it plainly, and as null where it is
// worked out when the query runs.
void Duration(JsonWriter& json, std::string_view key, const promql::DurationExprPtr& d) {
  json.Key(key);
  if (!d) {
    json.Int(0);
  } else if (d->kind == promql::DurationExpr::Kind::kLiteral) {
    json.Int(static_cast<int64_t>(d->seconds * 1000));
  } else if (d->kind == promql::DurationExpr::Kind::kNegate && d->rhs &&
             d->rhs->kind == promql::DurationExpr::Kind::kLiteral) {
    json.Int(-static_cast<int64_t>(d->rhs->seconds * 1000));
  } else {
    json.Null();
  }
}

void Shift(JsonWriter& json, const promql::TimeShift& shift) {
  Duration(json, "offset", shift.offset);
  json.Key("timestamp");
  if (shift.at == promql::TimeShift::At::kTimestamp) {
    json.Int(shift.at_ms);
  } else {
    json.Null();
  }
  json.Key("startOrEnd");
  if (shift.at == promql::TimeShift::At::kStart) {
    json.String("start");
  } else if (shift.at == promql::TimeShift::At::kEnd) {
    json.String("end");
  } else {
    json.Null();
  }
}

void Selector(JsonWriter& json, const promql::VectorSelector& s) {
  json.Key("name").String(s.name);
  json.Key("matchers").BeginArray();
  for (const Matcher& m : s.matchers) {
    json.BeginObject();
    json.Key("name").String(m.name());
    json.Key("value").String(m.value());
    json.Key("type").String(OpName(m.op()));
    json.EndObject();
  }
  json.EndArray();
  json.Key("anchored").Bool(s.anchored);
  json.Key("smoothed").Bool(s.smoothed);
}

void Write(JsonWriter& json, const Expr& expr);

void Child(JsonWriter& json, std::string_view key, const promql::ExprPtr& child) {
  json.Key(key);
  if (child) {
    Write(json, *child);
  } else {
    json.Null();
  }
}

void Function(JsonWriter& json, const promql::FunctionInfo& f) {
  json.BeginObject();
  json.Key("name").String(f.name);
  json.Key("argTypes").BeginArray();
  for (const promql::ValueType t : f.args) json.String(promql::TypeName(t));
  json.EndArray();
  json.Key("variadic").Int(f.optional);
  json.Key("returnType").String(promql::TypeName(f.returns));
  json.EndObject();
}

void Binary(JsonWriter& json, const promql::BinaryExpr& e) {
  json.Key("type").String("binaryExpr");
  json.Key("op").String(promql::OpText(e.op));
  Child(json, "lhs", e.lhs);
  Child(json, "rhs", e.rhs);
  json.Key("bool").Bool(e.return_bool);
  json.Key("matching");
  if (e.lhs->type != promql::ValueType::kVector || e.rhs->type != promql::ValueType::kVector) {
    json.Null();
    return;
  }
  json.BeginObject();
  json.Key("card").String(CardName(e.matching.card));
  Strings(json, "labels", e.matching.labels);
  json.Key("on").Bool(e.matching.on);
  Strings(json, "include", e.matching.include);
  json.EndObject();
}

void Write(JsonWriter& json, const Expr& expr) {
  json.BeginObject();
  switch (expr.kind) {
    case Expr::Kind::kNumber: {
      std::string text;
      AppendFloat(text, expr.As<promql::NumberLiteral>().value);
      json.Key("type").String("numberLiteral").Key("val").String(text);
      break;
    }
    case Expr::Kind::kString:
      json.Key("type").String("stringLiteral");
      json.Key("val").String(expr.As<promql::StringLiteral>().value);
      break;
    case Expr::Kind::kVectorSelector: {
      const auto& s = expr.As<promql::VectorSelector>();
      json.Key("type").String("vectorSelector");
      Selector(json, s);
      Shift(json, s.shift);
      break;
    }
    case Expr::Kind::kMatrixSelector: {
      const auto& m = expr.As<promql::MatrixSelector>();
      json.Key("type").String("matrixSelector");
      Selector(json, *m.selector);
      Duration(json, "range", m.range);
      Shift(json, m.selector->shift);
      break;
    }
    case Expr::Kind::kSubquery: {
      const auto& s = expr.As<promql::SubqueryExpr>();
      json.Key("type").String("subquery");
      Child(json, "expr", s.expr);
      Duration(json, "range", s.range);
      Duration(json, "step", s.step);
      Shift(json, s.shift);
      break;
    }
    case Expr::Kind::kAggregate: {
      const auto& a = expr.As<promql::AggregateExpr>();
      json.Key("type").String("aggregation").Key("op").String(promql::OpText(a.op));
      Child(json, "expr", a.expr);
      Child(json, "param", a.param);
      Strings(json, "grouping", a.grouping);
      json.Key("without").Bool(a.without);
      break;
    }
    case Expr::Kind::kCall: {
      const auto& c = expr.As<promql::Call>();
      json.Key("type").String("call").Key("func");
      Function(json, *c.function);
      json.Key("args").BeginArray();
      for (const promql::ExprPtr& a : c.args) Write(json, *a);
      json.EndArray();
      break;
    }
    case Expr::Kind::kBinary:
      Binary(json, expr.As<promql::BinaryExpr>());
      break;
    case Expr::Kind::kUnary: {
      const auto& u = expr.As<promql::UnaryExpr>();
      json.Key("type").String("unaryExpr").Key("op").String(u.negate ? "-" : "+");
      Child(json, "expr", u.expr);
      break;
    }
    case Expr::Kind::kParen:
      json.Key("type").String("parenExpr");
      Child(json, "expr", expr.As<promql::ParenExpr>().expr);
      break;
  }
  json.EndObject();
}

}  // namespace

std::string TreeJson(const Expr& expr) {
  std::string out;
  JsonWriter json(&out);
  Write(json, expr);
  return out;
}

}  // namespace vedette::api
