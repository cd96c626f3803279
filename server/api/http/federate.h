#pragma once

#include <functional>
#include <vector>

#include "common/base/clock.h"
#include "common/model/labels.h"
#include "server/api/http/call.h"
#include "server/api/http/series.h"
#include "server/storage/queryable.h"

namespace vedette::api {

// /federate: the newest sample of every series that a match[] selects, with its time and the
// external labels: in text, or, with native histograms, in protobuf for who accepts that best.
// Thread-safe.
class FederateDoor {
 public:
  FederateDoor(const storage::Queryable& queryable, ParseSelector parse, int64_t lookback_ms,
               std::function<Labels()> external_labels, const Clock& clock)
      : queryable_(queryable),
        parse_(std::move(parse)),
        lookback_ms_(lookback_ms),
        external_labels_(std::move(external_labels)),
        clock_(clock) {}

  Reply Federate(const Call& call) const;

 private:
  const storage::Queryable& queryable_;
  const ParseSelector parse_;
  const int64_t lookback_ms_;
  const std::function<Labels()> external_labels_;
  const Clock& clock_;
};

}  // namespace vedette::api
