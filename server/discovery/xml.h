#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::discovery {

// An element of a document: its name without a prefix, its text without that of its children.
// Attributes are not kept: AWS puts nothing into them.
struct XmlNode {
  std::string name;
  std::string text;
  std::vector<XmlNode> children;

  // The first child of that name; an empty node where there is none.
  const XmlNode& operator[](std::string_view child) const;
  bool Has(std::string_view child) const;
};

// Reads what web services answer with: elements, text, the five named entities and numeric ones,
// CDATA, comments, processing instructions. A DOCTYPE is refused: entities that a document defines
// itself are how XML is made to explode. At most kMaxXmlDepth levels and kMaxXmlNodes elements.
inline constexpr size_t kMaxXmlDepth = 64;
inline constexpr size_t kMaxXmlNodes = 1'000'000;
Result<XmlNode> ParseXml(std::string_view text);

}  // namespace vedette::discovery
