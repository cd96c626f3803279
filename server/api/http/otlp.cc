#include "server/api/http/otlp.h"

#include <string>

#include "common/base/strings.h"
#include "server/remote/otlp.h"
#include "server/remote/otlp_json.h"
#include "server/remote/protobuf_writer.h"

namespace vedette::api {
namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::string_view kJson = "application/json";

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
  const std::string_view type = Trim(content_type.substr(0, content_type.find(';')));
  const bool json = type == kJson;
  if (type != kProtobuf && !json) {
    return Text(415, StrCat("OTLP is taken as ", kProtobuf, " or ", kJson, ", not as ",
                            Quoted(content_type)));
  }
  std::string transcoded;
  if (json) {
    Result<std::string> protobuf = remote::OtlpJsonToProtobuf(call.body);
    if (!protobuf.ok()) return Text(400, protobuf.status().message());
    transcoded = *std::move(protobuf);
  }
  remote::OtlpRequest request;
  const Status read = request.Read(json ? transcoded : call.body);
  if (!read.ok()) return Text(400, read.message());
  const Result<storage::CommitStats> stats = appender_.Write(request.series());
  if (!stats.ok()) return Text(503, stats.status().message());
  for (const auto& [name, metadata] : request.metadata()) appender_.SetMetadata(name, metadata);
  const uint64_t rejected = request.rejected() + stats->refused();
  samples_.Add(stats->appended);
  rejected_.Add(rejected);
  Reply reply;
  reply.content_type = json ? kJson : kProtobuf;
  if (rejected == 0) {
    if (json) reply.body = "{}";
    return reply;
  }
  const std::string_view reason =
      request.rejected() > 0
          ? std::string_view(request.rejected_reason())
          : "samples are out of order, too old, too far ahead or over a series limit";
  if (json) {
    JsonWriter w(&reply.body);
    w.BeginObject().Key("partialSuccess").BeginObject();
    w.Key("rejectedDataPoints").String(StrCat(rejected)).Key("errorMessage").String(reason);
    w.EndObject().EndObject();
    return reply;
  }
  std::string partial;
  remote::ProtobufWriter p(&partial);
  p.Varint(1, rejected);
  p.Bytes(2, reason);
  remote::ProtobufWriter(&reply.body).Message(1, partial);
  return reply;
}

}  // namespace vedette::api
