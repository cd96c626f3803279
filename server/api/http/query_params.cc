#include "server/api/http/query_params.h"

#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

// More steps than this would be more points than a screen has pixels, several times over.
constexpr int64_t kMaxPoints = 11000;

// What both kinds of query take.
std::optional<Reply> ReadCommon(const Call& call, promql::Query& query, uint64_t& limit) {
  query.text = call.Get("query").value_or("");
  query.origin = call.origin;
  const auto read = [&](std::string_view name,
                        std::optional<int64_t>& out) -> std::optional<Reply> {
    const auto text = call.Get(name);
    if (!text || text->empty()) return std::nullopt;
    const Result<int64_t> ms = ParseDurationParam(*text);
    if (!ms.ok()) return BadParameter(name, ms.status());
    out = *ms;
    return std::nullopt;
  };
  if (auto bad = read("timeout", query.timeout_ms)) return bad;
  if (auto bad = read("lookback_delta", query.lookback_ms)) return bad;
  const Result<uint64_t> l = LimitOf(call);
  if (!l.ok()) return Failure(l.status());
  limit = *l;
  return std::nullopt;
}

}  // namespace

std::optional<Reply> ReadInstant(const Call& call, const Clock& clock, promql::Query& query,
                                 uint64_t& limit) {
  query.start_ms = clock.NowMs();
  if (const auto text = call.Get("time"); text && !text->empty()) {
    const Result<int64_t> t = ParseTime(*text);
    if (!t.ok()) return BadParameter("time", t.status());
    query.start_ms = *t;
  }
  query.end_ms = query.start_ms;
  return ReadCommon(call, query, limit);
}

std::optional<Reply> ReadRange(const Call& call, promql::Query& query, uint64_t& limit) {
  for (const auto& [name, out] : {std::pair{"start", &query.start_ms}, {"end", &query.end_ms}}) {
    const Result<int64_t> t = ParseTime(call.Get(name).value_or(""));
    if (!t.ok()) return BadParameter(name, t.status());
    *out = *t;
  }
  if (query.end_ms < query.start_ms) {
    return BadParameter("end", "end timestamp must not be before start time");
  }
  const Result<int64_t> step = ParseDurationParam(call.Get("step").value_or(""));
  if (!step.ok()) return BadParameter("step", step.status());
  if (*step <= 0) {
    return BadParameter("step",
                        "zero or negative query resolution step widths are not accepted. Try a "
                        "positive integer");
  }
  query.step_ms = *step;
  if ((query.end_ms - query.start_ms) / query.step_ms > kMaxPoints) {
    return Failure(
        ErrorType::kBadData,
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
        "query resolution (?step=XX)");
  }
  return ReadCommon(call, query, limit);
}

Reply QueryFailure(const Status& status) {
  if (status.code() == StatusCode::kInvalidArgument) return BadParameter("query", status);
  return Failure(status);
}

}  // namespace vedette::api
