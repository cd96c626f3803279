#include "common/rpc/verifier.h"

#include <grpc/grpc_security.h>

#include <string_view>

#include "common/rpc/grpc_status.h"

namespace vedette::rpc {

bool Verifier::Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
                      std::function<void(grpc::Status)> /*callback*/, grpc::Status* sync_status) {
  // The C fields: the C++ accessors make a string of a null pointer when a part is missing.
  const auto& peer = request->c_request()->peer_info;
  const auto text = [](const char* s) { return s == nullptr ? std::string_view() : s; };
  if (missing_ == Missing::kAccept && text(peer.peer_cert).empty()) {
    *sync_status = grpc::Status::OK;
    return true;
  }
  const Result<tls::Identity> identity =
      trust_->Verify(text(peer.peer_cert), text(peer.peer_cert_full_chain));
  Status status = identity.status();
  if (status.ok() && accept_) status = accept_(*identity, text(peer.peer_cert));
  if (!status.ok() && refused_) refused_(status);
  *sync_status = ToGrpcStatus(status);
  return true;  // Done here: nothing is left for the callback.
}

}  // namespace vedette::rpc
