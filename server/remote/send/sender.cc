#include "server/remote/send/sender.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/log/log.h"
#include "common/model/sample.h"
#include "server/remote/send/request_body.h"

namespace vedette::remote {
namespace {

// How long a thread waits before it looks at whether it shall end.
constexpr int64_t kLookMs = 500;
// Shards change only for a difference that is worth emptying them.
constexpr double kReshardTolerance = 0.3;
// The part of the backlog to work off in a second beside what comes in.
constexpr double kCatchUp = 0.1;
// A layout is forgotten when so many entries came without a row of its writer.
constexpr uint64_t kForgetAfter = 50'000;

DeliveryOptions ToDelivery(const config::RemoteWriteConfig& config) {
  return {.version2 = config.version2,
          .headers = config.headers,
          .min_backoff_ms = config.queue.min_backoff_ms,
          .max_backoff_ms = config.queue.max_backoff_ms,
          .retry_on_http_429 = config.queue.retry_on_http_429,
          .sample_age_limit_ms = config.queue.sample_age_limit_ms};
}

}  // namespace

Result<std::unique_ptr<Sender>> Sender::Start(Options options, Queue& queue,
                                              const storage::MetadataQueryable* metadata,
                                              const Clock& clock, metrics::Registry& registry) {
  Result<relabel::Relabeler> rules =
      relabel::Relabeler::Compile(options.config.write_relabel_configs);
  if (!rules.ok()) return rules.status().Annotate("write_relabel_configs");
  std::unique_ptr<Sender> sender(
      new Sender(std::move(options), *std::move(rules), queue, metadata, clock, registry));
  sender->OpenShards(sender->options_.config.queue.min_shards);
  sender->reader_ = std::thread([s = sender.get()] { s->Read(); });
  if (metadata != nullptr && sender->options_.config.metadata.send &&
      !sender->options_.config.version2) {
    sender->metadata_sender_ = std::thread([s = sender.get()] { s->SendMetadataRegularly(); });
  }
  return sender;
}

Sender::Sender(Options options, relabel::Relabeler relabel, Queue& queue,
               const storage::MetadataQueryable* metadata, const Clock& clock,
               metrics::Registry& registry)
    : options_(std::move(options)),
      relabel_(std::move(relabel)),
      queue_(queue),
      metadata_(metadata),
      clock_(clock),
      metrics_(registry, options_.name, options_.url),
      delivery_(ToDelivery(options_.config), options_.post, metadata, clock, metrics_, stop_),
      progress_(queue.Cursor(options_.id)),
      again_until_(queue.head()),
      last_reshard_ns_(clock.MonotonicNs()),
      history_{{clock.MonotonicNs(), queue.Kept(options_.id)}} {
  const config::QueueConfig& q = options_.config.queue;
  metrics_.shards_min.Set(static_cast<double>(q.min_shards));
  metrics_.shards_max.Set(static_cast<double>(q.max_shards));
  metrics_.shard_capacity.Set(static_cast<double>(q.capacity));
  metrics_.max_samples_per_send.Set(static_cast<double>(q.max_samples_per_send));
}

Sender::~Sender() {
  stop_.Set();
  queue_.Wake();
  if (reader_.joinable()) reader_.join();
  if (metadata_sender_.joinable()) metadata_sender_.join();
  shards_.clear();
  // What was read and not delivered is pending in the queue, not here.
  for (SendMetrics::Kind* kind : {&metrics_.samples, &metrics_.histograms, &metrics_.exemplars}) {
    kind->pending.Set(0);
  }
  metrics_.shards.Set(0);
}

void Sender::OpenShards(int64_t n) {
  shards_.clear();
  const config::QueueConfig& q = options_.config.queue;
  for (int64_t i = 0; i < n; ++i) {
    shards_.push_back(std::make_unique<Shard>(
        Shard::Options{.capacity = static_cast<size_t>(q.capacity),
                       .max_batch = static_cast<size_t>(q.max_samples_per_send),
                       .deadline_ms = q.batch_send_deadline_ms},
        [this](std::vector<Piece> batch) { Deliver(std::move(batch)); }));
  }
  metrics_.shards.Set(static_cast<double>(n));
}

void Sender::Read() {
  uint64_t next = progress_.cursor();
  while (!stop_.is_set()) {
    MaybeReshard();
    MaybeRewind();
    const EntryCounts lost = queue_.TakeDropped(options_.id);
    metrics_.Dropped(SendMetrics::Of::kSamples, "queue_full", lost.samples);
    metrics_.Dropped(SendMetrics::Of::kHistograms, "queue_full", lost.histograms);
    metrics_.Dropped(SendMetrics::Of::kExemplars, "queue_full", lost.exemplars);
    if (!queue_.WaitFor(next, kLookMs)) continue;
    next = std::max(next, queue_.tail());
    const Result<std::string> bytes = queue_.Read(next);
    if (!bytes.ok() && bytes.status().code() != StatusCode::kNotFound) {
      log::Error("remote write: the queue cannot be read", {{"err", bytes.status()}});
      stop_.WaitFor(kLookMs);
      continue;
    }
    std::vector<Piece> pieces;
    if (bytes.ok()) {
      Result<Entry> entry = DecodeEntry(*bytes);
      if (entry.ok()) {
        pieces = PiecesOf(next, *std::move(entry));
      } else {
        log::Error("remote write: an entry is lost", {{"entry", next}, {"err", entry.status()}});
      }
    }  // Otherwise the bound took it between the two calls.
    read_pieces_ += pieces.size();
    Pending(pieces, 1);
    progress_.Begin(next, static_cast<uint32_t>(pieces.size()));
    ForgetOldLayouts(next);
    ++next;
    if (pieces.empty()) (void)Ack();
    for (Piece& p : pieces) {
      if (!Enqueue(std::move(p))) return;
    }
  }
}

bool Sender::Enqueue(Piece piece) {
  Shard& shard = *shards_[piece.series->hash % shards_.size()];
  while (!shard.TryPush(piece)) {
    metrics_.enqueue_retries.Increment();
    if (stop_.is_set()) return false;
    shard.WaitForRoom(kLookMs);
  }
  return true;
}

void Sender::Deliver(std::vector<Piece> batch) {
  const bool again =
      std::ranges::any_of(batch, [&](const Piece& p) { return p.entry < again_until_; });
  const int64_t start_ns = clock_.MonotonicNs();
  if (!delivery_.Send(batch, again)) return;
  sending_ns_.fetch_add(clock_.MonotonicNs() - start_ns, std::memory_order_relaxed);
  sent_pieces_.fetch_add(batch.size(), std::memory_order_relaxed);
  Pending(batch, -1);
  progress_.Done(batch);
  const Status stored = Ack();
  if (!stored.ok()) {
    log::Warn("remote write: the cursor cannot be stored; a restart would send again",
              {{"err", stored}});
  }
}

void Sender::Pending(std::span<const Piece> pieces, double sign) {
  double counts[3] = {};
  for (const Piece& p : pieces) ++counts[static_cast<size_t>(p.kind)];
  metrics_.samples.pending.Add(sign * counts[static_cast<size_t>(Piece::Kind::kSample)]);
  metrics_.histograms.pending.Add(sign * counts[static_cast<size_t>(Piece::Kind::kHistogram)]);
  metrics_.exemplars.pending.Add(sign * counts[static_cast<size_t>(Piece::Kind::kExemplar)]);
}

std::shared_ptr<const OutSeries> Sender::MakeSeries(const Labels& labels) const {
  LabelsBuilder builder(labels);
  for (const Label& l : options_.external_labels) {
    if (labels.Get(l.name).empty()) builder.Set(l.name, l.value);
  }
  if (!relabel_.Apply(builder)) return nullptr;
  auto out = std::make_shared<OutSeries>();
  out->labels = builder.Build();
  if (out->labels.empty()) return nullptr;
  out->encoded = EncodeLabelsV1(out->labels);
  out->hash = out->labels.Hash();
  return out;
}

Sender::Layout* Sender::LayoutOf(uint64_t writer, size_t positions, uint64_t number) {
  Layout& layout = layouts_[writer];
  layout.last_entry = number;
  if (layout.series.size() >= positions) return &layout;
  const Result<std::vector<Labels>> all = queue_.Layout(writer);
  if (!all.ok() || all->size() < positions) {
    log::Error("remote write: the labels of an entry are lost",
               {{"entry", number},
                {"err", all.ok() ? DataLoss("fewer series than values") : all.status()}});
    return nullptr;
  }
  for (size_t p = layout.series.size(); p < all->size(); ++p) {
    layout.series.push_back(MakeSeries((*all)[p]));
  }
  return &layout;
}

void Sender::ForgetOldLayouts(uint64_t number) {
  if (number % kForgetAfter != 0) return;
  std::erase_if(layouts_,
                [&](const auto& one) { return one.second.last_entry + kForgetAfter < number; });
}

void Sender::RowPieces(uint64_t number, Entry& entry, std::vector<Piece>& out) {
  size_t positions = entry.values.size();
  for (const auto& [p, message] : entry.histograms) positions = std::max<size_t>(positions, p + 1u);
  const Layout* layout = LayoutOf(entry.writer, positions, number);
  if (layout == nullptr) return;
  uint64_t dropped = 0;
  out.reserve(entry.counts.samples);
  for (size_t p = 0; p < entry.values.size(); ++p) {
    if (IsAbsent(entry.values[p])) continue;
    if (layout->series[p] == nullptr) {
      ++dropped;
      continue;
    }
    out.push_back({.series = layout->series[p],
                   .t_ms = entry.t_ms,
                   .value = entry.values[p],
                   .entry = number});
  }
  metrics_.Dropped(SendMetrics::Of::kSamples, "dropped_series", dropped);
  for (auto& [p, message] : entry.histograms) {
    if (!options_.config.send_native_histograms || layout->series[p] == nullptr) continue;
    out.push_back({.series = layout->series[p],
                   .kind = Piece::Kind::kHistogram,
                   .t_ms = entry.t_ms,
                   .message = std::move(message),
                   .entry = number});
  }
  for (auto& [p, e] : entry.exemplars) {
    if (!options_.config.send_exemplars || p >= layout->series.size() ||
        layout->series[p] == nullptr) {
      continue;
    }
    out.push_back({.series = layout->series[p],
                   .kind = Piece::Kind::kExemplar,
                   .t_ms = e.t_ms.value_or(entry.t_ms),
                   .value = e.value,
                   .exemplar_labels = std::move(e.labels),
                   .entry = number});
  }
}

std::vector<Piece> Sender::PiecesOf(uint64_t number, Entry entry) {
  std::vector<Piece> out;
  if (entry.row) {
    RowPieces(number, entry, out);
    return out;
  }
  for (Entry::Series& s : entry.series) {
    const std::shared_ptr<const OutSeries> series = MakeSeries(s.labels);
    if (series == nullptr) {
      metrics_.Dropped(SendMetrics::Of::kSamples, "dropped_series", s.samples.size());
      metrics_.Dropped(SendMetrics::Of::kHistograms, "dropped_series", s.histograms.size());
      continue;
    }
    for (const Sample& sample : s.samples) {
      out.push_back(
          {.series = series, .t_ms = sample.t_ms, .value = sample.value, .entry = number});
    }
    if (options_.config.send_native_histograms) {
      for (EncodedHistogram& h : s.histograms) {
        out.push_back({.series = series,
                       .kind = Piece::Kind::kHistogram,
                       .t_ms = h.t_ms,
                       .message = std::move(h.message),
                       .entry = number});
      }
    }
    if (options_.config.send_exemplars) {
      for (Exemplar& e : s.exemplars) {
        out.push_back({.series = series,
                       .kind = Piece::Kind::kExemplar,
                       .t_ms = e.t_ms.value_or(0),
                       .value = e.value,
                       .exemplar_labels = std::move(e.labels),
                       .entry = number});
      }
    }
  }
  return out;
}

void Sender::SendMetadataRegularly() {
  const config::MetadataConfig& c = options_.config.metadata;
  while (!stop_.WaitFor(c.send_interval_ms)) {
    const std::vector<storage::NamedMetadata> all = metadata_->Select("");
    const auto most = static_cast<size_t>(c.max_samples_per_send);
    for (size_t at = 0; at < all.size(); at += most) {
      const auto part = std::span(all).subspan(at, std::min(most, all.size() - at));
      metrics_.metadata.pending.Set(static_cast<double>(all.size() - at));
      if (!delivery_.SendMetadata(part)) return;
    }
    metrics_.metadata.pending.Set(0);
  }
}

Status Sender::Ack() {
  MutexLock lock(mu_);
  const uint64_t cursor = progress_.cursor();
  if (options_.rewind_ms == 0) return queue_.Ack(options_.id, cursor, cursor);
  const int64_t now_ns = clock_.MonotonicNs();
  history_.emplace_back(now_ns, cursor);
  // While the receiver has been gone and we have not gone back yet, everything stays.
  if (delivery_.outages() == rewound_outages_.load(std::memory_order_acquire)) {
    const int64_t old_ns = now_ns - options_.rewind_ms * 1'000'000;
    while (history_.size() > 1 && history_[1].first <= old_ns) history_.pop_front();
  }
  const bool old = history_.front().first <= now_ns - options_.rewind_ms * 1'000'000;
  return queue_.Ack(options_.id, cursor, old ? history_.front().second : 0);
}

bool Sender::Drain() {
  for (const auto& shard : shards_) shard->Flush();
  while (!std::ranges::all_of(shards_, [](const auto& s) { return s->idle(); })) {
    if (stop_.WaitFor(10)) return false;
  }
  return true;
}

void Sender::MaybeRewind() {
  const uint64_t outages = delivery_.outages();
  if (outages == rewound_outages_ || options_.rewind_ms == 0 || !delivery_.reachable()) return;
  // Nothing of ours is under way while we go back, so the order within a series holds.
  if (!Drain()) return;
  uint64_t from = 0;
  {
    MutexLock lock(mu_);
    from = history_.front().second;
  }
  const uint64_t end = progress_.cursor();
  const auto most = static_cast<size_t>(options_.config.queue.max_samples_per_send);
  uint64_t pieces_sent = 0;
  bool taken = true;
  for (uint64_t n = std::max(from, queue_.tail()); taken && n < end; ++n) {
    const Result<std::string> bytes = queue_.Read(n);
    if (!bytes.ok()) continue;
    Result<Entry> entry = DecodeEntry(*bytes);
    if (!entry.ok()) continue;
    const std::vector<Piece> pieces = PiecesOf(n, *std::move(entry));
    for (size_t at = 0; taken && at < pieces.size(); at += most) {
      const auto part = std::span(pieces).subspan(at, std::min(most, pieces.size() - at));
      taken = !stop_.is_set() && delivery_.SendOnce(part);
      if (taken) pieces_sent += part.size();
    }
  }
  log::Info("remote write: the receiver is back",
            {{"remote_name", options_.name}, {"sent_once_more", pieces_sent}, {"wanted", taken}});
  rewound_outages_ = outages;
}

// As many as it takes to send what comes in and a tenth of the backlog every second, at the time
// that a piece takes now.
int64_t Sender::DesiredShards(int64_t elapsed_ms) {
  const uint64_t sent = sent_pieces_.exchange(0);
  const double sending_s = static_cast<double>(sending_ns_.exchange(0)) / 1e9;
  const double in =
      static_cast<double>(std::exchange(read_pieces_, 0)) * 1000 / static_cast<double>(elapsed_ms);
  in_rate_ = in_rate_ == 0 ? in : 0.8 * in_rate_ + 0.2 * in;
  if (sent > 0) {
    const double now = sending_s / static_cast<double>(sent);
    seconds_per_piece_ = seconds_per_piece_ == 0 ? now : 0.8 * seconds_per_piece_ + 0.2 * now;
  }
  const double entries = static_cast<double>(queue_.head() - progress_.cursor());
  // Entries hold as many pieces as those read lately; the rate over a second stands for both.
  const double backlog = metrics_.samples.pending.value() + std::max(0.0, entries - 1);
  const double desired = seconds_per_piece_ * (in_rate_ + kCatchUp * backlog);
  metrics_.shards_desired.Set(desired);
  const config::QueueConfig& q = options_.config.queue;
  return std::clamp(static_cast<int64_t>(std::ceil(desired)), q.min_shards, q.max_shards);
}

void Sender::MaybeReshard() {
  const int64_t now_ns = clock_.MonotonicNs();
  const int64_t elapsed_ms = (now_ns - last_reshard_ns_) / 1'000'000;
  if (elapsed_ms < options_.reshard_interval_ms) return;
  last_reshard_ns_ = now_ns;
  const int64_t desired = DesiredShards(elapsed_ms);
  const auto have = static_cast<int64_t>(shards_.size());
  if (std::abs(static_cast<double>(desired - have)) <=
      kReshardTolerance * static_cast<double>(have)) {
    return;
  }
  // Emptying shards whose receiver does not answer would only wait.
  const int64_t success_ns = delivery_.last_success_ns();
  if (success_ns == 0 || now_ns - success_ns > options_.reshard_interval_ms * 1'000'000) return;
  if (!Drain()) return;
  OpenShards(desired);
  log::Info("remote write: another number of shards",
            {{"remote_name", options_.name}, {"from", have}, {"to", desired}});
}

}  // namespace vedette::remote
