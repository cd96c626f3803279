#include "server/tsdb/head/commit.h"

#include <algorithm>
#include <bit>
#include <map>
#include <tuple>
#include <utility>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/store/fail_point.h"

namespace vedette::tsdb {
namespace {

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

template <typename Rows>
auto FindRow(const Rows& rows, int64_t t_ms) {
  return std::ranges::find_if(rows, [&](const auto& r) { return r->t_ms == t_ms; });
}

// The open row with the greatest instant, as the log sees it now; null where there is none.
const OpenRow* Newest(const Timeline& t, const TimelineView& view)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const OpenRow* newest = t.staged_block || view.rows.empty() ? nullptr : view.rows.back().get();
  for (const auto& r : t.staged_rows) {
    // A staged row at the same instant is the newer version of it.
    if (newest == nullptr || r->t_ms >= newest->t_ms) newest = r.get();
  }
  return newest;
}

int64_t NewestIn(const Timeline& t, const TimelineView& view)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  int64_t newest = t.sealed_t_ms;
  if (!view.empty()) newest = std::max(newest, view.last_t_ms());
  for (const auto& r : t.staged_rows) newest = std::max(newest, r->t_ms);
  return newest;
}

}  // namespace

void Head::Touch(Commit& commit, Timeline& t) {
  if (t.touched) return;
  t.touched = true;
  t.staged_slot = t.next_slot;
  t.staged_layout = t.layout.size();
  commit.touched.push_back(&t);
  if (!t.stored_state) {
    commit.batch.Put(store_, Family::kHead, HeadKey(t.id, HeadKind::kState, 0),
                     StateValue(t, t.epoch));
  }
  if (t.stored_layout < t.layout.size()) {
    commit.batch.Put(store_, Family::kHead,
                     HeadKey(t.id, HeadKind::kLayout, static_cast<uint32_t>(t.stored_layout)),
                     LayoutRecord(std::span(t.layout).subspan(t.stored_layout)));
  }
}

Status Head::MakeRoom(Commit& commit, Timeline& t, int64_t t_ms) {
  if (t.doubtful) {
    VEDETTE_RETURN_IF_ERROR(Restate(t));
  }
  std::shared_ptr<const TimelineView> view = t.View();
  if (t_ms <= NewestIn(t, *view)) return {};
  // A chunk has one window: the first row of the next one seals what is open.
  const bool open = !view->empty() || !t.staged_rows.empty();
  const int64_t first = !view->empty()           ? view->first_t_ms()
                        : !t.staged_rows.empty() ? t.staged_rows.front()->t_ms
                                                 : t_ms;
  if (open && WindowOf(first, options_.window_ms) != WindowOf(t_ms, options_.window_ms)) {
    VEDETTE_RETURN_IF_ERROR(Flush(commit));
    return Seal(t, t.View());
  }
  if ((t.staged_block ? 0 : view->rows.size()) + t.staged_rows.size() < kRowsPerBlock) return {};
  if (t.touched) {
    VEDETTE_RETURN_IF_ERROR(Flush(commit));
    view = t.View();
  }
  return view->blocks.size() + 1 >= kBlocksPerChunk ? Seal(t, view) : Status();
}

Status Head::StageRow(Commit& commit, Timeline& t, int64_t t_ms, std::span<const double> values,
                      bool backfill) {
  uint64_t present = 0;
  for (double v : values) present += !IsAbsent(v);
  if (present == 0) return {};

  VEDETTE_RETURN_IF_ERROR(MakeRoom(commit, t, t_ms));
  const std::shared_ptr<const TimelineView> view = t.View();
  if (t_ms <= NewestIn(t, *view)) {
    StageOld(commit, t, t_ms, values, backfill);
    return {};
  }
  if (view->rows.size() >= kRowsPerBlock && !t.staged_block) {
    Touch(commit, t);
    t.staged_block = Block::Make(t.epoch, t.layout.size(), view->rows);
    t.staged_slot = 0;
    commit.batch.Put(
        store_, Family::kHead,
        HeadKey(t.id, HeadKind::kBlock, static_cast<uint32_t>(t.epoch % kBlocksPerChunk)),
        t.staged_block->bytes());
  }
  Touch(commit, t);
  auto row = std::make_shared<OpenRow>();
  row->t_ms = t_ms;
  row->values.assign(values.begin(), values.end());
  const uint64_t epoch = t.epoch + (t.staged_block ? 1 : 0);
  std::string record;
  if (present * 3 < values.size()) {
    std::vector<std::pair<uint32_t, double>> some;
    for (uint32_t p = 0; p < values.size(); ++p) {
      if (!IsAbsent(values[p])) some.emplace_back(p, values[p]);
    }
    record = SparseRowRecord(epoch, t_ms, some);
  } else {
    record = WholeRowRecord(epoch, *row, Newest(t, *view));
  }
  commit.batch.Put(store_, Family::kHead, HeadKey(t.id, HeadKind::kRow, t.staged_slot++), record);
  t.staged_rows.push_back(std::move(row));
  commit.stats.appended += present;
  commit.min_t_ms = std::min(commit.min_t_ms, t_ms);
  commit.max_t_ms = std::max(commit.max_t_ms, t_ms);
  return {};
}

bool Head::OldAllowed(int64_t t_ms, bool backfill, storage::CommitStats& stats) const {
  if (backfill) return true;
  if (options_.out_of_order_window_ms <= 0) {
    ++stats.out_of_order;
    return false;
  }
  if (t_ms < max_t_ms() - options_.out_of_order_window_ms) {
    ++stats.too_old;
    return false;
  }
  return true;
}

// Samples at or before the newest instant of the timeline, one by one: each may fill a hole in an
// open row, make a row between two, go to the sealed chunks, or be refused.
void Head::StageOld(Commit& commit, Timeline& t, int64_t t_ms, std::span<const double> values,
                    bool backfill) {
  const std::shared_ptr<const TimelineView> view = t.View();
  std::shared_ptr<OpenRow> row;
  if (const auto it = FindRow(t.staged_rows, t_ms); it != t.staged_rows.end()) row = *it;
  bool is_new = false;
  if (!row && !t.staged_block) {
    if (const auto it = FindRow(view->rows, t_ms); it != view->rows.end()) {
      row = (*it)->Whole();
      is_new = true;
    }
  }
  if (!row) {
    int64_t closed = t.sealed_t_ms;
    if (!view->blocks.empty()) closed = std::max(closed, view->blocks.back()->instants().back());
    if (t.staged_block) closed = std::max(closed, t.staged_block->instants().back());
    const size_t open = (t.staged_block ? 0 : view->rows.size()) + t.staged_rows.size();
    const OpenRow* newest = Newest(t, *view);
    if (t_ms > closed && open < kRowsPerBlock && newest != nullptr &&
        WindowOf(newest->t_ms, options_.window_ms) == WindowOf(t_ms, options_.window_ms)) {
      row = std::make_shared<OpenRow>();
      row->t_ms = t_ms;
      is_new = true;
    }
  }
  // The block, if any, that has this instant.
  const Block* block = nullptr;
  size_t in_block = 0;
  if (!row) {
    auto look = [&](const Block* b) {
      const auto it = std::ranges::lower_bound(b->instants(), t_ms);
      if (it == b->instants().end() || *it != t_ms) return;
      block = b;
      in_block = static_cast<size_t>(it - b->instants().begin());
    };
    for (const auto& b : view->blocks) look(b.get());
    if (t.staged_block) look(t.staged_block.get());
  }

  std::vector<std::pair<uint32_t, double>> filled;
  std::vector<double> column;
  for (uint32_t p = 0; p < values.size(); ++p) {
    if (IsAbsent(values[p])) continue;
    double existing = kAbsent;
    if (row) {
      existing = row->at(p);
    } else if (block != nullptr) {
      column.resize(block->instants().size());
      if (block->Decode(p, column)) existing = column[in_block];
    }
    if (!IsAbsent(existing)) {
      ++(SameBits(existing, values[p]) ? commit.stats.appended : commit.stats.duplicate);
      continue;
    }
    if (HasNewer(t, *view, p, t_ms)) {
      if (!OldAllowed(t_ms, backfill, commit.stats)) continue;
      if (!backfill) ++counters_.late;
    }
    ++commit.stats.appended;
    commit.min_t_ms = std::min(commit.min_t_ms, t_ms);
    commit.max_t_ms = std::max(commit.max_t_ms, t_ms);
    commit.rewrites = true;
    if (!row) {
      StageLate(commit, t.layout[p], t_ms, values[p]);
      continue;
    }
    if (row->values.size() <= p) row->values.resize(p + 1, kAbsent);
    row->values[p] = values[p];
    filled.emplace_back(p, values[p]);
  }
  if (filled.empty()) return;
  Touch(commit, t);
  commit.batch.Put(store_, Family::kHead, HeadKey(t.id, HeadKind::kRow, t.staged_slot++),
                   SparseRowRecord(t.epoch + (t.staged_block ? 1 : 0), t_ms, filled));
  if (is_new) t.staged_rows.push_back(std::move(row));
}

bool Head::HasNewer(const Timeline& t, const TimelineView& view, size_t position,
                    int64_t t_ms) const {
  for (const auto& r : t.staged_rows) {
    if (r->t_ms > t_ms && !IsAbsent(r->at(position))) return true;
  }
  for (const auto& r : view.rows) {
    if (r->t_ms > t_ms && !IsAbsent(r->at(position))) return true;
  }
  std::vector<double> column;
  for (const auto& b : view.blocks) {
    if (b->instants().back() <= t_ms) continue;
    column.resize(b->instants().size());
    if (!b->Decode(position, column)) continue;
    for (size_t i = 0; i < column.size(); ++i) {
      if (b->instants()[i] > t_ms && !IsAbsent(column[i])) return true;
    }
  }
  if (t.sealed_t_ms <= t_ms) return false;
  const uint32_t series = t.layout[position];
  const uint32_t metric = index_.MetricOf(series);
  for (int32_t window : presence_.Windows(WindowOf(t_ms, options_.window_ms),
                                          WindowOf(t.sealed_t_ms, options_.window_ms))) {
    if (!presence_.Has(window, series)) continue;
    std::map<int64_t, double> sealed;
    (void)ReadSealed(window, metric, series, t_ms + 1, INT64_MAX, sealed);  // Damage: as if none.
    if (!sealed.empty()) return true;
  }
  return false;
}

Status Head::ReadSealed(int32_t window, uint32_t metric, uint32_t series, int64_t min_t_ms,
                        int64_t max_t_ms, std::map<int64_t, double>& out) const {
  const int64_t start = window * options_.window_ms;
  const uint32_t from =
      min_t_ms <= start
          ? 0
          : static_cast<uint32_t>(std::min<int64_t>(min_t_ms - start, options_.window_ms));
  const ChunkKey first{window, metric, series, from, 0};
  StoreIterator it = store_.Iterate(Family::kChunks);
  std::vector<double> values;
  for (it.Seek(first.Bytes()); it.valid() && it.key().size() == ChunkKey::kBytes; it.Next()) {
    const ChunkKey key = ChunkKey::From(it.key());
    if (!key.SameSeries(first)) break;
    VEDETTE_ASSIGN_OR_RETURN(ChunkHeader header, ReadChunkHeader(it.value()));
    if (start + key.last_offset - header.span_ms > max_t_ms) continue;
    VEDETTE_ASSIGN_OR_RETURN(header, DecodeChunk(it.value(), values));
    VEDETTE_ASSIGN_OR_RETURN(InstantsTable::Instants instants,
                             instants_.Get(window, header.instants_id, nullptr));
    if (instants->size() != values.size()) return DataLoss("chunk and instants differ in length");
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t t_ms = (*instants)[i];
      if (t_ms >= min_t_ms && t_ms <= max_t_ms && !IsAbsent(values[i])) {
        out.try_emplace(t_ms, values[i]);
      }
    }
  }
  return it.status();
}

void Head::StageLate(Commit& commit, uint32_t series, int64_t t_ms, double value) {
  SawForeign(t_ms);  // Before anyone can see it.
  commit.late.push_back({series, t_ms, value});
}

// Late samples become chunks of their own at once, one per series and window; merging joins them
// with their neighbours later.
Status Head::WriteLate(Commit& commit) {
  if (commit.late.empty()) return {};
  std::ranges::stable_sort(commit.late, {},
                           [](const Late& l) { return std::tie(l.series, l.t_ms); });
  std::vector<int64_t> instants;
  std::vector<double> values;
  for (size_t i = 0; i < commit.late.size();) {
    const uint32_t series = commit.late[i].series;
    const int32_t window = WindowOf(commit.late[i].t_ms, options_.window_ms);
    const int64_t start = window * options_.window_ms;
    size_t end = i;
    while (end < commit.late.size() && commit.late[end].series == series &&
           commit.late[end].t_ms < start + options_.window_ms) {
      ++end;
    }
    const uint32_t metric = index_.MetricOf(series);
    std::map<int64_t, double> existing;
    if (presence_.Has(window, series)) {
      // Damaged chunks are reported by whoever reads them; here they have no samples.
      (void)ReadSealed(window, metric, series, commit.late[i].t_ms, commit.late[end - 1].t_ms,
                       existing);
    }
    instants.clear();
    values.clear();
    for (; i < end; ++i) {
      const Late& l = commit.late[i];
      const auto [it, added] = existing.try_emplace(l.t_ms, l.value);
      if (added) {
        instants.push_back(l.t_ms);
        values.push_back(l.value);
      } else if (!SameBits(it->second, l.value)) {
        --commit.stats.appended;
        ++commit.stats.duplicate;
      }
    }
    if (instants.empty()) continue;
    VEDETTE_ASSIGN_OR_RETURN(InstantsTable::Interned interned,
                             instants_.Intern(window, instants, commit.batch));
    // A number of its own, as two commits may bring chunks that end at the same instant.
    VEDETTE_ASSIGN_OR_RETURN(uint32_t unique, timeline_ids_.Next());
    const ChunkKey key{window, metric, series, static_cast<uint32_t>(instants.back() - start),
                       unique};
    commit.batch.Put(store_, Family::kChunks, key.Bytes(),
                     EncodeChunk(interned.id, instants.back() - instants.front(), values));
    auto change = commit.changes.find(window);
    if (change == commit.changes.end()) {
      change = commit.changes.emplace(window, rollups_.Begin(window)).first;
    }
    if (change->second.rolled()) rollups_.Remove(window, metric, series, commit.batch);
    presence_.Mark(window, std::span(&series, 1), commit.batch, commit.coming);
    commit.present.emplace_back(window, series);
    commit.interned.push_back(std::move(interned));
  }
  commit.late.clear();
  return {};
}

Status Head::StageHistogram(Commit& commit, uint32_t series, int64_t t_ms, const Histogram& h,
                            bool backfill) {
  const int32_t window = WindowOf(t_ms, options_.window_ms);
  const uint32_t offset = static_cast<uint32_t>(t_ms - window * options_.window_ms);
  const uint32_t metric = index_.MetricOf(series);
  const std::string key = HistogramKey(window, metric, series, offset);
  const std::string value = EncodeHistogram(h);
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> existing,
                           store_.Get(Family::kHistograms, key));
  if (existing) {
    const bool same = *existing == value;
    ++(same ? commit.stats.appended : commit.stats.duplicate);
    ++(same ? commit.stats.appended_histograms : commit.stats.refused_histograms);
    return {};
  }
  // The newest of this series, in this window or a later one.
  bool newer = false;
  StoreIterator it = store_.Iterate(Family::kHistograms);
  for (int32_t w : histograms_.Windows(window, INT32_MAX)) {
    it.Seek(HistogramKey(w, metric, series, w == window ? offset : 0));
    newer = newer ||
            (it.valid() && it.key().starts_with(HistogramKey(w, metric, series, 0).substr(0, 12)));
  }
  if (newer) {
    if (!OldAllowed(t_ms, backfill, commit.stats)) {
      ++commit.stats.refused_histograms;
      return {};
    }
    if (!backfill) ++counters_.late_histograms;
  }
  commit.batch.Put(store_, Family::kHistograms, key, value);
  presence_.Mark(window, std::span(&series, 1), commit.batch, commit.coming);
  histograms_.Mark(window, std::span(&series, 1), commit.batch, commit.coming_histograms);
  commit.present.emplace_back(window, series);
  commit.histograms.emplace_back(window, series);
  ++commit.stats.appended;
  ++commit.stats.appended_histograms;
  commit.min_t_ms = std::min(commit.min_t_ms, t_ms);
  commit.max_t_ms = std::max(commit.max_t_ms, t_ms);
  return {};
}

void Head::Abandon(Commit& commit) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  for (Timeline* t : commit.touched) {
    t->staged_rows.clear();
    t->staged_block = nullptr;
    t->touched = false;
  }
  commit.rewrites = false;
  commit.touched.clear();
  commit.late.clear();
  commit.present.clear();
  commit.histograms.clear();
  commit.coming.Clear();
  commit.coming_histograms.Clear();
  commit.interned.clear();
  commit.changes.clear();
  commit.batch.Clear();
}

Status Head::Flush(Commit& commit) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  Status status = WriteLate(commit);
  if (status.ok() && commit.batch.empty()) {
    Abandon(commit);
    return {};
  }
  if (status.ok()) status = StoreJournal();
  if (status.ok() && !commit.present.empty()) {
    PutTimeRange(store_, commit.batch, std::min(min_t_ms(), commit.min_t_ms),
                 std::max(max_t_ms(), commit.max_t_ms));
  }
  if (status.ok()) {
    FailPoint("commit.before");
    status = store_.Write(commit.batch);
    if (!status.ok()) {
      for (Timeline* t : commit.touched) t->doubtful = true;
    }
  }
  if (!status.ok()) {
    ++counters_.failed_commits;
    Abandon(commit);
    return status;
  }
  FailPoint("commit.written");
  for (InstantsTable::Interned& i : commit.interned) instants_.Publish(std::move(i));
  for (const auto& [window, series] : commit.present) {
    presence_.Confirm(window, std::span(&series, 1));
  }
  for (const auto& [window, series] : commit.histograms) {
    histograms_.Confirm(window, std::span(&series, 1));
  }
  if (commit.max_t_ms != INT64_MIN) {
    SawTime(commit.min_t_ms);
    SawTime(commit.max_t_ms);
  }
  const int64_t now = clock_.NowMs();
  for (Timeline* t : commit.touched) {
    const std::shared_ptr<const TimelineView> before = t->View();
    auto view = std::make_shared<TimelineView>();
    view->version = versions_++;
    view->sealed_t_ms = before->sealed_t_ms;
    view->blocks.reserve(kBlocksPerChunk);
    view->rows.reserve(kRowsPerBlock);
    view->blocks = before->blocks;
    if (t->staged_block) {
      view->blocks.push_back(std::move(t->staged_block));
      ++t->epoch;
    } else {
      view->rows = before->rows;
    }
    for (std::shared_ptr<OpenRow>& row : t->staged_rows) {
      const auto at = std::ranges::lower_bound(view->rows, row->t_ms, {},
                                               [](const auto& r) { return r->t_ms; });
      if (at != view->rows.end() && (*at)->t_ms == row->t_ms) {
        *at = std::move(row);
      } else {
        // The newest one stays whole: the next is written against it.
        if (at == view->rows.end() && view->rows.size() > 1) {
          std::shared_ptr<const OpenRow>& newest = view->rows.back();
          if (std::shared_ptr<const OpenRow> thin = newest->Against(view->rows.front())) {
            newest = std::move(thin);
          }
        }
        view->rows.insert(at, std::move(row));
      }
    }
    t->staged_rows.clear();
    t->staged_block = nullptr;
    t->touched = false;
    t->next_slot = t->staged_slot;
    t->stored_layout = t->staged_layout;
    t->stored_state = true;
    t->last_commit_ms = now;
    MutexLock lock(t->mu);
    t->view = std::move(view);
  }
  if (std::exchange(commit.rewrites, false)) NoteRewrite();
  commit.touched.clear();
  commit.present.clear();
  commit.histograms.clear();
  commit.coming.Clear();
  commit.coming_histograms.Clear();
  commit.interned.clear();
  commit.changes.clear();
  commit.batch.Clear();
  return {};
}

}  // namespace vedette::tsdb
