#include "common/rpc/grpc_status.h"

#include <string>

namespace vedette::rpc {
namespace {
constexpr size_t kMaxMessage = 4096;
}

grpc::Status ToGrpcStatus(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message().substr(0, kMaxMessage)));
}

Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return {};
  // A foreign server may send a number that gRPC does not have.
  const int code = status.error_code();
  const bool known = code >= 1 && code <= 16;
  return Status(known ? static_cast<StatusCode>(code) : StatusCode::kUnknown,
                status.error_message());
}

}  // namespace vedette::rpc
