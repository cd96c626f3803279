#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vedette::rpc {

enum class EventKind : uint8_t {
  kInsecure,          // A port is open without TLS.
  kConnectionRefused,  // Its address makes too many, so it got as far as nothing.
  kHandshakeRefused,  // A peer's certificate was not believed, or makes too many connections.
  kCallRefused,       // The certificate is good, the call is not for its role.
  kListening,
  kStopped,
  kEnrolled,      // A node got a certificate, or a new one.
  kEnrolRefused,  // It asked for one, and there is a reason against it.
  kCutOff,        // A connection was ended because its peer floods.
  kTransport,     // What gRPC itself had to say: plain text on a TLS port, an old TLS version.
};

// handshake_refused, …: for logs and as the value of a metric's label.
std::string_view EventName(EventKind kind);

// Something that the log, and a counter, should know. `message` is a sentence; `fields` are its
// facts for structured logs: reason, peer, role, name, method, address.
struct Event {
  EventKind kind;
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;
};

// Given by the composition root. Called from gRPC's threads, several at a time.
using EventSink = std::function<void(const Event&)>;

}  // namespace vedette::rpc
