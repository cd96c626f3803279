#pragma once

#include <grpcpp/support/status.h>

#include "common/base/status.h"

namespace vedette::rpc {

// The same code and sentence on the other side of the wire. A sentence is cut at 4 KiB: it travels
// in a header, and headers have a limit.
grpc::Status ToGrpcStatus(const Status& status);
Status FromGrpcStatus(const grpc::Status& status);

}  // namespace vedette::rpc
