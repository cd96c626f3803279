#include "server/scrape/key_table.h"

#include <algorithm>

namespace vedette::scrape {
namespace {

constexpr size_t kFirstSlots = 64;

}  // namespace

uint32_t KeyTable::Find(std::string_view key) const {
  if (slots_.empty()) return kNone;
  const exposition::TextParser::Key want = exposition::TextParser::KeyOf(key);
  const size_t mask = slots_.size() - 1;
  for (size_t slot = want.hash & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = slots_[slot];
    if (id == kNone || this->key(id) == want) return id;
  }
}

uint32_t KeyTable::Add(std::string_view key) {
  if ((hashes_.size() + 1) * 3 > slots_.size() * 2) Grow();
  const exposition::TextParser::Key added = exposition::TextParser::KeyOf(key);
  const uint32_t id = size();
  hashes_.push_back(added.hash);
  sizes_.push_back(added.size);
  const size_t mask = slots_.size() - 1;
  size_t slot = added.hash & mask;
  while (slots_[slot] != kNone) slot = (slot + 1) & mask;
  slots_[slot] = id;
  return id;
}

void KeyTable::Grow() {
  slots_.assign(std::max(kFirstSlots, slots_.size() * 2), kNone);
  const size_t mask = slots_.size() - 1;
  for (uint32_t id = 0; id < size(); ++id) {
    size_t slot = hashes_[id] & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }
}

void KeyTable::Tighten() {
  hashes_.shrink_to_fit();
  sizes_.shrink_to_fit();
}

void KeyTable::Clear() { *this = KeyTable(); }

uint32_t HashTable::Find(uint64_t hash) const {
  if (slots_.empty()) return kNone;
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = slots_[slot];
    if (id == kNone || hashes_[id] == hash) return id;
  }
}

uint32_t HashTable::Add(uint64_t hash) {
  if ((hashes_.size() + 1) * 3 > slots_.size() * 2) Grow();
  const uint32_t id = size();
  hashes_.push_back(hash);
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot] != kNone) slot = (slot + 1) & mask;
  slots_[slot] = id;
  return id;
}

void HashTable::Grow() {
  slots_.assign(std::max(kFirstSlots, slots_.size() * 2), kNone);
  const size_t mask = slots_.size() - 1;
  for (uint32_t id = 0; id < size(); ++id) {
    size_t slot = hashes_[id] & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }
}

void HashTable::Clear() { *this = HashTable(); }

}  // namespace vedette::scrape
