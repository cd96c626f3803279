#include "server/api/http/otlp.h"

#include <string>

#include "common/base/strings.h"
#include "server/remote/otlp.h"
#include "server/remote/protobuf_writer.h"

namespace vedette::api {
namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";

Reply Text(int status, std::string_view message) {
  return {
      .status = status, .content_type = "text/plain; charset=utf-8", .body = StrCat(message, "\n")};
}

}  // namespace

OtlpDoor::OtlpDoor(storage::Appender& appender, metrics::Registry& registry)
    : appender_(appender),
      samples_(registry.AddCounter("vedette_otlp_samples_total",
                                   "Samples stored from OpenTelemetry metrics.")),
      rejected_(registry.AddCounter("vedette_otlp_rejected_points_total",
                                    "Points of OpenTelemetry metrics that were not taken, or "
                                    "whose samples the storage refused.")) {}

Reply OtlpDoor::Metrics(const Call& call, std::string_view content_type) {
  if (Trim(content_type.substr(0, content_type.find(';'))) != kProtobuf) {
    return Text(415, StrCat("OTLP is taken as ", kProtobuf, ", not as ", Quoted(content_type)));
  }
  thread_local remote::OtlpRequest request;
  const Status read = request.Read(call.body);
  if (!read.ok()) return Text(400, read.message());
  const Result<storage::CommitStats> stats = appender_.Write(request.series());
  if (!stats.ok()) return Text(503, stats.status().message());
  for (const auto& [name, metadata] : request.metadata()) appender_.SetMetadata(name, metadata);
  const uint64_t rejected = request.rejected() + stats->refused();
  samples_.Add(stats->appended);
  rejected_.Add(rejected);
  Reply reply;
  reply.content_type = kProtobuf;
  if (rejected == 0) return reply;
  std::string partial;
  remote::ProtobufWriter p(&partial);
  p.Varint(1, rejected);
  p.Bytes(2, request.rejected() > 0
                 ? request.rejected_reason()
                 : "samples are out of order, too old, too far ahead or over a series limit");
  remote::ProtobufWriter(&reply.body).Message(1, partial);
  return reply;
}

}  // namespace vedette::api
