#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/http/router.h"
#include "server/api/http/admin.h"
#include "server/api/http/alertmanager.h"
#include "server/api/http/cost.h"
#include "server/api/http/dashboards.h"
#include "server/api/http/federate.h"
#include "server/api/http/otlp.h"
#include "server/api/http/preferences.h"
#include "server/api/http/query.h"
#include "server/api/http/read.h"
#include "server/api/http/rehearse.h"
#include "server/api/http/running.h"
#include "server/api/http/rules.h"
#include "server/api/http/search.h"
#include "server/api/http/series.h"
#include "server/api/http/status.h"
#include "server/api/http/targets.h"
#include "server/api/http/write.h"
#include "server/promql/engine.h"

namespace vedette {

// Every HTTP path of the server and who answers it. The doors outlive the router.
struct Doors {
  api::QueryDoor* query;
  api::RunningDoor* running;
  api::SearchDoor* search;
  api::SeriesDoor* series;
  api::StatusDoor* status;
  api::CostDoor* cost;
  api::DashboardsDoor* dashboards;
  api::PreferencesDoor* preferences;
  api::TargetsDoor* targets;
  api::RulesDoor* rules;
  api::AlertmanagerDoor* alertmanager;
  api::RehearseDoor* rehearse;
  api::FederateDoor* federate;
  api::AdminDoor* admin;
  api::ReadDoor* read;
  api::OtlpDoor* otlp;    // Null: --web.enable-otlp-receiver is off.
  api::WriteDoor* write;  // Null: --web.enable-remote-write-receiver is off.
  std::function<Result<std::vector<std::vector<Matcher>>>(std::string_view)> selectors_of_query;
  std::function<Result<std::string>(std::string_view)> format_query;
  std::function<Result<std::string>(std::string_view)> parse_query_json;

  bool lifecycle = false;
  std::function<Status()> reload;
  std::function<void()> quit;
  std::function<bool()> ready;
  std::function<Status()> healthy;
  std::function<std::string(std::string_view accept, std::string* content_type)> own_metrics;
  std::string version;
  // Bodies of remote write and OTLP, as they came, are added to it.
  std::atomic<uint64_t>* written_bytes;
  int64_t max_write_bytes = 32 << 20;  // Of one of them.
  // What a user may do: "viewer" or "operator".
  std::function<std::string_view(std::string_view user)> role_of;
};

// `prefix` is "" or begins with a slash and does not end with one.
void AddRoutes(http::Router& router, const std::string& prefix, const Doors& doors);

}  // namespace vedette
