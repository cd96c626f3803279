#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/tls/identity.h"
#include "common/tls/join_token.h"
#include "common/tls/trust.h"

// The node's side of EnrolService: from a join token to a folder with a certificate, and from an
// old certificate to a new one. The private key is made here and is never sent. docs/security.md,
// "Joining", says how both sides come to trust each other.
namespace vedette::rpc {

struct Enrolled {
  tls::Identity identity;
  tls::CertificateFiles files;
  bool changed = false;  // False: what was there was good enough.
};

struct JoinOptions {
  std::string server;  // HOST:PORT of the enrolment door.
  tls::JoinToken token;
  std::string name;
  std::vector<std::string> sans;
  std::string dir;  // Gets NAME.key, NAME.crt, ca.crt, ca.crl and join.txt.
  // Machines that boot together wait for each other: what may pass is tried again for so long.
  int64_t deadline_ms = 300'000;
  int64_t attempt_timeout_ms = 10'000;
  const Clock* clock = &SystemClock();
  // Waits between two attempts; empty: sleeps.
  std::function<void(int64_t ms)> wait;
  // Hears why there will be another attempt. May be empty.
  std::function<void(const Status& reason, int64_t wait_ms)> retrying;
};

// Joins. Does nothing, without a word on the wire, if `dir` has a certificate of that name that is
// valid and not yet due for renewal. Blocks; a refusal (an unknown token, a wrong name) is final at
// once.
Result<Enrolled> Join(const JoinOptions& options);

struct RenewOptions {
  std::string dir;
  std::string server;       // Empty: where the node joined.
  std::string server_name;  // Empty: as when it joined.
  bool force = false;       // Even if less than two thirds of its life are over.
  int64_t timeout_ms = 30'000;
  const Clock* clock = &SystemClock();
};

// Renews what Join made, over mutual TLS with the certificate that is there, with a new key.
Result<Enrolled> Renew(const RenewOptions& options);

}  // namespace vedette::rpc
