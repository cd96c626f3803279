#pragma once

#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/promql/value.h"

namespace vedette::api {

// What of an answer is another than in the answer before: for readers who have the old one. The
// instant of a sample does not count, only its value; NaN is the same as NaN. A scalar is an element
// without labels. Not thread-safe.
class AnswerDiff {
 public:
  struct Change {
    promql::Vector changed;     // New, or with another value.
    std::vector<Labels> gone;   // Sorted.
  };

  // kInvalidArgument for a string or a matrix: they have no elements that could change.
  Result<Change> Take(const promql::Value& answer);

 private:
  std::unordered_map<Labels, promql::Point, LabelsHash> before_;
};

}  // namespace vedette::api
