#pragma once

#include <string_view>

#include "common/base/status.h"

namespace vedette::exposition {

// Everything that the OpenMetrics 1.0 standard calls invalid, beyond what TextParser (like
// Prometheus) refuses: suffixes and labels that do not suit a type, values that cannot be, groups
// that are interleaved, metadata in the wrong place, names that clash, exemplars where none may be.
// OK, or the first offence with its line. Reads the body once; memory grows with its families and
// series names.
Status CheckOpenMetrics(std::string_view body);

}  // namespace vedette::exposition
