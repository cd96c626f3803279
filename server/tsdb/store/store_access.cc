// Batches of changes, snapshots, and walks that pass damage by.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/tsdb/store/store_rep.h"

namespace vedette::tsdb {

StoreBatch::StoreBatch() : rep_(std::make_unique<Rep>()) {}
StoreBatch::~StoreBatch() = default;
StoreBatch::StoreBatch(StoreBatch&&) noexcept = default;
StoreBatch& StoreBatch::operator=(StoreBatch&&) noexcept = default;

// The batch itself cannot fail: memory is its only limit.
void StoreBatch::Put(const Store& store, Family family, std::string_view key,
                     std::string_view value) {
  (void)rep_->For(*store.rep_).Put(store.rep_->family(family), ToSlice(key), ToSlice(value));
}
void StoreBatch::Delete(const Store& store, Family family, std::string_view key) {
  (void)rep_->For(*store.rep_).Delete(store.rep_->family(family), ToSlice(key));
}
Status StoreBatch::DeleteFound(const Store& store, Family family, StoreIterator& it,
                               std::string_view begin, std::string_view end) {
  for (it.Seek(begin); it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key() >= end) return {};
    Delete(store, family, it.key());
  }
  const Status s = it.status();
  return s.code() == StatusCode::kDataLoss ? Status() : s;
}
bool StoreBatch::empty() const { return rep_->batch.Count() == 0; }
size_t StoreBatch::bytes() const { return rep_->batch.GetDataSize(); }
void StoreBatch::Clear() { rep_->batch.Clear(); }

StoreSnapshot::StoreSnapshot(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreSnapshot::~StoreSnapshot() {
  if (rep_->database) rep_->database->db->ReleaseSnapshot(rep_->snapshot);
}

StoreIterator::StoreIterator(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreIterator::~StoreIterator() = default;
StoreIterator::StoreIterator(StoreIterator&&) noexcept = default;
StoreIterator& StoreIterator::operator=(StoreIterator&&) noexcept = default;
void StoreIterator::Seek(std::string_view key) {
  rep_->last = key;
  rep_->it->Seek(ToSlice(key));
}
void StoreIterator::SeekToFirst() {
  rep_->last.clear();
  rep_->it->SeekToFirst();
}
void StoreIterator::SeekForPrev(std::string_view key) {
  rep_->last = key;
  rep_->it->SeekForPrev(ToSlice(key));
}
void StoreIterator::Next() {
  rep_->last = ToView(rep_->it->key());
  rep_->it->Next();
}

namespace {

// A key as a number, big-endian, and 2^bit more than it. False: there is no such key.
bool Advance(std::string& key, size_t bit) {
  for (size_t at = key.size() - 1 - bit / 8, carry = size_t{1} << bit % 8;; --at) {
    carry += static_cast<uint8_t>(key[at]);
    key[at] = static_cast<char>(carry & 0xff);
    carry >>= 8;
    if (carry == 0) return true;
    if (at == 0) return false;
  }
}

}  // namespace

// RocksDB has no way past a block that it cannot read but to seek behind it, and does not say where
// that is: steps that double find a place, halving finds the first such place near enough.
bool StoreIterator::SkipDamage() {
  constexpr size_t kLeastWidth = 24;
  constexpr size_t kHalvings = 24;
  if (!rep_->damaged()) return rep_->it->Valid();
  std::string low = rep_->last;
  low.resize(std::max(low.size() + 1, kLeastWidth));
  const size_t bits = low.size() * 8;
  size_t bit = 0;
  std::string high;
  for (;; ++bit) {
    if (bit == bits) return false;
    high = low;
    if (!Advance(high, bit)) return false;
    if (!rep_->DamagedAt(high)) break;
  }
  for (size_t i = 0; i < kHalvings && bit > 0; ++i) {
    std::string middle = low;
    if (!Advance(middle, --bit) || middle >= high) continue;
    (rep_->DamagedAt(middle) ? low : high) = middle;
  }
  rep_->last = high;
  return !rep_->DamagedAt(high) && rep_->it->Valid();
}
bool StoreIterator::valid() const { return rep_->it->Valid(); }
std::string_view StoreIterator::key() const { return ToView(rep_->it->key()); }
std::string_view StoreIterator::value() const { return ToView(rep_->it->value()); }
Status StoreIterator::status() const { return ToStatus(rep_->it->status()); }

}  // namespace vedette::tsdb
