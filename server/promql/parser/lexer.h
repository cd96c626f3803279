#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "server/promql/parser/ast.h"

namespace vedette::promql {

enum class Tok : uint8_t {
  kEof,
  kError,             // text is what is wrong, with its position; nothing follows.
  kIdentifier,        // No colon in it.
  kMetricIdentifier,  // With a colon.
  kKeyword,           // Any reserved word: text is its lower-case form.
  kNumber,
  kDuration,
  kString,  // text is the unescaped value.
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kColon,
  kAt,
  kAssign,  // =
  kMatchRegex,
  kMatchNotRegex,
  kOp,  // Operators made of signs; see op.
};

struct Token {
  Tok kind = Tok::kEof;
  PosRange pos;
  std::string text;
  BinaryOp op = BinaryOp::kAdd;  // kOp, and keywords that are binary operators.
  double number = 0;             // kNumber, and kDuration in seconds.
};

// "1:5: parse error: reason": the text that Prometheus answers with.
Status ParseErrorAt(std::string_view input, int32_t offset, std::string_view reason);
// "1:5" of a byte offset; lines and columns count from 1, columns in bytes.
std::string LineColumn(std::string_view input, int32_t offset);

// How error texts call a token: number "5", <op:+>, end of input.
std::string Describe(const Token& token, std::string_view input);

// The whole text as tokens; the last one is kEof or kError. Linear in the text.
std::vector<Token> Lex(std::string_view input);

// A string literal with its quotes, as Go reads one: "..", '..' with escapes, or `..` as it stands.
Result<std::string> Unquote(std::string_view literal);

// Any reserved word, lower case.
bool IsKeyword(std::string_view lower);

}  // namespace vedette::promql
