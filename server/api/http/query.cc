#include "server/api/http/query.h"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/strings.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

// More steps than this would be more points than a screen has pixels, several times over.
constexpr int64_t kMaxPoints = 11000;

// "value": [t, "v"] or "histogram": [t, {...}].
void WritePoint(JsonWriter& json, const promql::Point& p) {
  json.BeginArray().Time(p.t_ms);
  if (p.histogram) {
    json.Object(*p.histogram);
  } else {
    json.Float(p.value);
  }
  json.EndArray();
}

void WriteSeries(JsonWriter& json, const promql::Series& series) {
  json.BeginObject().Key("metric").Object(series.metric);
  bool floats = false;
  bool histograms = false;
  for (const promql::Point& p : series.points) (p.histogram ? histograms : floats) = true;
  const auto write = [&](std::string_view key, bool want_histograms) {
    json.Key(key).BeginArray();
    for (const promql::Point& p : series.points) {
      if ((p.histogram != nullptr) == want_histograms) WritePoint(json, p);
    }
    json.EndArray();
  };
  if (floats || !histograms) write("values", false);
  if (histograms) write("histograms", true);
  json.EndObject();
}

void WriteStats(JsonWriter& json, const promql::QueryStats& s) {
  json.Key("stats").BeginObject();
  json.Key("timings").BeginObject();
  json.Key("evalTotalTime").Number(s.prepare_seconds + s.eval_seconds);
  json.Key("resultSortTime").Number(0);
  json.Key("queryPreparationTime").Number(s.prepare_seconds);
  json.Key("innerEvalTime").Number(s.eval_seconds);
  json.Key("execQueueTime").Number(s.queue_seconds);
  json.Key("execTotalTime").Number(s.queue_seconds + s.prepare_seconds + s.eval_seconds);
  json.EndObject();
  json.Key("samples").BeginObject();
  json.Key("totalQueryableSamples").Uint(s.samples_read);
  json.Key("peakSamples").Uint(s.peak_samples);
  json.EndObject();
  json.EndObject();
}

// Fills what both doors take; a Reply when a parameter is wrong.
std::optional<Reply> ReadCommon(const Call& call, promql::Query& query, uint64_t& limit) {
  query.text = call.Get("query").value_or("");
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

Reply Answer(const Call& call, promql::QueryAnswer answer, uint64_t limit) {
  Notes notes{std::move(answer.warnings), std::move(answer.infos)};
  const bool truncated = std::visit(
      [&](auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, promql::Vector> || std::is_same_v<T, promql::Matrix>) {
          if (limit == 0 || value.size() <= limit) return false;
          value.resize(limit);
          return true;
        }
        return false;
      },
      answer.value);
  if (truncated) notes.warnings.emplace_back(kTruncated);
  return Success(
      [&](JsonWriter& json) {
        json.BeginObject();
        WriteValue(json, answer.value);
        if (!call.Get("stats").value_or("").empty()) WriteStats(json, answer.stats);
        json.EndObject();
      },
      notes);
}

Reply QueryFailure(const Status& status) {
  if (status.code() == StatusCode::kInvalidArgument) return BadParameter("query", status);
  if (status.code() == StatusCode::kUnavailable) {
    return Failure(ErrorType::kInternal, status.message());
  }
  return Failure(status);
}

}  // namespace

void WriteValue(JsonWriter& json, const promql::Value& value) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, promql::Scalar>) {
          json.Key("resultType").String("scalar").Key("result");
          json.BeginArray().Time(v.t_ms).Float(v.value).EndArray();
        } else if constexpr (std::is_same_v<T, promql::String>) {
          json.Key("resultType").String("string").Key("result");
          json.BeginArray().Time(v.t_ms).String(v.value).EndArray();
        } else if constexpr (std::is_same_v<T, promql::Vector>) {
          json.Key("resultType").String("vector").Key("result").BeginArray();
          for (const promql::VectorSample& s : v) {
            json.BeginObject().Key("metric").Object(s.metric);
            json.Key(s.point.histogram ? "histogram" : "value");
            WritePoint(json, s.point);
            json.EndObject();
          }
          json.EndArray();
        } else {
          json.Key("resultType").String("matrix").Key("result").BeginArray();
          for (const promql::Series& s : v) WriteSeries(json, s);
          json.EndArray();
        }
      },
      value);
}

Reply QueryDoor::Instant(const Call& call) {
  promql::Query query;
  uint64_t limit = 0;
  query.start_ms = clock_.NowMs();
  if (const auto text = call.Get("time"); text && !text->empty()) {
    const Result<int64_t> t = ParseTime(*text);
    if (!t.ok()) return BadParameter("time", t.status());
    query.start_ms = *t;
  }
  query.end_ms = query.start_ms;
  if (auto bad = ReadCommon(call, query, limit)) return *std::move(bad);
  Result<promql::QueryAnswer> answer = engine_.Run(query, call.cancel);
  if (!answer.ok()) return QueryFailure(answer.status());
  return Answer(call, *std::move(answer), limit);
}

Reply QueryDoor::Range(const Call& call) {
  promql::Query query;
  uint64_t limit = 0;
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
  if (auto bad = ReadCommon(call, query, limit)) return *std::move(bad);
  Result<promql::QueryAnswer> answer = engine_.Run(query, call.cancel);
  if (!answer.ok()) return QueryFailure(answer.status());
  return Answer(call, *std::move(answer), limit);
}

}  // namespace vedette::api
