#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "server/template/value.h"

namespace vedette::tmpl {

// One node of a parsed template. A tree of one struct, because the executor looks at the kind
// first and there is nothing else to dispatch on.
struct Node {
  enum class Kind : uint8_t {
    kList,      // children in order
    kText,      // text
    kAction,    // children[0]: pipeline
    kIf,        // children: pipeline, list, optional else list
    kRange,     // same
    kWith,      // same
    kTemplate,  // text: name; children[0]: pipeline, optional
    kBreak,
    kContinue,
    // Inside pipelines:
    kPipeline,  // children: commands; names: variables; `assigns`: = instead of :=
    kCommand,   // children: operands
    kDot,
    kNil,
    kConstant,    // constant
    kVariable,    // text: "$x"; names: fields after it
    kField,       // names: .A.B
    kIdentifier,  // text: function's name
    kChain,       // children[0]: operand in parentheses; names: fields after it
  };

  Kind kind;
  int line = 1;
  int column = 1;  // In bytes, from 1.
  std::string text;
  std::string source;  // As written, for messages.
  Value constant;
  bool assigns = false;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<const Node>> children;
};

using NamedNodes = std::map<std::string, std::shared_ptr<const Node>, std::less<>>;

// Reads a template text. `known` answers whether a function exists. Result: the body under `name`
// and every define and block under its own.
Result<NamedNodes> ParseTemplate(std::string_view name, std::string_view text,
                                 std::span<const std::string> variables,
                                 const std::function<bool(std::string_view)>& known);

}  // namespace vedette::tmpl
