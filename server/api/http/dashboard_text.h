#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::api {

// What a dashboard says of itself. What it does not say is empty.
struct DashboardFacts {
  std::string uid;
  std::string title;
  std::vector<std::string> tags;
};

constexpr char kNoDashboard[] =
    "no dashboard: neither \"panels\" nor \"rows\", nor a \"spec\" that has them or \"elements\"";

// Of Grafana's files until now ("panels", or "rows" of the oldest), of its resources ({"kind":
// "Dashboard", "metadata": {"name": uid}, "spec": ...}), and of the schema after it ("elements" and
// "layout"). Nothing: it is none of them.
std::optional<DashboardFacts> FactsOf(const nlohmann::json& doc);

// What Grafana's POST /api/dashboards/db brings: {"dashboard":{...},"overwrite":true,...}.
struct DashboardUpload {
  std::string text;  // The bytes of "dashboard", as they were sent.
  std::string uid;   // Its own, or made of its title.
  std::string title;
  bool overwrite = false;
};

// The value of a member of a JSON object, byte for byte; empty where there is none. `json` must
// have been found to be JSON.
std::string_view MemberText(std::string_view json, std::string_view member);

// kInvalidArgument says what is missing.
Result<DashboardUpload> ReadDashboardUpload(std::string_view body);

// A dashboard alone, to be kept under `uid` in place of the one that is there. Its own uid, where it
// has one, must be the same.
Result<DashboardUpload> ReadDashboard(std::string_view body, const std::string& uid);

// "Node Exporter Full" to "node-exporter-full", as Grafana writes it behind the uid.
std::string DashboardSlug(std::string_view title);

}  // namespace vedette::api
