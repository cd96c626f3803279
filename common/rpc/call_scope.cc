#include "common/rpc/call_scope.h"

#include <grpcpp/grpcpp.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::rpc {

CallScope::CallScope(grpc::ServerContext& context, std::string_view method)
    : context_(context), method_(method), began_ns_(SystemClock().MonotonicNs()) {
  const auto sent = context.client_metadata().find(kRequestId);
  std::string id;
  if (sent != context.client_metadata().end()) id.assign(sent->second.data(), sent->second.size());
  if (!log::UsableRequestId(id)) id = log::NewRequestId();
  context.AddInitialMetadata(kRequestId, id);
  scope_.Set(id);
}

CallScope::~CallScope() {
  if (log::level() > log::Level::kDebug) return;
  const int64_t took_ns = SystemClock().MonotonicNs() - began_ns_;
  log::Debug(StrCat("grpc ", method_), {{"duration_ms", static_cast<double>(took_ns) / 1e6},
                                        {"cancelled", context_.IsCancelled()},
                                        {"peer", context_.peer()}});
}

}  // namespace vedette::rpc
