#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/exposition/text_parser.h"

namespace vedette::scrape {

// KeyTable numbers byte strings 0, 1, 2, ... in the order they are added, and finds the number
// again. It is what a target remembers of the lines of its exposition: not their text, which is 100
// bytes and more a series, but 12 bytes of hash and length, and while lines have to be found two
// slots of an open table. Two
// lines of one target of equal length with equal 64-bit hashes would be taken for one; that is
// accepted.
//
// Not thread-safe.
class KeyTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  uint32_t Find(std::string_view key);
  // Requires Find(key) == kNone.
  uint32_t Add(std::string_view key);
  exposition::TextParser::Key key(uint32_t id) const { return {hashes_[id], sizes_[id]}; }
  uint32_t size() const { return static_cast<uint32_t>(hashes_.size()); }
  void Clear();
  // Gives back what was taken to grow into.
  void Tighten();
  // Gives back what only finding needs; the next Find makes it anew.
  void DropIndex() { slots_ = {}; }

 private:
  void MakeIndex();

  std::vector<uint64_t> hashes_;  // By id.
  std::vector<uint32_t> sizes_;
  // Ids, kNone where empty; a power of two, at most 2/3 full. Or none at all.
  std::vector<uint32_t> slots_;
};

// The same for 64-bit hashes: hash -> number. Two different label sets of one target with equal
// 64-bit hashes would be taken for one; that is accepted.
class HashTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  uint32_t Find(uint64_t hash);
  // Numbers hash with the next number. Requires Find(hash) == kNone.
  uint32_t Add(uint64_t hash);
  uint32_t size() const { return static_cast<uint32_t>(hashes_.size()); }
  uint64_t hash(uint32_t id) const { return hashes_[id]; }
  void Clear();
  // As KeyTable's.
  void DropIndex() { slots_ = {}; }

 private:
  void MakeIndex();

  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> slots_;
};

}  // namespace vedette::scrape
