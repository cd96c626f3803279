#include "server/tsdb/recovery.h"

#include <algorithm>
#include <span>

#include "common/log/log.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {

void DamageReport::Add(std::string_view what) {
  {
    MutexLock lock(mu_);
    ++count_;
    if (sentences_.size() < kMaxSentences) sentences_.emplace_back(what);
  }
  log::Error("storage damaged; what can be read is served", {{"what", what}});
}

uint64_t DamageReport::count() const {
  MutexLock lock(mu_);
  return count_;
}

std::vector<std::string> DamageReport::sentences() const {
  MutexLock lock(mu_);
  return sentences_;
}

Result<KeyCensus> TakeCensus(const Store& store, Presence& presence, Presence& histograms) {
  KeyCensus out;
  StoreIterator it = store.Iterate(Family::kChunks, nullptr, /*long_walk=*/true);
  it.SeekToFirst();
  for (; it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key().size() != ChunkKey::kBytes) continue;
    const ChunkKey key = ChunkKey::From(it.key());
    if (!presence.Has(key.window, key.series)) {
      presence.Confirm(key.window, std::span(&key.series, 1));
    }
    out.series = std::max(out.series, key.series + 1);
    out.highest_timeline = std::max(out.highest_timeline, key.timeline);
  }
  VEDETTE_RETURN_IF_ERROR(it.status());
  it = store.Iterate(Family::kHistograms, nullptr, /*long_walk=*/true);
  it.SeekToFirst();
  for (; it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key().size() != 16) continue;
    const int32_t window = WindowFromBits(GetBigEndian32(it.key().data()));
    const uint32_t series = GetBigEndian32(it.key().data() + 8);
    if (!histograms.Has(window, series)) {
      presence.Confirm(window, std::span(&series, 1));
      histograms.Confirm(window, std::span(&series, 1));
    }
    out.series = std::max(out.series, series + 1);
  }
  VEDETTE_RETURN_IF_ERROR(it.status());
  it = store.Iterate(Family::kHead, nullptr, /*long_walk=*/true);
  it.SeekToFirst();
  for (; it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key().size() == 9) {
      out.highest_timeline = std::max(out.highest_timeline, GetBigEndian32(it.key().data()));
    }
  }
  VEDETTE_RETURN_IF_ERROR(it.status());
  return out;
}

}  // namespace vedette::tsdb
