#include "common/rpc/event.h"

namespace vedette::rpc {

std::string_view EventName(EventKind kind) {
  switch (kind) {
    case EventKind::kInsecure:
      return "insecure";
    case EventKind::kConnectionRefused:
      return "connection_refused";
    case EventKind::kHandshakeRefused:
      return "handshake_refused";
    case EventKind::kCallRefused:
      return "call_refused";
    case EventKind::kListening:
      return "listening";
    case EventKind::kStopped:
      return "stopped";
    case EventKind::kEnrolled:
      return "enrolled";
    case EventKind::kEnrolRefused:
      return "enrol_refused";
    case EventKind::kCutOff:
      return "cut_off";
    case EventKind::kTransport:
      return "transport";
  }
  return "unknown";
}

}  // namespace vedette::rpc
