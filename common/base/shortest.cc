#include "common/base/shortest.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace vedette {

void AppendShortestFixed(std::string& out, double v) {
  // Below this every whole number has its own digits, and to_chars has nothing to go on with.
  constexpr double kWhole = 9007199254740992.0;
  char buffer[512];  // 5e-324 has 326 characters.
  if (std::fabs(v) < kWhole) {
    out.append(buffer,
               std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed).ptr);
    return;
  }
  // d.ddde+xx: a whole number, so all of its digits are before the point, and zeros follow.
  const char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + 2, end, exponent);
  for (char c : text.substr(0, e)) {
    if (c == '.') continue;
    out.push_back(c);
    if (c != '-') --exponent;
  }
  if (exponent >= -1) out.append(static_cast<size_t>(exponent + 1), '0');
}

}  // namespace vedette
