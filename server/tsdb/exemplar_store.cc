#include "server/tsdb/exemplar_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {
namespace {

constexpr std::string_view kPrefix = "exemplar/";

std::string SlotKey(uint32_t slot) {
  std::string out(kPrefix);
  PutBigEndian32(out, slot);
  return out;
}

}  // namespace

Status ExemplarStore::Load(const DamageSink& damage) {
  StoreIterator it = store_.Iterate(Family::kMeta);
  std::vector<Entry> found;
  MutexLock lock(mu_);
  it.Seek(kPrefix);
  for (; it.valid() || PassDamage(it, "exemplars", damage); it.Next()) {
    if (!it.key().starts_with(kPrefix)) break;
    ByteReader in(it.value());
    Entry e;
    e.sequence = in.Varint();
    Result<Labels> series = Labels::FromBytes(in.Bytes());
    Result<Labels> labels = Labels::FromBytes(in.Bytes());
    e.exemplar.value = in.Fixed<double>();
    e.exemplar.t_ms = in.Signed();
    if (!in.ok() || !series.ok() || !labels.ok()) continue;  // One exemplar less.
    e.series = *std::move(series);
    e.exemplar.labels = *std::move(labels);
    found.push_back(std::move(e));
  }
  std::ranges::sort(found, {}, &Entry::sequence);
  if (!found.empty()) next_ = found.back().sequence + 1;
  for (Entry& e : found) Push(std::move(e));
  return it.status();
}

bool ExemplarStore::Add(const Labels& series, const Exemplar& exemplar, StoreBatch& batch) {
  if (capacity_ == 0) return false;
  Entry e{0, series, exemplar};
  if (!e.exemplar.t_ms) e.exemplar.t_ms = 0;
  MutexLock lock(mu_);
  // Every scrape brings the same exemplar again until there is a newer one.
  const size_t look = std::min<size_t>(ring_.size(), 64);
  for (size_t i = ring_.size() - look; i < ring_.size(); ++i) {
    if (ring_[i].series == series && ring_[i].exemplar == e.exemplar) return true;
  }
  e.sequence = next_++;
  std::string value;
  PutVarint(value, e.sequence);
  PutBytes(value, series.bytes());
  PutBytes(value, exemplar.labels.bytes());
  PutFixed(value, exemplar.value);
  PutSigned(value, *e.exemplar.t_ms);
  batch.Put(store_, Family::kMeta, SlotKey(static_cast<uint32_t>(e.sequence % capacity_)), value);
  Push(std::move(e));
  ++appended_;
  return true;
}

void ExemplarStore::Push(Entry entry) {
  ++in_ring_[entry.series.Hash()];
  ring_.push_back(std::move(entry));
  while (ring_.size() > capacity_) {
    const auto it = in_ring_.find(ring_.front().series.Hash());
    if (it != in_ring_.end() && --it->second == 0) in_ring_.erase(it);
    ring_.pop_front();
  }
}

ExemplarStore::Stats ExemplarStore::stats() const {
  MutexLock lock(mu_);
  return {.appended = appended_,
          .kept = ring_.size(),
          .series = in_ring_.size(),
          .oldest_ms = ring_.empty() ? 0 : *ring_.front().exemplar.t_ms,
          .capacity = capacity_};
}

Result<std::vector<storage::SeriesExemplars>> ExemplarStore::Select(
    int64_t start_ms, int64_t end_ms, std::span<const std::vector<Matcher>> selectors) const {
  std::map<Labels, std::vector<Exemplar>> found;
  {
    MutexLock lock(mu_);
    for (const Entry& e : ring_) {
      if (*e.exemplar.t_ms < start_ms || *e.exemplar.t_ms > end_ms) continue;
      const bool wanted = std::ranges::any_of(selectors, [&](const std::vector<Matcher>& all) {
        return std::ranges::all_of(
            all, [&](const Matcher& m) { return m.Matches(e.series.Get(m.name())); });
      });
      if (wanted) found[e.series].push_back(e.exemplar);
    }
  }
  std::vector<storage::SeriesExemplars> out;
  for (auto& [series, exemplars] : found) {
    std::ranges::stable_sort(exemplars, {}, [](const Exemplar& e) { return *e.t_ms; });
    out.push_back({series, std::move(exemplars)});
  }
  return out;
}

}  // namespace vedette::tsdb
