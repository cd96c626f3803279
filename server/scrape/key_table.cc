#include "server/scrape/key_table.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace vedette::scrape {
namespace {

constexpr size_t kFirstSlots = 64;
constexpr size_t kFirstChunkBytes = 4 << 10;
constexpr size_t kChunkBytes = 64 << 10;

}  // namespace

uint32_t KeyTable::Find(std::string_view key) const {
  if (slots_.empty()) return kNone;
  const uint32_t hash = static_cast<uint32_t>(XXH3_64bits(key.data(), key.size()));
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = slots_[slot];
    if (id == kNone) return kNone;
    const Entry& entry = entries_[id];
    if (entry.hash == hash && entry.size == key.size() &&
        std::memcmp(entry.data, key.data(), key.size()) == 0) {
      return id;
    }
  }
}

uint32_t KeyTable::Add(std::string_view key) {
  if ((entries_.size() + 1) * 3 > slots_.size() * 2) Grow();
  if (key.size() > chunk_free_) {
    const size_t chunk = std::max(key.size(), chunks_.empty() ? kFirstChunkBytes : kChunkBytes);
    chunks_.push_back(std::make_unique<char[]>(chunk));
    next_ = chunks_.back().get();
    chunk_free_ = chunk;
  }
  if (!key.empty()) std::memcpy(next_, key.data(), key.size());
  const uint32_t hash = static_cast<uint32_t>(XXH3_64bits(key.data(), key.size()));
  const uint32_t id = size();
  entries_.push_back({next_, static_cast<uint32_t>(key.size()), hash});
  next_ += key.size();
  chunk_free_ -= key.size();
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot] != kNone) slot = (slot + 1) & mask;
  slots_[slot] = id;
  return id;
}

void KeyTable::Grow() {
  slots_.assign(std::max(kFirstSlots, slots_.size() * 2), kNone);
  const size_t mask = slots_.size() - 1;
  for (uint32_t id = 0; id < size(); ++id) {
    size_t slot = entries_[id].hash & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }
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
