#pragma once

#include <functional>
#include <string>

#include "common/http/router.h"

namespace vedette::http {

// What an operator may ask of the running process itself:
//
//   GET  /debug/pprof/profile?seconds=N   where its CPU time goes, in pprof's format (30 s; at most 300)
//   GET  /-/log-level                     the level of the log
//   PUT  /-/log-level?level=debug         another one, until the next start
//
// `allowed` is asked at each request: false (nobody has to say who they are) answers 403 with the
// remedy. A viewer gets 403 from the door's filter.
void AddDebugRoutes(Router& router, const std::string& prefix, std::function<bool()> allowed);

}  // namespace vedette::http
