#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vedette {

namespace strings_internal {
inline void Append(std::string& out, std::string_view s) { out.append(s); }
inline void Append(std::string& out, char c) { out.push_back(c); }
// A template, because a plain bool parameter would rather take a string literal than string_view.
template <std::same_as<bool> T>
void Append(std::string& out, T b) {
  out.append(b ? "true" : "false");
}
template <std::integral T>
  requires(!std::same_as<T, char> && !std::same_as<T, bool>)
void Append(std::string& out, T v) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
}
template <std::floating_point T>
void Append(std::string& out, T v) {
  char buffer[40];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
}
}  // namespace strings_internal

// Puts text and numbers after each other: StrCat("shard ", 3, " of ", n). Doubles are written with
// the fewest digits that read back to the same value.
template <typename... Parts>
std::string StrCat(const Parts&... parts) {
  std::string out;
  (strings_internal::Append(out, parts), ...);
  return out;
}

template <typename... Parts>
void StrAppend(std::string& out, const Parts&... parts) {
  (strings_internal::Append(out, parts), ...);
}

// The pieces of `text` between separators; views into `text`. "a,,b" has three pieces, "" has one.
std::vector<std::string_view> Split(std::string_view text, char separator);

// `text` without ASCII white space at both ends; a view into `text`.
std::string_view Trim(std::string_view text);

// `text` in double quotes, with quotes, backslashes and control characters escaped as Go's %q does.
std::string Quoted(std::string_view text);

bool IsValidUtf8(std::string_view text);

}  // namespace vedette
