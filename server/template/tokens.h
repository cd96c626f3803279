#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::tmpl {

enum class Tok : uint8_t {
  kText,
  kOpen,   // {{
  kClose,  // }}
  kSpace,
  kIdentifier,  // Keywords too.
  kField,       // .name
  kVariable,    // $name or $
  kDot,
  kNumber,
  kString,  // Decoded.
  kChar,
  kPipe,
  kDeclare,  // :=
  kAssign,   // =
  kComma,
  kLeft,
  kRight,
  kEnd,
};

// What the text of a template is made of; outside of actions all is text.
struct Token {
  Tok kind;
  std::string text;
  int line;
  int column;
};

// Takes a template apart; the last token is kEnd. `name` is for errors, which name line and column.
Result<std::vector<Token>> Tokenize(std::string_view name, std::string_view text);

}  // namespace vedette::tmpl
