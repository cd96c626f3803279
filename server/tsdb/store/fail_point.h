#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>

namespace vedette::tsdb {

// A fail point is a place with a name where a crash would hurt most: between two steps that belong
// together. In production each costs one load of a pointer that is null, once per commit, seal or
// merge. A crash test sets the hook in a child process and lets it die there.
//
// All there are; one that is not in the list does not compile, and crash_test goes through the list and
// wants each of them reached.
inline constexpr auto kFailPoints = std::to_array<std::string_view>({
    // Tables looked at when it is opened; any write of the storage, and its opening anew after one that
    // failed.
    "open.listed", "store.write.before", "store.write.after", "reopen.closed",
    "reopen.opened",
    // A commit: the labels of new series, then its record.
    "journal.before", "journal.written", "commit.before", "commit.written",
    // What is said anew of a timeline after a write that failed.
    "restate.before", "restate.written",
    // Rows become chunks, a timeline leaves memory, the log of one that is sealed goes.
    "seal.before", "seal.written", "seal.drop.before", "seal.drop.written", "log.forget.before",
    "log.forget.written",
    // Compaction, and roll-ups.
    "merge.before", "merge.written", "compact.family", "rollup.before", "rollup.written",
    "rollup.made", "rollup.marked",
    // Deletion; retention of whole windows, and of single series by rules.
    "delete.read", "delete.before", "delete.written", "drop.before", "drop.hidden", "drop.family",
    "expire.before", "expire.written",
    // Series without data are given up, then their journals are written without them.
    "forget.before", "forget.journal.before", "forget.journal.written",
});

class FailPointName {
 public:
  consteval FailPointName(const char* name) : name_(name) {  // NOLINT: so that callers say a name.
    if (std::ranges::find(kFailPoints, name_) == kFailPoints.end()) throw "not in kFailPoints";
  }
  constexpr std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

using FailPointHook = void (*)(std::string_view name);

inline std::atomic<FailPointHook>& fail_point_hook() {
  static std::atomic<FailPointHook> hook{nullptr};
  return hook;
}

inline void FailPoint(FailPointName point) {
  if (FailPointHook hook = fail_point_hook().load(std::memory_order_relaxed)) hook(point.name());
}

}  // namespace vedette::tsdb
