#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/template/value.h"

namespace vedette::tmpl {

// Text as Go's fmt package writes it.

// What {{ value }} and %v print: 7.5, 1e+06, [a b], map[k:v], <no value> for nil.
std::string FormatValue(const Value& value);

// Go's Sprintf: %v %d %s %q %f %e %g %x %X %o %b %c %t %U %T %% with flags, width and precision,
// '*' included. A mistake is written into the text as Go does: %!d(string=hi), %!s(MISSING).
std::string Sprintf(std::string_view format, std::span<const Value> args);

// Go's Sprint: spaces between operands where neither is a string. Sprintln: always, and a newline.
std::string Sprint(std::span<const Value> args);
std::string Sprintln(std::span<const Value> args);

// strconv.FormatFloat(v, format, precision, 64): format is one of e E f g G, precision -1 means the
// fewest digits that read back to the same value.
std::string FormatFloat(double v, char format, int precision);

}  // namespace vedette::tmpl
