#include "server/tsdb/compact/compactor.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kBatchBytes = 1 << 20;

}  // namespace

// The chunks of one series in one window.
struct Compactor::Group {
  std::vector<std::string> keys;
  std::vector<std::string> values;

  bool empty() const { return keys.empty(); }
  void clear() {
    keys.clear();
    values.clear();
  }
};

Status Compactor::Rewrite(const Group& group, int64_t delete_from_ms, int64_t delete_to_ms,
                          StoreBatch& batch, std::vector<InstantsTable::Interned>& interned,
                          Outcome& outcome) {
  const ChunkKey first = ChunkKey::From(group.keys[0]);
  const int64_t start = first.window * window_ms_;
  std::vector<Sample> samples;
  std::vector<double> values;
  std::vector<std::string> readable;
  std::vector<uint32_t> timelines;
  for (size_t i = 0; i < group.keys.size(); ++i) {
    Result<ChunkHeader> header = DecodeChunk(group.values[i], values);
    Result<InstantsTable::Instants> instants =
        header.ok() ? instants_.Get(first.window, header->instants_id, nullptr)
                    : Result<InstantsTable::Instants>(header.status());
    if (!instants.ok() || (*instants)->size() != values.size()) {
      ++damaged_;  // Stays where it is: a reader says so, and a copy may replace it.
      continue;
    }
    readable.push_back(group.keys[i]);
    timelines.push_back(ChunkKey::From(group.keys[i]).timeline);
    for (size_t k = 0; k < values.size(); ++k) {
      if (!IsAbsent(values[k])) samples.push_back({(**instants)[k], values[k]});
    }
  }
  if (readable.empty()) return {};
  // In time; where two have one instant, the chunk that ended first has the older sample.
  std::ranges::stable_sort(samples, {}, &Sample::t_ms);
  samples.erase(std::unique(samples.begin(), samples.end(),
                            [](const Sample& a, const Sample& b) { return a.t_ms == b.t_ms; }),
                samples.end());
  const size_t before = samples.size();
  std::erase_if(
      samples, [&](const Sample& s) { return s.t_ms >= delete_from_ms && s.t_ms <= delete_to_ms; });
  const size_t removed = before - samples.size();
  const bool deleting = delete_from_ms <= delete_to_ms;
  if (deleting && removed == 0) return {};

  const size_t pieces = (samples.size() + kMergedValues - 1) / kMergedValues;
  if (!deleting && readable.size() <= pieces) return {};  // Nothing to gain.
  ++outcome.series;
  outcome.samples += deleting ? removed : samples.size();
  for (const std::string& key : readable) batch.Delete(store_, Family::kChunks, key);
  std::vector<int64_t> instants;
  for (size_t p = 0; p < pieces; ++p) {
    // Of equal length, so that no short one is left over.
    const size_t begin = samples.size() * p / pieces;
    const size_t end = samples.size() * (p + 1) / pieces;
    instants.clear();
    values.clear();
    for (size_t i = begin; i < end; ++i) {
      instants.push_back(samples[i].t_ms);
      values.push_back(samples[i].value);
    }
    VEDETTE_ASSIGN_OR_RETURN(InstantsTable::Interned id,
                             instants_.Intern(first.window, instants, batch));
    ChunkKey key = first;
    key.last_offset = static_cast<uint32_t>(instants.back() - start);
    key.timeline = timelines[0];  // Its last instants differ, so the keys do.
    batch.Put(store_, Family::kChunks, key.Bytes(),
              EncodeChunk(id.id, instants.back() - instants.front(), values));
    // Published by hand: the next series of the batch shares them, and all are written together.
    instants_.Publish(id);
    interned.push_back(std::move(id));
  }
  return {};
}

Result<Compactor::Outcome> Compactor::Merge(int32_t window, const Pace& pace) {
  Outcome outcome;
  const std::shared_ptr<const StoreSnapshot> snapshot = store_.TakeSnapshot();
  StoreIterator it = store_.Iterate(Family::kChunks, snapshot.get(), /*long_walk=*/true);
  const std::string prefix = WindowPrefix(window);
  StoreBatch batch;
  std::vector<InstantsTable::Interned> interned;
  Group group;
  auto write = [&]() -> Status {
    if (batch.empty()) return {};
    const uint64_t bytes = batch.bytes();
    if (Status s = store_.Write(batch); !s.ok()) {
      instants_.Forget(window);
      return s;
    }
    batch.Clear();
    interned.clear();
    return pace ? pace(bytes) : Status();
  };
  auto finish = [&]() -> Status {
    if (group.keys.size() > 1) {
      if (Status s = Rewrite(group, 1, 0, batch, interned, outcome); !s.ok()) {
        instants_.Forget(window);
        return s;
      }
    }
    group.clear();
    return batch.bytes() >= kBatchBytes ? write() : Status();
  };
  for (it.Seek(prefix); it.valid() && it.key().starts_with(prefix); it.Next()) {
    if (it.key().size() != ChunkKey::kBytes) continue;
    if (!group.empty() && !ChunkKey::From(group.keys[0]).SameSeries(ChunkKey::From(it.key()))) {
      VEDETTE_RETURN_IF_ERROR(finish());
    }
    group.keys.emplace_back(it.key());
    group.values.emplace_back(it.value());
  }
  VEDETTE_RETURN_IF_ERROR(it.status());
  VEDETTE_RETURN_IF_ERROR(finish());
  VEDETTE_RETURN_IF_ERROR(write());
  return outcome;
}

Status Compactor::Drop(int32_t window) {
  const std::string begin = WindowPrefix(window);
  const std::string end = WindowPrefix(window + 1);
  for (Family family : {Family::kChunks, Family::kHistograms, Family::kInstants}) {
    VEDETTE_RETURN_IF_ERROR(store_.DropRange(family, begin, end));
  }
  StoreBatch batch;
  presence_.Drop(window, batch);
  histograms_.Drop(window, batch);
  instants_.Forget(window);
  return store_.Write(batch);
}

Result<Compactor::Outcome> Compactor::Delete(std::span<const uint32_t> metrics,
                                             std::span<const uint32_t> series, int64_t start_ms,
                                             int64_t end_ms) {
  Outcome outcome;
  for (int32_t window : presence_.Windows(INT32_MIN, INT32_MAX)) {
    const int64_t start = window * window_ms_;
    if (start > end_ms || start + window_ms_ <= start_ms) continue;
    StoreBatch batch;
    std::vector<InstantsTable::Interned> interned;
    StoreIterator chunks = store_.Iterate(Family::kChunks);
    StoreIterator histograms = store_.Iterate(Family::kHistograms);
    Group group;
    for (size_t i = 0; i < series.size(); ++i) {
      if (!presence_.Has(window, series[i])) continue;
      const ChunkKey first{window, metrics[i], series[i], 0, 0};
      group.clear();
      for (chunks.Seek(first.Bytes()); chunks.valid() && chunks.key().size() == ChunkKey::kBytes &&
                                       ChunkKey::From(chunks.key()).SameSeries(first);
           chunks.Next()) {
        group.keys.emplace_back(chunks.key());
        group.values.emplace_back(chunks.value());
      }
      if (!group.empty()) {
        if (Status s = Rewrite(group, start_ms, end_ms, batch, interned, outcome); !s.ok()) {
          instants_.Forget(window);
          return s;
        }
      }
      const std::string prefix = HistogramKey(window, metrics[i], series[i], 0).substr(0, 12);
      for (histograms.Seek(prefix); histograms.valid() && histograms.key().starts_with(prefix);
           histograms.Next()) {
        const int64_t t_ms = start + GetBigEndian32(histograms.key().data() + 12);
        if (t_ms < start_ms || t_ms > end_ms) continue;
        batch.Delete(store_, Family::kHistograms, histograms.key());
        ++outcome.samples;
      }
    }
    if (Status s = store_.Write(batch); !s.ok()) {
      instants_.Forget(window);
      return s;
    }
  }
  return outcome;
}

}  // namespace vedette::tsdb
