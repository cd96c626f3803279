#include "server/tsdb/head/head.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// Instants beyond this would leave the keys' window numbers, and no clock is that wrong.
constexpr int64_t kMaxInstant = int64_t{1} << 50;

// Of zeros, which the system gives as pages that take memory once they are written to.
std::atomic<std::atomic<uint64_t>*>* NoBlocks(size_t count) {
  static_assert(sizeof(std::atomic<std::atomic<uint64_t>*>) == sizeof(void*));
  void* const zeros = std::calloc(count, sizeof(void*));
  if (zeros == nullptr) throw std::bad_alloc();
  return static_cast<std::atomic<std::atomic<uint64_t>*>*>(zeros);
}

}  // namespace

Head::Head(HeadOptions options, Store& store, SeriesIndex& index, InstantsTable& instants,
           Presence& presence, Presence& histograms, Rollups& rollups, ExemplarSink& exemplars,
           const Clock& clock)
    : options_(std::move(options)),
      store_(store),
      index_(index),
      instants_(instants),
      presence_(presence),
      histograms_(histograms),
      rollups_(rollups),
      exemplars_(exemplars),
      clock_(clock),
      timeline_ids_(store, "ids/timeline"),
      places_(NoBlocks(kPlaceBlocks)) {}

Head::~Head() {
  const size_t blocks = index_.size() / kPlacesPerBlock + 1;
  for (size_t i = 0; i < std::min(blocks, kPlaceBlocks); ++i) delete[] places_[i].load();
}

// ---- places

void Head::AddPlace(uint32_t series, Place place) {
  MutexLock lock(places_mu_);
  std::atomic<std::atomic<uint64_t>*>& block = places_[series / kPlacesPerBlock];
  if (block.load() == nullptr) block = new std::atomic<uint64_t>[kPlacesPerBlock]();
  std::atomic<uint64_t>& slot = block.load()[series % kPlacesPerBlock];
  if (slot == 0) {
    slot = static_cast<uint64_t>(place.timeline) << 32 | place.position;
  } else {
    more_places_[series].push_back(place);
    ++more_count_;
  }
  ++places_version_;
}

void Head::RemovePlace(uint32_t series, Place place) {
  MutexLock lock(places_mu_);
  ++places_version_;
  std::atomic<uint64_t>* block = places_[series / kPlacesPerBlock];
  if (block == nullptr) return;
  std::atomic<uint64_t>& slot = block[series % kPlacesPerBlock];
  if (slot == (static_cast<uint64_t>(place.timeline) << 32 | place.position)) {
    // The others stay where they are: a reader that has passed the slot must still find them.
    slot = 0;
    return;
  }
  const auto it = more_places_.find(series);
  if (it == more_places_.end()) return;
  more_count_ -= std::erase_if(it->second, [&](const Place& p) {
    return p.timeline == place.timeline && p.position == place.position;
  });
  if (it->second.empty()) more_places_.erase(it);
}

Head::Place Head::FirstPlaceOf(uint32_t series) const {
  const std::atomic<uint64_t>* block = places_[series / kPlacesPerBlock];
  if (block == nullptr) return {};
  const uint64_t first = block[series % kPlacesPerBlock];
  return {static_cast<uint32_t>(first >> 32), static_cast<uint32_t>(first)};
}

void Head::PlacesOf(uint32_t series, std::vector<Place>& out) const {
  out.clear();
  const std::atomic<uint64_t>* block = places_[series / kPlacesPerBlock];
  if (block == nullptr) return;
  const uint64_t first = block[series % kPlacesPerBlock];
  if (first != 0) out.push_back({static_cast<uint32_t>(first >> 32), static_cast<uint32_t>(first)});
  if (more_count_ == 0) return;
  MutexLock lock(places_mu_);
  if (const auto it = more_places_.find(series); it != more_places_.end()) {
    out.insert(out.end(), it->second.begin(), it->second.end());
  }
}

bool Head::HasPlace(uint32_t series) const {
  if (FirstPlaceOf(series).timeline != 0) return true;
  if (more_count_ == 0) return false;
  MutexLock lock(places_mu_);
  return more_places_.contains(series);
}

void Head::FreePlaces() {
  const Postings known = index_.Known();
  const uint32_t numbers = index_.size();
  const UseGate::Pause pause(gate_);
  MutexLock lock(places_mu_);
  for (uint32_t i = 0; (i + 1) * kPlacesPerBlock <= numbers; ++i) {
    if (places_[i].load() == nullptr) continue;
    const uint32_t first = static_cast<uint32_t>(i * kPlacesPerBlock);
    const uint32_t end = static_cast<uint32_t>(first + kPlacesPerBlock);
    if (Postings::Range(first, end).IntersectionSize(known) == 0) delete[] places_[i].exchange(nullptr);
  }
}

uint64_t Head::Forget(Postings series) {
  const UseGate::Pause pause(gate_);
  RemoveUsed(series);
  if (series.empty()) return 0;
  index_.Forget(series);
  NoteRewrite();  // Who keeps their numbers looks again.
  return series.size();
}

void Head::RemoveUsed(Postings& series) const {
  // The disk first, as that leaves few to look at. What is sealed in between is missed by neither: it
  // keeps its place until its timeline leaves memory, which the caller's thread alone sees to.
  series.Subtract(presence_.In(INT32_MIN, INT32_MAX));
  Postings used;
  for (const uint32_t s : series.ToVector()) {
    if (HasPlace(s)) used.Add(s);
  }
  series.Subtract(used);
}

std::shared_ptr<Timeline> Head::FindTimeline(uint32_t id) const {
  ReaderLock lock(timelines_mu_);
  const auto it = timelines_.find(id);
  return it == timelines_.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<Timeline>> Head::AllTimelines() const {
  std::vector<std::shared_ptr<Timeline>> out;
  ReaderLock lock(timelines_mu_);
  out.reserve(timelines_.size());
  for (const auto& [id, t] : timelines_) out.push_back(t);
  return out;
}

std::shared_ptr<const TimelineView> Head::ViewOf(uint32_t timeline) const {
  const std::shared_ptr<Timeline> t = FindTimeline(timeline);
  return t ? t->View() : nullptr;
}

// ---- budgets

Status Head::Charge(const std::string& owner) {
  MutexLock lock(budget_mu_);
  uint64_t limit = options_.max_series_per_owner;
  if (const auto it = options_.max_series_of_owner.find(owner);
      it != options_.max_series_of_owner.end()) {
    limit = it->second;
  }
  uint64_t& used = charged_by_owner_[owner];
  if (options_.max_series != 0 && charged_ >= options_.max_series) {
    return Refuse(owner, StrCat("new series refused: the storage holds ", charged_,
                                " active series, its limit (--storage.max-series)"));
  }
  if (limit != 0 && used >= limit) {
    return Refuse(owner, StrCat("new series refused: job ", Quoted(owner), " has ", used,
                                " active series, the limit of its budget "
                                "(--storage.max-series-per-job, --storage.max-series-of-job)"));
  }
  ++charged_;
  ++used;
  return {};
}

Status Head::Refuse(const std::string& owner, std::string why) {
  // Owners come from labels: there may be any number of them.
  constexpr size_t kMaxOwners = 10'000;
  constexpr int64_t kLogEveryMs = 60'000;
  ++counters_.series_refused;
  const int64_t now = clock_.NowMs();
  if (refused_.size() < kMaxOwners || refused_.contains(owner)) {
    RefusedOwner& r = refused_[owner];
    if (r.series == 0 || now - r.logged_ms >= kLogEveryMs || now < r.logged_ms) {
      log::Warn("new series refused, their job is over its budget", {{"job", owner}, {"why", why}});
      r.logged_ms = now;
    }
    ++r.series;
    r.last_ms = now;
    r.why = why;
  }
  return ResourceExhausted(std::move(why));
}

std::map<std::string, RefusedOwner> Head::refused_owners() const {
  MutexLock lock(budget_mu_);
  return refused_;
}

void Head::Uncharge(const std::string& owner, uint64_t series) {
  MutexLock lock(budget_mu_);
  charged_ -= series;
  uncharged_ += series;
  const auto it = charged_by_owner_.find(owner);
  if (it == charged_by_owner_.end()) return;
  it->second -= series;
  if (it->second == 0) charged_by_owner_.erase(it);
}

uint64_t Head::active_series() const {
  MutexLock lock(budget_mu_);
  return charged_;
}

uint64_t Head::removed_series() const {
  MutexLock lock(budget_mu_);
  return uncharged_;
}

std::map<std::string, uint64_t> Head::series_by_owner() const {
  MutexLock lock(budget_mu_);
  return charged_by_owner_;
}

uint64_t Head::timelines() const {
  ReaderLock lock(timelines_mu_);
  return timelines_.size();
}

Head::OpenData Head::Open() const {
  OpenData out;
  for (const std::shared_ptr<Timeline>& t : AllTimelines()) {
    const std::shared_ptr<const TimelineView> view = t->View();
    out.bytes += sizeof(Timeline) + sizeof(TimelineView);
    size_t columns = 0;
    for (const auto& b : view->blocks) {
      out.bytes += b->bytes().size() + b->positions() / 8;
      out.samples += b->positions() * b->instants().size();
      columns = std::max(columns, b->positions());
    }
    for (const auto& r : view->rows) {
      out.bytes += r->bytes();
      out.samples += r->size();
      columns = std::max(columns, r->size());
    }
    out.columns += columns;
    if (!view->empty()) out.first_t_ms = std::min(out.first_t_ms, view->first_t_ms());
  }
  return out;
}

void Head::Weigh(const WeighSeries& visit) const {
  std::vector<uint32_t> layout;
  std::vector<uint64_t> bytes;
  for (const std::shared_ptr<Timeline>& t : AllTimelines()) {
    {
      MutexLock lock(t->commit_mu);
      layout = t->layout;
    }
    const std::shared_ptr<const TimelineView> view = t->View();
    bytes.assign(layout.size(), 0);
    for (const auto& b : view->blocks) {
      if (bytes.size() < b->positions()) bytes.resize(b->positions());
      b->AddColumnBytes(bytes);
    }
    for (const auto& r : view->rows) {
      if (bytes.size() < r->size()) bytes.resize(r->size());
      if (r->thin == nullptr) {
        for (size_t p = 0; p < r->size(); ++p) bytes[p] += sizeof(double);
        continue;
      }
      for (size_t p = 0; p < r->size(); ++p) {
        if (r->thin->map[p / 64] >> p % 64 & 1) bytes[p] += sizeof(double);
      }
    }
    const bool loose = t->kind == Timeline::Kind::kLoose;
    for (size_t p = 0; p < layout.size(); ++p) visit(layout[p], bytes[p], loose);
  }
}

// ---- time and counting

bool Head::TimeAllowed(int64_t t_ms, uint64_t samples, storage::CommitStats& stats) const {
  if (t_ms > kMaxInstant ||
      (options_.max_future_ms > 0 && t_ms > clock_.NowMs() + options_.max_future_ms)) {
    stats.too_far_ahead += samples;
    return false;
  }
  if (t_ms < -kMaxInstant) {
    stats.too_old += samples;
    return false;
  }
  return true;
}

void Head::SawTime(int64_t t_ms) {
  int64_t seen = max_t_ms_;
  while (t_ms > seen && !max_t_ms_.compare_exchange_weak(seen, t_ms)) {
  }
  seen = min_t_ms_;
  while (t_ms < seen && !min_t_ms_.compare_exchange_weak(seen, t_ms)) {
  }
}

void Head::SawForeign(int64_t t_ms) {
  int64_t seen = foreign_t_ms_;
  while (t_ms > seen && !foreign_t_ms_.compare_exchange_weak(seen, t_ms)) {
  }
}

void Head::Count(const storage::CommitStats& s) {
  counters_.appended += s.appended;
  counters_.duplicate += s.duplicate;
  counters_.out_of_order += s.out_of_order;
  counters_.too_old += s.too_old;
  counters_.too_far_ahead += s.too_far_ahead;
  counters_.series_limit += s.series_limit;
  counters_.appended_histograms += s.appended_histograms;
}

// ---- timelines

Result<std::shared_ptr<Timeline>> Head::NewTimeline(const std::string& owner, Timeline::Kind kind) {
  VEDETTE_ASSIGN_OR_RETURN(uint32_t id, timeline_ids_.Next());
  auto t = std::make_shared<Timeline>();
  t->id = id;
  t->owner = owner;
  t->kind = kind;
  WriterLock lock(timelines_mu_);
  timelines_[id] = t;
  return t;
}

// version u8 | kind u8 | sealed epoch varint | newest sealed instant zigzag | owner bytes
std::string Head::StateValue(const Timeline& t, uint64_t sealed_epoch) const {
  std::string out;
  out.push_back(1);
  out.push_back(static_cast<char>(t.kind.load()));
  PutVarint(out, sealed_epoch);
  PutSigned(out, t.sealed_t_ms);
  PutBytes(out, t.owner);
  PutFixed(out, Checksum(out));
  return out;
}

Status Head::StoreJournal() {
  MutexLock lock(journal_mu_);
  if (index_.journal_empty()) return {};
  const SeriesIndex::Journal journal = index_.TakeJournal();
  StoreBatch batch;
  batch.Put(store_, Family::kSeries, JournalKey(next_journal_), journal.bytes);
  FailPoint("journal.before");
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  FailPoint("journal.written");
  index_.JournalStored(journal);
  ++next_journal_;
  return {};
}

Status Head::Seal(Timeline& t, std::shared_ptr<const TimelineView> view) {
  if (view->empty()) return {};
  VEDETTE_RETURN_IF_ERROR(StoreJournal());
  std::vector<int64_t> instants;
  for (const auto& b : view->blocks) {
    instants.insert(instants.end(), b->instants().begin(), b->instants().end());
  }
  const size_t in_blocks = instants.size();
  for (const auto& r : view->rows) instants.push_back(r->t_ms);

  const int32_t window = WindowOf(instants.front(), options_.window_ms);
  const int64_t window_start = window * options_.window_ms;
  StoreBatch batch;
  const Rollups::Change change = rollups_.Begin(window);
  VEDETTE_ASSIGN_OR_RETURN(InstantsTable::Interned interned,
                           instants_.Intern(window, instants, batch));
  std::vector<uint32_t> metrics;
  index_.MetricsOf(t.layout, metrics);
  uint32_t number = t.id;
  if (t.sealing_failed) {
    VEDETTE_ASSIGN_OR_RETURN(number, timeline_ids_.Next());
  }
  std::vector<uint32_t> sealed;
  std::vector<double> values(instants.size());
  const int64_t span_ms = instants.back() - instants.front();
  // In the order of their keys: the memory table finds the place of each near that of the one
  // before.
  const std::span<const uint32_t> layout(t.layout);  // A lambda holds no lock by itself.
  std::vector<uint32_t> order(layout.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](uint32_t p) { return std::pair(metrics[p], layout[p]); });
  for (const uint32_t p : order) {
    size_t at = 0;
    for (const auto& b : view->blocks) {
      const std::span<double> part = std::span(values).subspan(at, b->instants().size());
      if (!b->Decode(p, part)) {
        std::ranges::fill(part, kAbsent);
        ++counters_.damaged;
      }
      at += part.size();
    }
    for (size_t r = 0; r < view->rows.size(); ++r) values[in_blocks + r] = view->rows[r]->at(p);
    if (std::ranges::all_of(values, IsAbsent)) continue;
    const ChunkKey key{window, metrics[p], t.layout[p],
                       static_cast<uint32_t>(instants.back() - window_start), number};
    batch.Put(store_, Family::kChunks, key.Bytes(), EncodeChunk(interned.id, span_ms, values));
    if (change.rolled()) rollups_.Remove(window, metrics[p], t.layout[p], batch);
    sealed.push_back(t.layout[p]);
  }
  Presence::Coming coming;
  presence_.Mark(window, sealed, batch, coming);
  const int64_t before = t.sealed_t_ms;
  t.sealed_t_ms = std::max(t.sealed_t_ms, instants.back());
  batch.Put(store_, Family::kHead, HeadKey(t.id, HeadKind::kState, 0), StateValue(t, t.epoch + 1));
  PutTimeRange(store_, batch, min_t_ms(), max_t_ms());
  FailPoint("seal.before");
  if (Status s = store_.Write(batch); !s.ok()) {
    t.sealed_t_ms = before;
    t.doubtful = true;
    t.sealing_failed = true;
    return s;
  }
  FailPoint("seal.written");
  t.sealing_failed = false;
  instants_.Publish(std::move(interned));
  presence_.Confirm(window, sealed);
  counters_.sealed_chunks += sealed.size();
  ++t.epoch;
  t.next_slot = 0;
  auto empty = std::make_shared<TimelineView>();
  empty->version = versions_++;
  empty->sealed_t_ms = t.sealed_t_ms;
  MutexLock lock(t.mu);
  t.view = std::move(empty);
  return {};
}

Status Head::SealAll() {
  for (const std::shared_ptr<Timeline>& t : AllTimelines()) {
    if (t->kind == Timeline::Kind::kDetached) {
      VEDETTE_RETURN_IF_ERROR(SealAndDrop(t));
      continue;
    }
    MutexLock lock(t->commit_mu);
    VEDETTE_RETURN_IF_ERROR(Seal(*t, t->View()));
    VEDETTE_RETURN_IF_ERROR(ForgetLog(*t));
  }
  return {};
}

// What is sealed is in the log too, until its slots are used again; for a timeline that has gone
// quiet that may be never.
Status Head::ForgetLog(Timeline& t) {
  if (!t.stored_state || !t.View()->empty()) return {};
  StoreBatch batch;
  StoreIterator it = store_.Iterate(Family::kHead);
  VEDETTE_RETURN_IF_ERROR(batch.DeleteFound(store_, Family::kHead, it,
                                            HeadKey(t.id, HeadKind::kBlock, 0),
                                            HeadKey(t.id, HeadKind::kRow, UINT32_MAX)));
  if (batch.empty()) return {};
  FailPoint("log.forget.before");
  Status s = store_.Write(batch);
  if (s.ok()) FailPoint("log.forget.written");
  t.doubtful = t.doubtful || !s.ok();
  return s;
}

Status Head::Restate(Timeline& t) {
  VEDETTE_RETURN_IF_ERROR(StoreJournal());
  const std::shared_ptr<const TimelineView> view = t.View();
  StoreBatch batch;
  StoreIterator it = store_.Iterate(Family::kHead);
  VEDETTE_RETURN_IF_ERROR(batch.DeleteFound(store_, Family::kHead, it,
                                            HeadKey(t.id, HeadKind::kState, 0),
                                            HeadKey(t.id + 1, HeadKind::kState, 0)));
  const auto put = [&](HeadKind kind, uint32_t slot, std::string_view record) {
    batch.Put(store_, Family::kHead, HeadKey(t.id, kind, slot), record);
  };
  put(HeadKind::kState, 0, StateValue(t, t.epoch - view->blocks.size()));
  put(HeadKind::kLayout, 0, LayoutRecord(t.layout));
  for (const auto& b : view->blocks) {
    put(HeadKind::kBlock, static_cast<uint32_t>(b->epoch() % kBlocksPerChunk), b->bytes());
  }
  uint32_t slot = 0;
  std::shared_ptr<const OpenRow> before;
  for (const auto& r : view->rows) {
    std::shared_ptr<const OpenRow> whole = r->Whole();
    put(HeadKind::kRow, slot++, WholeRowRecord(t.epoch, *whole, before.get()));
    before = std::move(whole);
  }
  FailPoint("restate.before");
  VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
  FailPoint("restate.written");
  t.stored_state = true;
  t.stored_layout = t.layout.size();
  t.next_slot = slot;
  t.doubtful = false;
  return {};
}

Status Head::SealIdle() {
  const int64_t now = clock_.NowMs();
  for (const std::shared_ptr<Timeline>& t : AllTimelines()) {
    bool idle;
    {
      MutexLock lock(t->commit_mu);
      idle = options_.idle_ms > 0 && now - t->last_commit_ms >= options_.idle_ms;
    }
    if (t->kind == Timeline::Kind::kDetached || (idle && t->kind == Timeline::Kind::kLoose)) {
      VEDETTE_RETURN_IF_ERROR(SealAndDrop(t));
    } else if (idle) {
      MutexLock lock(t->commit_mu);
      VEDETTE_RETURN_IF_ERROR(Seal(*t, t->View()));
    }
  }
  return {};
}

Status Head::SealAndDrop(const std::shared_ptr<Timeline>& t) {
  MutexLock lock(t->commit_mu);
  if (t->dropped) return {};
  VEDETTE_RETURN_IF_ERROR(Seal(*t, t->View()));
  if (t->stored_state) {
    StoreBatch batch;
    StoreIterator it = store_.Iterate(Family::kHead);
    VEDETTE_RETURN_IF_ERROR(batch.DeleteFound(store_, Family::kHead, it,
                                              HeadKey(t->id, HeadKind::kState, 0),
                                              HeadKey(t->id + 1, HeadKind::kState, 0)));
    FailPoint("seal.drop.before");
    if (Status s = store_.Write(batch); !s.ok()) {
      t->doubtful = true;
      return s;
    }
    FailPoint("seal.drop.written");
  }
  t->dropped = true;
  SawForeign(t->sealed_t_ms);
  for (uint32_t p = 0; p < t->layout.size(); ++p) RemovePlace(t->layout[p], {t->id, p});
  if (t->kind == Timeline::Kind::kLoose) Uncharge(t->owner, t->layout.size());
  WriterLock all(timelines_mu_);
  timelines_.erase(t->id);
  return {};
}

}  // namespace vedette::tsdb
