#pragma once

#include <functional>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/api/http/call.h"
#include "server/storage/cost.h"

namespace vedette::api {

// GET /api/v1/status/cost: bytes on disk, in memory and on the wire, by metric, by job, by the value
// of any label, or by label name. Thread-safe.
class CostDoor {
 public:
  // Takes seconds on a large storage; thread-safe.
  using Ask = std::function<Result<storage::CostReport>(storage::CostRequest)>;
  explicit CostDoor(Ask ask) : ask_(std::move(ask)) {}

  // by=metric (the default), job, or label; with by=label, label=NAME for the values of one. limit:
  // rows, 0 for all; what is left out is summed up in "rest".
  Reply Cost(const Call& call) const;

 private:
  Result<storage::CostReport> TakeTurn(storage::CostRequest request) const;

  const Ask ask_;
  mutable Mutex turn_;
};

}  // namespace vedette::api
