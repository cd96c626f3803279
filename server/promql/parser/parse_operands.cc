#include "server/promql/parser/grammar.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "server/promql/parser/function_table.h"

namespace vedette::promql {
namespace {

std::optional<AggregateOp> AggregateOf(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(AggregateOp::kLimitRatio); ++i) {
    if (OpText(static_cast<AggregateOp>(i)) == word) return static_cast<AggregateOp>(i);
  }
  return std::nullopt;
}

// Keywords that may not name a metric.
bool MayNameMetric(std::string_view keyword) {
  return keyword != "bool" && keyword != "on" && keyword != "ignoring" && keyword != "group_left" &&
         keyword != "group_right" && keyword != "atan2";
}

}  // namespace

Result<ExprPtr> Parser::Primary() {
  const Token& t = Peek();
  switch (t.kind) {
    case Tok::kNumber:
    case Tok::kDuration: {
      auto n = std::make_unique<NumberLiteral>();
      n->value = t.number;
      n->is_duration_text = t.kind == Tok::kDuration;
      const int32_t start = Take().pos.start;
      VEDETTE_RETURN_IF_ERROR(Grown(*n, start));
      return ExprPtr(std::move(n));
    }
    case Tok::kString: {
      auto s = std::make_unique<StringLiteral>();
      s->value = t.text;
      const int32_t start = Take().pos.start;
      VEDETTE_RETURN_IF_ERROR(Grown(*s, start));
      return ExprPtr(std::move(s));
    }
    case Tok::kLeftParen: {
      const int32_t start = Take().pos.start;
      auto p = std::make_unique<ParenExpr>();
      VEDETTE_ASSIGN_OR_RETURN(p->expr, Expression(0));
      VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "paren expression", "\")\""));
      p->type = p->expr->type;
      VEDETTE_RETURN_IF_ERROR(Grown(*p, start));
      return ExprPtr(std::move(p));
    }
    case Tok::kLeftBrace:
      return SelectorAfterName("", t.pos.start);
    case Tok::kMetricIdentifier: {
      const Token name = Take();
      return SelectorAfterName(name.text, name.pos.start);
    }
    case Tok::kIdentifier:
      if (Is(Tok::kLeftParen, 1)) return FunctionCall();
      {
        const Token name = Take();
        return SelectorAfterName(name.text, name.pos.start);
      }
    case Tok::kKeyword:
      return AfterKeyword();
    default:
      return Unexpected("");
  }
}

Result<ExprPtr> Parser::AfterKeyword() {
  const Token& word = Peek();
  if (const std::optional<AggregateOp> op = AggregateOf(word.text)) {
    if (Is(Tok::kLeftParen, 1) || IsWord("by", 1) || IsWord("without", 1)) {
      return Aggregation(*op);
    }
  } else if (Is(Tok::kLeftParen, 1) &&
             (word.text == "start" || word.text == "end" || word.text == "step" ||
              word.text == "range" || word.text == "min_of" || word.text == "max_of")) {
    return FunctionCall();
  }
  if (!MayNameMetric(word.text)) return Unexpected("");
  // A name keeps the case it was written in.
  const Token name = Take();
  return SelectorAfterName(
      std::string(text_.substr(static_cast<size_t>(name.pos.start),
                               static_cast<size_t>(name.pos.end - name.pos.start))),
      name.pos.start);
}

Result<std::vector<std::string>> Parser::GroupingLabels() {
  std::vector<std::string> labels;
  VEDETTE_RETURN_IF_ERROR(Expect(Tok::kLeftParen, "grouping opts", "\"(\""));
  while (!Is(Tok::kRightParen)) {
    const Token& t = Peek();
    if (t.kind == Tok::kIdentifier || t.kind == Tok::kKeyword) {
      labels.emplace_back(text_.substr(static_cast<size_t>(t.pos.start),
                                       static_cast<size_t>(t.pos.end - t.pos.start)));
    } else if (t.kind == Tok::kString) {
      if (t.text.empty() || !IsValidUtf8(t.text)) {
        return Error(t.pos.start, StrCat("invalid label name for grouping: ", Quoted(t.text)));
      }
      labels.push_back(t.text);
    } else if (t.kind == Tok::kMetricIdentifier) {
      return Error(t.pos.start, StrCat("invalid label name for grouping: ", Quoted(t.text)));
    } else {
      return Unexpected("grouping opts", "label");
    }
    Take();
    if (!Is(Tok::kRightParen)) {
      VEDETTE_RETURN_IF_ERROR(Expect(Tok::kComma, "grouping opts", "\",\" or \")\""));
    }
  }
  Take();
  return labels;
}

Result<std::vector<ExprPtr>> Parser::Arguments(std::string_view context) {
  std::vector<ExprPtr> args;
  Take();  // The left parenthesis.
  while (!Is(Tok::kRightParen)) {
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr arg, Expression(0));
    args.push_back(std::move(arg));
    if (Is(Tok::kComma)) {
      const int32_t comma = Take().pos.start;
      if (Is(Tok::kRightParen)) {
        return Error(comma, "trailing commas not allowed in function call args");
      }
    } else if (!Is(Tok::kRightParen)) {
      return Unexpected(context, "\",\" or \")\"");
    }
  }
  Take();
  return args;
}

Result<ExprPtr> Parser::Aggregation(AggregateOp op) {
  const Token word = Take();
  auto node = std::make_unique<AggregateExpr>();
  node->op = op;
  auto grouping = [&]() -> Status {
    node->without = Take().text == "without";
    node->has_grouping = true;
    VEDETTE_ASSIGN_OR_RETURN(node->grouping, GroupingLabels());
    return {};
  };
  if (IsWord("by") || IsWord("without")) {
    VEDETTE_RETURN_IF_ERROR(grouping());
  }
  if (!Is(Tok::kLeftParen)) return Unexpected("aggregation");
  VEDETTE_ASSIGN_OR_RETURN(std::vector<ExprPtr> args, Arguments("aggregation"));
  if (!node->has_grouping && (IsWord("by") || IsWord("without"))) {
    VEDETTE_RETURN_IF_ERROR(grouping());
  }
  if ((op == AggregateOp::kLimitk || op == AggregateOp::kLimitRatio) &&
      !options_.experimental_functions) {
    return Error(word.pos.start, StrCat(word.text,
                                        "() is experimental and must be enabled with "
                                        "--enable-feature=promql-experimental-functions"));
  }
  if (args.empty()) {
    return Error(word.pos.start, "no arguments for aggregate expression provided");
  }
  const size_t want = TakesParameter(op) ? 2 : 1;
  if (args.size() != want) {
    return Error(word.pos.start,
                 StrCat("wrong number of arguments for aggregate expression provided, expected ",
                        want, ", got ", args.size()));
  }
  if (want == 2) node->param = std::move(args[0]);
  node->expr = std::move(args[want - 1]);
  VEDETTE_RETURN_IF_ERROR(Grown(*node, word.pos.start));
  VEDETTE_RETURN_IF_ERROR(ExpectType(*node->expr, ValueType::kVector, "aggregation expression"));
  if (node->param) {
    VEDETTE_RETURN_IF_ERROR(ExpectType(
        *node->param, op == AggregateOp::kCountValues ? ValueType::kString : ValueType::kScalar,
        "aggregation parameter"));
  }
  return ExprPtr(std::move(node));
}

Result<ExprPtr> Parser::FunctionCall() {
  const Token name = Take();
  const FunctionInfo* f = FindFunction(name.text);
  if (f == nullptr) {
    return Error(name.pos.start, StrCat("unknown function with name ", Quoted(name.text)));
  }
  if (f->experimental && !options_.experimental_functions) {
    return Error(name.pos.start, StrCat("function ", Quoted(name.text), " is not enabled"));
  }
  auto node = std::make_unique<Call>();
  node->function = f;
  node->type = f->returns;
  VEDETTE_ASSIGN_OR_RETURN(node->args, Arguments("function call"));
  VEDETTE_RETURN_IF_ERROR(Grown(*node, name.pos.start));
  const size_t got = node->args.size();
  const size_t all = f->args.size();
  auto wrong = [&](std::string_view how, size_t want) {
    return Error(node->pos.start, StrCat("expected ", how, want, " argument(s) in call to ",
                                         Quoted(name.text), ", got ", got));
  };
  if (f->optional == 0) {
    if (got != all) return wrong("", all);
  } else {
    const size_t least =
        f->optional < 0 || f->max_repeated > 0 ? all - 1 : all - static_cast<size_t>(f->optional);
    if (got < least) return wrong("at least ", least);
    const size_t most = f->optional < 0       ? SIZE_MAX
                        : f->max_repeated > 0 ? all - 1 + static_cast<size_t>(f->max_repeated) + 0
                                              : all;
    if (got > most) return wrong("at most ", most);
  }
  for (size_t i = 0; i < got; ++i) {
    VEDETTE_RETURN_IF_ERROR(ExpectType(*node->args[i], f->args[std::min(i, all - 1)],
                                       StrCat("call to function ", Quoted(name.text))));
  }
  if (f->id == FunctionId::kInfo && got > 1 &&
      WithoutParens(*node->args[1]).kind != Expr::Kind::kVectorSelector) {
    return Error(node->args[1]->pos.start, "expected label selectors only");
  }
  return ExprPtr(std::move(node));
}

}  // namespace vedette::promql
