#include <optional>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"

namespace vedette::config {
namespace {

Status Bad(std::string_view text, std::string_view why) {
  return InvalidArgument(StrCat("not a matcher: ", Quoted(text), ": ", why,
                                "; write it as name=\"value\", with =, !=, =~ or !~"));
}

// Reads "..." from the front of `text`, with \", \\ and \n.
std::optional<std::string> TakeQuoted(std::string_view& text) {
  if (!text.starts_with('"')) return std::nullopt;
  std::string out;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return out;
    }
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char next = text[++i];
      if (next == 'n') {
        out += '\n';
      } else if (next == '"' || next == '\\') {
        out += next;
      } else {
        // An unknown escape stays as it is: regular expressions are full of them.
        out += '\\';
        out += next;
      }
      continue;
    }
    out += text[i];
  }
  return std::nullopt;
}

std::optional<Matcher::Op> TakeOp(std::string_view& text) {
  using Op = Matcher::Op;
  for (const auto& [sign, op] : {std::pair<std::string_view, Op>{"=~", Op::kRegex},
                                 {"!~", Op::kNotRegex},
                                 {"!=", Op::kNotEqual},
                                 {"=", Op::kEqual}}) {
    if (text.starts_with(sign)) {
      text.remove_prefix(sign.size());
      return op;
    }
  }
  return std::nullopt;
}

// One matcher from the front. A value without quotes runs to a comma or the closing brace.
Result<Matcher> TakeMatcher(std::string_view& text) {
  const std::string_view whole = text;
  text = Trim(text);
  std::string name;
  if (text.starts_with('"')) {
    std::optional<std::string> quoted = TakeQuoted(text);
    if (!quoted) return Bad(whole, "a quote is not closed");
    name = *std::move(quoted);
  } else {
    const size_t end = text.find_first_of("=!~{}, \t\n\"");
    name = std::string(text.substr(0, end));
    text.remove_prefix(name.size());
  }
  if (name.empty()) return Bad(whole, "the label name is missing");
  if (!IsValidUtf8(name)) return Bad(whole, "the label name is not UTF-8");
  text = Trim(text);
  const std::optional<Matcher::Op> op = TakeOp(text);
  if (!op) return Bad(whole, "an operator must follow the name");
  text = Trim(text);
  std::string value;
  if (text.starts_with('"')) {
    std::optional<std::string> quoted = TakeQuoted(text);
    if (!quoted) return Bad(whole, "a quote is not closed");
    value = *std::move(quoted);
  } else {
    const std::string_view plain = text.substr(0, text.find_first_of(",\""));
    value = std::string(Trim(plain));
    text.remove_prefix(plain.size());
    if (text.starts_with('"')) return Bad(whole, "a quote inside a value without quotes");
  }
  if (!IsValidUtf8(value)) return Bad(whole, "the value is not UTF-8");
  text = Trim(text);
  return Matcher::Make(*op, name, value);
}

}  // namespace

Result<std::vector<Matcher>> ParseAlertMatchers(std::string_view text) {
  std::string_view rest = Trim(text);
  if (rest.starts_with('{')) {
    if (!rest.ends_with('}') || rest.size() < 2) return Bad(text, "a brace is not closed");
    rest = Trim(rest.substr(1, rest.size() - 2));
  }
  std::vector<Matcher> out;
  while (!rest.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(Matcher matcher, TakeMatcher(rest));
    out.push_back(std::move(matcher));
    if (rest.empty()) break;
    if (!rest.starts_with(',')) return Bad(text, "a comma must stand between matchers");
    rest = Trim(rest.substr(1));
  }
  return out;
}

Result<Matcher> ParseAlertMatcher(std::string_view text) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Matcher> all, ParseAlertMatchers(text));
  if (all.size() != 1) return Bad(text, "exactly one matcher is expected");
  return std::move(all.front());
}

}  // namespace vedette::config
