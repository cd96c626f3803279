#include "server/promql/functions/selection.h"

namespace vedette::promql {

void WindowsOf(std::span<const int64_t> t_ms, const RefGrid& refs, int64_t range_ms,
               std::vector<Window>& out) {
  out.resize(static_cast<size_t>(refs.steps));
  uint32_t lo = 0;
  uint32_t hi = 0;
  const auto n = static_cast<uint32_t>(t_ms.size());
  if (refs.steps == 1 && n > 0 && t_ms.front() > refs.first_ms - range_ms &&
      t_ms.back() <= refs.first_ms) {
    out[0] = {0, n};  // An instant: the storage was asked for just this window.
    return;
  }
  for (int64_t i = 0; i < refs.steps; ++i) {
    const int64_t ref = refs.At(i);
    while (lo < n && t_ms[lo] <= ref - range_ms) ++lo;
    if (hi < lo) hi = lo;
    while (hi < n && t_ms[hi] <= ref) ++hi;
    out[static_cast<size_t>(i)] = {lo, hi};
  }
}

}  // namespace vedette::promql
