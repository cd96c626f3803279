#include "common/model/matcher.h"

#include <re2/re2.h>

#include <algorithm>

#include "common/base/strings.h"
#include "common/model/labels.h"

namespace vedette {
namespace {

// Longer alternations are left to RE2: a set of this many look-ups is where it stops being slower.
constexpr size_t kMaxLiterals = 256;
// What one expression may cost in memory, compiled. RE2's own default.
constexpr int64_t kMaxRegexBytes = 8 << 20;

constexpr std::string_view kMeta = R"(\.+*?()[]{}^$)";

// Go accepts (?<name>...) since 1.22; this RE2 knows only (?P<name>...).
std::string WithNamedGroups(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      out += pattern.substr(i, 2);
      ++i;
    } else if (pattern.substr(i, 3) == "(?<" && i + 3 < pattern.size() && pattern[i + 3] != '=' &&
               pattern[i + 3] != '!') {
      out += "(?P<";
      i += 2;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

std::vector<std::string> Literals(std::string_view pattern) {
  if (pattern.find_first_of(kMeta) != std::string_view::npos) return {};
  std::vector<std::string> out;
  for (std::string_view piece : Split(pattern, '|')) out.emplace_back(piece);
  if (out.size() > kMaxLiterals) return {};
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

std::string LiteralPrefix(std::string_view pattern) {
  if (pattern.find('|') != std::string_view::npos) return {};
  const size_t meta = pattern.find_first_of(kMeta);
  if (meta == std::string_view::npos) return std::string(pattern);
  // A repetition belongs to the character before it, which may then be missing.
  const bool repeated = std::string_view("*?{").find(pattern[meta]) != std::string_view::npos;
  if (!repeated) return std::string(pattern.substr(0, meta));
  size_t end = meta;
  while (end > 0 && (static_cast<uint8_t>(pattern[end - 1]) & 0xc0) == 0x80) --end;
  return std::string(pattern.substr(0, end > 0 ? end - 1 : 0));
}

}  // namespace

struct Regex::Compiled {
  Compiled(std::string_view text, const RE2::Options& options)
      : pattern(text), re(WithNamedGroups(text), options) {}

  std::string pattern;
  RE2 re;
  std::string prefix;
  std::vector<std::string> literals;
};

Result<Regex> Regex::Compile(std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(kMaxRegexBytes);
  auto compiled = std::make_shared<Compiled>(pattern, options);
  if (!compiled->re.ok()) {
    return InvalidArgument(
        StrCat("regular expression ", Quoted(pattern), ": ", compiled->re.error()));
  }
  compiled->literals = Literals(pattern);
  compiled->prefix = LiteralPrefix(pattern);
  return Regex(std::move(compiled));
}

bool Regex::Matches(std::string_view text) const {
  if (!compiled_->literals.empty()) return std::ranges::binary_search(compiled_->literals, text);
  if (matches_anything()) return true;
  if (matches_non_empty()) return !text.empty();
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), compiled_->re);
}

const std::string& Regex::prefix() const { return compiled_->prefix; }
const std::vector<std::string>& Regex::literals() const { return compiled_->literals; }
bool Regex::matches_anything() const { return compiled_->pattern == ".*"; }
bool Regex::matches_non_empty() const { return compiled_->pattern == ".+"; }
const std::string& Regex::pattern() const { return compiled_->pattern; }

Result<Matcher> Matcher::Make(Op op, std::string_view name, std::string_view value) {
  Matcher m(op, name, value);
  if (op == Op::kRegex || op == Op::kNotRegex) {
    VEDETTE_ASSIGN_OR_RETURN(Regex regex, Regex::Compile(value));
    m.regex_ = std::make_shared<const Regex>(std::move(regex));
  }
  return m;
}

Matcher Matcher::Equal(std::string_view name, std::string_view value) {
  return Matcher(Op::kEqual, name, value);
}

bool Matcher::Matches(std::string_view value) const {
  switch (op_) {
    case Op::kEqual:
      return value == value_;
    case Op::kNotEqual:
      return value != value_;
    case Op::kRegex:
      return regex_->Matches(value);
    case Op::kNotRegex:
      return !regex_->Matches(value);
  }
  return false;
}

std::string Matcher::ToString() const {
  static constexpr std::string_view kOps[] = {"=", "!=", "=~", "!~"};
  return StrCat(IsLegacyLabelName(name_) ? name_ : Quoted(name_), kOps[static_cast<int>(op_)],
                Quoted(value_));
}

}  // namespace vedette
