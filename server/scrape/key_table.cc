#include "server/scrape/key_table.h"

#include <algorithm>
#include <bit>

namespace vedette::scrape {
namespace {

constexpr size_t kFirstSlots = 64;

// For so many ids and as many again.
size_t SlotsFor(size_t ids) { return std::max(kFirstSlots, std::bit_ceil(ids * 3 / 2 + 1) * 2); }

// Puts all ids where their hashes say.
void Spread(const std::vector<uint64_t>& hashes, uint32_t none, std::vector<uint32_t>& slots) {
  slots.assign(SlotsFor(hashes.size()), none);
  const size_t mask = slots.size() - 1;
  for (uint32_t id = 0; id < hashes.size(); ++id) {
    size_t slot = hashes[id] & mask;
    while (slots[slot] != none) slot = (slot + 1) & mask;
    slots[slot] = id;
  }
}

}  // namespace

uint32_t KeyTable::Find(std::string_view key) {
  if (slots_.empty()) MakeIndex();
  const exposition::TextParser::Key want = exposition::TextParser::KeyOf(key);
  const size_t mask = slots_.size() - 1;
  for (size_t slot = want.hash & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = slots_[slot];
    if (id == kNone || this->key(id) == want) return id;
  }
}

uint32_t KeyTable::Add(std::string_view key) {
  if ((hashes_.size() + 1) * 3 > slots_.size() * 2) MakeIndex();
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

void KeyTable::MakeIndex() { Spread(hashes_, kNone, slots_); }

void KeyTable::Tighten() {
  hashes_.shrink_to_fit();
  sizes_.shrink_to_fit();
}

void KeyTable::Clear() { *this = KeyTable(); }

uint32_t HashTable::Find(uint64_t hash) {
  if (slots_.empty()) MakeIndex();
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = slots_[slot];
    if (id == kNone || hashes_[id] == hash) return id;
  }
}

uint32_t HashTable::Add(uint64_t hash) {
  if ((hashes_.size() + 1) * 3 > slots_.size() * 2) MakeIndex();
  const uint32_t id = size();
  hashes_.push_back(hash);
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot] != kNone) slot = (slot + 1) & mask;
  slots_[slot] = id;
  return id;
}

void HashTable::MakeIndex() { Spread(hashes_, kNone, slots_); }

void HashTable::Clear() { *this = HashTable(); }

}  // namespace vedette::scrape
