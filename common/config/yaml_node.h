#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::config {

// YamlNode is a parsed document as our own tree: every value knows its line and column, keys keep
// their order, aliases are copied in and merge keys (<<) resolved. yaml-cpp stays behind it.
struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  bool quoted = false;  // A scalar that was not plain: never a number, a boolean or null.
  int line = 1;         // From 1, as editors count.
  int column = 1;
  std::string scalar;
  std::vector<YamlNode> keys;   // Of a map; the value of keys[i] is items[i].
  std::vector<YamlNode> items;  // Of a list or a map.

  const YamlNode* Find(std::string_view key) const;
};

// What bounds a document. Generous for a configuration, too small for an attack by nesting or by
// aliases of aliases.
struct YamlLimits {
  size_t max_bytes = 16 << 20;
  size_t max_nodes = 2'000'000;
  int max_depth = 100;
};

// JSON is YAML too. An empty document is a null node. More than one document, a key given twice,
// and everything that is no YAML are refused as "file:line:column: ...".
Result<YamlNode> ParseYaml(std::string_view text, std::string_view file, YamlLimits limits = {});

// Writes the tree as block-style YAML, two spaces a level, quoting what needs it.
std::string EmitYaml(const YamlNode& node);

// Replaces what must not be shown: values under the keys that hold secrets in Prometheus' and
// Alertmanager's schemas become <secret>, passwords inside URLs xxxxx.
void MaskSecrets(YamlNode& node);

}  // namespace vedette::config
