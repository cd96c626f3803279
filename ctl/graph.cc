#include "ctl/graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "common/base/strings.h"
#include "ctl/output.h"

namespace vedette::ctl {
namespace {

// Marks of the lines in the legend; in the picture itself a dot is a dot.
constexpr std::array<std::string_view, kMaxGraphLines> kColours = {
    "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m", "\x1b[31m", "\x1b[92m", "\x1b[94m"};
constexpr std::string_view kPlain = "\x1b[0m";

// A character of the braille block: bits of its eight dots.
std::string Braille(uint8_t dots) {
  const unsigned code = 0x2800u + dots;
  return {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
          static_cast<char>(0x80 | (code & 0x3f))};
}

// The bit of the dot at column x (0..1), row y (0..3) of a character.
constexpr uint8_t kDots[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

struct Cell {
  uint8_t dots = 0;
  size_t line = 0;  // The last one drawn here gives the colour.
};

std::string Scale(double v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", v);
  return buffer;
}

}  // namespace

std::string DrawGraph(const std::vector<GraphLine>& lines, int64_t start_ms, int64_t end_ms,
                      size_t width, size_t height) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  const size_t drawn = std::min(lines.size(), kMaxGraphLines);
  for (size_t k = 0; k < drawn; ++k) {
    for (const auto& [t, v] : lines[k].points) {
      if (!std::isfinite(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  if (!(low <= high)) return "nothing to draw\n";
  if (low == high) {
    // A flat line runs through the middle.
    const double room = low == 0 ? 1 : std::fabs(low) * 0.1;
    low -= room;
    high += room;
  }
  width = std::clamp<size_t>(width, 16, 400);
  height = std::clamp<size_t>(height, 4, 100);
  const std::string top = Scale(high);
  const std::string middle = Scale((low + high) / 2);
  const std::string bottom = Scale(low);
  const size_t margin = std::max({top.size(), middle.size(), bottom.size()});
  const size_t columns = width > margin + 3 ? width - margin - 3 : 8;
  std::vector<Cell> cells(columns * height);

  const auto dot = [&](double x, double y, size_t line) {
    const auto px = static_cast<size_t>(std::clamp(x, 0.0, static_cast<double>(columns * 2 - 1)));
    const auto py = static_cast<size_t>(std::clamp(y, 0.0, static_cast<double>(height * 4 - 1)));
    Cell& cell = cells[py / 4 * columns + px / 2];
    cell.dots |= kDots[px % 2][py % 4];
    cell.line = line;
  };
  const double span = end_ms > start_ms ? static_cast<double>(end_ms - start_ms) : 1;
  for (size_t k = 0; k < drawn; ++k) {
    bool has_last = false;
    double last_x = 0;
    double last_y = 0;
    for (const auto& [t, v] : lines[k].points) {
      if (!std::isfinite(v)) {
        has_last = false;
        continue;
      }
      const double x = static_cast<double>(t - start_ms) / span * static_cast<double>(columns * 2 - 1);
      const double y = (high - v) / (high - low) * static_cast<double>(height * 4 - 1);
      // Neighbours are joined, where no sample is missing between them.
      const double steps =
          has_last ? std::max(1.0, std::max(std::fabs(x - last_x), std::fabs(y - last_y))) : 1;
      for (double i = 1; i <= steps; ++i) {
        const double f = has_last ? i / steps : 1;
        // As a difference, so that a flat line is exactly flat and never wavers between two rows.
        dot(std::round(last_x + (x - last_x) * f), std::round(last_y + (y - last_y) * f), k);
      }
      has_last = true;
      last_x = x;
      last_y = y;
    }
  }

  std::string out;
  for (size_t row = 0; row < height; ++row) {
    const std::string& label = row == 0            ? top
                               : row == height / 2 ? middle
                               : row + 1 == height ? bottom
                                                   : std::string();
    out.append(margin - label.size(), ' ');
    StrAppend(out, label, label.empty() ? " \xe2\x94\x82" : " \xe2\x94\xa4");  // A rule, or a tick.
    for (size_t c = 0; c < columns; ++c) {
      const Cell& cell = cells[row * columns + c];
      if (cell.dots == 0) {
        out += ' ';
      } else {
        StrAppend(out, kColours[cell.line], Braille(cell.dots), kPlain);
      }
    }
    out += '\n';
  }
  const std::string from = FormatTime(start_ms);
  const std::string to = FormatTime(end_ms);
  out.append(margin + 2, ' ');
  out += from;
  if (columns > from.size() + to.size()) out.append(columns - from.size() - to.size(), ' ');
  StrAppend(out, " ", to, "\n");
  for (size_t k = 0; k < drawn; ++k) {
    StrAppend(out, "  ", kColours[k], "\xe2\x96\xa0", kPlain, " ", lines[k].name, "\n");
  }
  if (lines.size() > drawn) StrAppend(out, "  and ", lines.size() - drawn, " more\n");
  return out;
}

}  // namespace vedette::ctl
