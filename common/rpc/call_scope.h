#pragma once

#include <cstdint>
#include <string_view>

#include "common/log/request_scope.h"

namespace grpc {
class ServerContext;
}

namespace vedette::rpc {

// The metadata under which a call has a name, as X-Request-Id over HTTP: the client's own, or one
// made here. It comes back with the answer's first metadata.
inline constexpr char kRequestId[] = "x-request-id";

// Stands in a handler of the synchronous API from its first line to its last: what the thread logs
// carries the call's id, and the end of the call is a line at debug level.
//
//   const rpc::CallScope scope(*context, "Query");
class CallScope {
 public:
  // `method` outlives the scope.
  CallScope(grpc::ServerContext& context, std::string_view method);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  const grpc::ServerContext& context_;
  const std::string_view method_;
  const int64_t began_ns_;
  log::RequestScope scope_;
};

}  // namespace vedette::rpc
