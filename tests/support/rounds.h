#pragma once

#include <algorithm>

namespace vedette::testing {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VEDETTE_SANITIZED true
#endif
#endif
#ifndef VEDETTE_SANITIZED
#define VEDETTE_SANITIZED false
#endif

// How often a test plays that plays at random: `n` times; a quarter of that, but at least once, in
// the builds with a sanitizer, where everything takes ten times as long and one look is as good as
// four.
template <typename Number>
constexpr Number Rounds(Number n) {
  return VEDETTE_SANITIZED ? std::max<Number>(1, n / 4) : n;
}

#undef VEDETTE_SANITIZED

}  // namespace vedette::testing
