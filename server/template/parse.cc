#include "server/template/parse.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "server/template/tokens.h"

namespace vedette::tmpl {
namespace {

constexpr size_t kMaxTextBytes = 4 << 20;
constexpr int kMaxNesting = 200;  // Blocks and parentheses inside each other.

using NodePtr = std::shared_ptr<Node>;

class Parser {
 public:
  Parser(std::string_view name, std::vector<Token> tokens,
         const std::function<bool(std::string_view)>& known)
      : name_(name), tokens_(std::move(tokens)), known_(known) {}

  Result<NamedNodes> Run(std::span<const std::string> variables) {
    variables_ = {"$"};
    variables_.insert(variables_.end(), variables.begin(), variables.end());
    VEDETTE_ASSIGN_OR_RETURN(NodePtr body, List(true));
    if (Peek().kind != Tok::kEnd) return Fail(Peek(), "unexpected {{end}} or {{else}}");
    found_[std::string(name_)] = body;
    return std::move(found_);
  }

 private:
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Next() { return tokens_[std::min(at_++, tokens_.size() - 1)]; }
  void SkipSpace() {
    while (Peek().kind == Tok::kSpace) ++at_;
  }
  const Token& PeekSolid() {
    SkipSpace();
    return Peek();
  }
  Status Fail(const Token& where, std::string_view what) const {
    return InvalidArgument(
        StrCat("template: ", name_, ":", where.line, ":", where.column, ": ", what));
  }
  static NodePtr Make(Node::Kind kind, const Token& where) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->line = where.line;
    node->column = where.column;
    return node;
  }
  bool AtKeyword(std::string_view word) {
    return Peek().kind == Tok::kOpen && KeywordAfterOpen() == word;
  }
  // The identifier right after the {{ at the cursor, or "".
  std::string_view KeywordAfterOpen() const {
    size_t i = at_ + 1;
    while (i < tokens_.size() && tokens_[i].kind == Tok::kSpace) ++i;
    if (i >= tokens_.size() || tokens_[i].kind != Tok::kIdentifier) return {};
    return tokens_[i].text;
  }
  void OpenKeyword() {  // Eats "{{ keyword".
    Next();
    SkipSpace();
    Next();
  }
  Status Close(std::string_view context) {
    const Token& t = PeekSolid();
    if (t.kind != Tok::kClose) {
      return Fail(t, StrCat("unexpected ", Quoted(t.text), " in ", context));
    }
    Next();
    return Status();
  }

  // Items up to {{end}}, {{else}} or the end of the text; that is left to the caller.
  Result<NodePtr> List(bool top) {
    if (++nesting_ > kMaxNesting) {
      return Fail(Peek(), StrCat("more than ", kMaxNesting, " blocks inside each other"));
    }
    NodePtr list = Make(Node::Kind::kList, Peek());
    while (Peek().kind != Tok::kEnd) {
      if (Peek().kind == Tok::kText) {
        const Token& t = Next();
        NodePtr text = Make(Node::Kind::kText, t);
        text->text = t.text;
        list->children.push_back(text);
        continue;
      }
      const std::string_view keyword = KeywordAfterOpen();
      if (keyword == "end" || keyword == "else") break;
      if (keyword == "define") {
        if (!top) return Fail(Peek(), "unexpected {{define}} inside a block");
        VEDETTE_RETURN_IF_ERROR(Define());
        continue;
      }
      VEDETTE_ASSIGN_OR_RETURN(NodePtr item, Item());
      if (item != nullptr) list->children.push_back(item);
    }
    --nesting_;
    return list;
  }

  Status ExpectEnd(std::string_view of) {
    if (!AtKeyword("end"))
      return Fail(Peek(), StrCat("unexpected EOF: {{", of, "}} has no {{end}}"));
    OpenKeyword();
    return Close("end");
  }

  Status Define() {
    OpenKeyword();
    const Token name = PeekSolid();
    if (name.kind != Tok::kString) return Fail(name, "{{define}} needs a name in quotes");
    Next();
    VEDETTE_RETURN_IF_ERROR(Close("define clause"));
    std::vector<std::string> outer = std::exchange(variables_, {"$"});
    const int loops = std::exchange(loops_, 0);
    VEDETTE_ASSIGN_OR_RETURN(NodePtr body, List(false));
    variables_ = std::move(outer);
    loops_ = loops;
    VEDETTE_RETURN_IF_ERROR(ExpectEnd("define"));
    found_[name.text] = body;
    return Status();
  }

  Result<NodePtr> Item() {
    const Token open = Peek();
    const std::string keyword(KeywordAfterOpen());
    if (keyword == "if") return Control(Node::Kind::kIf, keyword);
    if (keyword == "range") return Control(Node::Kind::kRange, keyword);
    if (keyword == "with") return Control(Node::Kind::kWith, keyword);
    if (keyword == "template") return TemplateCall(false);
    if (keyword == "block") return TemplateCall(true);
    if ((keyword == "break" || keyword == "continue") && !known_(keyword)) {
      if (loops_ == 0) return Fail(open, StrCat("{{", keyword, "}} outside {{range}}"));
      OpenKeyword();
      VEDETTE_RETURN_IF_ERROR(Close(keyword));
      return Make(keyword == "break" ? Node::Kind::kBreak : Node::Kind::kContinue, open);
    }
    Next();
    NodePtr action = Make(Node::Kind::kAction, open);
    VEDETTE_ASSIGN_OR_RETURN(NodePtr pipe, Pipeline("command", false, Tok::kClose));
    VEDETTE_RETURN_IF_ERROR(Close("command"));
    action->children.push_back(pipe);
    return action;
  }

  Result<NodePtr> Control(Node::Kind kind, const std::string& word) {
    const Token open = Peek();
    OpenKeyword();
    return ControlBody(kind, word, open);
  }

  // After the keyword: pipeline }} list [else ...] {{end}}
  Result<NodePtr> ControlBody(Node::Kind kind, const std::string& word, const Token& open) {
    NodePtr node = Make(kind, open);
    const size_t scope = variables_.size();
    VEDETTE_ASSIGN_OR_RETURN(NodePtr pipe, Pipeline(word, kind == Node::Kind::kRange, Tok::kClose));
    VEDETTE_RETURN_IF_ERROR(Close(word));
    node->children.push_back(pipe);
    loops_ += kind == Node::Kind::kRange;
    VEDETTE_ASSIGN_OR_RETURN(NodePtr body, List(false));
    loops_ -= kind == Node::Kind::kRange;
    node->children.push_back(body);
    if (AtKeyword("else")) {
      const Token else_open = Peek();
      OpenKeyword();
      const Token& next = PeekSolid();
      const bool else_if =
          next.kind == Tok::kIdentifier && next.text == "if" && kind == Node::Kind::kIf;
      const bool else_with =
          next.kind == Tok::kIdentifier && next.text == "with" && kind == Node::Kind::kWith;
      if (else_if || else_with) {
        // {{else if x}} is an if inside the else, and shares its {{end}}.
        Next();
        if (++nesting_ > kMaxNesting) {
          return Fail(else_open, StrCat("more than ", kMaxNesting, " blocks inside each other"));
        }
        VEDETTE_ASSIGN_OR_RETURN(NodePtr inner, ControlBody(kind, word, else_open));
        --nesting_;
        NodePtr list = Make(Node::Kind::kList, else_open);
        list->children.push_back(inner);
        node->children.push_back(list);
        variables_.resize(scope);
        return node;
      }
      VEDETTE_RETURN_IF_ERROR(Close("else"));
      VEDETTE_ASSIGN_OR_RETURN(NodePtr other, List(false));
      node->children.push_back(other);
    }
    VEDETTE_RETURN_IF_ERROR(ExpectEnd(word));
    variables_.resize(scope);
    return node;
  }

  // {{template "name" pipeline}}, and {{block "name" pipeline}} which also defines it.
  Result<NodePtr> TemplateCall(bool block) {
    NodePtr node = Make(Node::Kind::kTemplate, Peek());
    OpenKeyword();
    const Token name = PeekSolid();
    const std::string_view word = block ? "block" : "template";
    if (name.kind != Tok::kString) {
      return Fail(name, StrCat("unexpected ", Quoted(name.text), " in ", word,
                               " clause: a name in quotes is needed"));
    }
    Next();
    node->text = name.text;
    if (PeekSolid().kind != Tok::kClose) {
      VEDETTE_ASSIGN_OR_RETURN(NodePtr pipe, Pipeline(word, false, Tok::kClose));
      node->children.push_back(pipe);
    } else if (block) {
      return Fail(name, "missing value for block clause");
    }
    VEDETTE_RETURN_IF_ERROR(Close(word));
    if (block) {
      std::vector<std::string> outer = std::exchange(variables_, {"$"});
      const int loops = std::exchange(loops_, 0);
      VEDETTE_ASSIGN_OR_RETURN(NodePtr body, List(false));
      variables_ = std::move(outer);
      loops_ = loops;
      VEDETTE_RETURN_IF_ERROR(ExpectEnd("block"));
      found_[name.text] = body;
    }
    return node;
  }

  Result<NodePtr> Pipeline(std::string_view context, bool range, Tok end) {
    if (++nesting_ > kMaxNesting) {
      return Fail(Peek(), StrCat("more than ", kMaxNesting, " pipelines inside each other"));
    }
    NodePtr pipe = Make(Node::Kind::kPipeline, PeekSolid());
    // Declarations: $x := ..., $x = ..., and in a range also $k, $v := ...
    std::vector<std::string> declared;
    const size_t start = at_;
    while (PeekSolid().kind == Tok::kVariable) {
      const std::string variable = Next().text;
      const Token& after = PeekSolid();
      if (after.kind == Tok::kDeclare || after.kind == Tok::kAssign) {
        pipe->assigns = after.kind == Tok::kAssign;
        Next();
        declared.push_back(variable);
        break;
      }
      if (after.kind == Tok::kComma && range && declared.empty()) {
        Next();
        declared.push_back(variable);
        continue;
      }
      declared.clear();
      at_ = start;
      break;
    }
    if (!declared.empty() && tokens_[at_ - 1].kind != Tok::kDeclare &&
        tokens_[at_ - 1].kind != Tok::kAssign) {
      return Fail(Peek(), "range can only initialize variables");
    }
    pipe->names = declared;
    if (pipe->assigns) {
      for (const std::string& v : declared) VEDETTE_RETURN_IF_ERROR(UseVariable(v, Peek()));
    }
    while (true) {
      VEDETTE_ASSIGN_OR_RETURN(NodePtr command, Command(context));
      if (!pipe->children.empty()) {
        const Node::Kind kind = command->children[0]->kind;
        if (kind == Node::Kind::kConstant || kind == Node::Kind::kDot || kind == Node::Kind::kNil) {
          return Fail(Peek(), StrCat("non executable command in pipeline stage ",
                                     pipe->children.size() + 1));
        }
      }
      pipe->children.push_back(command);
      if (PeekSolid().kind == Tok::kPipe) {
        Next();
        continue;
      }
      break;
    }
    if (Peek().kind != end) {
      return Fail(Peek(), StrCat("unexpected ", Quoted(Peek().text), " in ", context));
    }
    if (!pipe->assigns) {
      for (const std::string& v : declared) variables_.push_back(v);
    }
    --nesting_;
    return pipe;
  }

  Result<NodePtr> Command(std::string_view context) {
    NodePtr command = Make(Node::Kind::kCommand, PeekSolid());
    while (true) {
      const Token& t = PeekSolid();
      if (t.kind == Tok::kClose || t.kind == Tok::kPipe || t.kind == Tok::kRight) break;
      VEDETTE_ASSIGN_OR_RETURN(NodePtr operand, Operand(context));
      command->children.push_back(operand);
      const Tok next = Peek().kind;
      if (next != Tok::kSpace && next != Tok::kClose && next != Tok::kPipe && next != Tok::kRight) {
        return Fail(Peek(), StrCat("unexpected ", Quoted(Peek().text), " in operand"));
      }
    }
    if (command->children.empty()) {
      return Fail(Peek(), StrCat("missing value for ", context));
    }
    if (command->children[0]->kind == Node::Kind::kNil && command->children.size() == 1) {
      return Fail(Peek(), "nil is not a command");
    }
    return command;
  }

  Status UseVariable(const std::string& name, const Token& where) const {
    for (const std::string& v : variables_) {
      if (v == name) return Status();
    }
    return Fail(where, StrCat("undefined variable ", Quoted(name)));
  }

  Result<NodePtr> Operand(std::string_view context) {
    const Token t = Next();
    NodePtr node;
    switch (t.kind) {
      case Tok::kDot:
        node = Make(Node::Kind::kDot, t);
        break;
      case Tok::kField:
        node = Make(Node::Kind::kField, t);
        node->names.push_back(t.text.substr(1));
        break;
      case Tok::kVariable:
        VEDETTE_RETURN_IF_ERROR(UseVariable(t.text, t));
        node = Make(Node::Kind::kVariable, t);
        node->text = t.text;
        break;
      case Tok::kString:
        node = Make(Node::Kind::kConstant, t);
        node->constant = Value(t.text);
        node->source = Quoted(t.text);
        return node;
      case Tok::kChar:
        node = Make(Node::Kind::kConstant, t);
        node->constant = Value(static_cast<int64_t>(std::atoll(t.text.c_str())));
        node->source = t.text;
        return node;
      case Tok::kNumber: {
        node = Make(Node::Kind::kConstant, t);
        VEDETTE_ASSIGN_OR_RETURN(node->constant, Number(t));
        node->source = t.text;
        return node;
      }
      case Tok::kIdentifier:
        if (t.text == "true" || t.text == "false") {
          node = Make(Node::Kind::kConstant, t);
          node->constant = Value(t.text == "true");
          node->source = t.text;
          return node;
        }
        if (t.text == "nil") {
          node = Make(Node::Kind::kNil, t);
          node->source = "nil";
          return node;
        }
        if (!known_(t.text)) {
          return Fail(t, StrCat("function ", Quoted(t.text), " not defined"));
        }
        node = Make(Node::Kind::kIdentifier, t);
        node->text = t.text;
        node->source = t.text;
        return node;
      case Tok::kLeft: {
        VEDETTE_ASSIGN_OR_RETURN(NodePtr pipe,
                                 Pipeline("parenthesized pipeline", false, Tok::kRight));
        Next();
        if (Peek().kind != Tok::kField) {
          pipe->source = "(...)";
          return pipe;
        }
        node = Make(Node::Kind::kChain, t);
        node->children.push_back(pipe);
        node->source = "(...)";
        break;
      }
      default:
        return Fail(
            t, StrCat("unexpected ", t.text.empty() ? "EOF" : Quoted(t.text), " in ", context));
    }
    node->source += t.kind == Tok::kLeft ? "" : t.text;
    if (t.kind == Tok::kDot && Peek().kind == Tok::kField) {
      return Fail(Peek(), "unexpected field after dot");
    }
    while (Peek().kind == Tok::kField) {
      node->source += Peek().text;
      node->names.push_back(Next().text.substr(1));
    }
    return node;
  }

  Result<Value> Number(const Token& t) const {
    std::string digits;
    for (char c : t.text) {
      if (c != '_') digits.push_back(c);
    }
    const bool negative = digits.starts_with('-');
    std::string_view body = digits;
    if (negative || body.starts_with('+')) body.remove_prefix(1);
    int base = 10;
    std::string_view number = body;
    if (body.size() > 1 && body[0] == '0') {
      const char p = body[1] | 0x20;
      base = p == 'x' ? 16 : p == 'b' ? 2 : p == 'o' ? 8 : (p >= '0' && p <= '7') ? 8 : 10;
      number.remove_prefix(p == 'x' || p == 'b' || p == 'o' ? 2 : 0);
    }
    uint64_t v = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), v, base);
    if (error == std::errc() && end == number.data() + number.size() && !number.empty() &&
        v <= static_cast<uint64_t>(INT64_MAX)) {
      return Value(negative ? -static_cast<int64_t>(v) : static_cast<int64_t>(v));
    }
    double f = 0;
    auto [fend, ferror] = std::from_chars(body.data(), body.data() + body.size(), f);
    if (ferror == std::errc() && fend == body.data() + body.size() && !body.empty() &&
        ((body[0] >= '0' && body[0] <= '9') || body[0] == '.')) {
      return Value(negative ? -f : f);
    }
    return Fail(t, StrCat("bad number syntax: ", Quoted(t.text)));
  }

  std::string_view name_;
  std::vector<Token> tokens_;
  const std::function<bool(std::string_view)>& known_;
  size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;
  std::vector<std::string> variables_;  // In scope, innermost last.
  NamedNodes found_;
};

}  // namespace

Result<NamedNodes> ParseTemplate(std::string_view name, std::string_view text,
                                 std::span<const std::string> variables,
                                 const std::function<bool(std::string_view)>& known) {
  if (text.size() > kMaxTextBytes) {
    return InvalidArgument(StrCat("template: ", name, ": text of ", text.size(),
                                  " bytes is over the limit of ", kMaxTextBytes));
  }
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(name, text));
  return Parser(name, std::move(tokens), known).Run(variables);
}

}  // namespace vedette::tmpl
