#pragma once

#include <string_view>

#include "common/base/status.h"
#include "server/template/value.h"

namespace vedette::tmpl {

// A time as a Go layout says it: FormatTime's inverse, by the rules of Go's time.Parse. What the
// layout does not say is the first of January of the year 0, midnight, UTC. The error says which
// part of the text is not what the layout wants.
Result<Time> ParseTime(std::string_view layout, std::string_view text);

}  // namespace vedette::tmpl
