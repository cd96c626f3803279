#pragma once

#include "common/base/clock.h"
#include "server/api/http/call.h"
#include "server/promql/engine.h"

namespace vedette::api {

// What queries do: their plans and costs, and those that run right now. Thread-safe; the engine and
// the clock outlive it.
//
//   GET|POST /api/v1/explain?query=&time=                     the plan of an instant query
//   GET|POST /api/v1/explain?query=&start=&end=&step=         of a range query
//            ...&analyze=true                                 run it, and say what each node cost
//   GET      /api/v1/queries                                  queries that wait or run
//   POST     /api/v1/queries/:id/kill                         end one
class RunningDoor {
 public:
  RunningDoor(promql::Engine& engine, const Clock& clock) : engine_(engine), clock_(clock) {}

  Reply Explain(const Call& call);
  Reply List(const Call& call);
  Reply Kill(const Call& call);

 private:
  promql::Engine& engine_;
  const Clock& clock_;
};

}  // namespace vedette::api
