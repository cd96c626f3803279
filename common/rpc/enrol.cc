#include "common/rpc/enrol.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "common/base/strings.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "common/tls/ca.h"
#include "common/tls/node_files.h"
#include "proto/vedette/v1/enrol.grpc.pb.h"

namespace vedette::rpc {
namespace {

constexpr int64_t kFirstWaitMs = 500;
constexpr int64_t kMaxWaitMs = 15'000;
constexpr int kMaxAnswerBytes = 8 << 20;  // A revocation list may be long.

// TLS to whoever answers: its certificate is no proof yet, the proof is in the answer.
std::shared_ptr<grpc::Channel> UnverifiedChannel(const std::string& address) {
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_verify_server_certs(false);
  tls.set_check_call_host(false);
  tls.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  return grpc::CreateCustomChannel(address, grpc::experimental::TlsCredentials(tls), arguments);
}

bool MayPass(StatusCode code) {
  return code == StatusCode::kUnavailable || code == StatusCode::kDeadlineExceeded ||
         code == StatusCode::kResourceExhausted;
}

Result<tls::JoinAnswer> Ask(const JoinOptions& options, const tls::JoinRequest& request) {
  v1::EnrolRequest message;
  message.set_token_id(request.token_id);
  message.set_name(request.name);
  for (const std::string& san : request.sans) message.add_sans(san);
  message.set_nonce(request.nonce);
  message.set_csr_pem(request.csr_pem);
  message.set_proof(request.proof);
  grpc::ClientContext context;
  SetTimeout(context, options.attempt_timeout_ms);
  v1::EnrolResponse response;
  const auto stub = v1::EnrolService::NewStub(UnverifiedChannel(options.server));
  VEDETTE_RETURN_IF_ERROR(FromGrpcStatus(stub->Enrol(&context, message, &response)));
  return tls::JoinAnswer{.cert_pem = std::move(*response.mutable_certificate_pem()),
                         .ca_pem = std::move(*response.mutable_ca_pem()),
                         .crl_pem = std::move(*response.mutable_crl_pem()),
                         .server_name = std::move(*response.mutable_server_name()),
                         .proof = std::move(*response.mutable_proof())};
}

Result<tls::JoinAnswer> AskUntilDeadline(const JoinOptions& options,
                                         const tls::JoinRequest& request) {
  const auto now_ms = [&] { return options.clock->MonotonicNs() / 1'000'000; };
  const int64_t end_ms = now_ms() + options.deadline_ms;
  for (int64_t wait_ms = kFirstWaitMs;; wait_ms = std::min(wait_ms * 2, kMaxWaitMs)) {
    Result<tls::JoinAnswer> answer = Ask(options, request);
    if (answer.ok() || !MayPass(answer.status().code())) return answer;
    if (now_ms() + wait_ms >= end_ms) {
      return answer.status().Annotate(
          StrCat("no answer within ", options.deadline_ms / 1000, " s; the last attempt"));
    }
    if (options.retrying) options.retrying(answer.status(), wait_ms);
    if (options.wait) {
      options.wait(wait_ms);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    }
  }
}

Status CheckAnswer(const JoinOptions& options, const tls::JoinRequest& request,
                   const tls::JoinAnswer& answer) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string want,
                           tls::AnswerProof(options.token.secret, request, answer));
  if (!tls::SameBytes(want, answer.proof)) {
    return Unauthenticated(
        StrCat("whoever answers at ", options.server,
               " does not know the join token: it is not our server, or somebody sits in between. "
               "Nothing was taken from it"));
  }
  if (!options.token.ca_fingerprint.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string fingerprint,
                             tls::CertificateFingerprint(answer.ca_pem));
    if (fingerprint != options.token.ca_fingerprint) {
      return Unauthenticated(StrCat("the CA of ", options.server, " has SHA-256 ", fingerprint,
                                    ", the join token wants ", options.token.ca_fingerprint));
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(const tls::Identity identity, tls::ParseIdentity(answer.cert_pem));
  if (identity.name != options.name) {
    return Unauthenticated(StrCat("asked for a certificate of ", Quoted(options.name), ", got ",
                                  tls::Describe(identity)));
  }
  return {};
}

}  // namespace

Result<Enrolled> Join(const JoinOptions& options) {
  VEDETTE_RETURN_IF_ERROR(tls::CheckName(options.name));
  const tls::NodeFiles node{.dir = options.dir, .name = options.name};
  VEDETTE_RETURN_IF_ERROR(node.Finish());
  if (Result<tls::Identity> there = tls::CheckFiles(node.paths(), *options.clock);
      there.ok() && there->name == options.name &&
      options.clock->NowMs() < tls::RenewAtMs(*there)) {
    return Enrolled{.identity = *std::move(there), .files = node.paths(), .changed = false};
  }
  VEDETTE_RETURN_IF_ERROR(tls::CheckSecret(options.token.secret));
  VEDETTE_ASSIGN_OR_RETURN(const tls::KeyAndCsr made, tls::MakeKeyAndCsr(options.name));
  tls::JoinRequest request{.name = options.name, .sans = options.sans, .csr_pem = made.csr_pem};
  VEDETTE_ASSIGN_OR_RETURN(request.token_id, tls::TokenId(options.token.secret));
  VEDETTE_ASSIGN_OR_RETURN(request.nonce, tls::NewNonce());
  VEDETTE_ASSIGN_OR_RETURN(request.proof, tls::RequestProof(options.token.secret, request));

  // One request for all attempts: if only the answer was lost, the same request gets it again.
  Result<tls::JoinAnswer> answer = AskUntilDeadline(options, request);
  if (!answer.ok()) return answer.status().Annotate(StrCat("join at ", options.server));
  VEDETTE_RETURN_IF_ERROR(CheckAnswer(options, request, *answer));
  VEDETTE_RETURN_IF_ERROR(
      node.Store(made.key_pem, answer->cert_pem, answer->ca_pem, answer->crl_pem));
  VEDETTE_RETURN_IF_ERROR(tls::WriteJoinRecord(
      options.dir,
      {.server = options.server, .server_name = answer->server_name, .name = options.name}));
  Enrolled out{.files = node.paths(), .changed = true};
  VEDETTE_ASSIGN_OR_RETURN(out.identity, tls::CheckFiles(out.files, *options.clock));
  return out;
}

Result<Enrolled> Renew(const RenewOptions& options) {
  Result<tls::JoinRecord> record = tls::ReadJoinRecord(options.dir);
  if (!record.ok()) return record.status().Annotate("not a folder that 'join' made");
  const tls::NodeFiles node{.dir = options.dir, .name = record->name};
  VEDETTE_RETURN_IF_ERROR(node.Finish());
  Enrolled out{.files = node.paths()};
  VEDETTE_ASSIGN_OR_RETURN(out.identity, tls::CheckFiles(out.files, *options.clock));
  if (!options.force && options.clock->NowMs() < tls::RenewAtMs(out.identity)) return out;

  VEDETTE_ASSIGN_OR_RETURN(const tls::KeyAndCsr made, tls::MakeKeyAndCsr(record->name));
  ChannelOptions channel_options;
  channel_options.address = options.server.empty() ? record->server : options.server;
  channel_options.files = out.files;
  channel_options.expected_name =
      options.server_name.empty() ? record->server_name : options.server_name;
  channel_options.expected_role = tls::Role::kServer;
  channel_options.clock = options.clock;
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           MakeChannel(channel_options));
  v1::RenewRequest request;
  request.set_csr_pem(made.csr_pem);
  v1::RenewResponse response;
  grpc::ClientContext context;
  SetTimeout(context, options.timeout_ms);
  VEDETTE_RETURN_IF_ERROR(
      FromGrpcStatus(v1::EnrolService::NewStub(channel)->Renew(&context, request, &response))
          .Annotate(StrCat("renew at ", channel_options.address)));
  VEDETTE_ASSIGN_OR_RETURN(const tls::Identity fresh,
                           tls::ParseIdentity(response.certificate_pem()));
  if (fresh.name != record->name || fresh.role != out.identity.role) {
    return Unauthenticated(StrCat("asked for a new certificate of ", tls::Describe(out.identity),
                                  ", got ", tls::Describe(fresh)));
  }
  VEDETTE_RETURN_IF_ERROR(
      node.Store(made.key_pem, response.certificate_pem(), response.ca_pem(), response.crl_pem()));
  out.identity = fresh;
  out.changed = true;
  return out;
}

}  // namespace vedette::rpc
