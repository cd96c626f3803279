#include "ctl/views.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>

#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "ctl/labels_text.h"
#include "proto/vedette/v1/query.grpc.pb.h"

namespace vedette::ctl {
namespace {

using Stub = v1::QueryService::Stub;

template <typename Request, typename Response>
Status Ask(const Connection& connection, const Request& request, Response& response,
           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           connection.Open(tls::Role::kServer));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  Stub stub(channel);
  return rpc::FromGrpcStatus((stub.*method)(&context, request, &response))
      .Annotate(connection.address);
}

std::string TimeOrNever(int64_t t_ms) { return t_ms == 0 ? "never" : FormatTime(t_ms); }

std::string_view HealthName(v1::TargetHealth health) {
  switch (health) {
    case v1::TARGET_HEALTH_UP:
      return "up";
    case v1::TARGET_HEALTH_DOWN:
      return "down";
    default:
      return "unknown";
  }
}

}  // namespace

Status Targets::Run(const Connection& connection, std::ostream& out) const {
  v1::TargetsRequest request;
  request.set_scrape_pool(job);
  request.set_include_dropped(dropped);
  v1::TargetsResponse response;
  VEDETTE_RETURN_IF_ERROR(Ask(connection, request, response, &Stub::Targets));
  Table table{{"job", "url", "health", "last_scrape", "seconds", "labels", "error"}, {}};
  for (const v1::Target& t : response.active()) {
    table.rows.push_back({t.scrape_pool(), t.scrape_url(), std::string(HealthName(t.health())),
                          TimeOrNever(t.last_scrape_ms()),
                          FormatValue(t.last_scrape_duration_seconds()), SeriesText(t.labels()),
                          t.last_error()});
  }
  for (const v1::Target& t : response.dropped()) {
    table.rows.push_back(
        {t.scrape_pool(), "", "dropped", "", "", SeriesText(t.discovered_labels()), ""});
  }
  table.Print(format, out);
  return {};
}

Status Rules::Run(const Connection& connection, std::ostream& out) const {
  v1::RulesRequest request;
  for (const std::string& group : groups) request.add_groups(group);
  v1::RulesResponse response;
  VEDETTE_RETURN_IF_ERROR(Ask(connection, request, response, &Stub::Rules));
  Table table{{"group", "rule", "kind", "state", "health", "last_evaluation", "query", "error"},
              {}};
  for (const v1::RuleGroup& group : response.groups()) {
    for (const v1::Rule& rule : group.rules()) {
      table.rows.push_back({group.name(), rule.name(), rule.alerting() ? "alerting" : "recording",
                            rule.state(), rule.health(), TimeOrNever(group.last_evaluation_ms()),
                            rule.query(), rule.last_error()});
    }
  }
  table.Print(format, out);
  return {};
}

Status Alerts::Run(const Connection& connection, std::ostream& out) const {
  v1::AlertsResponse response;
  VEDETTE_RETURN_IF_ERROR(Ask(connection, v1::AlertsRequest(), response, &Stub::Alerts));
  Table table{{"alert", "state", "active_since", "value", "labels", "summary"}, {}};
  for (const v1::Alert& alert : response.alerts()) {
    const auto text = [](const LabelMap& map, const char* key) {
      const auto at = map.find(key);
      return at == map.end() ? std::string() : at->second;
    };
    table.rows.push_back({text(alert.labels(), "alertname"), alert.state(),
                          TimeOrNever(alert.active_at_ms()), FormatValue(alert.value()),
                          SeriesText(alert.labels()), text(alert.annotations(), "summary")});
  }
  table.Print(format, out);
  return {};
}

}  // namespace vedette::ctl
