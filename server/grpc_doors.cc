#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"
#include "common/tls/identity.h"
#include "server/promql/parser/parser.h"
#include "server/server_parts.h"

// What is reached over gRPC: questions, and nodes that enrol.
namespace vedette {

rpc::EventSink Server::Parts::RpcEvents() {
  return [this](const rpc::Event& e) {
    rpc_events.With({std::string(rpc::EventName(e.kind))}).Increment();
    std::string facts;
    for (const auto& [key, value] : e.fields)
      StrAppend(facts, facts.empty() ? "" : " ", key, "=", value);
    if (e.kind == rpc::EventKind::kListening || e.kind == rpc::EventKind::kStopped) {
      log::Info(e.message, {{"event", rpc::EventName(e.kind)}, {"facts", facts}});
    } else {
      log::Warn(e.message, {{"event", rpc::EventName(e.kind)}, {"facts", facts}});
    }
  };
}

tls::CertificateFiles Server::Parts::GrpcFiles() const {
  const std::string& ca = options.grpc_tls_ca;
  return {.ca_file = ca,
          .crl_file = ca.ends_with(".crt") ? ca.substr(0, ca.size() - 4) + ".crl" : "",
          .cert_file = options.grpc_tls_cert,
          .key_file = options.grpc_tls_key};
}

Status Server::Parts::OpenGrpc() {
  if (options.grpc_listen.empty()) {
    log::Info("the gRPC door is closed: no --grpc.listen-address");
    return {};
  }
  query_service = api::MakeQueryService({.engine = engine.get(),
                                         .queryable = &queryable(),
                                         .scrapes = scrapes.get(),
                                         .watcher = scrapes.get(),
                                         .rule_groups = [this] { return RuleGroups(); },
                                         .parse_selector = promql::ParseMetricSelector,
                                         .clock = &clock});
  rpc::ServerOptions door;
  door.listen_addresses = options.grpc_listen;
  door.files = GrpcFiles();
  door.insecure = options.grpc_insecure;
  door.limits = options.grpc_limits;
  door.rules = {
      {"/vedette.v1.QueryService/", {tls::Role::kOperator, tls::Role::kViewer, tls::Role::kServer}},
      // Who only looks does not end other people's queries.
      {"/vedette.v1.QueryService/KillQuery", {tls::Role::kOperator, tls::Role::kServer}},
      {"/vedette.v1.QueryService/Watch", {tls::Role::kOperator}}};
  door.events = RpcEvents();
  if (!door.insecure &&
      (door.files.ca_file.empty() || door.files.cert_file.empty() || door.files.key_file.empty())) {
    return FailedPrecondition(
        "--grpc.listen-address needs --grpc.tls.ca, --grpc.tls.cert and --grpc.tls.key (vedettectl "
        "ca init and ca issue make them); --grpc.insecure does without, for a test on one machine");
  }
  if (door.insecure) {
    insecure.Set(1);
    log::Warn("GRPC IS OPEN TO EVERYBODY: --grpc.insecure switches off TLS and roles");
  }
  rpc::SetTransportLog(RpcEvents());
  Result<std::unique_ptr<rpc::Server>> started =
      rpc::Server::Start(std::move(door), {query_service.get()});
  if (!started.ok()) return started.status().Annotate("--grpc.listen-address");
  grpc = *std::move(started);
  return {};
}

Status Server::Parts::OpenEnrolment() {
  if (options.enrol_listen.empty()) return {};
  if (options.enrol_ca_dir.empty() || options.grpc_tls_cert.empty()) {
    return FailedPrecondition(
        "--enrol.listen-address needs --enrol.ca-dir (made by vedettectl ca init) and this "
        "server's "
        "certificate (--grpc.tls.ca, --grpc.tls.cert, --grpc.tls.key)");
  }
  enrol::EnrolDoorOptions door;
  door.listen_addresses = options.enrol_listen;
  door.ca_dir = options.enrol_ca_dir;
  door.limits = options.grpc_limits;
  door.max_requests_per_second = options.enrol_max_requests_per_second;
  door.max_requests_of_address = options.enrol_max_requests_of_address;
  door.files = GrpcFiles();
  door.events = RpcEvents();
  Result<std::unique_ptr<enrol::EnrolDoor>> started = enrol::StartEnrolDoor(std::move(door));
  if (!started.ok()) return started.status().Annotate("--enrol.listen-address");
  enrolment = *std::move(started);
  return {};
}

}  // namespace vedette
