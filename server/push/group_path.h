#pragma once

#include <string_view>

#include "common/base/status.h"
#include "common/model/labels.h"

namespace vedette::push {

// A URL path is read into at most so many labels; what is longer is no grouping key anyone wrote.
inline constexpr size_t kMaxGroupingLabels = 30;

// The grouping key that a push names in its path, as Pushgateway reads it:
//
//   job/backup                                   {job="backup"}
//   job/backup/instance/db                       {instance="db", job="backup"}
//   job@base64/L3Zhci90bXA/dir@base64/PQ         values that hold a slash, or are empty, in
//                                                base64 (URL alphabet, with or without padding)
//
// `escaped` is the path after "/metrics/", still with its %XX escapes: a %2F belongs to its value.
// A label given with an empty value is left out. INVALID_ARGUMENT names the part that is wrong.
Result<Labels> ParseGroupPath(std::string_view escaped);

}  // namespace vedette::push
