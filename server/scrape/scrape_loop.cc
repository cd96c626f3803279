#include "server/scrape/scrape_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/bounds.h"
#include "common/model/sample.h"
#include "server/scrape/series_rules.h"

namespace vedette::scrape {
namespace {

// The frames of an agent are bounded by the decoder; this bounds what one may call itself.
constexpr size_t kMaxSources = 256;

constexpr std::string_view kReportNames[] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    // With extra_scrape_metrics:
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};
constexpr size_t kPlainReports = 5;

// The job as this target has it: labels such as __scrape_native_histograms__ speak for one target.
std::shared_ptr<const Job> JobOf(const Target& target, std::shared_ptr<const Job> job) {
  if (target.native_histograms == job->native_histograms &&
      target.always_classic_histograms == job->always_classic_histograms &&
      target.convert_classic_histograms == job->convert_classic_histograms) {
    return job;
  }
  auto own = std::make_shared<Job>(*job);
  own->native_histograms = target.native_histograms;
  own->always_classic_histograms = target.always_classic_histograms;
  own->convert_classic_histograms = target.convert_classic_histograms;
  return own;
}

Status TooManySources(const wire::PullFrame& frame) {
  return ResourceExhausted(
      StrCat("the agent tells of ", frame.sources.size(), " sources, limit: ", kMaxSources));
}

}  // namespace

ScrapeLoop::ScrapeLoop(Parts parts, storage::Appender& appender, const Clock& clock,
                       Metrics& metrics)
    : appender_(appender),
      clock_(clock),
      metrics_(metrics),
      target_(std::move(parts.target)),
      job_(JobOf(*target_, std::move(parts.job))),
      source_(std::move(parts.source)),
      timeline_(appender, job_->name),
      cache_([this](const std::string& name, const Metadata& metadata) {
        appender_.SetMetadata(name, metadata);
        metadata_news_ = true;
      }),
      metadata_(cache_.metadata()) {
  timeline_.PutZerosAtStarts(job_->start_zero_samples);
  MutexLock lock(mu_);
  status_.target = target_;
}

ScrapeLoop::~ScrapeLoop() = default;

void ScrapeLoop::Update(Parts parts) {
  MutexLock lock(mu_);
  status_.target = parts.target;
  // An update that has not been taken yet may have brought the source that this one keeps.
  if (parts.source == nullptr && next_) parts.source = std::move(next_->source);
  next_ = std::move(parts);
}

void ScrapeLoop::SetForcedError(Status error) {
  MutexLock lock(mu_);
  forced_error_ = std::move(error);
}

void ScrapeLoop::TakeUpdate() {
  std::optional<Parts> next;
  {
    MutexLock lock(mu_);
    next.swap(next_);
  }
  if (!next) return;
  // Everything is relabelled anew. Series that come out the same keep their place in the storage;
  // those that do not get their stale marker.
  std::shared_ptr<const Job> job = JobOf(*next->target, std::move(next->job));
  const bool relabel =
      !job->SameAs(*job_) || next->target->labels != target_->labels ||
      next->target->native_histograms != target_->native_histograms ||
      next->target->always_classic_histograms != target_->always_classic_histograms ||
      next->target->convert_classic_histograms != target_->convert_classic_histograms;
  target_ = std::move(next->target);
  job_ = std::move(job);
  if (next->source != nullptr) source_ = std::move(next->source);
  if (!relabel) return;
  cache_.Forget();
  timeline_.Restart();
  for (auto& [name, pulled] : pulled_) {
    pulled.labels = SourceLabels(pulled.state);
    pulled.ForgetNumbers();
    pulled.timeline.Restart();
  }
  source_->Reset();
}

std::shared_ptr<const Target> ScrapeLoop::target() const {
  MutexLock lock(mu_);
  return status_.target;
}

TargetStatus ScrapeLoop::status() const {
  MutexLock lock(mu_);
  return status_;
}

std::map<std::string, Metadata> ScrapeLoop::metadata() const {
  MutexLock lock(mu_);
  return *metadata_;
}

std::shared_ptr<const std::map<std::string, Metadata>> ScrapeLoop::shared_metadata() const {
  MutexLock lock(mu_);
  return metadata_;
}

void ScrapeLoop::Start(int64_t t_ms, Source::Fetched fetched) {
  TakeUpdate();
  t_ms_ = t_ms;
  started_ns_ = clock_.MonotonicNs();
  came_ns_ = 0;
  Status forced;
  {
    MutexLock lock(mu_);
    forced = forced_error_;
  }
  if (!forced.ok()) {
    fetched(std::move(forced));
    return;
  }
  source_->Start(
      {.t_ms = t_ms, .timeout_ms = target_->timeout_ms, .interval_ms = target_->interval_ms},
      std::move(fetched));
}

void ScrapeLoop::Finish(Status fetched) {
  Deliver(std::move(fetched));
  Conclude(CommitRows());
}

void ScrapeLoop::Deliver(Status fetched) {
  timeline_.Begin();
  for (auto& [name, pulled] : pulled_) {
    pulled.in_frame = false;
    pulled.frame_weight = 0;
    pulled.timeline.Begin();
  }
  Outcome outcome;
  Status status = std::move(fetched);
  if (status.ok()) {
    status = source_->Deliver(*this);
    NoteReceived();
    outcome.body_bytes = source_->body_bytes();
    outcome.scraped = cache_.counts().scraped;
    outcome.kept = cache_.counts().kept;
  }
  const bool delivered = status.ok();
  bool stored = true;
  outcome.up = status.ok();
  const int64_t came_ns = came_ns_ != 0 ? came_ns_ : clock_.MonotonicNs();
  outcome.duration_seconds = static_cast<double>(came_ns - started_ns_) / 1e9;
  metrics_.scrapes_total.fetch_add(1, std::memory_order_relaxed);
  if (!status.ok()) {
    CountFailure(status);
    if (job_->failed) job_->failed(target_->url, status);
    timeline_.Abandon();
    for (auto& [name, pulled] : pulled_) pulled.in_frame = false;
  }

  std::vector<SourceState> sources;
  for (auto it = pulled_.begin(); it != pulled_.end();) {
    Pulled& pulled = it->second;
    if (!pulled.in_frame) {
      pulled.timeline.Abandon();
      pulled.outcome = {};
      pulled.state.up = false;
    }
    if (pulled.state.kind == SourceState::Kind::kApplication) {
      // One that the agent no longer tells of is removed, not down: its `up` ends too.
      if (pulled.in_frame || !status.ok()) {
        SetReports(pulled.outcome, pulled.labels, pulled.timeline, pulled.reports);
      }
    } else {
      outcome.scraped += pulled.outcome.scraped;
      outcome.kept += pulled.outcome.kept;
    }
    // One that is about to go cannot wait.
    Status committed = pulled.in_frame ? CommitOrGather(t_ms_, pulled.timeline)
                                       : CommitTimeline(t_ms_, pulled.timeline);
    stored = stored && committed.ok();
    if (status.ok()) status = std::move(committed);
    if (!pulled.in_frame && outcome.up) {
      it = pulled_.erase(it);
      continue;
    }
    sources.push_back(pulled.state);
    ++it;
  }
  SetReports(outcome, target_->labels, timeline_, reports_);
  Status committed = CommitOrGather(t_ms_, timeline_);
  stored = stored && committed.ok();
  if (status.ok()) status = std::move(committed);
  // With the rows: a cursor that moved before them would lose those of a commit that fails.
  if (delivered && stored) receipt_ = source_->Receipt();
  metrics_.samples_scraped_total.fetch_add(outcome.scraped, std::memory_order_relaxed);
  metrics_.lines_in_step_total.fetch_add(cache_.counts().in_step, std::memory_order_relaxed);
  finishing_ = {std::move(status), delivered, stored, outcome.duration_seconds, std::move(sources)};
}

void ScrapeLoop::AddTo(std::vector<storage::WriterRow>& rows,
                       std::vector<storage::KeyValue::Change>& notes) const {
  rows.insert(rows.end(), together_.begin(), together_.end());
  if (receipt_) notes.push_back(*receipt_);
}

void ScrapeLoop::Conclude(Status committed) {
  together_.clear();
  receipt_.reset();
  Finishing done = std::exchange(finishing_, {});
  if (!committed.ok()) committed = committed.Annotate("storing the scrape");
  const bool stored = done.stored && committed.ok();
  if (done.status.ok()) done.status = std::move(committed);
  if (done.delivered) source_->Stored(stored);

  std::shared_ptr<const MetadataMap> metadata;
  if (std::exchange(metadata_news_, false)) {
    metadata = pulled_metadata_ == nullptr ? cache_.metadata()
                                           : SharedMetadata(std::exchange(pulled_metadata_, nullptr));
  }
  MutexLock lock(mu_);
  status_.health = done.status.ok() ? Health::kUp : Health::kDown;
  status_.last_error = done.status.ok() ? "" : std::string(done.status.message());
  status_.last_scrape_ms = t_ms_;
  status_.last_duration_seconds = done.duration_seconds;
  status_.sources = std::move(done.sources);
  if (metadata != nullptr) metadata_ = std::move(metadata);
}

void ScrapeLoop::End(int64_t t_ms) {
  for (auto& [name, pulled] : pulled_) {
    (void)pulled.timeline.End(t_ms);  // Best effort: nobody is left to be told.
  }
  (void)timeline_.End(t_ms);
}

void ScrapeLoop::SetReports(const Outcome& outcome, const Labels& labels, Timeline& timeline,
                            Reports& reports) {
  const uint64_t added = timeline.CountNew();
  if (reports.generation != timeline.generation()) {
    reports.generation = timeline.generation();
    reports.numbers.clear();
    for (const std::string_view name : kReportNames) {
      if (reports.numbers.size() == kPlainReports && !job_->extra_metrics) break;
      reports.numbers.push_back(timeline.Number(ReportLabels(name, labels)));
    }
  }
  const double values[] = {
      outcome.up ? 1.0 : 0.0,
      outcome.duration_seconds,
      static_cast<double>(outcome.scraped),
      static_cast<double>(outcome.kept),
      static_cast<double>(added),
      static_cast<double>(target_->timeout_ms) / 1000,
      static_cast<double>(job_->limits.samples),
      static_cast<double>(outcome.body_bytes),
  };
  for (size_t i = 0; i < reports.numbers.size(); ++i) {
    timeline.Replace(reports.numbers[i], values[i]);
  }
}

Status ScrapeLoop::CommitTimeline(int64_t t_ms, Timeline& timeline) {
  Result<Timeline::Outcome> outcome = timeline.Commit(t_ms);
  if (!outcome.ok()) return outcome.status().Annotate("storing the scrape");
  NoteStorage(outcome->stats);
  return Status();
}

Status ScrapeLoop::CommitOrGather(int64_t t_ms, Timeline& timeline) {
  const std::optional<storage::WriterRow> row = timeline.SteadyRow(t_ms);
  if (!row) return CommitTimeline(t_ms, timeline);
  together_.push_back(*row);
  return Status();
}

Status ScrapeLoop::CommitRows() {
  if (together_.empty() && !receipt_) return Status();
  Result<storage::CommitStats> stats =
      together_.size() == 1 && !receipt_
          ? together_[0].writer->Commit(together_[0].row)
          : appender_.CommitTogether(together_,
                                     {receipt_ ? &*receipt_ : nullptr, receipt_ ? 1u : 0u});
  if (!stats.ok()) return stats.status();
  NoteStorage(*stats);
  return Status();
}

void ScrapeLoop::NoteStorage(const storage::CommitStats& stats) { metrics_.Note(stats); }

// A frame has no seams between its sources: their parts are estimated by what they told of.
void ScrapeLoop::NoteReceived() {
  const int64_t wire_bytes = source_->wire_bytes();
  if (wire_bytes <= 0) return;
  const auto bytes = static_cast<uint64_t>(wire_bytes);
  MutexLock lock(mu_);
  uint64_t left = bytes;
  uint64_t weights = 0;
  for (const auto& [name, pulled] : pulled_) weights += pulled.frame_weight;
  for (const auto& [name, pulled] : pulled_) {
    if (weights == 0 || pulled.state.kind != SourceState::Kind::kApplication) continue;
    if (received_.size() >= kMaxSources && !received_.contains(pulled.labels)) continue;
    const uint64_t part = bytes * pulled.frame_weight / weights;
    received_[pulled.labels] += part;
    left -= part;
  }
  received_[target_->labels] += left;
}

std::vector<storage::ReceivedBytes> ScrapeLoop::received() const {
  std::vector<storage::ReceivedBytes> out;
  MutexLock lock(mu_);
  for (const auto& [labels, bytes] : received_) {
    out.push_back({storage::ReceivedBytes::From::kTarget, labels, bytes});
  }
  return out;
}

void ScrapeLoop::CountFailure(const Status& status) {
  ++metrics_.scrapes_failed_total;
  if (status.code() != StatusCode::kResourceExhausted) return;
  // The limits name themselves in their messages, and only there.
  const std::string_view why = status.message();
  const auto names = [&](std::string_view limit) { return why.find(limit) != why.npos; };
  if (names("sample_limit")) ++metrics_.exceeded_sample_limit_total;
  if (names("body_size_limit")) ++metrics_.exceeded_body_size_limit_total;
  if (names("native_histogram_bucket_limit")) ++metrics_.exceeded_bucket_limit_total;
  if (names("label_limit") || names("label_name_length_limit") ||
      names("label_value_length_limit")) {
    ++metrics_.exceeded_label_limits_total;
  }
}

Status ScrapeLoop::OnBody(std::string_view body, exposition::Protocol protocol) {
  Status status = cache_.Ingest(body, protocol, target_->labels, *job_, timeline_);
  metrics_.sample_duplicate_total += cache_.counts().duplicates;
  return status;
}

void ScrapeLoop::OnStreamStart() {
  for (auto& [name, pulled] : pulled_) pulled.ForgetNumbers();
}

Labels ScrapeLoop::SourceLabels(const SourceState& state) const {
  if (state.kind != SourceState::Kind::kApplication) return target_->labels;
  LabelsBuilder labels(target_->labels);
  labels.Set("job", state.name);
  return labels.Build();
}

ScrapeLoop::Pulled& ScrapeLoop::PulledOf(const SourceState& state) {
  // A name that comes back as another kind is another source.
  if (const auto it = pulled_.find(state.name); it != pulled_.end()) {
    if (it->second.state.kind == state.kind) return it->second;
    (void)it->second.timeline.End(t_ms_);
    pulled_.erase(it);
  }
  const bool application = state.kind == SourceState::Kind::kApplication;
  Pulled& pulled = pulled_
                       .try_emplace(state.name, appender_, application ? state.name : job_->name,
                                    SourceLabels(state))
                       .first->second;
  pulled.state = state;
  pulled.timeline.PutZerosAtStarts(job_->start_zero_samples);
  pulled.timeline.Begin();
  return pulled;
}

Status ScrapeLoop::OnFrame(const wire::PullFrame& frame, int64_t t_ms, bool backlog) {
  if (frame.sources.size() > kMaxSources) return TooManySources(frame);
  for (const wire::PulledSource& source : frame.sources) {
    Pulled& pulled = PulledOf(source.state);
    pulled.timeline.Abandon();  // What a frame before this one set has been committed.
    VEDETTE_RETURN_IF_ERROR(Apply(source, pulled).Annotate(StrCat("source ", source.state.name)));
    if (!backlog) {
      pulled.in_frame = true;
      continue;
    }
    if (pulled.state.kind == SourceState::Kind::kApplication) {
      SetReports(pulled.outcome, pulled.labels, pulled.timeline, pulled.reports);
    }
    Result<storage::CommitStats> stats = pulled.timeline.CommitBackfill(t_ms);
    if (!stats.ok()) return stats.status().Annotate("storing what the agent kept");
    NoteStorage(*stats);
    ++metrics_.backfilled_rows_total;
  }
  if (backlog) {
    MutexLock lock(mu_);
    ++status_.snapshots_filled;
    status_.last_filled_ms = std::max(status_.last_filled_ms, t_ms);
  }
  return Status();
}

Status ScrapeLoop::OnKnownFrame(const wire::PullFrame& frame) {
  if (frame.sources.size() > kMaxSources) return TooManySources(frame);
  for (const wire::PulledSource& source : frame.sources) {
    Pulled& pulled = PulledOf(source.state);
    pulled.timeline.Abandon();
    VEDETTE_RETURN_IF_ERROR(Apply(source, pulled).Annotate(StrCat("source ", source.state.name)));
    pulled.timeline.Abandon();
  }
  return Status();
}

Status ScrapeLoop::Apply(const wire::PulledSource& source, Pulled& pulled) {
  // Per value a byte or so; per new series its labels.
  constexpr uint64_t kWeightOfAdded = 64;
  pulled.frame_weight += source.values.size() + kWeightOfAdded * source.added.size();
  pulled.state = source.state;
  pulled.outcome = {.up = source.state.up, .duration_seconds = source.state.duration_seconds};
  if (source.layout_reset) {
    pulled.ForgetNumbers();
    if (pulled.timeline.mostly_dead()) {
      pulled.timeline.Restart();
      pulled.timeline.Begin();
    }
  }
  NoteMetadata(source.families);
  for (const wire::PulledSource::AddedSeries& added : source.added) {
    VEDETTE_ASSIGN_OR_RETURN(const std::optional<Labels> labels,
                             SeriesLabels(exposition::CanonicalBounds(
                                              added.labels,
                                              source.families[added.family].metadata.type),
                                          {}, pulled.labels, *job_));
    const uint32_t number = labels ? pulled.timeline.Number(*labels) : kDropped;
    pulled.in_order = pulled.in_order && number == pulled.numbers.size();
    pulled.numbers.push_back(number);
  }
  if (source.values.size() > pulled.numbers.size()) {
    return DataLoss(StrCat("the agent sent ", source.values.size(), " values for a layout of ",
                           pulled.numbers.size(), " series"));
  }
  return ApplyOne(source, pulled);
}

void ScrapeLoop::NoteMetadata(std::span<const wire::PulledSource::Family> families) {
  if (families.empty()) return;
  const std::shared_ptr<const MetadataMap> published = shared_metadata();
  for (const wire::PulledSource::Family& family : families) {
    const MetadataMap& known = pulled_metadata_ == nullptr ? *published : *pulled_metadata_;
    const auto it = known.find(family.name);
    if (it != known.end() && it->second == family.metadata) continue;
    if (pulled_metadata_ == nullptr) pulled_metadata_ = std::make_shared<MetadataMap>(*published);
    (*pulled_metadata_)[family.name] = family.metadata;
    appender_.SetMetadata(family.name, family.metadata);
    metadata_news_ = true;
  }
}

Status ScrapeLoop::ApplyOne(const wire::PulledSource& source, Pulled& pulled) {
  if (job_->wants_starts()) {
    for (const auto& start : source.starts) {
      if (start.position >= pulled.numbers.size()) continue;
      const uint32_t number = pulled.numbers[start.position];
      if (number != kDropped) pulled.timeline.SetStart(number, start.t_ms);
    }
  }
  pulled.special.clear();
  if (!source.histograms.empty() || !source.times.empty()) {
    pulled.special.assign(source.values.size(), 0);
    for (const auto& h : source.histograms) {
      if (h.position < pulled.special.size()) pulled.special[h.position] = 1;
    }
    if (job_->honor_timestamps) {
      for (const auto& time : source.times) {
        if (time.position >= pulled.special.size()) continue;
        const uint32_t number = pulled.numbers[time.position];
        const double value = source.values[time.position];
        // Its labels are gone once the storage knows the series: then it goes with the row.
        if (pulled.special[time.position] != 0 || number == kDropped || IsAbsent(value) ||
            !pulled.timeline.has_labels(number)) {
          continue;
        }
        pulled.special[time.position] = 1;
        ++pulled.outcome.scraped;
        ++pulled.outcome.kept;
        pulled.timeline.SetTimed(number, time.t_ms, value, nullptr,
                                 job_->track_timestamps_staleness);
      }
    }
  }
  // Nearly always each position is a series of its own, and the timeline has them in this order.
  const bool in_order = pulled.in_order && pulled.special.empty();
  if (in_order) {
    const uint64_t there = pulled.timeline.SetFirst(source.values);
    pulled.outcome.scraped += there;
    pulled.outcome.kept += there;
  }
  for (size_t p = 0; !in_order && p < source.values.size(); ++p) {
    if (IsAbsent(source.values[p]) || (!pulled.special.empty() && pulled.special[p] != 0)) continue;
    ++pulled.outcome.scraped;
    const uint32_t number = pulled.numbers[p];
    if (number == kDropped) continue;
    ++pulled.outcome.kept;
    if (!pulled.timeline.Set(number, source.values[p])) ++metrics_.sample_duplicate_total;
  }
  for (const auto& h : source.histograms) {
    if (h.position >= pulled.numbers.size() || h.histogram == nullptr) continue;
    ++pulled.outcome.scraped;
    const uint32_t number = pulled.numbers[h.position];
    if (number == kDropped) continue;
    ++pulled.outcome.kept;
    VEDETTE_ASSIGN_OR_RETURN(std::shared_ptr<const Histogram> limited,
                             LimitHistogram(h.histogram, job_->limits));
    pulled.timeline.SetHistogram(number, std::move(limited));
  }
  for (const auto& e : source.exemplars) {
    if (e.position >= pulled.numbers.size() || pulled.numbers[e.position] == kDropped) continue;
    pulled.timeline.AddExemplar(pulled.numbers[e.position], e.exemplar);
  }
  if (job_->limits.samples > 0 && pulled.outcome.kept > job_->limits.samples) {
    return ResourceExhausted(
        StrCat("sample_limit exceeded: ", pulled.outcome.kept,
               " samples after metric relabelling, limit: ", job_->limits.samples));
  }
  return Status();
}

}  // namespace vedette::scrape
