#include "server/promql/parser/parser.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/metrics/refusals.h"
#include "server/promql/parser/grammar.h"

namespace vedette::promql {

Result<ExprPtr> Parser::Whole() {
  if (Peek().kind == Tok::kEof) {
    return InvalidArgument("unknown position: parse error: no expression found in input");
  }
  VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Expression(0));
  if (Peek().kind != Tok::kEof) return Unexpected("");
  return e;
}

Result<std::vector<Matcher>> Parser::Selector() {
  VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Primary());
  if (Peek().kind != Tok::kEof) return Unexpected("");
  if (e->kind != Expr::Kind::kVectorSelector) {
    return Error(e->pos.start, "expected a metric selector");
  }
  return std::move(e->As<VectorSelector>().matchers);
}

Status Parser::Unexpected(std::string_view context, std::string_view expected) const {
  if (Is(Tok::kError)) return InvalidArgument(Peek().text);
  std::string reason = StrCat("unexpected ", Describe(Peek(), text_));
  if (!context.empty()) StrAppend(reason, " in ", context);
  if (!expected.empty()) StrAppend(reason, ", expected ", expected);
  return Error(Peek().pos.start, reason);
}

Status Parser::Expect(Tok kind, std::string_view context, std::string_view expected) {
  if (!Is(kind)) return Unexpected(context, expected);
  Take();
  return {};
}

Status Parser::Grown(Expr& e, int32_t start) {
  e.pos = {start, last_end_};
  int32_t below = 0;
  for (const Expr* child : Children(e)) below = std::max(below, child->depth);
  e.depth = below + 1;
  if (e.depth > options_.max_depth) return TooDeep(start, options_.max_depth);
  return {};
}

Status Parser::TooDeep(int32_t at, int32_t limit) const {
  metrics::CountRefusal(metrics::Limit::kQueryDepth);
  return Error(at, StrCat("expression is nested too deeply: the limit is ", limit,
                          " levels (--query.max-depth)"));
}

Status Parser::ExpectType(const Expr& e, ValueType want, std::string_view context) const {
  if (e.type == want) return {};
  return Error(e.pos.start, StrCat("expected type ", DocumentedType(want), " in ", context,
                                   ", got ", DocumentedType(e.type)));
}
namespace {

void Collect(const Expr& e, std::vector<const VectorSelector*>& out) {
  if (e.kind == Expr::Kind::kVectorSelector) out.push_back(&e.As<VectorSelector>());
  for (const Expr* child : Children(e)) Collect(*child, out);
}

Status TooLong(std::string_view what, std::string_view text, size_t limit) {
  metrics::CountRefusal(metrics::Limit::kQueryLength);
  return InvalidArgument(StrCat(what, " of ", text.size(), " bytes is too long: the limit is ",
                                limit, " (--query.max-length)"));
}

}  // namespace

Result<ExprPtr> ParseExpr(std::string_view text, const ParserOptions& options) {
  if (text.size() > options.max_bytes) return TooLong("query", text, options.max_bytes);
  return Parser(text, options).Whole();
}

Result<std::vector<Matcher>> ParseMetricSelector(std::string_view text) {
  if (text.size() > kMaxQueryBytes) return TooLong("selector", text, kMaxQueryBytes);
  return Parser(text, {}).Selector();
}

std::vector<const VectorSelector*> Selectors(const Expr& expr) {
  std::vector<const VectorSelector*> out;
  Collect(expr, out);
  return out;
}

}  // namespace vedette::promql
