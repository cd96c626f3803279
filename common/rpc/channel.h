#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/rpc/event.h"
#include "common/tls/identity.h"
#include "common/tls/trust.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace vedette::rpc {

struct ChannelOptions {
  std::string address;  // host:port. Required.
  tls::CertificateFiles files;
  bool insecure = false;
  // The name that the server's certificate must speak for: the node's. Empty: the host in
  // `address`.
  std::string expected_name;
  // The role that it must have. kNone: any.
  tls::Role expected_role = tls::Role::kNone;
  EventSink events;  // May be empty.
  const Clock* clock = &SystemClock();

  int max_receive_bytes = 256 << 20;
  int keepalive_ms = 30'000;
  int keepalive_timeout_ms = 10'000;
  int min_reconnect_ms = 500;
  int max_reconnect_ms = 15'000;
  int certificate_refresh_seconds = 1;
};

// A channel to one server: mutual TLS, the server's name and role checked against its certificate,
// our own certificate picked up when its files change. Connects on the first call, and again by
// itself. Each call still needs its deadline: SetTimeout. The answer's reason for a refusal is in
// the call's status: "certificate expired at …".
Result<std::shared_ptr<grpc::Channel>> MakeChannel(ChannelOptions options);

// PeerCheck looks again at the server at the other end of a call that goes on, because the
// handshake of a connection that stands for an hour cannot know what is revoked since.
//
//   PeerCheck check(options);             // Those of the channel.
//   Status still_good = check.Check(context);   // After the first answer.
//
// Some micro-seconds; 0.1 ms once a minute and whenever the files have changed (TrustStore's
// VerifyAgain). Always OK without TLS. Thread-safe.
class PeerCheck {
 public:
  explicit PeerCheck(ChannelOptions options);
  Status Check(const grpc::ClientContext& context) const;

 private:
  const std::string name_;
  const tls::Role role_;
  const std::shared_ptr<tls::TrustStore> trust_;  // Null without TLS.
  mutable Mutex mu_;
  mutable tls::TrustStore::Believed believed_ VEDETTE_GUARDED_BY(mu_);
};

// The call fails with DEADLINE_EXCEEDED after so long.
void SetTimeout(grpc::ClientContext& context, int64_t timeout_ms);

}  // namespace vedette::rpc
