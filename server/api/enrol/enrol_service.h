#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/rpc/event.h"
#include "common/rpc/limits.h"
#include "common/tls/trust.h"

namespace vedette::enrol {

struct EnrolDoorOptions {
  std::vector<std::string> listen_addresses;  // host:port, each; by convention port 9467.
  std::string ca_dir;                         // A CA that 'vedettectl ca init' made.
  // The server's own certificate: one of that CA's, with the role server. It is what nodes check
  // when they renew; who joins checks the answer instead.
  tls::CertificateFiles files;
  // Of all nodes, in a burst those of ten seconds: a rack that boots at once; and of one address, in a
  // burst those of 20.
  double max_requests_per_second = 20;
  double max_requests_of_address = 0.5;
  rpc::Limits limits;     // Streams, messages and the connection's age are smaller here.
  rpc::EventSink events;  // May be empty. kEnrolled and kEnrolRefused, and a gRPC server's.
  const Clock* clock = &SystemClock();
};

// The enrolment door while it is open: EnrolService over TLS on a port of its own, on which Enrol,
// and only Enrol, needs no client certificate. Answers are made in gRPC's threads, one at a time
// for the disk's sake. Destruction closes it; so does Shutdown(), which lets running calls end.
class EnrolDoor {
 public:
  virtual ~EnrolDoor() = default;
  // The port of each listen address, in their order.
  virtual const std::vector<int>& ports() const = 0;
  virtual void Shutdown(int64_t grace_ms) = 0;
};

// Everything that can be wrong (no CA there, a certificate of another CA, a taken port) is said
// here.
Result<std::unique_ptr<EnrolDoor>> StartEnrolDoor(EnrolDoorOptions options);

}  // namespace vedette::enrol
