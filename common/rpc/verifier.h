#pragma once

#include <grpcpp/security/tls_certificate_verifier.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/tls/identity.h"
#include "common/tls/trust.h"

// Private to common/rpc.
namespace vedette::rpc {

// What gRPC calls with the peer's chain once the handshake has proved that the peer holds its key.
// gRPC's own check of the chain is off: the TrustStore makes it, then `accept` may add a condition,
// and `refused` hears the reason.
class Verifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  // `certificate` as the peer showed it, PEM.
  using Accept = std::function<Status(const tls::Identity&, std::string_view certificate)>;
  // Whether a peer without a certificate is let in: then each call must be looked at.
  enum class Missing { kRefuse, kAccept };
  using Refused = std::function<void(const Status& reason)>;

  Verifier(std::shared_ptr<tls::TrustStore> trust, Accept accept, Refused refused,
           Missing missing = Missing::kRefuse)
      : trust_(std::move(trust)),
        accept_(std::move(accept)),
        refused_(std::move(refused)),
        missing_(missing) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> callback, grpc::Status* sync_status) override;
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest* request) override {}

 private:
  const std::shared_ptr<tls::TrustStore> trust_;
  const Accept accept_;
  const Refused refused_;
  const Missing missing_;
};

}  // namespace vedette::rpc
