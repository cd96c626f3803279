#include "server/tsdb/query/sealed_reader.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/rollup.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// Whether the iterator stands on the first chunk of this series that there is.
bool AtSeries(const StoreIterator& it, const ChunkKey& want) {
  if (!it.valid() || it.key().size() != ChunkKey::kBytes) return false;
  return ChunkKey::From(it.key()).SameSeries(want);
}

// Damage has been noted, and is no reason to stop.
Status UnlessDamage(Status s) { return s.code() == StatusCode::kDataLoss ? Status() : s; }

}  // namespace

StoreIterator& SealedReader::Open(std::optional<StoreIterator>& cursor, Family family) {
  if (!cursor) cursor.emplace(parts_.store.Iterate(family, selection_->snapshot.get()));
  return *cursor;
}

// Behind a part of a file that cannot be read, if that is what the iterator stands before.
bool SealedReader::PassDamage(StoreIterator& it) {
  const Status s = it.status();
  if (s.code() != StatusCode::kDataLoss) return false;
  notes_.Add(s);
  return it.SkipDamage();
}

// Where the range begins in a window, as keys count it.
uint32_t SealedReader::FirstOffset(int64_t window_start_ms) const {
  if (min_ <= window_start_ms) return 0;
  return static_cast<uint32_t>(std::min<int64_t>(min_ - window_start_ms, parts_.window_ms));
}

Status SealedReader::ReadChunks(size_t window, uint32_t series, uint32_t metric, Pieces& pieces) {
  const int32_t number = selection_->windows[window].window;
  const int64_t start = number * parts_.window_ms;
  const uint32_t from = FirstOffset(start);
  const ChunkKey first{number, metric, series, from, 0};
  // In order of keys the iterator often stands where the next series begins: a search is saved.
  StoreIterator& it = Open(cursors_[window].chunks, Family::kChunks);
  if (!AtSeries(it, first)) {
    const std::string first_bytes = first.Bytes();
    if (it.valid() && it.key() < first_bytes) it.Next();
    if (!AtSeries(it, first)) it.Seek(first_bytes);
  }
  for (; it.valid() || PassDamage(it); it.Next()) {
    const std::string_view bytes = it.key();
    if (bytes.size() != ChunkKey::kBytes) break;
    const ChunkKey key = ChunkKey::From(bytes);
    if (!key.SameSeries(first)) break;
    if (key.last_offset < from) continue;
    if (const Status s = AddChunk(number, start + key.last_offset, it.value(), pieces); !s.ok()) {
      notes_.Add(s);
    }
  }
  return UnlessDamage(it.status());
}

Status SealedReader::AddChunk(int32_t window, int64_t last_t_ms, std::string_view bytes,
                              Pieces& pieces) {
  VEDETTE_ASSIGN_OR_RETURN(const ChunkHeader header, ReadChunkHeader(bytes));
  if (last_t_ms - header.span_ms > max_) return {};
  const Result<const Shared*> found = FindInstants(window, header.instants_id);
  bytes_ += bytes.size();
  const size_t first = found.ok() ? (*found)->first : 0;
  const bool values_matter = !presence_only_ || header.has_holes || header.has_stale;
  const std::span<double> values = pieces.Room(header.count);
  // What lies before the range is not made into values.
  VEDETTE_RETURN_IF_ERROR(values_matter ? DecodeChunkValues(bytes, header, values, first)
                                        : CheckChunk(bytes));
  if (!found.ok()) return found.status();
  const Shared& shared = **found;
  if (shared.instants->size() != values.size()) {
    return DataLoss("chunk and instants differ in length");
  }
  if (shared.first == shared.last) return {};
  const size_t count = shared.last - shared.first;
  if (!values_matter) std::ranges::fill(values.subspan(first, count), 0);
  pieces.Add(std::span(*shared.instants).subspan(first, count),
             MixIdentity(static_cast<uint64_t>(WindowBits(window)) << 32, header.instants_id),
             header.has_stale, first);
  return {};
}

Result<const SealedReader::Shared*> SealedReader::FindInstants(int32_t window, uint32_t id) {
  Shared& at_hand = shared_[id % kInstantsAtHand];
  if (at_hand.instants != nullptr) {
    if (at_hand.window == window && at_hand.id == id) return &at_hand;
    held_.push_back(std::move(at_hand.instants));
  }
  at_hand.instants = nullptr;
  VEDETTE_ASSIGN_OR_RETURN(at_hand.instants,
                           parts_.instants.Get(window, id, selection_->snapshot.get()));
  at_hand.window = window;
  at_hand.id = id;
  const std::vector<int64_t>& t = *at_hand.instants;
  at_hand.first = static_cast<size_t>(std::ranges::lower_bound(t, min_) - t.begin());
  at_hand.last = static_cast<size_t>(std::ranges::upper_bound(t, max_) - t.begin());
  return &at_hand;
}

Status SealedReader::ReadHistograms(size_t window, uint32_t series, uint32_t metric, Pieces& pieces,
                                    std::shared_ptr<const Histogram>& before) {
  const int32_t number = selection_->windows[window].window;
  const int64_t start = number * parts_.window_ms;
  const uint32_t from = FirstOffset(start);
  const std::string first = HistogramKey(number, metric, series, from);
  const std::string prefix = first.substr(0, 12);
  StoreIterator& it = Open(cursors_[window].histograms, Family::kHistograms);
  if (from > 0 && !pieces.has_histograms()) {
    it.SeekForPrev(HistogramKey(number, metric, series, from - 1));
    if (it.valid() && it.key().starts_with(prefix)) {
      Result<std::shared_ptr<const Histogram>> h = DecodeHistogram(it.value());
      if (h.ok()) before = *std::move(h);
    }
  }
  it.Seek(first);
  for (; it.valid() || PassDamage(it); it.Next()) {
    if (!it.key().starts_with(prefix)) break;
    if (it.key().size() != 16) continue;
    const int64_t t_ms = start + GetBigEndian32(it.key().data() + 12);
    if (t_ms > max_) break;
    Result<std::shared_ptr<const Histogram>> h = DecodeHistogram(it.value());
    if (!h.ok()) {
      notes_.Add(h.status());
      continue;
    }
    bytes_ += it.value().size();
    pieces.AddHistogram(t_ms, *std::move(h));
  }
  return UnlessDamage(it.status());
}

bool SealedReader::ReadRollup(size_t window, uint32_t series, uint32_t metric,
                              std::vector<storage::RolledUp>& rolled) {
  const Selection::InWindow& w = selection_->windows[window];
  if (w.rollup_ms == 0) return false;
  StoreIterator& it = Open(cursors_[window].rollups, Family::kRollups);
  const std::string key = RollupKey(w.rollup_ms, w.window, metric, series);
  if (it.valid() && it.key() < key) it.Next();
  if (!it.valid() || it.key() != key) it.Seek(key);
  if (!it.valid() || it.key() != key) return false;
  bytes_ += it.value().size();
  if (const Status s = DecodeRollup(it.value(), stretches_); !s.ok()) {
    notes_.Add(s);
    return false;  // Nothing is lost.
  }
  for (const storage::RolledUp& r : stretches_) {
    if (r.last_ms >= min_ && r.last_ms <= max_) rolled.push_back(r);
  }
  return true;
}

}  // namespace vedette::tsdb
