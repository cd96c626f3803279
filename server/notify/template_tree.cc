#include "server/notify/template_tree.h"

#include <nlohmann/json.hpp>

#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;
using Kind = config::TemplateTree::Kind;

Json Build(const config::TemplateTree& tree, Expander& expand) {
  switch (tree.kind) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
      return tree.scalar == "true";
    case Kind::kNumber: {
      Json number = Json::parse(tree.scalar, nullptr, false);
      return number.is_number() ? number : Json(tree.scalar);
    }
    case Kind::kString: {
      std::string text = expand(tree.scalar);
      if (text.starts_with('{') || text.starts_with('[')) {
        Json parsed = Json::parse(text, nullptr, false);
        if (!parsed.is_discarded()) return parsed;
      }
      return text;
    }
    case Kind::kList: {
      Json list = Json::array();
      for (const config::TemplateTree& item : tree.items) list.push_back(Build(item, expand));
      return list;
    }
    case Kind::kMap: {
      Json map = Json::object();
      for (const auto& [key, value] : tree.fields) map[expand(key)] = Build(value, expand);
      return map;
    }
  }
  return nullptr;
}

}  // namespace

std::string ExpandTree(const config::TemplateTree& tree, Expander& expand) {
  return Build(tree, expand).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status CheckTree(const config::TemplateTree& tree, const MessageTemplates& templates) {
  if (tree.kind == Kind::kString) {
    const std::string_view texts[] = {tree.scalar};
    return CheckTexts(templates, texts);
  }
  for (const auto& item : tree.items) VEDETTE_RETURN_IF_ERROR(CheckTree(item, templates));
  for (const auto& [key, value] : tree.fields) {
    const std::string_view texts[] = {key};
    VEDETTE_RETURN_IF_ERROR(CheckTexts(templates, texts));
    VEDETTE_RETURN_IF_ERROR(CheckTree(value, templates));
  }
  return Status();
}

}  // namespace vedette::notify
