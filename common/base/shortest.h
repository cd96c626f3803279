#pragma once

#include <string>

namespace vedette {

// Appends the fewest decimal digits that give `v` back, without an exponent, as Go's
// strconv.FormatFloat(v, 'f', -1, 64) does: beyond those digits a large number has zeros, where
// std::to_chars would go on with the digits of its exact value. `v` is finite.
void AppendShortestFixed(std::string& out, double v);

}  // namespace vedette
