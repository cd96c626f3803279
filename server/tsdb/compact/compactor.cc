#include "server/tsdb/compact/compactor.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/storage/queryable.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/rollup.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kBatchBytes = 1 << 20;

std::string DroppingKey(int32_t window) { return StrCat(kDroppingPrefix, WindowPrefix(window)); }

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

// What they have.
struct Compactor::Decoded {
  std::vector<Sample> samples;        // In time, each instant once.
  std::vector<std::string> readable;  // Keys of chunks that are whole.
  uint64_t damaged = 0;               // The others.
};

Compactor::Decoded Compactor::Decode(const Group& group) {
  Decoded out;
  const int32_t window = ChunkKey::From(group.keys[0]).window;
  std::vector<double> values;
  for (size_t i = 0; i < group.keys.size(); ++i) {
    Result<ChunkHeader> header = DecodeChunk(group.values[i], values);
    Result<InstantsTable::Instants> instants =
        header.ok() ? instants_.Get(window, header->instants_id, nullptr)
                    : Result<InstantsTable::Instants>(header.status());
    if (!instants.ok() || (*instants)->size() != values.size()) {
      ++damaged_;  // Stays where it is: a reader says so, and a copy may replace it.
      ++out.damaged;
      continue;
    }
    out.readable.push_back(group.keys[i]);
    for (size_t k = 0; k < values.size(); ++k) {
      if (!IsAbsent(values[k])) out.samples.push_back({(**instants)[k], values[k]});
    }
  }
  // Where two have one instant, the chunk that ended first has the older sample.
  std::ranges::stable_sort(out.samples, {}, &Sample::t_ms);
  const auto again = std::unique(out.samples.begin(), out.samples.end(),
                                 [](const Sample& a, const Sample& b) { return a.t_ms == b.t_ms; });
  out.samples.erase(again, out.samples.end());
  return out;
}

Status Compactor::Rewrite(const Group& group, int64_t delete_from_ms, int64_t delete_to_ms,
                          StoreBatch& batch, InstantsTable::Pending& interned, uint32_t& number,
                          Outcome& outcome, uint64_t* kept) {
  const ChunkKey first = ChunkKey::From(group.keys[0]);
  const int64_t start = first.window * window_ms_;
  auto [samples, readable, damaged] = Decode(group);
  if (kept != nullptr) *kept += damaged;
  if (readable.empty()) return {};
  const size_t before = samples.size();
  std::erase_if(
      samples, [&](const Sample& s) { return s.t_ms >= delete_from_ms && s.t_ms <= delete_to_ms; });
  const size_t removed = before - samples.size();
  if (kept != nullptr) *kept += samples.size();
  const bool deleting = delete_from_ms <= delete_to_ms;
  if (deleting && removed == 0) return {};

  const size_t pieces = (samples.size() + kMergedValues - 1) / kMergedValues;
  if (!deleting && readable.size() <= pieces) return {};  // Nothing to gain.
  ++outcome.series;
  outcome.samples += deleting ? removed : samples.size();
  for (const std::string& key : readable) batch.Delete(store_, Family::kChunks, key);
  if (deleting) rollups_.Remove(first.window, first.metric, first.series, batch);
  // A number that no other chunk ever had: a timeline whose sealing failed, but was in the log all the
  // same, writes its chunk once more after a start, and must not replace what that one has become a part of.
  if (number == 0 && pieces > 0) {
    VEDETTE_ASSIGN_OR_RETURN(number, numbers_.Next());
  }
  std::vector<int64_t> instants;
  std::vector<double> values;
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
    VEDETTE_ASSIGN_OR_RETURN(const uint32_t id,
                             instants_.Intern(first.window, instants, batch, interned));
    ChunkKey key = first;
    key.last_offset = static_cast<uint32_t>(instants.back() - start);
    key.timeline = number;  // The pieces' last instants differ, so the keys do.
    batch.Put(store_, Family::kChunks, key.Bytes(),
              EncodeChunk(id, instants.back() - instants.front(), values));
  }
  return {};
}

// What cannot be read stays where it is: a reader says so.
bool Compactor::PassDamage(StoreIterator& it) {
  if (it.status().code() != StatusCode::kDataLoss) return false;
  ++damaged_;
  return it.SkipDamage();
}

Status Compactor::ForEachSeries(int32_t window, const std::function<Status(const Group&)>& see) {
  const std::shared_ptr<const StoreSnapshot> snapshot = store_.TakeSnapshot();
  StoreIterator it = store_.Iterate(Family::kChunks, snapshot.get(), /*long_walk=*/true);
  const std::string prefix = WindowPrefix(window);
  Group group;
  for (it.Seek(prefix); it.valid() || PassDamage(it); it.Next()) {
    if (!it.key().starts_with(prefix)) break;
    if (it.key().size() != ChunkKey::kBytes) continue;
    if (!group.empty() && !ChunkKey::From(group.keys[0]).SameSeries(ChunkKey::From(it.key()))) {
      VEDETTE_RETURN_IF_ERROR(see(group));
      group.clear();
    }
    group.keys.emplace_back(it.key());
    group.values.emplace_back(it.value());
  }
  // Who reads what is behind the damage has to hear of it: the window stays as it is.
  VEDETTE_RETURN_IF_ERROR(it.status());
  return group.empty() ? Status() : see(group);
}

Result<Compactor::Outcome> Compactor::Merge(int32_t window, const Pace& pace) {
  Outcome outcome;
  StoreBatch batch;
  InstantsTable::Pending interned;
  uint32_t number = 0;  // Of the merged chunks; taken when there is one.
  auto write = [&]() -> Status {
    if (batch.empty()) return {};
    const uint64_t bytes = batch.bytes();
    FailPoint("merge.before");
    VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
    FailPoint("merge.written");
    batch.Clear();
    instants_.Publish(interned);
    return pace ? pace(bytes) : Status();
  };
  const auto merge = [&](const Group& group) -> Status {
    if (group.keys.size() > 1) {
      VEDETTE_RETURN_IF_ERROR(Rewrite(group, 1, 0, batch, interned, number, outcome, nullptr));
    }
    return batch.bytes() >= kBatchBytes ? write() : Status();
  };
  VEDETTE_RETURN_IF_ERROR(ForEachSeries(window, merge));
  VEDETTE_RETURN_IF_ERROR(write());
  return outcome;
}

Status Compactor::RollUp(int32_t window, const Pace& pace) {
  const Result<uint64_t> since = rollups_.StartMaking(window);
  Status status = since.status();
  if (status.ok()) status = MakeRollups(window, *since, pace);
  if (status.ok()) {
    FailPoint("rollup.made");
    status = rollups_.FinishMaking(window);
  }
  if (!status.ok()) rollups_.StopMaking(window);
  return status;
}

Status Compactor::MakeRollups(int32_t window, uint64_t since, const Pace& pace) {
  StoreBatch batch;
  std::vector<int64_t> instants;
  std::vector<double> values;
  std::vector<storage::RolledUp> stretches;
  const auto write = [&]() -> Status {
    if (batch.empty()) return {};
    const uint64_t bytes = batch.bytes();
    FailPoint("rollup.before");
    VEDETTE_ASSIGN_OR_RETURN(const bool written, rollups_.WriteMade(window, since, batch));
    if (!written) return Unavailable("samples of the window were changed meanwhile");
    FailPoint("rollup.written");
    batch.Clear();
    return pace ? pace(bytes) : Status();
  };
  const auto roll_up = [&](const Group& group) -> Status {
    const ChunkKey first = ChunkKey::From(group.keys[0]);
    const Decoded decoded = Decode(group);
    instants.clear();
    values.clear();
    for (const Sample& s : decoded.samples) {
      instants.push_back(s.t_ms);
      values.push_back(s.value);
    }
    for (const int64_t resolution : rollups_.resolutions()) {
      const std::string key = RollupKey(resolution, window, first.metric, first.series);
      // A reader of what is damaged has to hear of it.
      if (decoded.damaged == 0 && vedette::tsdb::RollUp(instants, values, resolution, stretches) &&
          !stretches.empty()) {
        batch.Put(store_, Family::kRollups, key, EncodeRollup(stretches));
      } else {
        batch.Delete(store_, Family::kRollups, key);
      }
    }
    return batch.bytes() >= kBatchBytes ? write() : Status();
  };
  VEDETTE_RETURN_IF_ERROR(ForEachSeries(window, roll_up));
  return write();
}

Status Compactor::Drop(int32_t window) {
  // Out of sight first, so that no query finds a window half gone.
  StoreBatch batch;
  VEDETTE_RETURN_IF_ERROR(presence_.Drop(window, batch));
  VEDETTE_RETURN_IF_ERROR(histograms_.Drop(window, batch));
  instants_.Forget(window);
  batch.Put(store_, Family::kMeta, DroppingKey(window), "");
  FailPoint("drop.before");
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  FailPoint("drop.hidden");
  VEDETTE_RETURN_IF_ERROR(rollups_.Drop(window));
  return DropFamilies(window);
}

Status Compactor::DropFamilies(int32_t window) {
  for (Family family : {Family::kChunks, Family::kHistograms, Family::kInstants}) {
    VEDETTE_RETURN_IF_ERROR(
        store_.DropRange(family, WindowPrefix(window), WindowPrefix(window + 1)));
    FailPoint("drop.family");
  }
  StoreBatch done;
  done.Delete(store_, Family::kMeta, DroppingKey(window));
  done.Delete(store_, Family::kMeta, StrCat("merged/", window));
  return store_.Write(done);
}

Status Compactor::FinishDrops() {
  std::vector<int32_t> windows;
  StoreIterator it = store_.Iterate(Family::kMeta);
  for (it.Seek(kDroppingPrefix); it.valid() && it.key().starts_with(kDroppingPrefix); it.Next()) {
    const std::string_view window = it.key().substr(kDroppingPrefix.size());
    if (window.size() == 4) windows.push_back(WindowFromBits(GetBigEndian32(window.data())));
  }
  for (int32_t window : windows) {
    VEDETTE_RETURN_IF_ERROR(rollups_.Drop(window));
    VEDETTE_RETURN_IF_ERROR(DropFamilies(window));
  }
  return {};
}

Status Compactor::DropSeries(int32_t window, std::span<const uint32_t> metrics,
                             std::span<const uint32_t> series) {
  StoreBatch batch;
  const Presence::Removal removal(presence_, window);
  const Presence::Removal removal_of_histograms(histograms_, window);
  for (Family family : {Family::kChunks, Family::kHistograms}) {
    StoreIterator it = store_.Iterate(family);
    for (size_t i = 0; i < series.size(); ++i) {
      const std::string begin = SeriesPrefix(window, metrics[i], series[i]);
      std::string end = begin;
      PutBigEndian32(end, UINT32_MAX);  // Beyond every offset in a window.
      VEDETTE_RETURN_IF_ERROR(batch.DeleteFound(store_, family, it, begin, end));
    }
  }
  for (size_t i = 0; i < series.size(); ++i) {
    rollups_.Remove(window, metrics[i], series[i], batch);
  }
  VEDETTE_RETURN_IF_ERROR(presence_.Remove(removal, series, batch));
  VEDETTE_RETURN_IF_ERROR(histograms_.Remove(removal_of_histograms, series, batch));
  FailPoint("expire.before");
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  FailPoint("expire.written");
  return {};
}

Result<Compactor::Outcome> Compactor::Delete(std::span<const uint32_t> metrics,
                                             std::span<const uint32_t> series, int64_t start_ms,
                                             int64_t end_ms) {
  Outcome outcome;
  uint32_t number = 0;  // Of the chunks that are written anew.
  for (int32_t window : presence_.Windows(INT32_MIN, INT32_MAX)) {
    const int64_t start = window * window_ms_;
    if (start > end_ms || start + window_ms_ <= start_ms) continue;
    StoreBatch batch;
    InstantsTable::Pending interned;
    auto write = [&]() -> Status {
      FailPoint("delete.before");
      VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
      FailPoint("delete.written");
      batch.Clear();
      instants_.Publish(interned);
      return {};
    };
    const Presence::Removal removal(presence_, window);
    const Presence::Removal removal_of_histograms(histograms_, window);
    StoreIterator chunks = store_.Iterate(Family::kChunks);
    StoreIterator histograms = store_.Iterate(Family::kHistograms);
    Group group;
    std::vector<uint32_t> emptied;
    for (size_t i = 0; i < series.size(); ++i) {
      if (!presence_.Has(window, series[i])) continue;
      const uint64_t touched = outcome.samples;
      bool left = false;
      const ChunkKey first{window, metrics[i], series[i], 0, 0};
      group.clear();
      for (chunks.Seek(first.Bytes()); chunks.valid() && chunks.key().size() == ChunkKey::kBytes &&
                                       ChunkKey::From(chunks.key()).SameSeries(first);
           chunks.Next()) {
        group.keys.emplace_back(chunks.key());
        group.values.emplace_back(chunks.value());
      }
      uint64_t kept = 0;
      if (!group.empty()) {
        VEDETTE_RETURN_IF_ERROR(
            Rewrite(group, start_ms, end_ms, batch, interned, number, outcome, &kept));
      }
      const std::string prefix = SeriesPrefix(window, metrics[i], series[i]);
      for (histograms.Seek(prefix); histograms.valid() && histograms.key().starts_with(prefix);
           histograms.Next()) {
        const int64_t t_ms = start + GetBigEndian32(histograms.key().data() + 12);
        if (t_ms < start_ms || t_ms > end_ms) {
          left = true;
          continue;
        }
        batch.Delete(store_, Family::kHistograms, histograms.key());
        ++outcome.samples;
      }
      for (const StoreIterator* it : {&chunks, &histograms}) {
        // Not read to its end: what lies behind must not be taken for gone.
        if (Status s = it->status(); !s.ok() && s.code() != StatusCode::kDataLoss) return s;
      }
      // Whatever is damaged stays, and so does the word that there is something.
      left = left || kept > 0 || chunks.status().code() == StatusCode::kDataLoss ||
             histograms.status().code() == StatusCode::kDataLoss;
      if (!left && outcome.samples > touched) emptied.push_back(series[i]);
      VEDETTE_RETURN_IF_ERROR(batch.bytes() >= kBatchBytes ? write() : Status());
    }
    FailPoint("delete.read");
    VEDETTE_RETURN_IF_ERROR(presence_.Remove(removal, emptied, batch));
    VEDETTE_RETURN_IF_ERROR(histograms_.Remove(removal_of_histograms, emptied, batch));
    VEDETTE_RETURN_IF_ERROR(write());
  }
  return outcome;
}

Status Compactor::FreeSpace(std::span<const uint32_t> metrics, int64_t start_ms, int64_t end_ms) {
  if (metrics.empty()) return {};
  const auto [lowest, highest] = std::ranges::minmax(metrics);
  for (int32_t window : presence_.Windows(INT32_MIN, INT32_MAX)) {
    const int64_t start = window * window_ms_;
    if (start > end_ms || start + window_ms_ <= start_ms) continue;
    for (Family family : {Family::kChunks, Family::kHistograms}) {
      VEDETTE_RETURN_IF_ERROR(store_.CompactRange(family, SeriesPrefix(window, lowest, 0),
                                                  SeriesPrefix(window, highest + 1, 0)));
    }
  }
  return {};
}

}  // namespace vedette::tsdb
