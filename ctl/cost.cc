#include "ctl/cost.h"

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette::ctl {
namespace {

using Json = nlohmann::json;

uint64_t Number(const Json& row, const char* key) {
  const auto it = row.find(key);
  return it != row.end() && it->is_number() ? it->get<uint64_t>() : 0;
}

std::string Text(const Json& row, const char* key) {
  const auto it = row.find(key);
  return it != row.end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace

Status Cost::Run(const HttpApi& api, std::ostream& out) const {
  if (by != "metric" && by != "job" && by != "label") {
    return InvalidArgument(StrCat("--by ", Quoted(by), ": metric, job or label is expected"));
  }
  if (!label.empty() && by != "label") {
    return InvalidArgument("--label is for --by label: the label whose values are the rows");
  }
  std::string path = StrCat("/api/v1/status/cost?by=", by, "&limit=", limit);
  if (!label.empty()) StrAppend(path, "&label=", PercentEncoded(label));
  VEDETTE_ASSIGN_OR_RETURN(const std::string body, api.Call("GET", path));
  const Json answer = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("data") || !answer["data"].contains("rows") ||
      !answer["data"]["rows"].is_array()) {
    return Unavailable(StrCat(api.url, " did not answer as a Vedette server does"));
  }
  const Json& data = answer["data"];
  const bool by_name = by == "label" && label.empty();
  const bool people = format == Format::kTable;
  const auto bytes = [&](uint64_t n) { return people ? BytesText(n) : StrCat(n); };

  Table table;
  table.columns = {by == "label" && !label.empty() ? label : by, "series"};
  if (by_name) table.columns.emplace_back("values");
  for (const char* name : {"disk", "memory", "wire"}) {
    table.columns.emplace_back(people ? name : StrCat(name, "_bytes"));
  }
  if (by_name) {
    for (const char* name : {"series_disk", "series_memory"}) {
      table.columns.emplace_back(people ? name : StrCat(name, "_bytes"));
    }
  }
  const auto add = [&](const Json& row) {
    const std::string name = Text(row, "name");
    std::vector<std::string> cells = {name.empty() ? "(none)" : name, StrCat(Number(row, "series"))};
    if (by_name) cells.push_back(row.contains("values") ? StrCat(Number(row, "values")) : "");
    cells.push_back(bytes(Number(row, "diskBytes")));
    cells.push_back(bytes(Number(row, "memoryBytes")));
    cells.push_back(bytes(Number(row, "wireBytes")));
    if (by_name) {
      const bool has = row.contains("carriedDiskBytes");
      cells.push_back(has ? bytes(Number(row, "carriedDiskBytes")) : "");
      cells.push_back(has ? bytes(Number(row, "carriedMemoryBytes")) : "");
    }
    table.rows.push_back(std::move(cells));
  };
  for (const Json& row : data["rows"]) add(row);
  if (Number(data, "rowCount") > data["rows"].size()) add(data.value("rest", Json::object()));
  add(data.value("shared", Json::object()));
  add(data.value("total", Json::object()));
  table.Print(format, out);
  return {};
}

}  // namespace vedette::ctl
