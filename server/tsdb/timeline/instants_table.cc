#include "server/tsdb/timeline/instants_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

constexpr uint32_t kReserve = 4096;
// Contents remembered for sharing. What is forgotten is stored a second time, no more.
constexpr size_t kMaxContents = 20'000;
constexpr size_t kMaxDecodedValues = 1 << 20;  // 8 MiB.
constexpr size_t kEntryValues = 16;   // What an entry of decoded_ takes besides.
constexpr size_t kContentBytes = 96;  // The same of ids_by_content_, in bytes.

}  // namespace

Status IdSource::Reserve(uint32_t begin) {
  StoreBatch batch;
  std::string value;
  PutBigEndian32(value, begin + kReserve);
  batch.Put(store_, Family::kMeta, key_, value);
  // Waits for the disk: a number given twice would mix up what carries it, and a power cut must not
  // take the reservation and leave its users.
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch, /*sync=*/true));
  next_ = begin;
  end_ = begin + kReserve;
  return {};
}

Result<uint32_t> IdSource::Next() {
  MutexLock lock(mu_);
  if (next_ == end_) {
    uint32_t begin = std::max(end_, 1u);
    if (end_ == 0) {
      VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> stored, store_.Get(Family::kMeta, key_));
      if (stored && stored->size() == 4) begin = GetBigEndian32(stored->data());
    }
    VEDETTE_RETURN_IF_ERROR(Reserve(begin));
  }
  return next_++;
}

Status IdSource::Recover(uint32_t at_least) {
  constexpr uint32_t kFar = 1 << 20;
  MutexLock lock(mu_);
  uint32_t begin = at_least;
  const Result<std::optional<std::string>> stored = store_.Get(Family::kMeta, key_);
  if (stored.ok() && *stored && (*stored)->size() == 4) {
    begin = std::max(begin, GetBigEndian32((*stored)->data()));
  }
  return Reserve(begin + kFar);
}

Status InstantsTable::RecoverIds() {
  uint32_t highest = 0;
  StoreIterator it = store_.Iterate(Family::kInstants, nullptr, /*long_walk=*/true);
  it.SeekToFirst();
  while (it.valid() || it.SkipDamage()) {
    if (it.key().size() == 8) highest = std::max(highest, GetBigEndian32(it.key().data() + 4));
    it.Next();
  }
  return ids_.Recover(highest + 1);
}

Result<InstantsTable::Interned> InstantsTable::Intern(int32_t window,
                                                      std::span<const int64_t> instants,
                                                      StoreBatch& batch) {
  Pending pending;
  VEDETTE_ASSIGN_OR_RETURN(const uint32_t id, Intern(window, instants, batch, pending));
  if (pending.empty()) return Interned{id, ""};
  return Interned{id, std::move(pending.extract(pending.begin()).key())};
}

Result<uint32_t> InstantsTable::Intern(int32_t window, std::span<const int64_t> instants,
                                       StoreBatch& batch, Pending& pending) {
  std::string encoded = EncodeInstants(instants);
  std::string content = WindowPrefix(window) + encoded;
  if (const auto it = pending.find(content); it != pending.end()) return it->second;
  {
    MutexLock lock(mu_);
    if (auto it = ids_by_content_.find(content); it != ids_by_content_.end()) return it->second;
  }
  VEDETTE_ASSIGN_OR_RETURN(const uint32_t id, ids_.Next());
  batch.Put(store_, Family::kInstants, InstantsKey(window, id), encoded);
  pending.emplace(std::move(content), id);
  return id;
}

void InstantsTable::Publish(Pending& pending) {
  while (!pending.empty()) {
    auto node = pending.extract(pending.begin());
    Publish({node.mapped(), std::move(node.key())});
  }
}

void InstantsTable::Publish(Interned interned) {
  if (interned.content.empty()) return;
  MutexLock lock(mu_);
  if (ids_by_content_.size() >= kMaxContents) {
    ids_by_content_.clear();
    content_bytes_ = 0;
  }
  const size_t bytes = interned.content.size();
  if (ids_by_content_.try_emplace(std::move(interned.content), interned.id).second) {
    content_bytes_ += bytes;
  }
}

void InstantsTable::Forget(int32_t window) {
  const std::string prefix = WindowPrefix(window);
  MutexLock lock(mu_);
  for (auto it = ids_by_content_.begin(); it != ids_by_content_.end();) {
    const bool gone = it->first.starts_with(prefix);
    if (gone) content_bytes_ -= it->first.size();
    it = gone ? ids_by_content_.erase(it) : std::next(it);
  }
  for (auto it = decoded_.begin(); it != decoded_.end();) {
    const bool gone = it->first >> 32 == WindowBits(window);
    if (gone) decoded_values_ -= it->second->size() + kEntryValues;
    it = gone ? decoded_.erase(it) : std::next(it);
  }
}

Result<InstantsTable::Instants> InstantsTable::Get(int32_t window, uint32_t id,
                                                   const StoreSnapshot* snapshot) const {
  const uint64_t key = static_cast<uint64_t>(WindowBits(window)) << 32 | id;
  {
    MutexLock lock(mu_);
    if (auto it = decoded_.find(key); it != decoded_.end()) return it->second;
  }
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                           store_.Get(Family::kInstants, InstantsKey(window, id), snapshot));
  if (!bytes) return DataLoss(StrCat("instants ", id, " of window ", window, " are missing"));
  auto instants = std::make_shared<std::vector<int64_t>>();
  VEDETTE_RETURN_IF_ERROR(DecodeInstants(*bytes, *instants));
  MutexLock lock(mu_);
  if (decoded_values_ > kMaxDecodedValues) {
    decoded_.clear();
    decoded_values_ = 0;
  }
  // Another thread may have been quicker.
  if (decoded_.try_emplace(key, instants).second) {
    decoded_values_ += instants->size() + kEntryValues;
  }
  return Instants(std::move(instants));
}

uint64_t InstantsTable::memory_bytes() const {
  MutexLock lock(mu_);
  return decoded_values_ * sizeof(int64_t) + content_bytes_ +
         ids_by_content_.size() * kContentBytes;
}

}  // namespace vedette::tsdb
