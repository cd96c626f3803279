#pragma once

#include <cstdint>
#include <vector>

#include "common/model/matcher.h"

namespace vedette::tsdb {

// How long the series that match are kept, instead of as long as the others: shorter or longer. The
// first rule that matches a series decides. 0: for ever.
struct RetentionRule {
  std::vector<Matcher> matchers;
  int64_t keep_ms = 0;
};

}  // namespace vedette::tsdb
