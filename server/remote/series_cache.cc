#include "server/remote/series_cache.h"

#include <xxhash.h>

#include <random>

namespace vedette::remote {

namespace {
constexpr size_t kFirstSlots = 1 << 10;
}  // namespace

SeriesCache::List::List(uint32_t max_entries) : blocks((max_entries + kBlock - 1) / kBlock) {
  MutexLock lock(mu);
  slots.resize(kFirstSlots);
}

SeriesCache::List::~List() {
  for (std::atomic<Entry*>& block : blocks) delete[] block.load();
}

size_t SeriesCache::List::SlotOf(const Entry& entry) const {
  const size_t mask = slots.size() - 1;
  size_t slot = entry.low & mask;
  while (slots[slot] != 0 && !at(slots[slot] - 1).Same(entry)) slot = (slot + 1) & mask;
  return slot;
}

void SeriesCache::List::Widen() {
  std::vector<uint32_t> before(slots.size() * 2);
  before.swap(slots);
  for (uint32_t place : before) {
    if (place != 0) slots[SlotOf(at(place - 1))] = place;
  }
}

SeriesCache::SeriesCache(uint32_t max_entries)
    : max_entries_(max_entries), list_(std::make_shared<List>(max_entries)) {
  std::random_device random;
  for (unsigned char& c : secret_) c = static_cast<unsigned char>(random());
}

SeriesCache::~SeriesCache() = default;

std::shared_ptr<SeriesCache::List> SeriesCache::list() const {
  MutexLock lock(mu_);
  return list_;
}

SeriesCache::Entry SeriesCache::Of(std::string_view label_bytes, uint64_t context) const {
  const XXH128_hash_t h = XXH3_128bits_withSecret(label_bytes.data(), label_bytes.size(),
                                                  secret_.data(), secret_.size());
  Entry entry{h.low64 ^ context, h.high64, 0};
  if (label_bytes.size() <= kMaxLength) entry.ref_and_length = label_bytes.size();
  return entry;
}

void SeriesCache::Add(std::span<const Entry> entries, bool reorder) {
  std::shared_ptr<List> list = this->list();
  MutexLock lock(list->mu);
  for (const Entry& e : entries) {
    if (e.ref() == 0 || e.length() == 0) continue;
    const size_t slot = list->SlotOf(e);
    if (list->slots[slot] != 0 && !reorder) continue;
    const uint32_t at = list->size.load(std::memory_order_relaxed);
    if (at == max_entries_) {
      auto empty = std::make_shared<List>(max_entries_);
      MutexLock whole(mu_);
      if (list_ == list) list_ = std::move(empty);
      return;
    }
    std::atomic<Entry*>& block = list->blocks[at / List::kBlock];
    if (block.load() == nullptr) block = new Entry[List::kBlock];
    block.load()[at % List::kBlock] = e;
    list->used += list->slots[slot] == 0;
    list->slots[slot] = at + 1;
    list->size.store(at + 1, std::memory_order_release);
    if (list->used * 3 > list->slots.size() * 2) list->Widen();
  }
}

void SeriesCache::Clear() {
  auto empty = std::make_shared<List>(max_entries_);
  MutexLock lock(mu_);
  list_ = std::move(empty);
}

uint32_t SeriesCache::size() const { return list()->size; }

SeriesCache::Cursor::Cursor(const SeriesCache& cache)
    : list_(cache.list()), size_(list_->size.load(std::memory_order_acquire)) {}

storage::SeriesRef SeriesCache::Cursor::Find(const Entry& entry) {
  uint32_t at;
  {
    MutexLock lock(list_->mu);
    const uint32_t place = list_->slots[list_->SlotOf(entry)];
    if (place == 0) return 0;
    at = place - 1;
  }
  if (at >= size_ || !list_->at(at).Same(entry)) return 0;
  jumps_ += at != next_;
  next_ = at + 1;
  return list_->at(at).ref();
}

}  // namespace vedette::remote
