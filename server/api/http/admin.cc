#include "server/api/http/admin.h"

#include "common/base/strings.h"

namespace vedette::api {
namespace {

Reply Disabled() {
  return Failure(ErrorType::kUnavailable,
                 "admin APIs disabled: start the server with --web.enable-admin-api");
}

uint64_t Freed(const AdminChange& change) {
  return change.bytes_before > change.bytes_after ? change.bytes_before - change.bytes_after : 0;
}

void WriteChange(JsonWriter& json, const AdminChange& change) {
  json.BeginObject();
  json.Key("bytesBefore").Uint(change.bytes_before);
  json.Key("bytesAfter").Uint(change.bytes_after);
  json.Key("bytesFreed").Uint(Freed(change));
  json.Key("series").Uint(change.series);
  json.Key("samples").Uint(change.samples);
  json.EndObject();
}

}  // namespace

Reply AdminDoor::DeleteSeries(const Call& call) const {
  if (!b_.enabled) return Disabled();
  const auto texts = call.All("match[]");
  if (texts.empty()) return Failure(ErrorType::kBadData, "no match[] parameter provided");
  const Result<TimeRange> range = RangeOf(call);
  if (!range.ok()) return Failure(range.status());
  std::vector<std::vector<Matcher>> selectors;
  for (const std::string_view text : texts) {
    Result<std::vector<Matcher>> matchers = b_.parse(text);
    if (!matchers.ok()) return BadParameter("match[]", matchers.status());
    selectors.push_back(*std::move(matchers));
  }
  const Result<AdminChange> done = b_.remove(selectors, range->start_ms, range->end_ms);
  if (!done.ok()) return Failure(ErrorType::kInternal, done.status().message());
  // Prometheus answers with nothing; whoever wants to know how much it was asks for a report.
  const std::string_view report = call.Get("report").value_or("");
  if (report == "true" || report == "1") {
    return Success([&](JsonWriter& json) { WriteChange(json, *done); });
  }
  Reply reply{.status = 204};
  reply.headers.emplace_back("X-Vedette-Samples-Deleted", StrCat(done->samples));
  reply.headers.emplace_back("X-Vedette-Bytes-Freed", StrCat(Freed(*done)));
  return reply;
}

Reply AdminDoor::CleanTombstones(const Call&) const {
  if (!b_.enabled) return Disabled();
  const Result<AdminChange> done = b_.clean_tombstones();
  if (!done.ok()) return Failure(ErrorType::kInternal, done.status().message());
  Reply reply{.status = 204};
  return reply;
}

Reply AdminDoor::Compact(const Call&) const {
  if (!b_.enabled) return Disabled();
  const Result<AdminChange> done = b_.compact();
  if (!done.ok()) return Failure(ErrorType::kInternal, done.status().message());
  return Success([&](JsonWriter& json) { WriteChange(json, *done); });
}

Reply AdminDoor::Snapshot(const Call& call) const {
  if (!b_.enabled) return Disabled();
  const std::string_view skip_head = call.Get("skip_head").value_or("");
  // There is no head that could be left out: what is in memory is in the log, and that is copied.
  if (!skip_head.empty() && skip_head != "true" && skip_head != "false" && skip_head != "1" &&
      skip_head != "0") {
    return BadParameter("skip_head", StrCat(Quoted(skip_head), " is neither true nor false"));
  }
  const Result<std::string> name = b_.snapshot();
  if (!name.ok()) return Failure(ErrorType::kInternal, name.status().message());
  return Success(
      [&](JsonWriter& json) { json.BeginObject().Key("name").String(*name).EndObject(); });
}

}  // namespace vedette::api
