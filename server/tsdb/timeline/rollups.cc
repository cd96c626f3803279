#include "server/tsdb/timeline/rollups.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

constexpr std::string_view kRolledPrefix = "rolled/";

std::vector<int64_t> CoarsestFirst(std::vector<int64_t> resolutions) {
  std::ranges::sort(resolutions, std::greater());
  resolutions.erase(std::unique(resolutions.begin(), resolutions.end()), resolutions.end());
  return resolutions;
}

// rolled/ | resolution in seconds | window
std::string RolledKey(int64_t resolution_ms, int32_t window) {
  return StrCat(kRolledPrefix, RollupPrefix(resolution_ms, window));
}

}  // namespace

Rollups::Rollups(Store& store, std::vector<int64_t> resolutions_ms)
    : store_(store),
      resolutions_(store.has(Family::kRollups) ? CoarsestFirst(std::move(resolutions_ms))
                                               : std::vector<int64_t>()) {}

Status Rollups::Load() {
  StoreIterator it = store_.Iterate(Family::kMeta);
  MutexLock lock(mu_);
  // What is damaged is as if it had not been rolled up.
  for (it.Seek(kRolledPrefix); it.valid() || it.SkipDamage(); it.Next()) {
    if (!it.key().starts_with(kRolledPrefix)) break;
    const std::string_view key = it.key().substr(kRolledPrefix.size());
    if (key.size() != 8) continue;
    const int64_t resolution = int64_t{GetBigEndian32(key.data())} * 1000;
    if (std::ranges::find(resolutions_, resolution) == resolutions_.end()) {
      others_.insert(resolution);
    } else {
      const int32_t window = WindowFromBits(GetBigEndian32(key.data() + 4));
      rolled_.emplace(resolution, window);
      marked_.insert(window);
    }
  }
  return it.status().code() == StatusCode::kDataLoss ? Status() : it.status();
}

Status Rollups::DropOthers() {
  std::set<int64_t> others;
  {
    MutexLock lock(mu_);
    others = others_;
  }
  for (const int64_t resolution : others) {
    VEDETTE_RETURN_IF_ERROR(store_.DropRange(Family::kRollups, RollupPrefix(resolution),
                                             RollupPrefix(resolution + 1000)));
    StoreBatch batch;
    StoreIterator it = store_.Iterate(Family::kMeta);
    VEDETTE_RETURN_IF_ERROR(
        batch.DeleteFound(store_, Family::kMeta, it, StrCat(kRolledPrefix, RollupPrefix(resolution)),
                          StrCat(kRolledPrefix, RollupPrefix(resolution + 1000))));
    VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
    MutexLock lock(mu_);
    others_.erase(resolution);
  }
  return {};
}

bool Rollups::Has(int64_t resolution_ms, int32_t window) const {
  MutexLock lock(mu_);
  return rolled_.contains({resolution_ms, window});
}

Rollups::Change Rollups::Begin(int32_t window) {
  if (!any()) return {};
  MutexLock lock(mu_);
  Changes& changes = changes_[window];
  ++changes.under_way;
  ++changes.begun;
  return {this, window, making_.contains(window) || marked_.contains(window)};
}

void Rollups::End(int32_t window) {
  MutexLock lock(mu_);
  const auto it = changes_.find(window);
  // While roll-ups of it are being made, its count of changes must not begin anew.
  if (--it->second.under_way == 0 && !making_.contains(window)) changes_.erase(it);
}

void Rollups::Remove(int32_t window, uint32_t metric, uint32_t series, StoreBatch& batch) const {
  for (const int64_t resolution : resolutions_) {
    batch.Delete(store_, Family::kRollups, RollupKey(resolution, window, metric, series));
  }
}

Result<uint64_t> Rollups::StartMaking(int32_t window) {
  MutexLock lock(mu_);
  making_.insert(window);
  const Changes& changes = changes_[window];
  if (changes.under_way > 0) return Unavailable("samples of the window are being changed");
  return changes.begun;
}

Result<bool> Rollups::WriteMade(int32_t window, uint64_t since, StoreBatch& batch) {
  // Written under the lock: a change that begins now writes its removals behind it.
  MutexLock lock(mu_);
  if (changes_[window].begun != since) return false;
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  return true;
}

Status Rollups::FinishMaking(int32_t window) {
  StoreBatch batch;
  for (const int64_t resolution : resolutions_) {
    batch.Put(store_, Family::kMeta, RolledKey(resolution, window), "");
  }
  {
    MutexLock lock(mu_);
    marked_.insert(window);
  }
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  FailPoint("rollup.marked");
  {
    MutexLock lock(mu_);
    for (const int64_t resolution : resolutions_) rolled_.emplace(resolution, window);
  }
  StopMaking(window);
  return {};
}

void Rollups::StopMaking(int32_t window) {
  MutexLock lock(mu_);
  making_.erase(window);
  if (const auto it = changes_.find(window); it != changes_.end() && it->second.under_way == 0) {
    changes_.erase(it);
  }
}

Status Rollups::Drop(int32_t window) {
  std::set<int64_t> resolutions(resolutions_.begin(), resolutions_.end());
  {
    MutexLock lock(mu_);
    resolutions.insert(others_.begin(), others_.end());
    for (const int64_t resolution : resolutions) rolled_.erase({resolution, window});
  }
  if (resolutions.empty()) return {};
  StoreBatch batch;
  for (const int64_t resolution : resolutions) {
    batch.Delete(store_, Family::kMeta, RolledKey(resolution, window));
  }
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  {
    MutexLock lock(mu_);
    marked_.erase(window);
  }
  for (const int64_t resolution : resolutions) {
    VEDETTE_RETURN_IF_ERROR(store_.DropRange(Family::kRollups, RollupPrefix(resolution, window),
                                             RollupPrefix(resolution, window + 1)));
  }
  return {};
}

}  // namespace vedette::tsdb
