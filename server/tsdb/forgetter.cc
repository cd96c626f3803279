#include "server/tsdb/forgetter.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// Journals become one as long as they come to no more than this; and that many series.
constexpr size_t kPortionBytes = 1 << 20;
constexpr uint64_t kPortionSeries = 1 << 20;
// Worth it where so much is saved, or where so many become one.
constexpr size_t kManyJournals = 16;

}  // namespace

struct Forgetter::StoredJournal {
  std::string key;
  size_t bytes = 0;
  SeriesIndex::JournalStart start;
};

void Forgetter::Look() {
  const uint64_t known = index_.known();
  const uint64_t enough = std::max(at_least_, known / 8);
  // What is in memory is used: that alone says no most of the time.
  if (known < enough + head_.active_series()) return;
  Postings unused = index_.Known();
  head_.RemoveUsed(unused);
  if (unused.size() < std::max<uint64_t>(enough, 1)) return;
  // Chunks of a window that is only half dropped still have their series.
  StoreIterator it = store_.Iterate(Family::kMeta);
  it.Seek(kDroppingPrefix);
  if (!it.status().ok() || (it.valid() && it.key().starts_with(kDroppingPrefix))) return;
  unused_ = std::move(unused);
  eras_.End();
}

Status Forgetter::Round() {
  if (free_places_ && eras_.AllOver()) {
    head_.FreePlaces();
    free_places_ = false;
  }
  if (unused_.empty()) Look();
  if (!unused_.empty() && eras_.AllOver()) {
    FailPoint("forget.before");
    const uint64_t forgotten = head_.Forget(std::exchange(unused_, {}));
    given_up_ += forgotten;
    if (forgotten > 0) {
      eras_.End();
      free_places_ = true;
      thin_journals_ = true;
    }
  }
  if (!thin_journals_) return {};
  VEDETTE_RETURN_IF_ERROR(ThinJournals());
  thin_journals_ = false;
  return {};
}

Status Forgetter::ThinJournals() {
  std::vector<StoredJournal> run;
  // Before the journals are listed: one that is stored meanwhile begins here.
  const SeriesIndex::JournalStart end = index_.NextJournal();
  StoreIterator it = store_.Iterate(Family::kSeries, nullptr, /*long_walk=*/true);
  for (it.SeekToFirst(); it.valid() || it.SkipDamage(); it.Next()) {
    const Result<SeriesIndex::JournalStart> start = SeriesIndex::StartOf(it.value());
    if (start.ok()) {
      run.push_back({std::string(it.key()), it.value().size(), *start});
      continue;
    }
    // Of what is damaged nobody knows what it is of: it stays, and so does the one before it.
    VEDETTE_RETURN_IF_ERROR(ThinRun(run));
    run.clear();
  }
  if (!it.status().ok() && it.status().code() != StatusCode::kDataLoss) return it.status();
  // The last one ends where the next will begin.
  if (!run.empty() && run.back().start.series < end.series) run.push_back({"", 0, end});
  return ThinRun(run);
}

// Journals that follow each other, and behind them where the last one ends.
Status Forgetter::ThinRun(const std::vector<StoredJournal>& run) {
  for (size_t first = 0; first + 1 < run.size();) {
    size_t bytes = run[first].bytes;
    size_t end = first + 1;
    while (end + 1 < run.size() && bytes + run[end].bytes <= kPortionBytes &&
           run[end + 1].start.series - run[first].start.series <= kPortionSeries) {
      bytes += run[end++].bytes;
    }
    const std::optional<std::string> thinned = index_.Thinned(run[first].start, run[end].start);
    if (thinned && (thinned->size() <= bytes * 3 / 4 || end - first >= kManyJournals)) {
      StoreBatch batch;
      for (size_t i = first; i < end; ++i) batch.Delete(store_, Family::kSeries, run[i].key);
      batch.Put(store_, Family::kSeries, ThinnedKey(JournalSequence(run[first].key)), *thinned);
      FailPoint("forget.journal.before");
      VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
      FailPoint("forget.journal.written");
    }
    first = end;
  }
  return {};
}

}  // namespace vedette::tsdb
