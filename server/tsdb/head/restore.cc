// The start: the journals of the index, then the log.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {

Status Head::RestoreIndex(const DamageSink& damage) {
  StoreIterator it = store_.Iterate(Family::kSeries, nullptr, /*long_walk=*/true);
  MutexLock lock(journal_mu_);
  it.SeekToFirst();
  while (it.valid() || PassDamage(it, "series journals", damage)) {
    const bool thinned = IsThinnedKey(it.key());
    if (thinned || it.key().size() == kJournalKeyBytes) {
      next_journal_ = JournalSequence(it.key()) + 1;
      const Status s = thinned ? index_.RestoreThinned(it.value()) : index_.Restore(it.value());
      if (!s.ok()) damage(s.message());
    } else {
      damage("series journal: a key is damaged");
    }
    it.Next();
  }
  index_.FinishRestore();
  if (const uint64_t lost = index_.lost(); lost > 0) {
    damage(StrCat("the labels of ", lost, " series are lost"));
  }
  return it.status();
}

Status Head::Restore(const DamageSink& damage) {
  if (Result<std::optional<std::string>> range = store_.Get(Family::kMeta, kTimeRangeKey);
      range.ok() && *range) {
    ByteReader in(**range);
    const int64_t min = in.Signed();
    const int64_t max = in.Signed();
    if (in.ok()) {
      min_t_ms_ = min;
      max_t_ms_ = max;
    }
  }
  const int64_t now = clock_.NowMs();
  StoreIterator it = store_.Iterate(Family::kHead, nullptr, /*long_walk=*/true);
  it.SeekToFirst();
  while (it.valid() || PassDamage(it, "log", damage)) {
    if (it.key().size() != 9) {
      damage("log: a key is damaged");
      it.Next();
      continue;
    }
    const uint32_t id = GetBigEndian32(it.key().data());
    auto t = std::make_shared<Timeline>();
    t->id = id;
    LogReplay replay;
    for (; (it.valid() || PassDamage(it, "log", damage)) && it.key().size() == 9 &&
           GetBigEndian32(it.key().data()) == id;
         it.Next()) {
      const HeadKind kind = static_cast<HeadKind>(it.key()[4]);
      const uint32_t slot = GetBigEndian32(it.key().data() + 5);
      // A damaged record costs what is in it, and is counted.
      if (Status s = replay.Add(kind, slot, it.value()); !s.ok()) {
        damage(StrCat("timeline ", id, ": ", s.message()));
      }
    }
    LogReplay::Restored restored = replay.Finish();
    for (uint64_t i = 0; i < restored.damaged; ++i) {
      damage(StrCat("timeline ", id, ": rows of the log are damaged"));
    }
    MutexLock lock(t->commit_mu);
    t->owner = std::move(restored.owner);
    // The writers are gone with the process; loose series find their timeline again.
    t->kind = restored.loose ? Timeline::Kind::kLoose : Timeline::Kind::kDetached;
    t->epoch = restored.epoch;
    t->next_slot = restored.next_slot;
    t->sealed_t_ms = restored.sealed_t_ms;
    t->stored_state = true;
    t->last_commit_ms = now;
    uint32_t highest = 0;
    for (uint32_t s : restored.layout) highest = std::max(highest, s);
    if (!restored.layout.empty() && highest >= index_.size()) {
      damage(StrCat("the log of timeline ", id, " has series whose labels are lost"));
      index_.Reserve(highest + 1);
    }
    t->layout = std::move(restored.layout);
    t->stored_layout = t->layout.size();
    for (uint32_t p = 0; p < t->layout.size(); ++p) AddPlace(t->layout[p], {id, p});
    if (restored.loose) {
      MutexLock budget(budget_mu_);
      charged_ += t->layout.size();
      charged_by_owner_[t->owner] += t->layout.size();
    }
    restored.view->version = versions_++;
    restored.view->sealed_t_ms = restored.sealed_t_ms;
    if (!restored.view->empty()) {
      SawTime(restored.view->first_t_ms());
      SawTime(restored.view->last_t_ms());
    }
    {
      MutexLock view(t->mu);
      t->view = std::move(restored.view);
    }
    WriterLock all(timelines_mu_);
    timelines_[id] = std::move(t);
  }
  // Who sealed what in earlier lives is not known any more.
  SawForeign(max_t_ms_);
  return it.status();
}

}  // namespace vedette::tsdb
