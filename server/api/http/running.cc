#include "server/api/http/running.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/query_params.h"

namespace vedette::api {
namespace {

void WriteNode(JsonWriter& json, const promql::PlanNode& n, bool analyzed) {
  json.BeginObject();
  json.Key("op").String(n.op);
  json.Key("expr").String(n.text);
  json.Key("type").String(n.type);
  json.Key("position").BeginArray().Int(n.position).Int(n.end_position).EndArray();
  json.Key("stepInvariant").Bool(n.step_invariant);
  if (n.selects) {
    json.Key("selects").BeginObject();
    json.Key("matchingSeries").Uint(n.matching_series);
    json.Key("minTime").Time(n.min_ms).Key("maxTime").Time(n.max_ms);
    json.EndObject();
  }
  if (analyzed) {
    json.Key("series").Uint(n.series);
    json.Key("points").Uint(n.points);
    json.Key("samplesRead").Uint(n.samples_read);
    json.Key("bytesDecoded").Uint(n.bytes_decoded);
    json.Key("selfSeconds").Number(n.self_seconds);
    json.Key("totalSeconds").Number(n.total_seconds);
  }
  json.Key("children").BeginArray();
  for (const promql::PlanNode& c : n.children) WriteNode(json, c, analyzed);
  json.EndArray();
  json.EndObject();
}

bool Asked(const Call& call, std::string_view name) {
  const std::string_view v = call.Get(name).value_or("");
  return v == "true" || v == "1" || v == "all";
}

}  // namespace

Reply RunningDoor::Explain(const Call& call) {
  promql::Query query;
  uint64_t limit = 0;
  const bool range = call.Get("start") || call.Get("end") || call.Get("step");
  if (auto bad = range ? ReadRange(call, query, limit) : ReadInstant(call, clock_, query, limit)) {
    return *std::move(bad);
  }
  const Result<promql::Explanation> e =
      engine_.Explain(query, Asked(call, "analyze"), call.cancel);
  if (!e.ok()) return QueryFailure(e.status());
  return Success(
      [&](JsonWriter& json) {
        json.BeginObject();
        json.Key("query").String(query.text);
        json.Key("steps").Int(e->steps);
        json.Key("analyzed").Bool(e->analyzed);
        if (e->analyzed) {
          const promql::QueryStats& s = e->answer.stats;
          json.Key("totals").BeginObject();
          json.Key("series").Uint(s.series);
          json.Key("samplesRead").Uint(s.samples_read);
          json.Key("bytesDecoded").Uint(s.bytes_decoded);
          json.Key("peakSamples").Uint(s.peak_samples);
          json.Key("peakBytes").Uint(s.peak_bytes);
          json.Key("queueSeconds").Number(s.queue_seconds);
          json.Key("prepareSeconds").Number(s.prepare_seconds);
          json.Key("evalSeconds").Number(s.eval_seconds);
          json.EndObject();
        }
        json.Key("plan");
        WriteNode(json, e->plan, e->analyzed);
        json.EndObject();
      },
      {e->answer.warnings, e->answer.infos});
}

Reply RunningDoor::List(const Call&) {
  const std::vector<promql::ActiveQuery> queries = engine_.Active();
  const int64_t now_ms = clock_.NowMs();
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const promql::ActiveQuery& q : queries) {
      json.BeginObject();
      json.Key("id").Uint(q.id);
      json.Key("query").String(q.text);
      json.Key("origin").String(q.origin);
      json.Key("state").String(q.waiting ? "waiting" : "running");
      json.Key("began").String(FormatTime(q.began_ms));
      json.Key("seconds").Number(static_cast<double>(now_ms - q.began_ms) / 1000);
      json.Key("start").Time(q.start_ms).Key("end").Time(q.end_ms).Key("step").Time(q.step_ms);
      json.Key("series").Uint(q.series);
      json.Key("samplesRead").Uint(q.samples);
      json.Key("heldBytes").Uint(q.held_bytes);
      json.EndObject();
    }
    json.EndArray();
  });
}

Reply RunningDoor::Kill(const Call& call) {
  const std::string_view text = call.PathParam("id");
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) {
    return BadParameter("id", StrCat(Quoted(text), " is no query's number: see /api/v1/queries"));
  }
  const Status killed = engine_.Kill(id);
  if (!killed.ok()) return Failure(killed);
  return Success([&](JsonWriter& json) { json.BeginObject().Key("killed").Uint(id).EndObject(); });
}

}  // namespace vedette::api
