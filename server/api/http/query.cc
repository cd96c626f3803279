#include "server/api/http/query.h"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/strings.h"
#include "server/api/http/columns.h"
#include "server/api/http/query_params.h"

namespace vedette::api {
namespace {

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
      json.MaybeFlush();
    }
    json.EndArray();
  };
  if (floats || !histograms) write("values", false);
  if (histograms) write("histograms", true);
  json.EndObject();
  json.MaybeFlush();
}

void WriteStats(JsonWriter& json, const promql::QueryStats& s) {
  json.Key("stats").BeginObject();
  json.Key("timings").BeginObject();
  json.Key("evalTotalTime").Number(s.prepare_seconds + s.eval_seconds);
  json.Key("resultSortTime").Number(s.sort_seconds);
  json.Key("queryPreparationTime").Number(s.prepare_seconds);
  json.Key("innerEvalTime").Number(s.eval_seconds - s.sort_seconds);
  json.Key("execQueueTime").Number(s.queue_seconds);
  json.Key("execTotalTime").Number(s.queue_seconds + s.prepare_seconds + s.eval_seconds);
  json.EndObject();
  json.Key("samples").BeginObject();
  json.Key("totalQueryableSamples").Uint(s.samples_read);
  json.Key("peakSamples").Uint(s.peak_samples);
  json.EndObject();
  json.EndObject();
}

// So many samples and their JSON is no longer made whole before it is sent.
constexpr uint64_t kStreamedPoints = 50'000;

uint64_t PointsOf(const promql::Value& value) {
  uint64_t points = 0;
  if (const auto* matrix = std::get_if<promql::Matrix>(&value)) {
    for (const promql::Series& s : *matrix) points += s.points.size();
  } else if (const auto* vector = std::get_if<promql::Vector>(&value)) {
    points = vector->size();
  }
  return points;
}

Reply Answer(const Call& call, const promql::Query& query, promql::QueryAnswer answer,
             uint64_t limit) {
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
  const bool columns = query.step_ms > 0 && call.accept.find(kColumnsType) != std::string::npos;
  const bool stats = !call.Get("stats").value_or("").empty();
  const bool large = PointsOf(answer.value) >= kStreamedPoints;
  const auto write = [query, stats, columns](JsonWriter& json, const promql::QueryAnswer& a) {
    json.BeginObject();
    if (columns) {
      WriteColumns(json, query, std::get<promql::Matrix>(a.value));
    } else {
      WriteValue(json, a.value);
    }
    if (stats) WriteStats(json, a.stats);
    json.EndObject();
  };
  Reply reply;
  if (large) {
    const auto kept = std::make_shared<const promql::QueryAnswer>(std::move(answer));
    reply = StreamedSuccess([kept, write](JsonWriter& json) { write(json, *kept); },
                            std::move(notes));
  } else {
    reply = Success([&](JsonWriter& json) { write(json, answer); }, notes);
  }
  if (columns) reply.content_type = kColumnsType;
  reply.headers.emplace_back("Vary", "Accept");
  return reply;
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
            json.MaybeFlush();
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
  if (auto bad = ReadInstant(call, clock_, query, limit)) return *std::move(bad);
  return Run(call, query, limit);
}

Reply QueryDoor::Range(const Call& call) {
  promql::Query query;
  uint64_t limit = 0;
  if (auto bad = ReadRange(call, query, limit)) return *std::move(bad);
  return Run(call, query, limit);
}

Reply QueryDoor::Run(const Call& call, const promql::Query& query, uint64_t limit) {
  Result<promql::QueryAnswer> answer = engine_.Run(query, call.cancel);
  if (!answer.ok()) return QueryFailure(answer.status());
  return Answer(call, query, *std::move(answer), limit);
}

}  // namespace vedette::api
