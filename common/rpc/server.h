#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/rpc/authorizer.h"
#include "common/rpc/event.h"
#include "common/rpc/limits.h"
#include "common/tls/identity.h"
#include "common/tls/trust.h"

namespace grpc {
class Service;
class ServerContextBase;
}  // namespace grpc

namespace vedette::rpc {

struct ServerOptions {
  // host:port, each; port 0 takes a free one. Required.
  std::vector<std::string> listen_addresses;
  tls::CertificateFiles files;
  // No TLS, no roles: everybody may call everything. Loud.
  bool insecure = false;
  // Health and reflection are open to every role without a line here.
  std::vector<MethodRule> rules;
  // "/package.Service/Method", each: may also be called without a client certificate. Whoever shows
  // one must show a good one, and needs a rule all the same. Empty everywhere but at the enrolment
  // door.
  std::vector<std::string> anonymous_methods;
  EventSink events;  // May be empty.
  const Clock* clock = &SystemClock();

  Limits limits;
  int certificate_refresh_seconds = 1;  // How often our own certificate files are looked at.
};

// A gRPC server as both programs want it: mutual TLS with a required client certificate, roles
// checked on every call, certificates and CRL picked up when their files change, limits, server
// reflection and the standard health service.
//
//   VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<rpc::Server> server,
//                            rpc::Server::Start(options, {&agent_service}));
//   …
//   server->Shutdown(5'000);
//
// The certificate is verified by our own TrustStore during the handshake, not by OpenSSL, so that a
// refusal has a reason in our log; it is verified again on each call, so that revocation and expiry
// reach connections that already stand. A certificate that makes too many calls (call_rate.h) or
// brings too many bytes (byte_budget.h) is refused until it is quiet, and the connections that it
// floods on are cut off (flood_guard.h). Calls without one are not told apart here: the service has
// to hold each address to a rate of its own; connections that flood with them are cut off, too.
// Thread-safe.
class Server {
 public:
  // The services must outlive the server. Every failure (certificates, a taken port) is a sentence.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options,
                                               const std::vector<grpc::Service*>& services);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The port of each listen address, in their order.
  const std::vector<int>& ports() const;

  // Looks again at the caller of a call that goes on: OK, or why it is not to be believed any more
  // (expired or revoked since, or its CA is no longer ours). For streams, at each message: two stats
  // as long as the CA and the revocation list are the same. Always OK without TLS.
  Status CheckPeer(const grpc::ServerContextBase& context) const;

  // Takes no new calls; those that run have `grace_ms` to end, then they are cancelled. Idempotent.
  void Shutdown(int64_t grace_ms);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Who is calling. UNAUTHENTICATED on a server without TLS.
Result<tls::Identity> PeerIdentity(const grpc::ServerContextBase& context);

// Sends what gRPC itself logs as an error (a plain-text client on a TLS port, TLS 1.1) to `events`
// as kTransport, for the whole process. An empty sink goes back to gRPC's own standard error.
void SetTransportLog(EventSink events);

}  // namespace vedette::rpc
