#include "common/rpc/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/rate_limit.h"
#include "common/base/strings.h"
#include "common/rpc/call_rate.h"
#include "common/rpc/flood_guard.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/health.h"
#include "common/rpc/listener.h"
#include "common/rpc/lock_cycles.h"
#include "common/rpc/verifier.h"

namespace vedette::rpc {
namespace {

// gRPC's name for it in an AuthContext.
constexpr char kPeerCertificate[] = "x509_pem_cert";
constexpr char kPeerChain[] = "x509_pem_cert_chain";

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string_view Property(const grpc::AuthContext& context, const char* name) {
  const std::vector<grpc::string_ref> values = context.FindPropertyValues(name);
  return values.empty() ? std::string_view() : View(values.front());
}

// Of a certificate, whose peers are as many as there are certificates.
RateLimit::Rates ReconnectRates(const Limits& limits) {
  constexpr double kBurstSeconds = 60;
  constexpr double kNoLimit = 1e18;
  const auto each = static_cast<double>(limits.max_reconnects_per_second);
  return {.peer_burst = kBurstSeconds * each,
          .peer_per_second = each,
          .all_burst = kNoLimit,
          .all_per_second = kNoLimit};
}

// Called for each call, before any service (reflection and health included) sees it.
class CallGate final : public grpc::AuthMetadataProcessor {
 public:
  CallGate(std::shared_ptr<tls::TrustStore> trust, Authorizer authorizer,
           const ServerOptions& options, std::shared_ptr<CallRate> rate,
           std::shared_ptr<FloodGuard> guard)
      : clock_(*options.clock),
        calls_per_second_(options.limits.max_calls_per_second),
        reconnects_per_second_(options.limits.max_reconnects_per_second),
        reconnects_(ReconnectRates(options.limits), *options.clock),
        rate_(std::move(rate)),
        guard_(std::move(guard)),
        trust_(std::move(trust)),
        authorizer_(std::move(authorizer)),
        anonymous_methods_(options.anonymous_methods),
        events_(options.events) {}

  // A signature check and a table look-up: too little to hand it to another thread.
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) override {
    const auto path = metadata.find(":path");
    const std::string_view method =
        path == metadata.end() ? std::string_view() : View(path->second);
    const std::string_view certificate = Property(*context, kPeerCertificate);
    // Before anything that costs.
    const CallRate::Verdict rate = rate_->Call(certificate);
    if (rate == CallRate::Verdict::kBegins || rate == CallRate::Verdict::kRefused) {
      guard_->Refused();
      if (rate == CallRate::Verdict::kBegins) NoteFlood(certificate, method);
      // Whoever shows none shares this count with all who show none, and would be refused for their
      // sake: it only wakes the guard.
      if (!certificate.empty()) {
        return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                            "too many calls or bytes with this certificate "
                            "(--grpc.max-calls-per-second and its kin): wait ten seconds");
      }
    }
    if (certificate.empty() &&
        std::ranges::find(anonymous_methods_, method) != anonymous_methods_.end()) {
      return grpc::Status::OK;
    }
    // Again, though the handshake has: the certificate may have expired or been revoked since.
    const Result<tls::Identity> peer = Verify(
        certificate, Property(*context, kPeerChain), rate == CallRate::Verdict::kGoBusy);
    Status status = peer.status();
    if (status.ok()) status = authorizer_.Check(method, *peer);
    if (status.ok()) return grpc::Status::OK;
    if (events_) {
      Event event{.kind = EventKind::kCallRefused,
                  .message = StrCat("call refused: ", status.message())};
      event.fields = {{"method", std::string(method)}, {"reason", std::string(status.message())}};
      if (peer.ok()) {
        event.fields.insert(event.fields.end(), {{"role", std::string(tls::RoleName(peer->role))},
                                                 {"name", peer->name},
                                                 {"serial", peer->serial}});
      }
      events_(event);
    }
    return ToGrpcStatus(status);
  }

  // Of a new connection: a peer whose calls are refused need not come at all.
  Status CheckNew(const tls::Identity& peer, std::string_view certificate) {
    if (reconnects_.Take(certificate) != RateLimit::Verdict::kGo) {
      rate_->Refuse(certificate);
      return ResourceExhausted(
          StrCat(tls::Describe(peer), " makes more than ", reconnects_per_second_,
                 " new connections a second (--grpc.max-reconnects-per-second): it must be quiet "
                 "for ten seconds"));
    }
    if (!rate_->Refuses(certificate)) return {};
    return ResourceExhausted(
        StrCat(tls::Describe(peer),
               " floods (too many calls or bytes): it must be quiet for ten seconds"));
  }

 private:
  // A signature check is most of what a small call costs: whoever makes many of them is believed for
  // a second, so that its calls do not stand in the way of others'.
  Result<tls::Identity> Verify(std::string_view certificate, std::string_view chain, bool busy) {
    constexpr int64_t kBelievedNs = 1'000'000'000;
    constexpr size_t kMaxBelieved = 1000;
    const int64_t now_ns = clock_.MonotonicNs();
    if (busy) {
      MutexLock lock(mu_);
      const auto it = believed_.find(std::string(certificate));
      if (it != believed_.end() && now_ns - it->second.at_ns < kBelievedNs) return it->second.peer;
    }
    Result<tls::Identity> peer = trust_->Verify(certificate, chain);
    if (busy && peer.ok()) {
      MutexLock lock(mu_);
      if (believed_.size() >= kMaxBelieved) believed_.clear();
      believed_.insert_or_assign(std::string(certificate), Believed{now_ns, *peer});
    }
    return peer;
  }

  void NoteFlood(std::string_view certificate, std::string_view method) const {
    if (!events_) return;
    const Result<tls::Identity> peer = tls::ParseIdentity(certificate);
    const std::string name = peer.ok() ? peer->name : "somebody without a certificate";
    events_({.kind = EventKind::kCallRefused,
             .message = StrCat("calls refused: ", name, " makes more than ",
                               calls_per_second_,
                               " a second (--grpc.max-calls-per-second); until it has been quiet for "
                               "ten seconds"),
             .fields = {{"name", name},
                        {"serial", peer.ok() ? peer->serial : ""},
                        {"method", std::string(method)},
                        {"reason", "flood"}}});
  }

  struct Believed {
    int64_t at_ns;
    tls::Identity peer;
  };

  const Clock& clock_;
  const int64_t calls_per_second_;
  const int64_t reconnects_per_second_;
  RateLimit reconnects_;
  const std::shared_ptr<CallRate> rate_;
  const std::shared_ptr<FloodGuard> guard_;
  Mutex mu_;
  std::unordered_map<std::string, Believed> believed_ VEDETTE_GUARDED_BY(mu_);  // By certificate.
  const std::shared_ptr<tls::TrustStore> trust_;
  const Authorizer authorizer_;
  const std::vector<std::string> anonymous_methods_;
  const EventSink events_;
};

std::shared_ptr<grpc::ServerCredentials> Credentials(
    const ServerOptions& options, const std::shared_ptr<tls::TrustStore>& trust,
    const std::shared_ptr<CallRate>& rate, const std::shared_ptr<FloodGuard>& guard) {
  if (options.insecure) return grpc::InsecureServerCredentials();
  const auto gate =
      std::make_shared<CallGate>(trust, Authorizer(options.rules), options, rate, guard);
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      options.files.key_file, options.files.cert_file, options.files.ca_file,
      static_cast<unsigned>(options.certificate_refresh_seconds));
  grpc::experimental::TlsServerCredentialsOptions tls(provider);
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  // Asked for and not checked by gRPC: the Verifier refuses, a missing one included, and says why.
  tls.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  tls.set_certificate_verifier(grpc::experimental::ExternalCertificateVerifier::Create<Verifier>(
      trust,
      [gate](const tls::Identity& peer, std::string_view certificate) {
        return gate->CheckNew(peer, certificate);
      },
      [events = options.events](const Status& reason) {
        if (!events) return;
        events({.kind = EventKind::kHandshakeRefused,
                .message = StrCat("client refused: ", reason.message()),
                .fields = {{"reason", std::string(reason.message())}}});
      },
      options.anonymous_methods.empty() ? Verifier::Missing::kRefuse : Verifier::Missing::kAccept));
  std::shared_ptr<grpc::ServerCredentials> credentials =
      grpc::experimental::TlsServerCredentials(tls);
  credentials->SetAuthMetadataProcessor(gate);
  return credentials;
}

Event CutOffEvent(const FloodGuard::Cut& cut) {
  const Result<tls::Identity> peer = tls::ParseIdentity(cut.certificate);
  const std::string name = peer.ok() ? peer->name : "somebody without a certificate";
  std::string why;
  switch (cut.reason) {
    case FloodGuard::Cut::Reason::kCalls:
      why = StrCat("it began ", cut.calls, " calls within ", cut.ms,
                   " ms, while calls are refused as a flood (--grpc.max-calls-per-second)");
      break;
    case FloodGuard::Cut::Reason::kBytes:
      why = StrCat("it has sent ", cut.bytes,
                   " bytes, more than any question takes (--grpc.max-bytes-per-second)");
      break;
    case FloodGuard::Cut::Reason::kControlBytes:
      why = StrCat("it has sent ", cut.bytes,
                   " bytes, most of them no call and no message "
                   "(--grpc.max-control-bytes-per-second)");
      break;
  }
  return {.kind = EventKind::kCutOff,
          .message = StrCat("connection of ", name, " at ", cut.peer, " cut off: ", why),
          .fields = {{"name", name}, {"peer", cut.peer}, {"reason", "flood"}}};
}

constexpr int kMaxReadBytes = 64 << 10;

void Configure(grpc::ServerBuilder& builder, const Limits& limits) {
  const auto set = [&](const char* name, int64_t value) {
    builder.AddChannelArgument(name, static_cast<int>(value));
  };
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits.max_receive_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(limits.max_send_bytes));
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams);
  set(GRPC_ARG_MAX_METADATA_SIZE, limits.max_metadata_bytes);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, limits.min_ping_interval_ms);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_MAX_CONNECTION_AGE_MS, limits.max_connection_age_ms);
  set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, limits.max_connection_grace_ms);
  // An hour and a half-open handshake later nobody remembers whose socket it was.
  set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits.handshake_timeout_ms);
  // A thread works off what it has read before it looks at anybody else: the 4 MiB that gRPC takes by
  // default hold a hundred thousand calls of a peer that floods.
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kMaxReadBytes);
  // As in MakeChannel: an estimate of the line would cost whoever asks a ping for each request.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);  // FloodGuard reads these books.
}

}  // namespace

struct Server::State {
  ServerOptions options;
  std::vector<int> ports;
  std::shared_ptr<tls::TrustStore> trust;  // Null without TLS.
  std::shared_ptr<FloodGuard> guard;       // Likewise.
  HealthService health;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  std::atomic<bool> stopped{false};

  // Of CheckPeer, by certificate; who is looked at has its entry taken out meanwhile.
  Mutex mu;
  std::unordered_map<std::string, tls::TrustStore::Believed> believed VEDETTE_GUARDED_BY(mu);

  void Take(int listening_fd, int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = listening_fd;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { Shutdown(0); }

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                              const std::vector<grpc::Service*>& services) {
  IgnoreLockCycles();
  if (options.listen_addresses.empty()) return InvalidArgument("gRPC: no address to listen on");
  VEDETTE_RETURN_IF_ERROR(CheckLimits(options.limits));
  if (!options.insecure) {
    VEDETTE_RETURN_IF_ERROR(tls::CheckFiles(options.files, *options.clock).status());
  }
  // Works through a list that the process has once, and which a ServerBuilder copies.
  static std::once_flag plugins;
  std::call_once(plugins, [] {
    grpc::EnableDefaultHealthCheckService(false);  // health.h says why.
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });

  auto state = std::make_unique<State>();
  VEDETTE_ASSIGN_OR_RETURN(
      state->listener, Listener::Open(options.listen_addresses, options.limits, *options.clock));
  state->ports = state->listener->ports();
  grpc::ServerBuilder builder;
  Configure(builder, options.limits);
  std::shared_ptr<CallRate> rate;
  if (!options.insecure) {
    rate = std::make_shared<CallRate>(options.limits.max_calls_per_second, *options.clock);
    state->trust = std::make_shared<tls::TrustStore>(options.files.ca_file, options.files.crl_file,
                                                     *options.clock);
    state->guard = std::make_shared<FloodGuard>(
        options.limits, [events = options.events, rate](const FloodGuard::Cut& cut) {
          // Of calls it knows by itself, and the busiest may have been cut off by mistake.
          const bool calls = cut.reason == FloodGuard::Cut::Reason::kCalls;
          if (!calls && !cut.certificate.empty()) rate->Refuse(cut.certificate);
          if (events) events(CutOffEvent(cut));
        });
  }
  const std::shared_ptr<grpc::ServerCredentials> credentials =
      Credentials(options, state->trust, rate, state->guard);
  using External = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  state->acceptor =
      builder.experimental().AddExternalConnectionAcceptor(External::FROM_FD, credentials);
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.RegisterService(state->health.service());
  state->server = builder.BuildAndStart();
  if (state->server == nullptr) return Internal("gRPC does not start, and does not say why");
  state->listener->Start(
      [s = state.get()](int listening_fd, int fd) { s->Take(listening_fd, fd); },
      [events = options.events](const std::string& network, const std::string& why) {
        if (!events) return;
        events({.kind = EventKind::kConnectionRefused,
                .message = why,
                .fields = {{"peer", network}, {"reason", "flood"}}});
      });
  if (state->guard != nullptr) state->guard->Watch(state->ports);
  for (size_t i = 0; options.events && i < state->ports.size(); ++i) {
    const std::string& address = options.listen_addresses[i];
    options.events({.kind = EventKind::kListening,
                    .message = StrCat("gRPC listens on ", address),
                    .fields = {{"address", address}, {"port", StrCat(state->ports[i])}}});
    if (options.insecure) {
      options.events(
          {.kind = EventKind::kInsecure,
           .message = StrCat("gRPC on ", address,
                             " is INSECURE: no encryption, no certificates, everybody who "
                             "reaches this port may call everything"),
           .fields = {{"address", address}}});
    }
  }
  state->options = std::move(options);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

const std::vector<int>& Server::ports() const { return state_->ports; }

Status Server::CheckPeer(const grpc::ServerContextBase& context) const {
  if (state_->trust == nullptr) return {};
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr) return Unauthenticated("the caller has no certificate");
  constexpr size_t kMaxBelieved = 1000;
  const std::string certificate(Property(*auth, kPeerCertificate));
  tls::TrustStore::Believed believed;
  {
    MutexLock lock(state_->mu);
    if (auto known = state_->believed.extract(certificate)) believed = std::move(known.mapped());
  }
  const Status status =
      state_->trust->VerifyAgain(certificate, Property(*auth, kPeerChain), believed).status();
  if (!status.ok()) return status;
  MutexLock lock(state_->mu);
  if (state_->believed.size() >= kMaxBelieved) state_->believed.clear();
  state_->believed.insert_or_assign(certificate, std::move(believed));
  return {};
}

void Server::Shutdown(int64_t grace_ms) {
  if (state_->stopped.exchange(true)) return;
  state_->listener->Stop();
  state_->health.Stop();
  state_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
  state_->server->Wait();
  if (state_->guard != nullptr) state_->guard->Stop();
  if (state_->options.events) {
    state_->options.events({.kind = EventKind::kStopped, .message = "gRPC stopped", .fields = {}});
  }
}

Result<tls::Identity> PeerIdentity(const grpc::ServerContextBase& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const std::string_view pem =
      auth == nullptr ? std::string_view() : Property(*auth, kPeerCertificate);
  if (pem.empty())
    return Unauthenticated("the caller has no certificate: the connection is plain text");
  return tls::ParseIdentity(pem);  // Verified by the CallGate before the call got here.
}

namespace {

struct TransportLog {
  Mutex mu;
  std::shared_ptr<const EventSink> sink VEDETTE_GUARDED_BY(mu);
};

TransportLog& Log() {
  static TransportLog* log = new TransportLog;  // gRPC's threads may outlive static destructors.
  return *log;
}

void OnGrpcLog(gpr_log_func_args* args) {
  std::shared_ptr<const EventSink> sink;
  {
    MutexLock lock(Log().mu);
    sink = Log().sink;
  }
  if (sink == nullptr || args->severity != GPR_LOG_SEVERITY_ERROR) return;
  (*sink)({.kind = EventKind::kTransport,
           .message = StrCat("gRPC: ", args->message),
           .fields = {{"source", StrCat(args->file, ":", args->line)}}});
}

}  // namespace

void SetTransportLog(EventSink events) {
  const bool ours = static_cast<bool>(events);
  {
    MutexLock lock(Log().mu);
    Log().sink = ours ? std::make_shared<const EventSink>(std::move(events)) : nullptr;
  }
  gpr_set_log_function(ours ? OnGrpcLog : nullptr);  // Null: its own again.
}

}  // namespace vedette::rpc
