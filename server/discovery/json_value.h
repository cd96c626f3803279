#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "server/discovery/http_port.h"

// Only for the .cc files that read the answers of somebody's API.
namespace vedette::discovery {

using Json = nlohmann::json;

// A member, or null where the object has none or is no object.
inline const Json& Member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto at = object.find(std::string(key));
  return at == object.end() ? kNull : *at;
}

// A text as it is, a number or a truth as one writes it, "" for everything else.
inline std::string TextOf(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  return "";
}
inline std::string Text(const Json& object, std::string_view key) {
  return TextOf(Member(object, key));
}

inline Result<Json> AskJson(const HttpPort& port, const HttpCall& call, std::string_view who) {
  Result<HttpAnswer> answer = port(call);
  if (!answer.ok()) return answer.status().Annotate(who);
  // 410 Gone: what the question refers to has expired, such as the rest of a long list.
  if (answer->status == 410) return OutOfRange(StrCat(who, " answered with status 410"));
  if (answer->status != 200) {
    return Unavailable(StrCat(who, " answered with status ", answer->status));
  }
  Json json = Json::parse(answer->body, nullptr, false);
  if (json.is_discarded()) return DataLoss(StrCat(who, ": the answer is no JSON"));
  return json;
}

}  // namespace vedette::discovery
