#include "server/relabel/relabel.h"

#include <locale.h>
#include <openssl/evp.h>
#include <re2/re2.h>
#include <wctype.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "common/base/strings.h"

namespace vedette::relabel {
namespace {

using config::RelabelAction;
using config::RelabelConfig;

// A replacement with $1 and ${name} taken apart once. As in Go's regexp: a name is the longest run
// of letters, digits and underscores, an unknown group is empty, $$ is a dollar, and a dollar that
// begins nothing stands for itself.
class Template {
 public:
  Template() = default;
  Template(std::string_view text, const re2::RE2& regex) {
    std::string literal;
    while (!text.empty()) {
      const size_t dollar = text.find('$');
      literal += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar + 1);
      if (text.starts_with('$')) {
        literal += '$';
        text.remove_prefix(1);
        continue;
      }
      const bool braces = text.starts_with('{');
      size_t end = braces ? 1 : 0;
      while (end < text.size() && IsWord(text[end])) ++end;
      const std::string name(text.substr(braces, end - braces));
      if (name.empty() || (braces && (end == text.size() || text[end] != '}'))) {
        literal += '$';
        continue;
      }
      text.remove_prefix(end + braces);
      if (!literal.empty()) parts_.push_back({std::exchange(literal, ""), kLiteral});
      parts_.push_back({"", GroupOf(name, regex)});
      max_group_ = std::max(max_group_, parts_.back().group);
    }
    if (!literal.empty()) parts_.push_back({std::move(literal), kLiteral});
  }

  std::string Expand(const std::vector<re2::StringPiece>& groups) const {
    std::string out;
    for (const Part& part : parts_) {
      if (part.group == kLiteral) {
        out += part.literal;
      } else if (part.group >= 0 && static_cast<size_t>(part.group) < groups.size()) {
        const re2::StringPiece& piece = groups[static_cast<size_t>(part.group)];
        out.append(piece.data(), piece.size());
      }
    }
    return out;
  }

  int max_group() const { return max_group_; }

 private:
  static constexpr int kLiteral = -1;
  static constexpr int kUnknown = -2;
  struct Part {
    std::string literal;
    int group;
  };

  static bool IsWord(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  static int GroupOf(const std::string& name, const re2::RE2& regex) {
    int number = 0;
    const char* end = name.data() + name.size();
    auto [after, error] = std::from_chars(name.data(), end, number);
    if (error == std::errc() && after == end) {
      return number <= regex.NumberOfCapturingGroups() ? number : kUnknown;
    }
    const auto& names = regex.NamedCapturingGroups();
    auto found = names.find(name);
    return found == names.end() ? kUnknown : found->second;
  }

  std::vector<Part> parts_;
  int max_group_ = 0;
};

// Unicode's simple case mapping, as Go has it; the process' own locale does not matter.
std::string ChangeCase(std::string_view text, bool lower) {
  static const locale_t kUnicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      const bool change = lower ? (c >= 'A' && c <= 'Z') : (c >= 'a' && c <= 'z');
      out += static_cast<char>(change ? c ^ 0x20 : c);
      ++i;
      continue;
    }
    const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (kUnicode == nullptr || i + length > text.size() || c < 0xc0) {
      out += text[i++];
      continue;
    }
    uint32_t point = c & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fu);
    }
    point = lower ? towlower_l(point, kUnicode) : towupper_l(point, kUnicode);
    if (point < 0x80) {
      out += static_cast<char>(point);
    } else if (point < 0x800) {
      out += static_cast<char>(0xc0 | point >> 6);
      out += static_cast<char>(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      out += static_cast<char>(0xe0 | point >> 12);
      out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (point & 0x3f));
    } else {
      out += static_cast<char>(0xf0 | point >> 18);
      out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
      out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (point & 0x3f));
    }
    i += length;
  }
  return out;
}

// The last eight bytes of the MD5 of the text, big-endian, modulo `modulus`: the shard that a
// Prometheus with the same rule would choose.
uint64_t HashMod(std::string_view text, uint64_t modulus) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_md5(), nullptr);
  uint64_t last = 0;
  for (size_t i = 8; i < 16; ++i) last = last << 8 | digest[i];
  return last % modulus;
}

}  // namespace

struct Relabeler::Rule {
  RelabelConfig config;
  std::shared_ptr<const re2::RE2> regex;
  Template target;
  Template replacement;
  bool matches_all = false;  // (.*), whose only group is the whole text.
  int groups = 1;            // How many to ask RE2 for; fewer is cheaper.

  bool Matches(std::string_view text) const {
    return matches_all || regex->Match({text.data(), text.size()}, 0, text.size(),
                                       re2::RE2::ANCHOR_BOTH, nullptr, 0);
  }

  bool Capture(std::string_view text, std::vector<re2::StringPiece>& out) const {
    const re2::StringPiece piece(text.data(), text.size());
    if (matches_all) {
      out.assign(2, piece);
      return true;
    }
    out.resize(static_cast<size_t>(groups));
    return regex->Match(piece, 0, text.size(), re2::RE2::ANCHOR_BOTH, out.data(), groups);
  }

  std::string SourceValue(const LabelsBuilder& labels) const {
    std::string value;
    for (size_t i = 0; i < config.source_labels.size(); ++i) {
      if (i != 0) value += config.separator;
      value += labels.Get(config.source_labels[i]);
    }
    return value;
  }
};

Result<Relabeler> Relabeler::Compile(std::span<const RelabelConfig> configs) {
  auto rules = std::make_shared<std::vector<Rule>>();
  rules->reserve(configs.size());
  for (const RelabelConfig& config : configs) {
    Rule rule;
    rule.config = config;
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(true);
    auto regex = std::make_shared<re2::RE2>(config.regex, options);
    if (!regex->ok()) {
      return InvalidArgument(StrCat("relabel rule ", rules->size() + 1, ": regex ",
                                    Quoted(config.regex), ": ", regex->error()));
    }
    if (config.action == RelabelAction::kHashMod && config.modulus == 0) {
      return InvalidArgument(
          StrCat("relabel rule ", rules->size() + 1, ": hashmod needs a modulus above zero"));
    }
    rule.matches_all = config.regex == "(.*)";
    rule.target = Template(config.target_label, *regex);
    rule.replacement = Template(config.replacement, *regex);
    rule.groups = 1 + std::max(rule.target.max_group(), rule.replacement.max_group());
    rule.regex = std::move(regex);
    rules->push_back(std::move(rule));
  }
  Relabeler out;
  out.rules_ = std::move(rules);
  return out;
}

bool Relabeler::ApplyRule(const Rule& rule, LabelsBuilder& labels) {
  const RelabelConfig& config = rule.config;
  switch (config.action) {
    case RelabelAction::kKeep:
      return rule.Matches(rule.SourceValue(labels));
    case RelabelAction::kDrop:
      return !rule.Matches(rule.SourceValue(labels));
    case RelabelAction::kKeepEqual:
      return labels.Get(config.target_label) == rule.SourceValue(labels);
    case RelabelAction::kDropEqual:
      return labels.Get(config.target_label) != rule.SourceValue(labels);
    case RelabelAction::kReplace: {
      const std::string value = rule.SourceValue(labels);
      std::vector<re2::StringPiece> groups;
      if (!rule.Capture(value, groups)) return true;
      const std::string target = rule.target.Expand(groups);
      // A name made of captured text may turn out to be none: the rule then does nothing.
      if (target.empty() || !IsValidUtf8(target)) return true;
      labels.Set(target, rule.replacement.Expand(groups));
      return true;
    }
    case RelabelAction::kLowercase:
    case RelabelAction::kUppercase:
      labels.Set(config.target_label,
                 ChangeCase(rule.SourceValue(labels), config.action == RelabelAction::kLowercase));
      return true;
    case RelabelAction::kHashMod:
      labels.Set(config.target_label, StrCat(HashMod(rule.SourceValue(labels), config.modulus)));
      return true;
    case RelabelAction::kLabelMap:
    case RelabelAction::kLabelDrop:
    case RelabelAction::kLabelKeep:
      break;
  }
  // These three go through the names; what they add or remove must not change what they see.
  const Labels before = labels.Build();
  for (Label label : before) {
    if (config.action == RelabelAction::kLabelMap) {
      std::vector<re2::StringPiece> groups;
      if (!rule.Capture(label.name, groups)) continue;
      const std::string name = rule.replacement.Expand(groups);
      if (!name.empty()) labels.Set(name, label.value);
    } else if (rule.Matches(label.name) == (config.action == RelabelAction::kLabelDrop)) {
      labels.Delete(label.name);
    }
  }
  return true;
}

bool Relabeler::Apply(LabelsBuilder& labels) const {
  if (rules_ == nullptr) return true;
  for (const Rule& rule : *rules_) {
    if (!ApplyRule(rule, labels)) return false;
  }
  return true;
}

std::vector<Relabeler::Step> Relabeler::Trace(const Labels& labels) const {
  std::vector<Step> steps;
  if (rules_ == nullptr) return steps;
  LabelsBuilder builder(labels);
  for (const Rule& rule : *rules_) {
    const bool kept = ApplyRule(rule, builder);
    steps.push_back({rule.config, builder.Build(), kept});
    if (!kept) break;
  }
  return steps;
}

}  // namespace vedette::relabel
