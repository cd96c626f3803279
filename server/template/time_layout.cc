#include "server/template/time_layout.h"

namespace vedette::tmpl {
namespace {

// What a layout can say, long ones before their own beginnings.
constexpr std::array<std::string_view, 33> kPieces = {
    "January", "Jan", "Monday",    "Mon",     "MST",    "2006",  "-07:00:00", "-070000", "-07:00",
    "-0700",   "-07", "Z07:00:00", "Z070000", "Z07:00", "Z0700", "Z07",       "002",     "01",
    "02",      "03",  "04",        "05",      "06",     "15",    "__2",       "_2",      "PM",
    "pm",      "1",   "2",         "3",       "4",      "5"};

}  // namespace

std::string_view LayoutPiece(std::string_view layout) {
  for (const std::string_view p : kPieces) {
    if (!layout.starts_with(p)) continue;
    // "Jan" and "Mon" are not the beginning of an ordinary word ("Month").
    if ((p == "Jan" || p == "Mon") && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') {
      continue;
    }
    return p;
  }
  return "";
}

}  // namespace vedette::tmpl
