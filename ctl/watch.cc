#include "ctl/watch.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "ctl/output.h"
#include "proto/vedette/v1/query.grpc.pb.h"

namespace vedette::ctl {

Status Watch::Run(const Connection& connection, std::ostream& out) const {
  const Result<int64_t> interval_ms = ParseDuration(interval);
  if (!interval_ms.ok()) return interval_ms.status().Annotate("--interval");
  const Result<int64_t> for_ms = ParseDuration(duration);
  if (!for_ms.ok()) return for_ms.status().Annotate("--for");
  if (!stop && *interval_ms == 0) return InvalidArgument("--interval is 0; --stop ends a watch");
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           connection.Open(tls::Role::kServer));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::WatchRequest request;
  request.set_host(host);
  request.set_interval_ms(stop ? 0 : *interval_ms);
  request.set_duration_ms(stop ? 0 : *for_ms);
  v1::WatchResponse response;
  VEDETTE_RETURN_IF_ERROR(
      rpc::FromGrpcStatus(v1::QueryService::NewStub(channel)->Watch(&context, request, &response))
          .Annotate(connection.address));
  for (const std::string& url : response.targets()) {
    if (stop) {
      out << url << ": scraped as configured\n";
    } else {
      out << url << ": every " << interval << " until " << FormatTime(response.until_ms()) << "\n";
    }
  }
  return {};
}

}  // namespace vedette::ctl
