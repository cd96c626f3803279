#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace vedette::scrape {

// KeyTable numbers byte strings 0, 1, 2, ... in the order they are added, and finds the number
// again. It is what a target remembers of the lines of its exposition: 16 bytes and two slots of an
// open table beside the bytes themselves, which never move, so views of them stay valid until
// Clear().
//
// Not thread-safe.
class KeyTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  uint32_t Find(std::string_view key) const;
  // Requires Find(key) == kNone.
  uint32_t Add(std::string_view key);
  std::string_view key(uint32_t id) const { return {entries_[id].data, entries_[id].size}; }
  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
  void Clear();

 private:
  struct Entry {
    const char* data;
    uint32_t size;
    uint32_t hash;  // The low half; tells most strangers apart without a look at the bytes.
  };

  void Grow();

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // Ids, kNone where empty; a power of two, at most 2/3 full.
  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_free_ = 0;
  char* next_ = nullptr;
};

// The same for 64-bit hashes: hash -> number. Two different label sets of one target with equal
// 64-bit hashes would be taken for one; that is accepted.
class HashTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  uint32_t Find(uint64_t hash) const;
  // Numbers hash with the next number. Requires Find(hash) == kNone.
  uint32_t Add(uint64_t hash);
  uint32_t size() const { return static_cast<uint32_t>(hashes_.size()); }
  uint64_t hash(uint32_t id) const { return hashes_[id]; }
  void Clear();

 private:
  void Grow();

  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> slots_;
};

}  // namespace vedette::scrape
