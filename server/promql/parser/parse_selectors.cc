#include "server/promql/parser/grammar.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/model/labels.h"

namespace vedette::promql {

Result<ExprPtr> Parser::SelectorAfterName(std::string name, int32_t start) {
  auto node = std::make_unique<VectorSelector>();
  node->name = std::move(name);
  if (Is(Tok::kLeftBrace)) {
    VEDETTE_RETURN_IF_ERROR(Matchers(*node));
  }
  if (!node->name.empty()) {
    for (const Matcher& m : node->matchers) {
      if (m.name() == kMetricNameLabel) {
        return Error(start, StrCat("metric name must not be set twice: ", Quoted(node->name),
                                   " or ", Quoted(m.value())));
      }
    }
    node->matchers.push_back(Matcher::Equal(kMetricNameLabel, node->name));
  }
  VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
  const bool selects =
      std::ranges::any_of(node->matchers, [](const Matcher& m) { return !m.MatchesEmpty(); });
  if (!selects && !InfoArgument()) {
    return Error(start, "vector selector must contain at least one non-empty matcher");
  }
  return ExprPtr(std::move(node));
}

bool Parser::InfoArgument() const {
  int depth = 0;
  int commas = 0;
  for (size_t i = at_; i-- > 0;) {
    const Token& t = tokens_[i];
    if (t.kind == Tok::kRightParen || t.kind == Tok::kRightBrace) ++depth;
    if (t.kind == Tok::kLeftBrace) --depth;
    if (t.kind == Tok::kComma && depth == 0) ++commas;
    if (t.kind == Tok::kLeftParen) {
      if (depth == 0) {
        return commas == 1 && i > 0 && tokens_[i - 1].kind == Tok::kIdentifier &&
               tokens_[i - 1].text == "info";
      }
      --depth;
    }
  }
  return false;
}

Status Parser::Matchers(VectorSelector& node) {
  Take();  // The left brace.
  while (!Is(Tok::kRightBrace)) {
    const Token& t = Peek();
    if (t.kind != Tok::kIdentifier && t.kind != Tok::kString) {
      return Unexpected("label matching", "identifier or \"}\"");
    }
    const Token name = Take();
    const bool alone = Is(Tok::kComma) || Is(Tok::kRightBrace);
    if (name.kind == Tok::kString && alone) {
      if (!node.name.empty()) {
        return Error(name.pos.start, StrCat("metric name must not be set twice: ",
                                            Quoted(node.name), " or ", Quoted(name.text)));
      }
      if (name.text.empty() || !IsValidUtf8(name.text)) {
        return Error(name.pos.start, StrCat("invalid metric name: ", Quoted(name.text)));
      }
      node.name = name.text;
    } else {
      Matcher::Op op;
      if (Is(Tok::kAssign)) {
        op = Matcher::Op::kEqual;
      } else if (IsOp(BinaryOp::kNotEqual)) {
        op = Matcher::Op::kNotEqual;
      } else if (Is(Tok::kMatchRegex)) {
        op = Matcher::Op::kRegex;
      } else if (Is(Tok::kMatchNotRegex)) {
        op = Matcher::Op::kNotRegex;
      } else {
        return Unexpected("label matching", "label matching operator");
      }
      Take();
      if (!Is(Tok::kString)) return Unexpected("label matching", "string");
      const Token value = Take();
      Result<Matcher> m = Matcher::Make(op, name.text, value.text);
      if (!m.ok()) return Error(name.pos.start, m.status().message());
      node.matchers.push_back(*std::move(m));
    }
    if (!Is(Tok::kRightBrace)) {
      VEDETTE_RETURN_IF_ERROR(Expect(Tok::kComma, "label matching", "\",\" or \"}\""));
    }
  }
  Take();
  return {};
}

}  // namespace vedette::promql
