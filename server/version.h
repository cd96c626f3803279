#pragma once

namespace vedette {

inline constexpr const char kVersion[] = "0.1.0";

}  // namespace vedette
