#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

namespace vedette::scrape {

// Which frames of an agent's run are stored. They come nearly in order, so they are kept as ranges:
// usually one. Beyond kMaxRanges the two lowest grow together, and what lies between them counts
// as stored. Not thread-safe.
class SequenceSet {
 public:
  static constexpr size_t kMaxRanges = 1024;

  bool Contains(uint64_t n) const {
    auto at = ranges_.upper_bound(n);
    return at != ranges_.begin() && n <= std::prev(at)->second;
  }
  void Add(uint64_t n) { Add(n, n); }
  // All from `first` to `last`.
  void Add(uint64_t first, uint64_t last) {
    auto at = ranges_.upper_bound(first);
    if (at != ranges_.begin() && std::prev(at)->second + 1 >= first) {
      --at;
      first = at->first;
    }
    while (at != ranges_.end() && at->first <= last + 1) {
      last = last > at->second ? last : at->second;
      at = ranges_.erase(at);
    }
    ranges_[first] = last;
    if (ranges_.size() > kMaxRanges) {
      const auto second = std::next(ranges_.begin());
      ranges_.begin()->second = second->second;
      ranges_.erase(second);
    }
  }
  void Clear() { ranges_.clear(); }
  size_t ranges() const { return ranges_.size(); }

 private:
  std::map<uint64_t, uint64_t> ranges_;  // First -> last.
};

}  // namespace vedette::scrape
