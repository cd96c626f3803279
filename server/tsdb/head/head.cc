#include "server/tsdb/head/head.h"

#include <algorithm>
#include <bit>
#include <cstring>
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

uint64_t CountPresent(std::span<const double> values) {
  return static_cast<uint64_t>(
      std::ranges::count_if(values, [](double v) { return !IsAbsent(v); }));
}

std::string JournalKey(uint64_t sequence) {
  std::string out;
  PutBigEndian32(out, static_cast<uint32_t>(sequence >> 32));
  PutBigEndian32(out, static_cast<uint32_t>(sequence));
  return out;
}

}  // namespace

Head::Head(HeadOptions options, Store& store, SeriesIndex& index, InstantsTable& instants,
           Presence& presence, Presence& histograms, ExemplarSink& exemplars, const Clock& clock)
    : options_(std::move(options)),
      store_(store),
      index_(index),
      instants_(instants),
      presence_(presence),
      histograms_(histograms),
      exemplars_(exemplars),
      clock_(clock),
      timeline_ids_(store, "ids/timeline"),
      places_(new std::atomic<std::atomic<uint64_t>*>[kPlaceBlocks]()) {}

Head::~Head() {
  for (size_t i = 0; i < kPlaceBlocks; ++i) delete[] places_[i].load();
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
      out.bytes += r->values.size() * sizeof(double) + 64;
      out.samples += r->values.size();
      columns = std::max(columns, r->values.size());
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
      if (bytes.size() < r->values.size()) bytes.resize(r->values.size());
      for (size_t p = 0; p < r->values.size(); ++p) bytes[p] += sizeof(double);
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
  VEDETTE_ASSIGN_OR_RETURN(InstantsTable::Interned interned,
                           instants_.Intern(window, instants, batch));
  std::vector<uint32_t> metrics;
  index_.MetricsOf(t.layout, metrics);
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
                       static_cast<uint32_t>(instants.back() - window_start), t.id};
    batch.Put(store_, Family::kChunks, key.Bytes(), EncodeChunk(interned.id, span_ms, values));
    sealed.push_back(t.layout[p]);
  }
  presence_.Mark(window, sealed, batch);
  const int64_t before = t.sealed_t_ms;
  t.sealed_t_ms = std::max(t.sealed_t_ms, instants.back());
  batch.Put(store_, Family::kHead, HeadKey(t.id, HeadKind::kState, 0), StateValue(t, t.epoch + 1));
  PutTimeRange(store_, batch, min_t_ms(), max_t_ms());
  FailPoint("seal.before");
  if (Status s = store_.Write(batch); !s.ok()) {
    t.sealed_t_ms = before;
    return s;
  }
  FailPoint("seal.written");
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
  batch.DeleteRange(store_, Family::kHead, HeadKey(t.id, HeadKind::kBlock, 0),
                    HeadKey(t.id, HeadKind::kRow, UINT32_MAX));
  return store_.Write(batch);
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
    batch.DeleteRange(store_, Family::kHead, HeadKey(t->id, HeadKind::kState, 0),
                      HeadKey(t->id + 1, HeadKind::kState, 0));
    FailPoint("seal.drop.before");
    VEDETTE_RETURN_IF_ERROR(store_.Write(batch));
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

// ---- one writer's timeline

class Head::Writer final : public storage::TimelineWriter {
 public:
  Writer(Head& head, std::string owner) : head_(head), owner_(std::move(owner)) {}

  ~Writer() override {
    if (!timeline_) return;
    MutexLock lock(timeline_->commit_mu);
    head_.Uncharge(owner_, timeline_->layout.size());
    timeline_->kind = Timeline::Kind::kDetached;
  }

  Result<uint32_t> AddSeries(const Labels& labels) override {
    if (!timeline_) {
      VEDETTE_ASSIGN_OR_RETURN(timeline_, head_.NewTimeline(owner_, Timeline::Kind::kWriter));
    }
    VEDETTE_RETURN_IF_ERROR(head_.Charge(owner_));
    bool added;
    const uint32_t series = head_.index_.FindOrAdd(labels, &added);
    MutexLock lock(timeline_->commit_mu);
    const uint32_t position = static_cast<uint32_t>(timeline_->layout.size());
    timeline_->layout.push_back(series);
    head_.AddPlace(series, {timeline_->id, position});
    return position;
  }

  Labels LabelsAt(uint32_t position) const override {
    MutexLock lock(timeline_->commit_mu);
    return head_.index_.LabelsOf(timeline_->layout[position]);
  }

  Result<storage::CommitStats> Commit(const storage::Row& row) override;

  // Null before its first series.
  Timeline* timeline() const { return timeline_.get(); }
  // Puts a row of this writer's timeline into `commit`.
  Status Stage(Head::Commit& commit, Timeline& t, const storage::Row& row)
      VEDETTE_REQUIRES(t.commit_mu);

 private:
  Head& head_;
  const std::string owner_;
  std::shared_ptr<Timeline> timeline_;  // Made with the first series.
};

std::unique_ptr<storage::TimelineWriter> Head::OpenTimeline(const std::string& owner) {
  return std::make_unique<Writer>(*this, owner);
}

Result<storage::CommitStats> Head::Writer::Commit(const storage::Row& row) {
  Head::Commit commit;
  if (!timeline_) return commit.stats;
  Timeline& t = *timeline_;
  MutexLock lock(t.commit_mu);
  Status status = Stage(commit, t, row);
  if (status.ok()) status = head_.Flush(commit);
  if (!status.ok()) {
    head_.Abandon(commit);
    return status;
  }
  storage::CommitStats counted = commit.stats;
  if (row.optional) counted.duplicate = counted.out_of_order = counted.too_old = 0;
  head_.Count(counted);
  return commit.stats;
}

Status Head::Writer::Stage(Head::Commit& commit, Timeline& t, const storage::Row& row) {
  if (row.values.size() > t.layout.size()) {
    return InvalidArgument(StrCat("a row of ", row.values.size(), " values for a layout of ",
                                  t.layout.size(), " series"));
  }
  for (const storage::HistogramAt& h : row.histograms) {
    if (h.position >= t.layout.size()) return InvalidArgument("a histogram beyond the layout");
  }
  for (const storage::ExemplarAt& e : row.exemplars) {
    if (e.position >= t.layout.size()) return InvalidArgument("an exemplar beyond the layout");
  }
  if (!head_.TimeAllowed(row.t_ms, 0, commit.stats)) {
    // Only now, as it walks the row.
    uint64_t samples = CountPresent(row.values);
    for (const storage::HistogramAt& h : row.histograms) {
      samples += h.position >= row.values.size() || IsAbsent(row.values[h.position]);
    }
    (void)head_.TimeAllowed(row.t_ms, samples, commit.stats);
    commit.stats.refused_histograms += row.histograms.size();
    return {};
  }
  std::span<const double> values = row.values;
  std::vector<double> without;
  if (!row.histograms.empty()) {
    without.assign(values.begin(), values.end());
    for (const storage::HistogramAt& h : row.histograms) {
      if (h.position < without.size()) without[h.position] = kAbsent;
      VEDETTE_RETURN_IF_ERROR(
          head_.StageHistogram(commit, t.layout[h.position], row.t_ms, *h.histogram, row.backfill));
    }
    values = without;
  }
  VEDETTE_RETURN_IF_ERROR(head_.StageRow(commit, t, row.t_ms, values, row.backfill));
  for (const storage::ExemplarAt& e : row.exemplars) {
    storage::ExemplarAt at = e;
    if (!at.exemplar.t_ms) at.exemplar.t_ms = row.t_ms;
    commit.stats.exemplars += head_.exemplars_.Add(head_.index_.LabelsOf(t.layout[e.position]),
                                                   at.exemplar, commit.batch);
  }
  return {};
}

Result<storage::CommitStats> Head::CommitTogether(
    std::span<const storage::WriterRow> rows,
    const std::function<void(StoreBatch& batch)>& add_notes)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  Commit commit;
  std::vector<std::pair<Timeline*, const storage::WriterRow*>> ordered;
  ordered.reserve(rows.size());
  for (const storage::WriterRow& r : rows) {
    if (Timeline* t = static_cast<Writer*>(r.writer)->timeline()) ordered.emplace_back(t, &r);
  }
  // All locks in the order of ids, as in Write().
  std::ranges::sort(ordered, {}, [](const auto& o) { return o.first->id; });
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (std::ranges::adjacent_find(ordered, same) != ordered.end()) {
    return InvalidArgument("two rows of one writer in one commit");
  }
  for (const auto& [t, r] : ordered) t->commit_mu.Lock();
  // Sealing writes what is staged: it comes before anything is, so that the rows stay together.
  Status status;
  for (size_t i = 0; status.ok() && i < ordered.size(); ++i) {
    Timeline& t = *ordered[i].first;
    const int64_t t_ms = ordered[i].second->row.t_ms;
    storage::CommitStats unused;
    if (TimeAllowed(t_ms, 0, unused)) status = MakeRoom(commit, t, t_ms);
  }
  for (size_t i = 0; status.ok() && i < ordered.size(); ++i) {
    const storage::WriterRow& r = *ordered[i].second;
    status = static_cast<Writer*>(r.writer)->Stage(commit, *ordered[i].first, r.row);
  }
  if (status.ok()) {
    add_notes(commit.batch);
    status = Flush(commit);
  }
  if (!status.ok()) Abandon(commit);
  for (const auto& [t, r] : ordered) t->commit_mu.Unlock();
  if (!status.ok()) return status;
  Count(commit.stats);
  return commit.stats;
}

// ---- the start

Status Head::RestoreIndex(const DamageSink& damage) {
  StoreIterator it = store_.Iterate(Family::kSeries, nullptr, /*long_walk=*/true);
  MutexLock lock(journal_mu_);
  it.SeekToFirst();
  while (it.valid() || PassDamage(it, "series journals", damage)) {
    if (it.key().size() == 8) {
      next_journal_ = (static_cast<uint64_t>(GetBigEndian32(it.key().data())) << 32 |
                       GetBigEndian32(it.key().data() + 4)) +
                      1;
      if (Status s = index_.Restore(it.value()); !s.ok()) damage(s.message());
    } else {
      damage("series journal: a key is damaged");
    }
    it.Next();
  }
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
