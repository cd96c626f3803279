#include "server/api/http/write.h"

#include <memory>
#include <optional>

#include "common/base/strings.h"
#include "server/remote/write_request.h"

namespace vedette::api {
namespace {

constexpr std::string_view kVersion2 = "io.prometheus.write.v2.Request";
constexpr std::string_view kVersion1 = "prometheus.WriteRequest";

Reply Text(int status, std::string_view message) {
  return {
      .status = status, .content_type = "text/plain; charset=utf-8", .body = StrCat(message, "\n")};
}

// What 2.0 wants to know of every request that was read: what is stored now, to the sample.
void AddWritten(const storage::CommitStats& stats, Reply& reply) {
  reply.headers.emplace_back("X-Prometheus-Remote-Write-Samples-Written",
                             StrCat(stats.appended - stats.appended_histograms));
  reply.headers.emplace_back("X-Prometheus-Remote-Write-Histograms-Written",
                             StrCat(stats.appended_histograms));
  reply.headers.emplace_back("X-Prometheus-Remote-Write-Exemplars-Written",
                             StrCat(stats.exemplars));
}

// "application/x-protobuf;proto=..." to its message; nothing where it is another type.
std::optional<std::string_view> MessageOf(std::string_view content_type) {
  if (content_type.empty()) return kVersion1;
  const auto parts = Split(content_type, ';');
  if (Trim(parts[0]) != "application/x-protobuf") return std::nullopt;
  for (std::string_view part : parts) {
    part = Trim(part);
    if (part.starts_with("proto=")) return part.substr(6);
  }
  return kVersion1;
}

}  // namespace

WriteDoor::WriteDoor(storage::Appender& appender, metrics::Registry& registry,
                     size_t max_decoded_bytes)
    : appender_(appender),
      max_decoded_bytes_(max_decoded_bytes),
      samples_(registry.AddCounter("vedette_remote_write_samples_total",
                                   "Samples stored from remote write.")),
      histograms_(registry.AddCounter("vedette_remote_write_histograms_total",
                                      "Native histograms stored from remote write.")),
      exemplars_(registry.AddCounter("vedette_remote_write_exemplars_total",
                                     "Exemplars stored from remote write.")),
      refused_(
          registry.AddCounter("vedette_remote_write_refused_samples_total",
                              "Samples of remote writes that could not be stored: out of order, "
                              "duplicate, too old, too far ahead, or of a series over a limit.")),
      invalid_series_(
          registry.AddCounter("prometheus_api_remote_write_invalid_labels_samples_total",
                              "Series in remote writes with labels that no series may have.")) {}

Reply WriteDoor::Write(const Call& call, std::string_view content_type) {
  const auto message = MessageOf(content_type);
  if (!message || (*message != kVersion1 && *message != kVersion2)) {
    return Text(415, StrCat("remote write takes application/x-protobuf with proto=", kVersion1,
                            " or proto=", kVersion2, ", not ", Quoted(content_type)));
  }
  const bool v2 = *message == kVersion2;
  // Its buffers are kept between requests of one thread: nothing is allocated per sample.
  thread_local remote::WriteRequest request;
  // Those of a large one are not: every thread of the door would end with its own.
  constexpr size_t kKeptBodyBytes = 4 << 20;
  const std::shared_ptr<void> trim(nullptr, [&call](void*) {
    if (call.body.size() > kKeptBodyBytes) request = remote::WriteRequest();
  });
  request.set_max_decoded_bytes(max_decoded_bytes_);
  Status read = v2 ? request.ReadV2(call.body, &cache_) : request.ReadV1(call.body, &cache_);
  if (!read.ok()) return Text(400, read.message());

  Result<storage::CommitStats> stats =
      request.plain() ? appender_.WriteSamples(request.refs(), request.plain_samples())
                      : appender_.WriteKnown(request.series(), request.refs());
  if (!stats.ok() && stats.status().code() == StatusCode::kNotFound) {
    // The storage has given up a series that the cache still had: once more, with all labels.
    cache_.Clear();
    read = v2 ? request.ReadV2(call.body) : request.ReadV1(call.body);
    if (!read.ok()) return Text(400, read.message());
    stats = appender_.Write(request.series());
  }
  if (!stats.ok()) {
    const bool senders_fault = stats.status().code() == StatusCode::kInvalidArgument;
    Reply reply = Text(senders_fault ? 400 : 503, stats.status().message());
    if (v2) AddWritten({}, reply);
    return reply;
  }
  request.Remember(cache_);
  for (const auto& [name, metadata] : request.metadata()) appender_.SetMetadata(name, metadata);
  samples_.Add(stats->appended);
  histograms_.Add(stats->appended_histograms);
  exemplars_.Add(stats->exemplars);
  refused_.Add(stats->refused());
  invalid_series_.Add(request.invalid_series());

  Reply reply{.status = 204};
  std::string fault = request.invalid_reason();
  const auto add = [&](uint64_t count, std::string_view reason) {
    if (count > 0 && fault.empty()) fault = StrCat(count, " ", reason);
  };
  add(stats->out_of_order, "out of order samples");
  add(stats->too_old, "samples too old for the out-of-order window");
  add(stats->duplicate, "samples with another value for a timestamp that is already there");
  add(stats->too_far_ahead, "samples too far in the future");
  add(stats->series_limit, "samples of series that a series limit refused");
  if (!fault.empty()) reply = Text(400, fault);
  if (v2) AddWritten(*stats, reply);
  return reply;
}

}  // namespace vedette::api
