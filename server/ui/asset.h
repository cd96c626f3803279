#pragma once

#include <cstddef>
#include <string_view>

namespace vedette::ui {

// One file of web/dist as it lies in the program, with the packed forms made at build time. A
// packed form is empty where it would be no smaller.
struct Asset {
  std::string_view path;  // "assets/index-BbjZf4PM.js"
  std::string_view mime;
  std::string_view sha256;  // Of the plain bytes, hexadecimal.
  std::string_view plain;
  std::string_view gzip;
  std::string_view brotli;
};

// Sorted by path. Written by embed.cc.
extern const Asset kAssets[];
extern const size_t kAssetCount;

}  // namespace vedette::ui
