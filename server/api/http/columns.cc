#include "server/api/http/columns.h"

#include <cmath>
#include <cstdint>

namespace vedette::api {

void WriteColumns(JsonWriter& json, const promql::Query& query, const promql::Matrix& matrix) {
  json.Key("resultType").String("columns");
  json.Key("start").Time(query.start_ms).Key("step").Time(query.step_ms);
  json.Key("steps").Int((query.end_ms - query.start_ms) / query.step_ms + 1);
  json.Key("series").BeginArray();
  for (const promql::Series& s : matrix) {
    json.BeginObject().Key("metric").Object(s.metric).Key("v").BeginArray();
    int64_t next = 0;
    bool histograms = false;
    for (const promql::Point& p : s.points) {
      if (p.histogram != nullptr) {
        histograms = true;
        continue;
      }
      const int64_t at = (p.t_ms - query.start_ms) / query.step_ms;
      for (; next < at; ++next) json.Null();
      if (std::isfinite(p.value)) {
        json.Number(p.value);
      } else {
        json.Float(p.value);
      }
      ++next;
    }
    json.EndArray();
    if (histograms) {
      json.Key("h").BeginArray();
      for (const promql::Point& p : s.points) {
        if (p.histogram == nullptr) continue;
        json.BeginArray().Int((p.t_ms - query.start_ms) / query.step_ms).Object(*p.histogram);
        json.EndArray();
      }
      json.EndArray();
    }
    json.EndObject();
    json.MaybeFlush();
  }
  json.EndArray();
}

}  // namespace vedette::api
