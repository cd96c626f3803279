#include "server/promql/parser/grammar.h"

#include <cmath>
#include <memory>
#include <utility>

namespace vedette::promql {

Result<ExprPtr> Parser::Postfix() {
  VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Primary());
  while (true) {
    if (Is(Tok::kLeftBracket)) {
      VEDETTE_ASSIGN_OR_RETURN(e, Brackets(std::move(e)));
    } else if (IsWord("offset")) {
      VEDETTE_RETURN_IF_ERROR(Offset(*e));
    } else if (Is(Tok::kAt)) {
      VEDETTE_RETURN_IF_ERROR(At(*e));
    } else if (IsWord("anchored") || IsWord("smoothed")) {
      VEDETTE_RETURN_IF_ERROR(Extended(*e));
    } else {
      return e;
    }
  }
}

Result<ExprPtr> Parser::Brackets(ExprPtr e) {
  const int32_t bracket = Take().pos.start;
  VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr range, Duration(0));
  VEDETTE_RETURN_IF_ERROR(CheckPositive(*range));
  if (Is(Tok::kColon)) {
    Take();
    auto node = std::make_unique<SubqueryExpr>();
    if (!Is(Tok::kRightBracket)) {
      VEDETTE_ASSIGN_OR_RETURN(node->step, Duration(0));
      VEDETTE_RETURN_IF_ERROR(CheckPositive(*node->step));
    }
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightBracket, "subquery selector", "\"]\""));
    if (e->type != ValueType::kVector) {
      return Error(e->pos.start, StrCat("subquery is only allowed on instant vector, got ",
                                        TypeName(e->type), " instead"));
    }
    node->range = std::move(range);
    const int32_t start = e->pos.start;
    node->expr = std::move(e);
    VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
    return ExprPtr(std::move(node));
  }
  VEDETTE_RETURN_IF_ERROR(
      Expect(Tok::kRightBracket, "subquery or range selector", "\":\" or \"]\""));
  if (e->kind != Expr::Kind::kVectorSelector) {
    return Error(bracket, "ranges only allowed for vector selectors");
  }
  auto& selector = e->As<VectorSelector>();
  if (selector.shift.offset) return Error(bracket, "no offset modifiers allowed before range");
  if (selector.shift.at != TimeShift::At::kNone) {
    return Error(bracket, "no @ modifiers allowed before range");
  }
  if (selector.anchored || selector.smoothed) {
    return Error(bracket, "no anchored or smoothed modifiers allowed before range");
  }
  auto node = std::make_unique<MatrixSelector>();
  node->range = std::move(range);
  const int32_t start = e->pos.start;
  node->selector.reset(static_cast<VectorSelector*>(e.release()));
  VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
  return ExprPtr(std::move(node));
}

TimeShift* Parser::ShiftOf(Expr& e) {
  switch (e.kind) {
    case Expr::Kind::kVectorSelector:
      return &e.As<VectorSelector>().shift;
    case Expr::Kind::kMatrixSelector:
      return &e.As<MatrixSelector>().selector->shift;
    case Expr::Kind::kSubquery:
      return &e.As<SubqueryExpr>().shift;
    default:
      return nullptr;
  }
}

Status Parser::Offset(Expr& e) {
  Take();
  VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr offset, OffsetDuration());
  TimeShift* shift = ShiftOf(e);
  if (shift == nullptr) {
    return Error(e.pos.start,
                 "offset modifier must be preceded by an instant vector selector or range vector "
                 "selector or a subquery");
  }
  if (shift->offset) return Error(e.pos.start, "offset may not be set multiple times");
  shift->offset = std::move(offset);
  e.pos.end = last_end_;
  return {};
}

Status Parser::At(Expr& e) {
  const int32_t at = Take().pos.start;
  TimeShift parsed;
  if (IsWord("start") || IsWord("end")) {
    parsed.at = Take().text == "start" ? TimeShift::At::kStart : TimeShift::At::kEnd;
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kLeftParen, "@", "timestamp"));
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "@ modifier", "\")\""));
  } else {
    const double sign = SignOf();
    if (!Is(Tok::kNumber) && !Is(Tok::kDuration)) return Unexpected("@", "timestamp");
    const double seconds = sign * Take().number;
    if (!std::isfinite(seconds) || std::fabs(seconds) >= 9.2e15) {
      return Error(at, StrCat("timestamp out of bounds for @ modifier: ", seconds));
    }
    parsed.at = TimeShift::At::kTimestamp;
    parsed.at_ms = static_cast<int64_t>(std::round(seconds * 1000));
  }
  TimeShift* shift = ShiftOf(e);
  if (shift == nullptr) {
    return Error(e.pos.start,
                 "@ modifier must be preceded by an instant vector selector or range vector "
                 "selector or a subquery");
  }
  if (shift->at != TimeShift::At::kNone) {
    return Error(e.pos.start, "@ <timestamp> may not be set multiple times");
  }
  shift->at = parsed.at;
  shift->at_ms = parsed.at_ms;
  e.pos.end = last_end_;
  return {};
}

Status Parser::Extended(Expr& e) {
  const Token word = Take();
  if (!options_.extended_range_selectors) {
    return Error(word.pos.start, StrCat(word.text, " modifier is experimental and not enabled"));
  }
  VectorSelector* v = nullptr;
  if (e.kind == Expr::Kind::kVectorSelector) v = &e.As<VectorSelector>();
  if (e.kind == Expr::Kind::kMatrixSelector) v = e.As<MatrixSelector>().selector.get();
  if (v == nullptr) {
    return Error(e.pos.start, StrCat(word.text, " modifier not implemented"));
  }
  if (v->anchored || v->smoothed) {
    return Error(e.pos.start, "anchored and smoothed modifiers cannot be used together");
  }
  (word.text == "anchored" ? v->anchored : v->smoothed) = true;
  e.pos.end = last_end_;
  return {};
}

}  // namespace vedette::promql
