#include "ctl/agent.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>

#include "common/base/strings.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette::ctl {
namespace {

namespace pb = io::prometheus::client;

Result<std::unique_ptr<v1::AgentService::Stub>> Stub(const Connection& connection) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           connection.Open(tls::Role::kAgent));
  return v1::AgentService::NewStub(channel);
}

// A metric family as rows: one for each line that it would have in a text exposition.
class Rows {
 public:
  Rows(const pb::MetricFamily& family, Table& table) : family_(family), table_(table) {}

  void Add(const pb::Metric& m) {
    if (m.has_counter()) Line("", m, m.counter().value());
    if (m.has_gauge()) Line("", m, m.gauge().value());
    if (m.has_untyped()) Line("", m, m.untyped().value());
    if (m.has_summary()) {
      for (const pb::Quantile& q : m.summary().quantile()) {
        Line("", m, q.value(), "quantile", FormatValue(q.quantile()));
      }
      Line("_sum", m, m.summary().sample_sum());
      Line("_count", m, static_cast<double>(m.summary().sample_count()));
    }
    if (m.has_histogram()) {
      for (const pb::Bucket& b : m.histogram().bucket()) {
        Line("_bucket", m, static_cast<double>(b.cumulative_count()), "le",
             FormatValue(b.upper_bound()));
      }
      Line("_sum", m, m.histogram().sample_sum());
      Line("_count", m, static_cast<double>(m.histogram().sample_count()));
    }
  }

 private:
  void Line(std::string_view suffix, const pb::Metric& m, double value, std::string_view extra = {},
            const std::string& extra_value = {}) {
    std::string labels;
    const auto add = [&](std::string_view name, const std::string& text) {
      StrAppend(labels, labels.empty() ? "" : ",", name, "=", Quoted(text));
    };
    for (const pb::LabelPair& label : m.label()) add(label.name(), label.value());
    if (!extra.empty()) add(extra, extra_value);
    std::string series = StrCat(family_.name(), suffix);
    if (!labels.empty()) StrAppend(series, "{", labels, "}");
    table_.rows.push_back({series, FormatValue(value)});
  }

  const pb::MetricFamily& family_;
  Table& table_;
};

}  // namespace

Status AgentDescribe::Run(const Connection& connection, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::DescribeResponse response;
  VEDETTE_RETURN_IF_ERROR(
      rpc::FromGrpcStatus(stub->Describe(&context, {}, &response)).Annotate(connection.address));
  if (format == Format::kTable) {
    out << response.node() << ", version " << response.version() << ", up since "
        << FormatTime(response.started_at_ms()) << ", certificate ends in "
        << FormatValue(response.certificate_days_left()) << " days\n\n";
  }
  Table table{{"what", "name", "ok", "seconds", "series", "error"}, {}};
  for (const v1::Source& s : response.sources()) {
    table.rows.push_back({"source", s.name(), s.up() ? "yes" : "no",
                          FormatValue(s.duration_seconds()), StrCat(s.series()), s.error()});
  }
  for (const v1::CollectorState& c : response.collectors()) {
    table.rows.push_back({StrCat("collector of ", c.source()), c.name(), c.success() ? "yes" : "no",
                          FormatValue(c.duration_seconds()), "", c.error()});
  }
  table.Print(format, out);
  return {};
}

Status AgentCollect::Run(const Connection& connection, std::ostream& out) const {
  v1::CollectRequest request;
  for (const std::string& source : sources) request.add_sources(source);
  for (const std::string& collector : collectors) request.add_collectors(collector);
  request.set_name_regex(name_regex);
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::CollectResponse response;
  VEDETTE_RETURN_IF_ERROR(rpc::FromGrpcStatus(stub->Collect(&context, request, &response))
                              .Annotate(connection.address));
  Table table{{"series", "value"}, {}};
  for (const pb::MetricFamily& family : response.families()) {
    Rows rows(family, table);
    for (const pb::Metric& metric : family.metric()) rows.Add(metric);
  }
  table.Print(format, out);
  return {};
}

}  // namespace vedette::ctl
