#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/tls/identity.h"
#include "common/tls/join_token.h"
#include "common/tls/token_store.h"

namespace vedette::tls {

// The CA's desk for nodes that come over the network: a join token against a first certificate, an
// old certificate against a new one. Knows nothing of gRPC; server/api/enrol is the door in front
// of it.
//
//   Enroller enroller(ca_dir, clock);
//   Result<JoinAnswer> answer = enroller.Join(request, "10.0.0.7", "hub");
//
// A name in a certificate is who its holder can pose as, so that a node gets only these: the name
// in its token (or, if the token names nobody, one without dots that no valid certificate has), the
// SANs in the token, and the address it calls from.
//
// Costs a few file writes and two signatures, about 5 ms. Thread-safe.
class Enroller {
 public:
  Enroller(std::string ca_dir, const Clock& clock);

  // `peer_address` is the caller's IP address. The same request again within ten minutes gets the
  // same answer, since the first one may have been lost on its way; it is of no use to anybody
  // else.
  Result<JoinAnswer> Join(const JoinRequest& request, std::string_view peer_address,
                          std::string_view server_name) VEDETTE_EXCLUDES(mu_);

  struct Renewal {
    std::string cert_pem;
    std::string ca_pem;
    std::string crl_pem;
  };
  // `peer` has been verified. Its certificate must be one of this CA's, and not revoked.
  Result<Renewal> Renew(std::string_view csr_pem, const Identity& peer);

 private:
  struct Answered {
    std::string request_proof;
    int64_t at_ms;
    JoinAnswer answer;
  };

  const std::string ca_dir_;
  const Clock& clock_;
  TokenStore tokens_;
  Mutex mu_;
  std::deque<Answered> answered_ VEDETTE_GUARDED_BY(mu_);  // Oldest first.
};

}  // namespace vedette::tls
