#include "server/template/tokens.h"

#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/strings.h"

namespace vedette::tmpl {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsAlnum(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

void AppendUtf8(std::string& out, uint32_t r) {
  if (r > 0x10ffff || (r >= 0xd800 && r < 0xe000)) r = 0xfffd;
  if (r < 0x80) {
    out.push_back(static_cast<char>(r));
  } else if (r < 0x800) {
    out.push_back(static_cast<char>(0xc0 | r >> 6));
    out.push_back(static_cast<char>(0x80 | (r & 63)));
  } else if (r < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | r >> 12));
    out.push_back(static_cast<char>(0x80 | (r >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (r & 63)));
  } else {
    out.push_back(static_cast<char>(0xf0 | r >> 18));
    out.push_back(static_cast<char>(0x80 | (r >> 12 & 63)));
    out.push_back(static_cast<char>(0x80 | (r >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (r & 63)));
  }
}

class Lexer {
 public:
  Lexer(std::string_view name, std::string_view text) : name_(name), text_(text) {}

  Result<std::vector<Token>> Run() {
    while (pos_ < text_.size()) {
      const size_t open = text_.find("{{", pos_);
      std::string_view piece = text_.substr(pos_, open == text_.npos ? text_.npos : open - pos_);
      std::string_view shown = piece;
      if (trim_next_) {
        while (!shown.empty() && IsSpace(shown.front())) shown.remove_prefix(1);
      }
      trim_next_ = false;
      const bool trim_left = open != text_.npos && open + 3 < text_.size() &&
                             text_[open + 2] == '-' && IsSpace(text_[open + 3]);
      if (trim_left) {
        while (!shown.empty() && IsSpace(shown.back())) shown.remove_suffix(1);
      }
      if (!shown.empty()) Emit(Tok::kText, std::string(shown));
      Skip(piece.size());
      if (open == text_.npos) break;
      VEDETTE_RETURN_IF_ERROR(Action(trim_left));
    }
    Emit(Tok::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Status Fail(std::string_view what) const {
    return InvalidArgument(StrCat("template: ", name_, ":", line_, ":", column_, ": ", what));
  }
  void Emit(Tok kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_, column_});
  }
  void Skip(size_t n) {
    for (size_t i = 0; i < n; ++i) {
      if (text_[pos_ + i] == '\n') {
        ++line_;
        column_ = 1;
      } else {
        ++column_;
      }
    }
    pos_ += n;
  }
  std::string_view rest() const { return text_.substr(pos_); }

  Status Action(bool trim_left) {
    const size_t after = trim_left ? 4 : 2;
    if (text_.substr(pos_ + (trim_left ? 3 : 2)).starts_with("/*") ||
        text_.substr(pos_ + after).starts_with("/*")) {
      // A comment is an action of its own.
      const size_t end = text_.find("*/", pos_ + after);
      if (end == text_.npos) return Fail("unclosed comment");
      std::string_view tail = text_.substr(end + 2);
      if (tail.starts_with("}}")) {
        Skip(end + 4 - pos_);
        return Status();
      }
      if (tail.size() >= 4 && IsSpace(tail[0]) && tail.substr(1).starts_with("-}}")) {
        Skip(end + 6 - pos_);
        trim_next_ = true;
        return Status();
      }
      return Fail("comment ends before closing delimiter");
    }
    Emit(Tok::kOpen, "{{");
    Skip(after);
    int depth = 0;
    while (true) {
      if (pos_ >= text_.size()) return Fail("unclosed action");
      const std::string_view r = rest();
      if (r.starts_with("}}")) {
        if (depth != 0) return Fail("unclosed left paren");
        Emit(Tok::kClose, "}}");
        Skip(2);
        return Status();
      }
      if (r.size() >= 4 && IsSpace(r[0]) && r.substr(1).starts_with("-}}")) {
        if (depth != 0) return Fail("unclosed left paren");
        Emit(Tok::kClose, "}}");
        Skip(4);
        trim_next_ = true;
        return Status();
      }
      const char c = r[0];
      if (IsSpace(c)) {
        size_t n = 1;
        while (n < r.size() && IsSpace(r[n]) && !r.substr(n + 1).starts_with("-}}")) ++n;
        Emit(Tok::kSpace, " ");
        Skip(n);
      } else if (c == '|') {
        Emit(Tok::kPipe, "|");
        Skip(1);
      } else if (r.starts_with(":=")) {
        Emit(Tok::kDeclare, ":=");
        Skip(2);
      } else if (c == '=') {
        Emit(Tok::kAssign, "=");
        Skip(1);
      } else if (c == ',') {
        Emit(Tok::kComma, ",");
        Skip(1);
      } else if (c == '(') {
        ++depth;
        Emit(Tok::kLeft, "(");
        Skip(1);
      } else if (c == ')') {
        if (--depth < 0) return Fail("unexpected right paren");
        Emit(Tok::kRight, ")");
        Skip(1);
      } else if (c == '"') {
        VEDETTE_RETURN_IF_ERROR(QuotedString());
      } else if (c == '`') {
        const size_t end = r.find('`', 1);
        if (end == r.npos) return Fail("unterminated raw quoted string");
        Emit(Tok::kString, std::string(r.substr(1, end - 1)));
        Skip(end + 1);
      } else if (c == '\'') {
        VEDETTE_RETURN_IF_ERROR(CharConstant());
      } else if (c == '$' ||
                 (c == '.' && r.size() > 1 && IsAlnum(r[1]) && !(r[1] >= '0' && r[1] <= '9'))) {
        size_t n = 1;
        while (n < r.size() && IsAlnum(r[n])) ++n;
        Emit(c == '$' ? Tok::kVariable : Tok::kField, std::string(r.substr(0, n)));
        Skip(n);
      } else if ((c >= '0' && c <= '9') || c == '+' || c == '-' ||
                 (c == '.' && r.size() > 1 && r[1] >= '0' && r[1] <= '9')) {
        size_t n = 1;
        while (n < r.size() && (IsAlnum(r[n]) || r[n] == '.' ||
                                ((r[n] == '+' || r[n] == '-') &&
                                 (r[n - 1] == 'e' || r[n - 1] == 'E' || r[n - 1] == 'p')))) {
          ++n;
        }
        Emit(Tok::kNumber, std::string(r.substr(0, n)));
        Skip(n);
      } else if (c == '.') {
        Emit(Tok::kDot, ".");
        Skip(1);
      } else if (IsAlnum(c)) {
        size_t n = 1;
        while (n < r.size() && IsAlnum(r[n])) ++n;
        Emit(Tok::kIdentifier, std::string(r.substr(0, n)));
        Skip(n);
      } else {
        return Fail(StrCat("unexpected character ", Quoted(r.substr(0, 1)), " in action"));
      }
    }
  }

  // One escape sequence at `i` (just after the backslash); advances `i` past it.
  Result<std::string> Escape(std::string_view r, size_t& i) {
    if (i >= r.size()) return Fail("unterminated quoted string");
    const char c = r[i++];
    std::string out;
    auto hex = [&](int digits) -> std::optional<uint32_t> {
      uint32_t v = 0;
      if (i + digits > r.size()) return std::nullopt;
      auto [end, error] = std::from_chars(r.data() + i, r.data() + i + digits, v, 16);
      if (error != std::errc() || end != r.data() + i + digits) return std::nullopt;
      i += digits;
      return v;
    };
    switch (c) {
      case 'a':
        return std::string("\a");
      case 'b':
        return std::string("\b");
      case 'f':
        return std::string("\f");
      case 'n':
        return std::string("\n");
      case 'r':
        return std::string("\r");
      case 't':
        return std::string("\t");
      case 'v':
        return std::string("\v");
      case '\\':
      case '"':
      case '\'':
        return std::string(1, c);
      case 'x':
        if (auto v = hex(2)) return std::string(1, static_cast<char>(*v));
        break;
      case 'u':
      case 'U':
        if (auto v = hex(c == 'u' ? 4 : 8)) {
          AppendUtf8(out, *v);
          return out;
        }
        break;
      default:
        if (c >= '0' && c <= '7' && i + 2 <= r.size()) {
          uint32_t v = 0;
          auto [end, error] = std::from_chars(r.data() + i - 1, r.data() + i + 2, v, 8);
          if (error == std::errc() && end == r.data() + i + 2 && v < 256) {
            i += 2;
            return std::string(1, static_cast<char>(v));
          }
        }
    }
    return Fail(StrCat("unknown escape \\", std::string(1, c), " in quoted string"));
  }

  Status QuotedString() {
    const std::string_view r = rest();
    std::string out;
    size_t i = 1;
    while (true) {
      if (i >= r.size() || r[i] == '\n') return Fail("unterminated quoted string");
      if (r[i] == '"') break;
      if (r[i] == '\\') {
        ++i;
        VEDETTE_ASSIGN_OR_RETURN(std::string piece, Escape(r, i));
        out += piece;
      } else {
        out.push_back(r[i++]);
      }
    }
    Emit(Tok::kString, std::move(out));
    Skip(i + 1);
    return Status();
  }

  Status CharConstant() {
    const std::string_view r = rest();
    size_t i = 1;
    uint32_t rune = 0;
    if (i < r.size() && r[i] == '\\') {
      ++i;
      VEDETTE_ASSIGN_OR_RETURN(std::string piece, Escape(r, i));
      rune = DecodeRune(piece);
    } else {
      size_t n = 1;
      while (i + n < r.size() && (static_cast<unsigned char>(r[i + n]) & 0xc0) == 0x80) ++n;
      rune = DecodeRune(r.substr(i, n));
      i += n;
    }
    if (i >= r.size() || r[i] != '\'') return Fail("malformed character constant");
    Emit(Tok::kChar, StrCat(static_cast<int64_t>(rune)));
    Skip(i + 1);
    return Status();
  }

  static uint32_t DecodeRune(std::string_view s) {
    if (s.empty()) return 0;
    const unsigned char c = s[0];
    if (c < 0x80 || s.size() == 1) return c;
    uint32_t v = s.size() == 2 ? c & 31 : s.size() == 3 ? c & 15 : c & 7;
    for (size_t i = 1; i < s.size(); ++i) v = v << 6 | (static_cast<unsigned char>(s[i]) & 63);
    return v;
  }

  std::string_view name_;
  std::string_view text_;
  size_t pos_ = 0;
  int line_ = 1;
  int column_ = 1;
  bool trim_next_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view name, std::string_view text) {
  return Lexer(name, text).Run();
}

}  // namespace vedette::tmpl
