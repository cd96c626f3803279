#pragma once

#include "common/base/clock.h"
#include "server/api/http/call.h"
#include "server/promql/engine.h"

namespace vedette::api {

// /api/v1/query and /api/v1/query_range: parameters to a promql::Query, its answer to JSON.
// Thread-safe; the engine and the clock outlive it.
class QueryDoor {
 public:
  QueryDoor(promql::Engine& engine, const Clock& clock) : engine_(engine), clock_(clock) {}

  Reply Instant(const Call& call);
  Reply Range(const Call& call);

 private:
  Reply Run(const Call& call, const promql::Query& query, uint64_t limit);

  promql::Engine& engine_;
  const Clock& clock_;
};

// "resultType" and "result" of an answer; the caller has begun the object.
void WriteValue(JsonWriter& json, const promql::Value& value);

}  // namespace vedette::api
