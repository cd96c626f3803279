#include "server/discovery/xml.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "common/base/strings.h"

namespace vedette::discovery {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | c >> 6));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | c >> 12));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | c >> 18));
    out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<XmlNode> Parse() {
    VEDETTE_RETURN_IF_ERROR(SkipMisc());
    XmlNode root;
    VEDETTE_RETURN_IF_ERROR(Element(root, 1));
    VEDETTE_RETURN_IF_ERROR(SkipMisc());
    if (at_ != text_.size()) return Fail("something follows the document");
    return root;
  }

 private:
  Status Fail(std::string_view why) const {
    return InvalidArgument(StrCat("XML, byte ", at_, ": ", why));
  }
  bool Skip(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  Status SkipTo(std::string_view end) {
    const size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) return Fail(StrCat("no ", end));
    at_ = found + end.size();
    return {};
  }

  // What may stand before and after the one element.
  Status SkipMisc() {
    for (;;) {
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
      if (Skip("\xef\xbb\xbf")) continue;
      if (Skip("<?")) {
        VEDETTE_RETURN_IF_ERROR(SkipTo("?>"));
      } else if (Skip("<!--")) {
        VEDETTE_RETURN_IF_ERROR(SkipTo("-->"));
      } else {
        return {};
      }
    }
  }

  std::string_view Name() {
    const size_t begin = at_;
    while (at_ < text_.size() && !IsBlank(text_[at_]) && text_[at_] != '>' && text_[at_] != '/' &&
           text_[at_] != '<' && text_[at_] != '=') {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  // Attributes, up to the end of the tag. True: the element ends with it.
  Result<bool> RestOfTag() {
    for (;;) {
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
      if (Skip("/>")) return true;
      if (Skip(">")) return false;
      if (Name().empty()) return Fail("a tag that does not end");
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
      if (!Skip("=")) return Fail("an attribute without a value");
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
      if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) {
        return Fail("an attribute without quotes");
      }
      const char quote = text_[at_++];
      VEDETTE_RETURN_IF_ERROR(SkipTo(std::string_view(&quote, 1)));
    }
  }

  Status Reference(std::string& out) {
    const size_t end = text_.find(';', at_);
    if (end == std::string_view::npos || end - at_ > 12) return Fail("a & that is no reference");
    const std::string_view name = text_.substr(at_, end - at_);
    constexpr std::pair<std::string_view, char> kNamed[] = {
        {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    for (const auto& [known, c] : kNamed) {
      if (name != known) continue;
      out.push_back(c);
      at_ = end + 1;
      return {};
    }
    if (!name.starts_with('#')) return Fail(StrCat("unknown entity ", Quoted(name)));
    const bool hex = name.starts_with("#x");
    const std::string_view digits = name.substr(hex ? 2 : 1);
    uint32_t c = 0;
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), c, hex ? 16 : 10);
    if (error != std::errc() || stop != digits.data() + digits.size() || c == 0 || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000)) {
      return Fail(StrCat("no character ", Quoted(name)));
    }
    AppendUtf8(out, c);
    at_ = end + 1;
    return {};
  }

  Status Element(XmlNode& node, size_t depth) {
    if (depth > kMaxXmlDepth) return Fail(StrCat("nested deeper than ", kMaxXmlDepth));
    if (++nodes_ > kMaxXmlNodes) return Fail(StrCat("more than ", kMaxXmlNodes, " elements"));
    if (!Skip("<")) return Fail("an element is expected");
    const std::string_view name = Name();
    if (name.empty() || name.starts_with('!')) return Fail("a name is expected");
    const size_t colon = name.rfind(':');
    node.name = name.substr(colon == std::string_view::npos ? 0 : colon + 1);
    VEDETTE_ASSIGN_OR_RETURN(const bool ended, RestOfTag());
    if (ended) return {};
    for (;;) {
      const size_t next = text_.find_first_of("<&", at_);
      if (next == std::string_view::npos) return Fail(StrCat("<", name, "> does not end"));
      node.text.append(text_.substr(at_, next - at_));
      at_ = next;
      if (Skip("&")) {
        VEDETTE_RETURN_IF_ERROR(Reference(node.text));
      } else if (Skip("<![CDATA[")) {
        const size_t begin = at_;
        VEDETTE_RETURN_IF_ERROR(SkipTo("]]>"));
        node.text.append(text_.substr(begin, at_ - 3 - begin));
      } else if (Skip("<!--")) {
        VEDETTE_RETURN_IF_ERROR(SkipTo("-->"));
      } else if (Skip("<?")) {
        VEDETTE_RETURN_IF_ERROR(SkipTo("?>"));
      } else if (Skip("</")) {
        if (Name() != name) return Fail(StrCat("<", name, "> ends with another name"));
        while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
        return Skip(">") ? Status() : Fail("a tag that does not end");
      } else {
        VEDETTE_RETURN_IF_ERROR(Element(node.children.emplace_back(), depth + 1));
      }
    }
  }

  const std::string_view text_;
  size_t at_ = 0;
  size_t nodes_ = 0;
};

}  // namespace

const XmlNode& XmlNode::operator[](std::string_view child) const {
  static const XmlNode kNone;
  for (const XmlNode& node : children) {
    if (node.name == child) return node;
  }
  return kNone;
}

bool XmlNode::Has(std::string_view child) const { return !(*this)[child].name.empty(); }

Result<XmlNode> ParseXml(std::string_view text) { return Parser(text).Parse(); }

}  // namespace vedette::discovery
