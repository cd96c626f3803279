#include "server/api/http/dashboard_text.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "common/base/strings.h"

namespace vedette::api {
namespace {

constexpr size_t kMaxUid = 40;  // Grafana's limit.

size_t SkipSpace(std::string_view json, size_t at) {
  while (at < json.size() && std::isspace(static_cast<unsigned char>(json[at])) != 0) ++at;
  return at;
}

// Behind the string that begins at `at`.
size_t SkipString(std::string_view json, size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return std::min(at + 1, json.size());
}

// Behind the value that begins at `at`. Depth is counted, not recursed into.
size_t SkipValue(std::string_view json, size_t at) {
  int depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (c == '"') {
      at = SkipString(json, at);
      if (depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    }
    if (c == ',' && depth == 0) return at;
    ++at;
  }
  return at;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The panels of all schemas; what is inside a resource is looked at by its own kind.
bool HasPanels(const nlohmann::json& doc) {
  return doc.contains("panels") || doc.contains("rows") ||
         (doc.contains("elements") && doc.contains("layout"));
}

bool GoodUid(std::string_view uid) {
  return !uid.empty() && uid.size() <= kMaxUid && std::all_of(uid.begin(), uid.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  });
}

}  // namespace

std::optional<DashboardFacts> FactsOf(const nlohmann::json& doc) {
  if (!doc.is_object()) return std::nullopt;
  const nlohmann::json* inner = &doc;
  DashboardFacts facts;
  if (!HasPanels(doc)) {
    const auto spec = doc.find("spec");
    if (spec == doc.end() || !spec->is_object() || !HasPanels(*spec)) return std::nullopt;
    inner = &*spec;
    const auto metadata = doc.find("metadata");
    if (metadata != doc.end() && metadata->is_object()) facts.uid = TextOf(*metadata, "name");
  }
  if (facts.uid.empty()) facts.uid = TextOf(*inner, "uid");
  facts.title = TextOf(*inner, "title");
  if (const auto tags = inner->find("tags"); tags != inner->end() && tags->is_array()) {
    for (const auto& tag : *tags) {
      if (tag.is_string()) facts.tags.push_back(tag.get<std::string>());
    }
  }
  return facts;
}

std::string_view MemberText(std::string_view json, std::string_view member) {
  size_t at = SkipSpace(json, 0);
  if (at >= json.size() || json[at] != '{') return {};
  ++at;
  while (true) {
    at = SkipSpace(json, at);
    if (at >= json.size() || json[at] != '"') return {};
    const size_t name_end = SkipString(json, at);
    const std::string_view name = json.substr(at + 1, name_end - at - 2);
    at = SkipSpace(json, name_end);
    if (at >= json.size() || json[at] != ':') return {};
    at = SkipSpace(json, at + 1);
    const size_t end = SkipValue(json, at);
    if (name == member) return Trimmed(json.substr(at, end - at));
    at = SkipSpace(json, end);
    if (at >= json.size() || json[at] != ',') return {};
    ++at;
  }
}

std::string DashboardSlug(std::string_view title) {
  std::string out;
  for (const char c : title) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

Result<DashboardUpload> ReadDashboard(std::string_view body, const std::string& uid) {
  const nlohmann::json whole = nlohmann::json::parse(body, nullptr, false);
  if (!whole.is_object()) return InvalidArgument("the body is not a JSON object");
  const std::optional<DashboardFacts> facts = FactsOf(whole);
  if (!facts) return InvalidArgument(kNoDashboard);
  DashboardUpload upload{
      .text = std::string(body), .uid = uid, .title = facts->title, .overwrite = true};
  const std::string& own = facts->uid;
  if (!own.empty() && own != uid) {
    return InvalidArgument(
        StrCat("the dashboard's own uid is ", Quoted(own), ", the address says ", Quoted(uid)));
  }
  if (!GoodUid(uid)) {
    return InvalidArgument(StrCat("uid ", Quoted(uid), ": 1 to ", kMaxUid,
                                  " letters, digits, \"-\" and \"_\" are expected"));
  }
  return upload;
}

Result<DashboardUpload> ReadDashboardUpload(std::string_view body) {
  const nlohmann::json whole = nlohmann::json::parse(body, nullptr, false);
  if (whole.is_discarded()) return InvalidArgument("the body is not JSON");
  if (!whole.is_object()) return InvalidArgument("the body is not a JSON object");
  const auto found = whole.find("dashboard");
  if (found == whole.end() || !found->is_object()) {
    return InvalidArgument("\"dashboard\" is missing: {\"dashboard\": {...}, \"overwrite\": true}");
  }
  const std::optional<DashboardFacts> facts = FactsOf(*found);
  if (!facts) return InvalidArgument(StrCat("\"dashboard\": ", kNoDashboard));
  DashboardUpload upload;
  upload.title = facts->title;
  upload.uid = facts->uid;
  if (upload.uid.empty()) upload.uid = DashboardSlug(upload.title).substr(0, kMaxUid);
  if (!GoodUid(upload.uid)) {
    return InvalidArgument(StrCat("uid ", Quoted(upload.uid), ": 1 to ", kMaxUid,
                                  " letters, digits, \"-\" and \"_\" are expected"));
  }
  const auto overwrite = whole.find("overwrite");
  upload.overwrite = overwrite != whole.end() && overwrite->is_boolean() && overwrite->get<bool>();
  upload.text = std::string(MemberText(body, "dashboard"));
  return upload;
}

}  // namespace vedette::api
