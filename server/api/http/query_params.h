#pragma once

#include <cstdint>
#include <optional>

#include "common/base/clock.h"
#include "server/api/http/call.h"
#include "server/promql/engine.h"

namespace vedette::api {

// What the doors that take a query have in common: "query", "timeout", "lookback_delta", "limit",
// and the time or the range. Each returns the answer when a parameter is wrong.
std::optional<Reply> ReadInstant(const Call& call, const Clock& clock, promql::Query& query,
                                 uint64_t& limit);
std::optional<Reply> ReadRange(const Call& call, promql::Query& query, uint64_t& limit);

// An engine's failure in the API's words.
Reply QueryFailure(const Status& status);

}  // namespace vedette::api
