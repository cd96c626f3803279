#pragma once

#include <array>
#include <string_view>

// Private to server/template. What a Go layout is made of.
namespace vedette::tmpl {

inline constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
inline constexpr std::array<std::string_view, 7> kDays = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

// What `layout` begins with: "January", "2006", "-07:00"; "" for a character that stands for itself.
std::string_view LayoutPiece(std::string_view layout);

}  // namespace vedette::tmpl
