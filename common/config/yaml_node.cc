#include "common/config/yaml_node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

#include "common/base/strings.h"
#include "common/config/secret.h"

namespace vedette::config {
namespace {

std::string Place(std::string_view file, int line, int column) {
  return StrCat(file, ":", line, ":", column);
}

// Thrown and caught in this file only: yaml-cpp gives a handler no other way to stop it.
struct Refused {
  int line;
  int column;
  std::string reason;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, const YamlLimits& limits) : text_(text), limits_(limits) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node = At(mark);
    // Where nothing is written, yaml-cpp names the next token, maybe lines below: go back to the
    // dash or colon that nothing follows.
    size_t at = std::min(static_cast<size_t>(std::max(mark.pos, 0)), text_.size());
    const bool written = at < text_.size() && (text_[at] == '~' || (text_[at] | 0x20) == 'n');
    while (!written && at > 0 && std::string_view(" \t\r\n").find(text_[at - 1]) < 4) {
      if (text_[--at] != '\n') continue;
      --node.line;
      const size_t before = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
      node.column = static_cast<int>(at - (before == std::string_view::npos ? 0 : before + 1)) + 1;
    }
    node.line = std::max(node.line, 1);
    Add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Refused{mark.line + 1, mark.column + 1, "an alias inside its own anchor"};
    }
    nodes_ += found->second.nodes;
    CheckSize(mark);
    Put(found->second.node);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = At(mark);
    node.kind = YamlNode::Kind::kScalar;
    node.quoted = tag != "?";
    node.scalar = value;
    Add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kList, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kMap, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Open_ {
    YamlNode node;
    YAML::anchor_t anchor;
    size_t nodes_before;
    bool key_next = true;
  };
  struct Anchored {
    YamlNode node;
    size_t nodes;
  };

  static YamlNode At(const YAML::Mark& mark) {
    YamlNode node;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void CheckSize(const YAML::Mark& mark) {
    if (nodes_ > limits_.max_nodes) {
      throw Refused{mark.line + 1, mark.column + 1,
                    StrCat("the document has more than ", limits_.max_nodes,
                           " values, aliases counted; split it")};
    }
  }

  void Add(YamlNode node, YAML::anchor_t anchor) {
    YAML::Mark mark;
    mark.line = node.line - 1;
    mark.column = node.column - 1;
    ++nodes_;
    CheckSize(mark);
    if (anchor != 0) anchors_[anchor] = {node, 1};
    Put(std::move(node));
  }

  void Open(const YAML::Mark& mark, YamlNode::Kind kind, YAML::anchor_t anchor) {
    if (static_cast<int>(open_.size()) >= limits_.max_depth) {
      throw Refused{mark.line + 1, mark.column + 1,
                    StrCat("nested deeper than ", limits_.max_depth, " levels")};
    }
    YamlNode node = At(mark);
    node.kind = kind;
    open_.push_back({std::move(node), anchor, nodes_});
    ++nodes_;
    CheckSize(mark);
  }

  void Close() {
    Open_ done = std::move(open_.back());
    open_.pop_back();
    if (done.node.kind == YamlNode::Kind::kMap) Merge(done.node);
    if (done.anchor != 0) anchors_[done.anchor] = {done.node, nodes_ - done.nodes_before};
    Put(std::move(done.node));
  }

  void Put(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open_& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kMap && parent.key_next) {
      if (node.kind != YamlNode::Kind::kScalar && node.kind != YamlNode::Kind::kNull) {
        throw Refused{node.line, node.column, "a list or map cannot be a key"};
      }
      parent.node.keys.push_back(std::move(node));
      parent.key_next = false;
      return;
    }
    parent.node.items.push_back(std::move(node));
    parent.key_next = true;
  }

  // `<<: *base` gives the entries of the base that the map does not have itself.
  static void Merge(YamlNode& map) {
    std::vector<YamlNode> bases;
    std::set<std::string> seen;
    for (size_t i = 0; i < map.keys.size();) {
      const YamlNode& key = map.keys[i];
      if (key.scalar == "<<" && !key.quoted) {
        YamlNode& value = map.items[i];
        if (value.kind == YamlNode::Kind::kList) {
          for (YamlNode& item : value.items) bases.push_back(std::move(item));
        } else {
          bases.push_back(std::move(value));
        }
        map.keys.erase(map.keys.begin() + static_cast<ptrdiff_t>(i));
        map.items.erase(map.items.begin() + static_cast<ptrdiff_t>(i));
        continue;
      }
      if (!seen.insert(key.scalar).second) {
        throw Refused{key.line, key.column,
                      StrCat("key ", Quoted(key.scalar), " is given twice; keep one of them")};
      }
      ++i;
    }
    for (YamlNode& base : bases) {
      if (base.kind != YamlNode::Kind::kMap) {
        throw Refused{base.line, base.column, "only a map can be merged with <<"};
      }
      for (size_t i = 0; i < base.keys.size(); ++i) {
        if (!seen.insert(base.keys[i].scalar).second) continue;
        map.keys.push_back(std::move(base.keys[i]));
        map.items.push_back(std::move(base.items[i]));
      }
    }
  }

  const std::string_view text_;
  const YamlLimits limits_;
  YamlNode root_;
  std::vector<Open_> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  size_t nodes_ = 0;
};

// Names under which the schemas of Prometheus and Alertmanager keep secrets, wherever they stand.
bool IsSecretKey(std::string_view key) {
  static const std::set<std::string_view> kSecret = {"credentials",
                                                     "key",
                                                     "secrets",
                                                     "slack_api_url",
                                                     "token_id",
                                                     "rocketchat_token_id",
                                                     "mattermost_webhook_url",
                                                     "webhook_url",
                                                     "proxy_connect_header",
                                                     "basic_auth_users",
                                                     "Authorization",
                                                     "authorization_credentials"};
  if (kSecret.contains(key)) return true;
  // client_secret, bot_token, smtp_auth_password, routing_key ... AWS' access key is a name.
  if (key == "access_key") return false;
  return std::ranges::any_of(std::array<std::string_view, 4>{"password", "secret", "token", "_key"},
                             [&](std::string_view end) { return key.ends_with(end); });
}

std::string Lower(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

// What a header, a parameter or a form field holds under this name.
bool IsSecretName(std::string_view name) {
  const std::string lower = Lower(name);
  return LooksSecret(name) || lower.find("cookie") != std::string::npos ||
         lower.find("assertion") != std::string::npos;
}

// __param_token and the like: a label that becomes a parameter of the scrape.
bool IsSecretLabel(std::string_view name) {
  constexpr std::string_view kParam = "__param_";
  return name.starts_with(kParam) && IsSecretName(name.substr(kParam.size()));
}

bool IsMailHeader(std::string_view name) {
  constexpr std::string_view kMail[] = {"subject", "from", "to", "cc", "reply-to", "message-id"};
  return std::ranges::find(kMail, Lower(name)) != std::end(kMail);
}

// Whether what stands under `key` in a map called `section` is hidden.
bool Hidden(std::string_view key, std::string_view section) {
  // The user's own names: a label called "key" is a label.
  if (section == "labels" || section == "external_labels" || section == "match" ||
      section == "match_re") {
    return IsSecretLabel(key);
  }
  if (section == "params" || section == "endpoint_params" || section == "http_headers") {
    return IsSecretName(key);
  }
  // Headers of remote write and read are shown by name; those of an email whole.
  if (section == "headers") return !IsMailHeader(key);
  return IsSecretKey(key) || (section == "slack_configs" && key == "api_url") ||
         (section == "webhook_configs" && key == "url");
}

void HideAll(YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar) {
    node.scalar = "<secret>";
    node.quoted = false;
  }
  for (YamlNode& item : node.items) HideAll(item);
}

// scheme://user:password@host becomes scheme://user:xxxxx@host.
void HideUrlPassword(std::string& text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos) return;
  const size_t begin = scheme + 3;
  const size_t end = text.find_first_of("/?# ", begin);
  const size_t at = text.substr(0, end).rfind('@');
  if (at == std::string::npos || at < begin) return;
  const size_t colon = text.find(':', begin);
  if (colon == std::string::npos || colon > at) return;
  text.replace(colon + 1, at - colon - 1, "xxxxx");
}

void Mask(YamlNode& node, std::string_view section) {
  if (node.kind == YamlNode::Kind::kScalar) HideUrlPassword(node.scalar);
  // A relabelling that makes such a label.
  const YamlNode* target = node.Find("target_label");
  const bool makes_secret = target != nullptr && IsSecretLabel(target->scalar);
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (node.kind == YamlNode::Kind::kList) {
      Mask(node.items[i], section);
      continue;
    }
    const std::string& key = node.keys[i].scalar;
    if (Hidden(key, section) || (makes_secret && key == "replacement")) {
      HideAll(node.items[i]);
    } else {
      Mask(node.items[i], key);
    }
  }
}

bool PlainIsSafe(std::string_view s) {
  if (s.empty() || s.front() == ' ' || s.back() == ' ' || s == "~" || s == "<<") return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`=").find(s.front()) != std::string_view::npos) {
    return false;
  }
  for (size_t i = 0; i < s.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(s[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c == ':' && (i + 1 == s.size() || s[i + 1] == ' ')) return false;
    if (c == '#' && s[i - 1] == ' ') return false;
    if (s[i] == ',' || s[i] == '[' || s[i] == ']' || s[i] == '{' || s[i] == '}') return false;
  }
  return s != "---" && s != "...";
}

bool LooksTyped(std::string_view s) {
  static const std::set<std::string_view> kWords = {
      "true",  "false", "yes", "no", "on",  "off", "null", "y",    "n",
      "True",  "False", "Yes", "No", "On",  "Off", "Null", "NULL", "TRUE",
      "FALSE", "YES",   "NO",  "ON", "OFF", "Y",   "N"};
  return kWords.contains(s) || s.find_first_not_of("0123456789.eE+-_xX:") == std::string_view::npos;
}

void AppendScalar(const YamlNode& node, std::string& out) {
  const bool plain = PlainIsSafe(node.scalar) && !(node.quoted && LooksTyped(node.scalar));
  out += plain ? node.scalar : Quoted(node.scalar);
}

void Emit(const YamlNode& node, int indent, bool in_list, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  for (size_t i = 0; i < node.items.size(); ++i) {
    // The first entry of a map in a list stands right after the dash.
    if (!(in_list && i == 0)) out += pad;
    const YamlNode& value = node.items[i];
    const bool nested = !value.items.empty();
    if (node.kind == YamlNode::Kind::kMap) {
      AppendScalar(node.keys[i], out);
      out += ':';
      if (nested) {
        out += '\n';
        Emit(value, value.kind == YamlNode::Kind::kList ? indent : indent + 2, false, out);
        continue;
      }
      out += ' ';
    } else {
      out += "- ";
      if (nested) {
        Emit(value, indent + 2, true, out);
        continue;
      }
    }
    if (value.kind == YamlNode::Kind::kScalar) {
      AppendScalar(value, out);
    } else {
      out += value.kind == YamlNode::Kind::kList  ? "[]"
             : value.kind == YamlNode::Kind::kMap ? "{}"
                                                  : "null";
    }
    out += '\n';
  }
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  if (kind != Kind::kMap) return nullptr;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].scalar == key) return &items[i];
  }
  return nullptr;
}

Result<YamlNode> ParseYaml(std::string_view text, std::string_view file, YamlLimits limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgument(StrCat(Place(file, 1, 1), ": ", text.size(), " bytes are more than the ",
                                  limits.max_bytes, " a configuration may have; split it"));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(text, limits);
    if (!parser.HandleNextDocument(builder)) return YamlNode();
    YamlNode root = builder.TakeRoot();
    TreeBuilder second(text, limits);
    if (parser.HandleNextDocument(second)) {
      const YamlNode more = second.TakeRoot();
      return InvalidArgument(StrCat(Place(file, more.line, more.column),
                                    ": a second document; a configuration is one document"));
    }
    return root;
  } catch (const Refused& refused) {
    return InvalidArgument(StrCat(Place(file, refused.line, refused.column), ": ", refused.reason));
  } catch (const YAML::Exception& e) {
    return InvalidArgument(StrCat(Place(file, e.mark.line + 1, e.mark.column + 1),
                                  ": not YAML: ", std::string_view(e.msg)));
  } catch (const std::exception& e) {
    return InvalidArgument(StrCat(Place(file, 1, 1), ": not YAML: ", std::string_view(e.what())));
  }
}

std::string EmitYaml(const YamlNode& node) {
  std::string out;
  if (node.items.empty()) {
    if (node.kind == YamlNode::Kind::kScalar) AppendScalar(node, out);
    if (node.kind == YamlNode::Kind::kList) out += "[]";
    if (node.kind == YamlNode::Kind::kMap) out += "{}";
    out += '\n';
    return out;
  }
  Emit(node, 0, false, out);
  return out;
}

void MaskSecrets(YamlNode& node) { Mask(node, ""); }

}  // namespace vedette::config
