#include "server/api/http/call.h"

#include <charconv>

#include "common/base/strings.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

struct Words {
  std::string_view name;
  int status;
};

Words WordsOf(ErrorType type) {
  switch (type) {
    case ErrorType::kTimeout:
      return {"timeout", 503};
    case ErrorType::kCanceled:
      return {"canceled", 499};
    case ErrorType::kExecution:
      return {"execution", 422};
    case ErrorType::kBadData:
      return {"bad_data", 400};
    case ErrorType::kInternal:
      return {"internal", 500};
    case ErrorType::kUnavailable:
      return {"unavailable", 503};
    case ErrorType::kNotFound:
      return {"not_found", 404};
    case ErrorType::kNotAcceptable:
      return {"not_acceptable", 406};
  }
  return {"internal", 500};
}

}  // namespace

std::optional<std::string_view> Call::Get(std::string_view name) const {
  for (const auto& [n, v] : params) {
    if (n == name) return v;
  }
  return std::nullopt;
}

std::vector<std::string_view> Call::All(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [n, v] : params) {
    if (n == name) out.push_back(v);
  }
  return out;
}

std::string_view Call::PathParam(std::string_view name) const {
  for (const auto& [n, v] : path_params) {
    if (n == name) return v;
  }
  return {};
}

Reply Failure(ErrorType type, std::string_view message) {
  const Words words = WordsOf(type);
  Reply reply{.status = words.status};
  JsonWriter(&reply.body)
      .BeginObject()
      .Key("status")
      .String("error")
      .Key("errorType")
      .String(words.name)
      .Key("error")
      .String(message)
      .EndObject();
  return reply;
}

Reply BadParameter(std::string_view name, std::string_view reason) {
  return Failure(ErrorType::kBadData, StrCat("invalid parameter ", Quoted(name), ": ", reason));
}

Reply BadParameter(std::string_view name, const Status& status) {
  return BadParameter(name, status.message());
}

Reply Failure(const Status& status) {
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      return Failure(ErrorType::kBadData, status.message());
    case StatusCode::kDeadlineExceeded:
      return Failure(ErrorType::kTimeout, status.message());
    case StatusCode::kCancelled:
      return Failure(ErrorType::kCanceled, status.message());
    case StatusCode::kResourceExhausted:
    case StatusCode::kFailedPrecondition:
      return Failure(ErrorType::kExecution, status.message());
    case StatusCode::kNotFound:
      return Failure(ErrorType::kNotFound, status.message());
    case StatusCode::kUnavailable:
      return Failure(ErrorType::kUnavailable, status.message());
    default:
      return Failure(ErrorType::kInternal, status.message());
  }
}

Result<TimeRange> RangeOf(const Call& call) {
  TimeRange range{kMinTimeMs, kMaxTimeMs};
  const auto read = [&](std::string_view name, int64_t& out) -> Status {
    const auto text = call.Get(name);
    if (!text || text->empty()) return {};
    const Result<int64_t> t = ParseTime(*text);
    if (!t.ok()) return t.status().Annotate(StrCat("invalid parameter ", Quoted(name)));
    out = *t;
    return {};
  };
  VEDETTE_RETURN_IF_ERROR(read("start", range.start_ms));
  VEDETTE_RETURN_IF_ERROR(read("end", range.end_ms));
  return range;
}

Result<uint64_t> LimitOf(const Call& call) {
  const auto text = call.Get("limit");
  if (!text || text->empty()) return uint64_t{0};
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc() || end != text->data() + text->size()) {
    return InvalidArgument(
        StrCat("invalid parameter \"limit\": cannot parse ", Quoted(*text), " as a whole number"));
  }
  if (limit < 0) {
    return InvalidArgument("invalid parameter \"limit\": limit must be non-negative");
  }
  return static_cast<uint64_t>(limit);
}

}  // namespace vedette::api
