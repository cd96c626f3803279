#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vedette::ctl {

struct GraphLine {
  std::string name;
  std::vector<std::pair<int64_t, double>> points;  // t_ms, value; ascending.
};

// Lines as a terminal shows them: four dots high and two wide in every character (braille), the
// scale on the left, the time below, a legend after it. At most kMaxGraphLines lines; the rest is
// counted. Values that are not finite leave gaps. `width` and `height` are in characters.
inline constexpr size_t kMaxGraphLines = 8;
std::string DrawGraph(const std::vector<GraphLine>& lines, int64_t start_ms, int64_t end_ms,
                      size_t width, size_t height);

}  // namespace vedette::ctl
