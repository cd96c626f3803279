#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "server/api/http/json.h"
#include "server/promql/engine.h"

namespace vedette::api {

// Call is one request to the API, free of the HTTP library: query string and form together, in
// order.
struct Call {
  std::vector<std::pair<std::string, std::string>> params;
  // What stood at ":name" in the path.
  std::vector<std::pair<std::string, std::string>> path_params;
  std::string_view body;  // Of the request, which outlives the call.
  std::string accept;     // The header.
  std::string origin;     // Who asks, for lists of running queries: "http 10.0.0.7:5123".
  // Set when the client has gone away; never null.
  const promql::CancelFlag* cancel = nullptr;

  // The first value; nothing where there is none. An empty value counts as given.
  std::optional<std::string_view> Get(std::string_view name) const;
  std::vector<std::string_view> All(std::string_view name) const;
  std::string_view PathParam(std::string_view name) const;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // Set: writes the body piece by piece, through a function that says whether the client is still
  // there; `body` means nothing then.
  using Write = std::function<bool(std::string_view piece)>;
  std::function<void(const Write&)> stream;
  // The stream lasts as long as the client.
  bool endless = false;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The words of "errorType" and their HTTP status.
enum class ErrorType : uint8_t {
  kTimeout,
  kCanceled,
  kExecution,
  kBadData,
  kInternal,
  kUnavailable,
  kNotFound,
  kNotAcceptable,
};

// {"status":"error","errorType":"bad_data","error":"..."}
Reply Failure(ErrorType type, std::string_view message);
// invalid parameter "step": ...
Reply BadParameter(std::string_view name, const Status& status);
Reply BadParameter(std::string_view name, std::string_view reason);
// The type that fits the code: kInvalidArgument is bad_data, kNotFound not_found, and so on.
Reply Failure(const Status& status);

// {"status":"success","data":...,"warnings":[...],"infos":[...]}; write_data(JsonWriter&) writes
// the value of "data".
struct Notes {
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

template <typename WriteData>
void WriteSuccess(JsonWriter& json, WriteData& write_data, const Notes& notes) {
  json.BeginObject().Key("status").String("success").Key("data");
  write_data(json);
  if (!notes.warnings.empty()) {
    json.Key("warnings").BeginArray();
    for (const std::string& w : notes.warnings) json.String(w);
    json.EndArray();
  }
  if (!notes.infos.empty()) {
    json.Key("infos").BeginArray();
    for (const std::string& i : notes.infos) json.String(i);
    json.EndArray();
  }
  json.EndObject();
}

template <typename WriteData>
Reply Success(WriteData write_data, const Notes& notes = {}) {
  Reply reply;
  JsonWriter json(&reply.body);
  WriteSuccess(json, write_data, notes);
  return reply;
}

// The same for large answers: written while they are sent. `write_data` keeps what it needs.
template <typename WriteData>
Reply StreamedSuccess(WriteData write_data, Notes notes) {
  Reply reply;
  reply.stream = [write_data = std::move(write_data),
                  notes = std::move(notes)](const Reply::Write& write) {
    std::string piece;
    JsonWriter json(&piece, write);
    WriteSuccess(json, write_data, notes);
    json.FlushNow();
  };
  return reply;
}

// Reads "start" and "end" where given; otherwise the ends of time.
struct TimeRange {
  int64_t start_ms;
  int64_t end_ms;
};
Result<TimeRange> RangeOf(const Call& call);
// "limit"; 0 is no limit.
Result<uint64_t> LimitOf(const Call& call);

inline constexpr std::string_view kTruncated = "results truncated due to limit";

}  // namespace vedette::api
