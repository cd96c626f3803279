#include "server/promql/parser/lexer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <unordered_map>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/model/sample.h"

namespace vedette::promql {
namespace {

constexpr BinaryOp kNoOp = BinaryOp::kAdd;

const std::unordered_map<std::string_view, BinaryOp>& Keywords() {
  static const std::unordered_map<std::string_view, BinaryOp> words = {
      {"and", BinaryOp::kAnd},
      {"or", BinaryOp::kOr},
      {"unless", BinaryOp::kUnless},
      {"atan2", BinaryOp::kAtan2},
      {"sum", kNoOp},
      {"avg", kNoOp},
      {"count", kNoOp},
      {"min", kNoOp},
      {"max", kNoOp},
      {"group", kNoOp},
      {"stddev", kNoOp},
      {"stdvar", kNoOp},
      {"topk", kNoOp},
      {"bottomk", kNoOp},
      {"count_values", kNoOp},
      {"quantile", kNoOp},
      {"limitk", kNoOp},
      {"limit_ratio", kNoOp},
      {"offset", kNoOp},
      {"by", kNoOp},
      {"without", kNoOp},
      {"on", kNoOp},
      {"ignoring", kNoOp},
      {"group_left", kNoOp},
      {"group_right", kNoOp},
      {"bool", kNoOp},
      {"start", kNoOp},
      {"end", kNoOp},
      {"step", kNoOp},
      {"range", kNoOp},
      {"anchored", kNoOp},
      {"smoothed", kNoOp},
      {"fill", kNoOp},
      {"fill_left", kNoOp},
      {"fill_right", kNoOp},
      {"min_of", kNoOp},
      {"max_of", kNoOp},
  };
  return words;
}

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlphaNumeric(char c) { return IsAlpha(c) || IsDigit(c); }
// One character as Go's %q writes it.
std::string QuotedChar(std::string_view ch) {
  if (ch == "'") return "'\\''";
  if (ch == "\"") return "'\"'";
  const std::string quoted = Quoted(ch);
  return StrCat("'", std::string_view(quoted).substr(1, quoted.size() - 2), "'");
}

// The first character of a text as Go's %#U writes it: U+0071 'q'.
std::string CodePointText(std::string_view text) {
  size_t bytes = 1;
  while (bytes < text.size() && (static_cast<uint8_t>(text[bytes]) & 0xc0) == 0x80) ++bytes;
  uint32_t c = static_cast<uint8_t>(text[0]);
  if (bytes > 1) c &= bytes == 2 ? 0x1f : bytes == 3 ? 0xf : 0x7;
  for (size_t i = 1; i < bytes; ++i) c = c << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", c);
  return StrCat(code, " '", text.substr(0, bytes), "'");
}

bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

std::string Lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// Go's number forms: decimal, 0x (also with p exponent), leading 0 as octal, 0b and 0o are not
// lexed. Underscores only between digits.
std::optional<double> NumberValue(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
      continue;
    }
    const bool before =
        i > 0 && (IsHexDigit(text[i - 1]) || text[i - 1] == 'x' || text[i - 1] == 'X');
    const bool after = i + 1 < text.size() && IsHexDigit(text[i + 1]);
    if (!before || !after) return std::nullopt;
  }
  if (plain.size() > 1 && plain[0] == '0' &&
      std::all_of(plain.begin(), plain.end(), [](char c) { return c >= '0' && c <= '7'; })) {
    return static_cast<double>(std::strtoull(plain.c_str(), nullptr, 8));
  }
  char* end = nullptr;
  const double v = std::strtod(plain.c_str(), &end);
  if (end != plain.c_str() + plain.size()) return std::nullopt;
  return v;
}

class Lexer {
 public:
  explicit Lexer(std::string_view input) : in_(input) {}

  std::vector<Token> Run() {
    Status failure = Tokens();
    if (failure.ok()) {
      Emit(Tok::kEof, at_, at_);
    } else {
      Emit(Tok::kError, in_.size(), in_.size()).text = failure.message();
    }
    return std::move(out_);
  }

 private:
  Status Tokens() {
    while (true) {
      SkipSpace();
      if (at_ >= in_.size()) break;
      VEDETTE_RETURN_IF_ERROR(One());
    }
    if (open_.empty()) return {};
    switch (open_.back()) {
      case '(':
        return Error(at_, "unclosed left parenthesis");
      case '[':
        return Error(at_, "unexpected end of input in duration expression");
      default:
        return Error(at_, "unexpected end of input inside braces");
    }
  }

  Status Error(size_t at, std::string_view reason) {
    return ParseErrorAt(in_, static_cast<int32_t>(at), reason);
  }

  char Peek(size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void SkipSpace() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else if (c == '#') {
        while (at_ < in_.size() && in_[at_] != '\n' && in_[at_] != '\r') ++at_;
      } else {
        break;
      }
    }
  }

  Token& Emit(Tok kind, size_t start, size_t end) {
    Token t;
    t.kind = kind;
    t.pos = {static_cast<int32_t>(start), static_cast<int32_t>(end)};
    t.text = in_.substr(start, end - start);
    at_ = end;
    out_.push_back(std::move(t));
    return out_.back();
  }

  Status Op(BinaryOp op, size_t length) {
    Emit(Tok::kOp, at_, at_ + length).op = op;
    return {};
  }

  bool InBraces() const { return !open_.empty() && open_.back() == '{'; }

  Status One() {
    const char c = Peek();
    const char next = Peek(1);
    if (InBraces()) return OneInBraces(c, next);
    switch (c) {
      case ',':
        Emit(Tok::kComma, at_, at_ + 1);
        return {};
      case '*':
        return Op(BinaryOp::kMul, 1);
      case '/':
        return Op(BinaryOp::kDiv, 1);
      case '%':
        return Op(BinaryOp::kMod, 1);
      case '+':
        return Op(BinaryOp::kAdd, 1);
      case '-':
        return Op(BinaryOp::kSub, 1);
      case '^':
        return Op(BinaryOp::kPow, 1);
      case '@':
        Emit(Tok::kAt, at_, at_ + 1);
        return {};
      case '=':
        if (next == '=') return Op(BinaryOp::kEqual, 2);
        if (next == '~') return Error(at_, "unexpected character after '=': '~'");
        Emit(Tok::kAssign, at_, at_ + 1);
        return {};
      case '!':
        if (next == '=') return Op(BinaryOp::kNotEqual, 2);
        return Error(at_, next == '\0' ? std::string("unexpected end of input after '!'")
                                       : StrCat("unexpected character after '!': '", next, "'"));
      case '<':
        if (next == '=') return Op(BinaryOp::kLessEqual, 2);
        if (next == '/') return Op(BinaryOp::kTrimUpper, 2);
        return Op(BinaryOp::kLess, 1);
      case '>':
        if (next == '=') return Op(BinaryOp::kGreaterEqual, 2);
        if (next == '/') return Op(BinaryOp::kTrimLower, 2);
        return Op(BinaryOp::kGreater, 1);
      case '(':
        open_ += '(';
        Emit(Tok::kLeftParen, at_, at_ + 1);
        return {};
      case ')':
        if (open_.empty() || open_.back() != '(')
          return Error(at_ + 1, "unexpected right parenthesis ')'");
        open_.pop_back();
        Emit(Tok::kRightParen, at_, at_ + 1);
        return {};
      case '{':
        open_ += '{';
        Emit(Tok::kLeftBrace, at_, at_ + 1);
        return {};
      case '}':
        return Error(at_, "unexpected right brace '}'");
      case '[':
        open_ += '[';
        Emit(Tok::kLeftBracket, at_, at_ + 1);
        return {};
      case ']':
        if (open_.empty() || open_.back() != '[') return Error(at_, "unexpected right bracket ']'");
        open_.pop_back();
        Emit(Tok::kRightBracket, at_, at_ + 1);
        return {};
      case '"':
      case '\'':
      case '`':
        return StringLiteralToken();
      default:
        break;
    }
    const bool in_brackets = open_.find('[') != std::string::npos;
    if (c == ':' && in_brackets) {
      Emit(Tok::kColon, at_, at_ + 1);
      return {};
    }
    if (IsDigit(c) || (c == '.' && IsDigit(next))) return NumberOrDuration();
    if (IsAlpha(c) || c == ':') return Word(in_brackets);
    return Unexpected();
  }

  Status Unexpected() {
    size_t end = at_ + 1;
    while (end < in_.size() && (static_cast<uint8_t>(in_[end]) & 0xc0) == 0x80) ++end;
    const std::string ch = QuotedChar(in_.substr(at_, end - at_));
    if (InBraces()) return Error(at_, StrCat("unexpected character inside braces: ", ch));
    if (!open_.empty() && open_.back() == '[') {
      return Error(at_, StrCat("unexpected character in duration expression: ", ch));
    }
    return Error(at_, StrCat("unexpected character: ", ch));
  }

  Status OneInBraces(char c, char next) {
    switch (c) {
      case '{':
        return Error(at_, "unexpected left brace '{'");
      case '}':
        open_.pop_back();
        Emit(Tok::kRightBrace, at_, at_ + 1);
        return {};
      case ',':
        Emit(Tok::kComma, at_, at_ + 1);
        return {};
      case '"':
      case '\'':
      case '`':
        return StringLiteralToken();
      case '=':
        if (next == '~') {
          Emit(Tok::kMatchRegex, at_, at_ + 2);
        } else {
          Emit(Tok::kAssign, at_, at_ + 1);
        }
        return {};
      case '!':
        if (next == '~') {
          Emit(Tok::kMatchNotRegex, at_, at_ + 2);
        } else if (next == '=') {
          return Op(BinaryOp::kNotEqual, 2);
        } else {
          return Error(at_,
                       next == '\0'
                           ? std::string("unexpected end of input after '!' inside braces")
                           : StrCat("unexpected character after '!' inside braces: '", next, "'"));
        }
        return {};
      default:
        break;
    }
    if (!IsAlpha(c)) return Unexpected();
    size_t end = at_;
    while (end < in_.size() && IsAlphaNumeric(in_[end])) ++end;
    Emit(Tok::kIdentifier, at_, end);
    return {};
  }

  Status StringLiteralToken() {
    const char quote = Peek();
    size_t end = at_ + 1;
    while (true) {
      if (end >= in_.size() || (in_[end] == '\n' && quote != '`')) {
        return Error(at_, quote == '`' ? "unterminated raw string" : "unterminated quoted string");
      }
      if (in_[end] == '\\' && quote != '`') {
        end += 2;
        continue;
      }
      if (in_[end] == quote) break;
      ++end;
    }
    Result<std::string> value = Unquote(in_.substr(at_, end + 1 - at_));
    if (!value.ok()) return Error(at_, value.status().message());
    Emit(Tok::kString, at_, end + 1).text = *std::move(value);
    return {};
  }

  Status NumberOrDuration() {
    const size_t start = at_;
    size_t end = at_;
    // A duration is digits and unit letters, again and again.
    size_t d = start;
    bool duration = false;
    while (d < in_.size() && IsDigit(in_[d])) {
      size_t u = d;
      while (u < in_.size() && IsDigit(in_[u])) ++u;
      if (u >= in_.size()) break;
      size_t unit = 0;
      if (in_[u] == 'm' && u + 1 < in_.size() && in_[u + 1] == 's') {
        unit = 2;
      } else if (std::string_view("smhdwy").find(in_[u]) != std::string_view::npos) {
        unit = 1;
      }
      if (unit == 0) {
        duration = false;
        break;
      }
      duration = true;
      d = u + unit;
    }
    if (duration) {
      if (d < in_.size() && IsAlphaNumeric(in_[d])) return BadNumber(start);
      const std::string_view text = in_.substr(start, d - start);
      Result<int64_t> ms = ParseDuration(text);
      if (!ms.ok()) return Error(start, StrCat("not a valid duration string: ", Quoted(text)));
      Emit(Tok::kDuration, start, d).number = static_cast<double>(*ms) / 1000.0;
      return {};
    }
    const bool hex = in_[end] == '0' && (Peek(1) == 'x' || Peek(1) == 'X');
    if (hex) {
      end += 2;
      while (end < in_.size() && (IsHexDigit(in_[end]) || in_[end] == '_' || in_[end] == '.' ||
                                  in_[end] == 'p' || in_[end] == 'P' ||
                                  ((in_[end] == '-' || in_[end] == '+') &&
                                   (in_[end - 1] == 'p' || in_[end - 1] == 'P')))) {
        ++end;
      }
    } else {
      bool dot = false;
      bool exponent = false;
      while (end < in_.size()) {
        const char c = in_[end];
        if (IsDigit(c) || c == '_') {
          ++end;
        } else if (c == '.' && !dot && !exponent) {
          dot = true;
          ++end;
        } else if ((c == 'e' || c == 'E') && !exponent) {
          exponent = true;
          ++end;
          if (end < in_.size() && (in_[end] == '+' || in_[end] == '-')) ++end;
        } else {
          break;
        }
      }
    }
    if (end < in_.size() && (IsAlphaNumeric(in_[end]) || in_[end] == '.')) return BadNumber(start);
    const std::optional<double> v = NumberValue(in_.substr(start, end - start));
    if (!v) return BadNumber(start);
    Emit(Tok::kNumber, start, end).number = *v;
    return {};
  }

  Status BadNumber(size_t start) {
    size_t end = start;
    while (end < in_.size() && (IsAlphaNumeric(in_[end]) || in_[end] == '.')) ++end;
    return Error(start,
                 StrCat("bad number or duration syntax: ", Quoted(in_.substr(start, end - start))));
  }

  Status Word(bool in_brackets) {
    size_t end = at_;
    // A colon right inside [..] separates range and step.
    const bool colons = !(in_brackets && open_.back() == '[');
    while (end < in_.size() && (IsAlphaNumeric(in_[end]) || (in_[end] == ':' && colons))) ++end;
    const std::string_view word = in_.substr(at_, end - at_);
    const std::string lower = Lower(word);
    if (lower == "inf" || lower == "nan") {
      Emit(Tok::kNumber, at_, end).number =
          lower == "inf" ? std::numeric_limits<double>::infinity() : kNormalNan;
      return {};
    }
    if (const auto it = Keywords().find(lower); it != Keywords().end()) {
      Token& t = Emit(Tok::kKeyword, at_, end);
      t.text = lower;
      t.op = it->second;
      return {};
    }
    Emit(word.find(':') == std::string_view::npos ? Tok::kIdentifier : Tok::kMetricIdentifier, at_,
         end);
    return {};
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string open_;
  std::vector<Token> out_;
};

}  // namespace

std::string LineColumn(std::string_view input, int32_t offset) {
  const size_t at = std::min(static_cast<size_t>(std::max(offset, 0)), input.size());
  const std::string_view before = input.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t last = before.rfind('\n');
  const size_t column = last == std::string_view::npos ? at + 1 : at - last;
  return StrCat(line, ":", column);
}

Status ParseErrorAt(std::string_view input, int32_t offset, std::string_view reason) {
  return InvalidArgument(StrCat(LineColumn(input, offset), ": parse error: ", reason));
}

std::string Describe(const Token& token, std::string_view input) {
  const std::string_view raw = input.substr(static_cast<size_t>(token.pos.start),
                                            static_cast<size_t>(token.pos.end - token.pos.start));
  switch (token.kind) {
    case Tok::kEof:
    case Tok::kError:
      return "end of input";
    case Tok::kIdentifier:
      return StrCat("identifier ", Quoted(raw));
    case Tok::kMetricIdentifier:
      return StrCat("metric identifier ", Quoted(raw));
    case Tok::kKeyword:
      if (token.op != kNoOp) return StrCat("<op:", token.text, ">");
      if (token.text == "sum" || token.text == "avg" || token.text == "count" ||
          token.text == "min" || token.text == "max" || token.text == "group" ||
          token.text == "stddev" || token.text == "stdvar" || token.text == "topk" ||
          token.text == "bottomk" || token.text == "count_values" || token.text == "quantile" ||
          token.text == "limitk" || token.text == "limit_ratio") {
        return StrCat("<aggr:", token.text, ">");
      }
      return StrCat("<", token.text, ">");
    case Tok::kNumber:
      return StrCat("number ", Quoted(raw));
    case Tok::kDuration:
      return StrCat("duration ", Quoted(raw));
    case Tok::kString:
      return StrCat("string ", raw);
    case Tok::kOp:
      return StrCat("<op:", raw, ">");
    default:
      return Quoted(raw);
  }
}

Result<std::string> Unquote(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != literal.back()) {
    return InvalidArgument("unterminated quoted string");
  }
  const char quote = literal.front();
  const std::string_view body = literal.substr(1, literal.size() - 2);
  if (quote == '`') return std::string(body);
  // The quote at the end of the literal is a character too.
  const auto char_at = [&](size_t at) { return CodePointText(literal.substr(at + 1)); };
  std::string out;
  out.reserve(body.size());
  for (size_t i = 0; i < body.size();) {
    if (body[i] != '\\') {
      out += body[i++];
      continue;
    }
    if (i + 1 >= body.size()) return InvalidArgument("escape sequence not terminated");
    const char c = body[i + 1];
    i += 2;
    const auto unknown = [&] {
      return InvalidArgument(StrCat("unknown escape sequence ", char_at(i - 1)));
    };
    size_t wrong = 0;  // The place of what is no digit.
    const auto illegal = [&] {
      return InvalidArgument(StrCat("illegal character ", char_at(wrong), " in escape sequence"));
    };
    auto digits = [&](size_t n, uint32_t base) -> std::optional<uint32_t> {
      uint32_t v = 0;
      for (wrong = i; wrong < i + n; ++wrong) {
        if (wrong >= body.size()) return std::nullopt;
        const char d = body[wrong];
        uint32_t x = base;
        if (IsDigit(d)) {
          x = static_cast<uint32_t>(d - '0');
        } else if (IsHexDigit(d)) {
          x = static_cast<uint32_t>((d | 0x20) - 'a') + 10;
        }
        if (x >= base) return std::nullopt;
        v = v * base + x;
      }
      i += n;
      return v;
    };
    switch (c) {
      case 'a':
        out += '\a';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case '\\':
        out += '\\';
        break;
      case '\'':
      case '"':
        if (c != quote) return unknown();
        out += c;
        break;
      case 'x': {
        const auto v = digits(2, 16);
        if (!v) return illegal();
        out += static_cast<char>(*v);
        break;
      }
      case 'u':
      case 'U': {
        const auto v = digits(c == 'u' ? 4 : 8, 16);
        if (!v) return illegal();
        if (*v > 0x10ffff || (*v >= 0xd800 && *v < 0xe000)) {
          return InvalidArgument("escape sequence is an invalid Unicode code point");
        }
        AppendUtf8(out, *v);
        break;
      }
      default: {
        if (c >= '0' && c <= '7') {
          --i;
          const auto v = digits(3, 8);
          if (!v) return illegal();
          if (*v > 255) {
            return InvalidArgument("escape sequence is an invalid Unicode code point");
          }
          out += static_cast<char>(*v);
          break;
        }
        return unknown();
      }
    }
  }
  return out;
}

std::vector<Token> Lex(std::string_view input) { return Lexer(input).Run(); }

bool IsKeyword(std::string_view lower) { return Keywords().contains(lower); }

}  // namespace vedette::promql
