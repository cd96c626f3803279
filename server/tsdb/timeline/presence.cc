#include "server/tsdb/timeline/presence.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {

// prefix | window | piece
std::string Presence::PieceKey(int32_t window, uint64_t piece) const {
  std::string out = prefix_ + WindowPrefix(window);
  PutBigEndian32(out, static_cast<uint32_t>(piece >> 32));
  PutBigEndian32(out, static_cast<uint32_t>(piece));
  return out;
}

Status Presence::Load(const DamageSink& damage) {
  StoreIterator it = store_.Iterate(Family::kMeta);
  MutexLock lock(mu_);
  it.Seek(prefix_);
  while (it.valid() || PassDamage(it, prefix_, damage)) {
    if (!it.key().starts_with(prefix_)) break;
    const std::string_view key = it.key().substr(prefix_.size());
    if (key.size() != 12) {
      damage(StrCat(prefix_, ": a key is damaged"));
    } else {
      const uint64_t piece = static_cast<uint64_t>(GetBigEndian32(key.data() + 4)) << 32 |
                             GetBigEndian32(key.data() + 8);
      next_piece_ = std::max(next_piece_, piece + 1);
      if (Result<Postings> series = Postings::FromBytes(it.value()); series.ok()) {
        windows_[WindowFromBits(GetBigEndian32(key.data()))].UnionWith(*series);
      } else {
        damage(StrCat(prefix_, ": ", series.status().message()));
      }
    }
    it.Next();
  }
  return it.status();
}

void Presence::Coming::Clear() {
  Presence* const presence = std::exchange(presence_, nullptr);
  if (presence == nullptr) return;
  MutexLock lock(presence->mu_);
  presence->coming_.erase(this);
  marked_.clear();
}

Presence::Removal::Removal(Presence& presence, int32_t window)
    : presence_(presence), window_(window) {
  MutexLock lock(presence_.mu_);
  presence_.AddComing(window_, touched_);
  presence_.removals_under_way_.insert(this);
}

Presence::Removal::~Removal() {
  MutexLock lock(presence_.mu_);
  presence_.removals_under_way_.erase(this);
}

void Presence::AddComing(int32_t window, Postings& to) const {
  for (const Coming* c : coming_) {
    for (const auto& [its_window, series] : c->marked_) {
      if (its_window == window) to.Add(series);
    }
  }
}

void Presence::Mark(int32_t window, std::span<const uint32_t> series, StoreBatch& batch,
                    Coming& coming) {
  MutexLock lock(mu_);
  if (coming.presence_ == nullptr) {
    coming.presence_ = this;
    coming_.insert(&coming);
  }
  for (uint32_t s : series) coming.marked_.emplace_back(window, s);
  for (Removal* removal : removals_under_way_) {
    if (removal->window_ != window) continue;
    for (uint32_t s : series) removal->touched_.Add(s);
  }
  const auto known = windows_.find(window);
  Postings added;
  for (uint32_t s : series) {
    if (known == windows_.end() || !known->second.Contains(s)) added.Add(s);
  }
  if (added.empty()) return;
  // In memory only once it is certain to be in the store: a second batch must not rely on one that
  // may still fail. So the same series may be in two pieces, which does no harm.
  batch.Put(store_, Family::kMeta, PieceKey(window, next_piece_++), added.ToBytes());
}

void Presence::Confirm(int32_t window, std::span<const uint32_t> series) {
  MutexLock lock(mu_);
  Postings& known = windows_[window];
  bool any = false;
  for (uint32_t s : series) any = known.Add(s) || any;
  if (any) ++additions_;
}

Status Presence::DeletePieces(int32_t window, StoreBatch& batch) const {
  StoreIterator it = store_.Iterate(Family::kMeta);
  return batch.DeleteFound(store_, Family::kMeta, it, PieceKey(window, 0),
                           PieceKey(window, UINT64_MAX));
}

Status Presence::Drop(int32_t window, StoreBatch& batch) {
  VEDETTE_RETURN_IF_ERROR(DeletePieces(window, batch));
  MutexLock lock(mu_);
  windows_.erase(window);
  ++removals_;
  return {};
}

Status Presence::Remove(const Removal& removal, std::span<const uint32_t> series,
                        StoreBatch& batch) {
  if (series.empty()) return {};
  const int32_t window = removal.window_;
  VEDETTE_RETURN_IF_ERROR(DeletePieces(window, batch));
  MutexLock lock(mu_);
  const auto known = windows_.find(window);
  Postings left;
  if (known != windows_.end()) {
    for (uint32_t s : series) {
      if (!removal.touched_.Contains(s)) known->second.Remove(s);
    }
    left = known->second;
    if (left.empty()) windows_.erase(known);
  }
  ++removals_;
  // Among the pieces that go may be one of a commit that is written and not confirmed yet.
  AddComing(window, left);
  if (!left.empty()) {
    batch.Put(store_, Family::kMeta, PieceKey(window, next_piece_++), left.ToBytes());
  }
  return {};
}

std::vector<int32_t> Presence::Windows(int32_t first, int32_t last) const {
  MutexLock lock(mu_);
  std::vector<int32_t> out;
  for (auto it = windows_.lower_bound(first); it != windows_.end() && it->first <= last; ++it) {
    out.push_back(it->first);
  }
  return out;
}

bool Presence::Has(int32_t window, uint32_t series) const {
  MutexLock lock(mu_);
  const auto it = windows_.find(window);
  return it != windows_.end() && it->second.Contains(series);
}

uint32_t Presence::SeriesBound() const {
  MutexLock lock(mu_);
  uint32_t bound = 0;
  for (const auto& [window, series] : windows_) bound = std::max(bound, series.Bound());
  return bound;
}

Postings Presence::Among(int32_t window, const Postings& series) const {
  MutexLock lock(mu_);
  Postings out;
  const auto it = windows_.find(window);
  if (it == windows_.end()) return out;
  out = series;
  out.IntersectWith(it->second);
  return out;
}

Postings Presence::In(int32_t first, int32_t last) const {
  MutexLock lock(mu_);
  std::vector<const Postings*> sets;
  for (auto it = windows_.lower_bound(first); it != windows_.end() && it->first <= last; ++it) {
    sets.push_back(&it->second);
  }
  return Postings::UnionOf(sets);
}

}  // namespace vedette::tsdb
