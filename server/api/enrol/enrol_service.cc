#include "server/api/enrol/enrol_service.h"

#include <grpcpp/grpcpp.h>

#include <string_view>
#include <utility>

#include "common/base/rate_limit.h"
#include "common/base/strings.h"
#include "common/metrics/refusals.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/server.h"
#include "common/tls/ca.h"
#include "common/tls/enroller.h"
#include "common/tls/identity.h"
#include "common/tls/join_token.h"
#include "proto/vedette/v1/enrol.grpc.pb.h"

namespace vedette::enrol {
namespace {

constexpr int kMaxRequestBytes = 64 << 10;
constexpr int kMaxStreams = 8;  // A node asks one thing at a time.
constexpr int64_t kMaxConnectionAgeMs = 60'000;

// gRPC writes peers as ipv4:10.0.0.7:5000 and ipv6:%5Bfe80::1%5D:5000.
std::string AddressOf(std::string_view peer) {
  const size_t scheme = peer.find(':');
  const size_t port = peer.rfind(':');
  if (scheme == std::string_view::npos || port <= scheme) return std::string(peer);
  std::string_view host = peer.substr(scheme + 1, port - scheme - 1);
  if (host.starts_with("%5B")) host.remove_prefix(3);
  if (host.starts_with('[')) host.remove_prefix(1);
  if (host.ends_with("%5D")) host.remove_suffix(3);
  if (host.ends_with(']')) host.remove_suffix(1);
  return std::string(host);
}

class EnrolService final : public v1::EnrolService::Service {
 public:
  EnrolService(const EnrolDoorOptions& options, std::string server_name)
      : enroller_(options.ca_dir, *options.clock),
        limit_({.peer_burst = 20 * options.max_requests_of_address,
                .peer_per_second = options.max_requests_of_address,
                .all_burst = 10 * options.max_requests_per_second,
                .all_per_second = options.max_requests_per_second},
               *options.clock),
        server_name_(std::move(server_name)),
        events_(options.events) {}

  grpc::Status Enrol(grpc::ServerContext* context, const v1::EnrolRequest* request,
                     v1::EnrolResponse* response) override {
    const rpc::CallScope scope(*context, "Enrol");
    const std::string peer = AddressOf(context->peer());
    if (const auto verdict = limit_.Take(peer); verdict != RateLimit::Verdict::kGo) {
      return TooOften(peer, verdict);
    }
    const tls::JoinRequest join{.token_id = request->token_id(),
                                .name = request->name(),
                                .sans = {request->sans().begin(), request->sans().end()},
                                .nonce = request->nonce(),
                                .csr_pem = request->csr_pem(),
                                .proof = request->proof()};
    Result<tls::JoinAnswer> answer = enroller_.Join(join, peer, server_name_);
    if (!answer.ok()) return Refused("enrol", request->name(), peer, answer.status());
    Granted("joined", answer->cert_pem, peer);
    response->set_certificate_pem(std::move(answer->cert_pem));
    response->set_ca_pem(std::move(answer->ca_pem));
    response->set_crl_pem(std::move(answer->crl_pem));
    response->set_server_name(std::move(answer->server_name));
    response->set_proof(std::move(answer->proof));
    return grpc::Status::OK;
  }

  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::RenewResponse* response) override {
    const rpc::CallScope scope(*context, "Renew");
    const std::string peer = AddressOf(context->peer());
    if (const auto verdict = limit_.Take(peer); verdict != RateLimit::Verdict::kGo) {
      return TooOften(peer, verdict);
    }
    const Result<tls::Identity> identity = rpc::PeerIdentity(*context);
    if (!identity.ok()) return Refused("renew", "", peer, identity.status());
    Result<tls::Enroller::Renewal> renewal = enroller_.Renew(request->csr_pem(), *identity);
    if (!renewal.ok()) return Refused("renew", identity->name, peer, renewal.status());
    Granted("renewed", renewal->cert_pem, peer);
    response->set_certificate_pem(std::move(renewal->cert_pem));
    response->set_ca_pem(std::move(renewal->ca_pem));
    response->set_crl_pem(std::move(renewal->crl_pem));
    return grpc::Status::OK;
  }

 private:
  // Not an event: a flood must not reach the log either.
  static grpc::Status TooOften(const std::string& peer, RateLimit::Verdict verdict) {
    const bool all = verdict == RateLimit::Verdict::kAllTooOften;
    const metrics::Limit limit =
        all ? metrics::Limit::kEnrolRequests : metrics::Limit::kEnrolRequestsOfAddress;
    metrics::CountRefusal(limit);
    return rpc::ToGrpcStatus(ResourceExhausted(
        StrCat("too many requests from ", all ? "all nodes together" : peer, " (--",
               metrics::FlagOf(limit), "): try again in some seconds")));
  }

  grpc::Status Refused(std::string_view verb, const std::string& name, const std::string& peer,
                       const Status& reason) {
    if (events_) {
      events_({.kind = rpc::EventKind::kEnrolRefused,
               .message = StrCat(verb, " of ", Quoted(name.substr(0, 64)), " from ", peer,
                                 " refused: ", reason.message()),
               .fields = {{"name", name.substr(0, 64)},
                          {"peer", peer},
                          {"reason", std::string(reason.message())}}});
    }
    return rpc::ToGrpcStatus(reason);
  }

  void Granted(std::string_view verb, std::string_view cert_pem, const std::string& peer) {
    const Result<tls::Identity> identity = tls::ParseIdentity(cert_pem);
    if (!events_ || !identity.ok()) return;
    events_({.kind = rpc::EventKind::kEnrolled,
             .message = StrCat(tls::Describe(*identity), " ", verb, " from ", peer),
             .fields = {{"role", std::string(tls::RoleName(identity->role))},
                        {"name", identity->name},
                        {"serial", identity->serial},
                        {"peer", peer}}});
  }

  tls::Enroller enroller_;
  RateLimit limit_;
  const std::string server_name_;
  const rpc::EventSink events_;
};

class Door final : public EnrolDoor {
 public:
  Door(std::unique_ptr<EnrolService> service, std::unique_ptr<rpc::Server> server)
      : service_(std::move(service)), server_(std::move(server)) {}
  const std::vector<int>& ports() const override { return server_->ports(); }
  void Shutdown(int64_t grace_ms) override { server_->Shutdown(grace_ms); }

 private:
  // In this order: the server ends before what it serves.
  std::unique_ptr<EnrolService> service_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<EnrolDoor>> StartEnrolDoor(EnrolDoorOptions options) {
  Result<tls::CertificateAuthority> ca =
      tls::CertificateAuthority::Open(options.ca_dir, *options.clock);
  if (!ca.ok()) return ca.status().Annotate("enrolment");
  VEDETTE_ASSIGN_OR_RETURN(const tls::Identity self,
                           tls::CheckFiles(options.files, *options.clock));
  tls::TrustStore trust(StrCat(options.ca_dir, "/ca.crt"), "", *options.clock);
  Result<std::string> own_pem = tls::ReadCertificate(options.files.cert_file);
  if (!own_pem.ok()) return own_pem.status();
  // Else every node that joins would refuse this very server afterwards.
  if (Result<tls::Identity> ours = trust.Verify(*own_pem, *own_pem); !ours.ok()) {
    return FailedPrecondition(StrCat("enrolment: ", options.files.cert_file,
                                     " should be from the CA in ", options.ca_dir, ": ",
                                     ours.status().message()));
  }
  if (self.role != tls::Role::kServer) {
    return FailedPrecondition(StrCat("enrolment: ", options.files.cert_file,
                                     " should have the role server: ", tls::Describe(self)));
  }
  auto service = std::make_unique<EnrolService>(options, self.name);
  rpc::ServerOptions server_options;
  server_options.listen_addresses = options.listen_addresses;
  server_options.files = options.files;
  server_options.anonymous_methods = {"/vedette.v1.EnrolService/Enrol"};
  server_options.rules = {
      {"/vedette.v1.EnrolService/Renew",
       {tls::Role::kServer, tls::Role::kAgent, tls::Role::kOperator, tls::Role::kViewer}}};
  server_options.events = options.events;
  server_options.clock = options.clock;
  server_options.limits = options.limits;
  server_options.limits.max_concurrent_streams = kMaxStreams;
  server_options.limits.max_receive_bytes = kMaxRequestBytes;
  server_options.limits.max_connection_age_ms = kMaxConnectionAgeMs;
  Result<std::unique_ptr<rpc::Server>> server =
      rpc::Server::Start(std::move(server_options), {service.get()});
  if (!server.ok()) return server.status().Annotate("enrolment");
  return std::unique_ptr<EnrolDoor>(std::make_unique<Door>(std::move(service), *std::move(server)));
}

}  // namespace vedette::enrol
