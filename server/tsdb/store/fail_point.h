#pragma once

#include <atomic>
#include <string_view>

namespace vedette::tsdb {

// A fail point is a place with a name where a crash would hurt most: between two steps that belong
// together. In production each costs one load of a pointer that is null, once per commit, seal or
// merge. A crash test sets the hook in a child process and lets it die there.
using FailPointHook = void (*)(std::string_view name);

inline std::atomic<FailPointHook>& fail_point_hook() {
  static std::atomic<FailPointHook> hook{nullptr};
  return hook;
}

inline void FailPoint(std::string_view name) {
  if (FailPointHook hook = fail_point_hook().load(std::memory_order_relaxed)) hook(name);
}

}  // namespace vedette::tsdb
