#include "server/remote/send/delivery.h"

#include <algorithm>
#include <optional>

#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/log/log.h"

namespace vedette::remote {
namespace {

constexpr size_t kShownBody = 256;

// The families of classic histograms and summaries are known without these endings.
constexpr std::string_view kSuffixes[] = {"_bucket", "_sum", "_count", "_total"};

uint64_t CountOf(std::span<const Piece> pieces, Piece::Kind kind) {
  return static_cast<uint64_t>(
      std::ranges::count_if(pieces, [&](const Piece& p) { return p.kind == kind; }));
}

}  // namespace

Delivery::Delivery(DeliveryOptions options, Post post, const storage::MetadataQueryable* metadata,
                   const Clock& clock, SendMetrics& metrics, StopSignal& stop)
    : options_(std::move(options)),
      post_(std::move(post)),
      metadata_(metadata),
      clock_(clock),
      metrics_(metrics),
      stop_(stop) {
  headers_ = {{"Content-Encoding", "snappy"},
              {"Content-Type", options_.version2
                                   ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
                                   : "application/x-protobuf"},
              {"X-Prometheus-Remote-Write-Version", options_.version2 ? "2.0.0" : "0.1.0"}};
  for (const auto& [name, value] : options_.headers) headers_.emplace_back(name, value);
}

std::string Delivery::Encode(std::span<const Piece> pieces) const {
  std::string body;
  if (options_.version2) {
    body = EncodeRequestV2(pieces, [this](std::string_view name) -> std::optional<Metadata> {
      if (metadata_ == nullptr || name.empty()) return std::nullopt;
      auto found = metadata_->Select(std::string(name));
      for (const std::string_view suffix : kSuffixes) {
        if (!found.empty()) break;
        if (name.ends_with(suffix)) {
          found = metadata_->Select(std::string(name.substr(0, name.size() - suffix.size())));
        }
      }
      if (found.empty()) return std::nullopt;
      return found.front().metadata;
    });
  } else {
    body = EncodeRequestV1(pieces);
  }
  std::string small;
  (void)compress::Compress(compress::Encoding::kSnappy, body, small);
  return small;
}

Delivery::Outcome Delivery::Try(const std::string& body, const std::function<void()>& retried,
                                bool* partly, bool* seen, std::string* why) {
  int64_t backoff_ms = options_.min_backoff_ms;
  PostHeaders headers = headers_;
  for (int attempt = 0;; ++attempt) {
    if (stop_.is_set()) return Outcome::kStopped;
    if (attempt > 0) {
      retried();
      if (attempt == 1) headers.emplace_back("Retry-Attempt", "");
      headers.back().second = StrCat(attempt);
    }
    const int64_t start_ns = clock_.MonotonicNs();
    const Result<PostAnswer> answer = post_(body, headers, stop_.flag());
    metrics_.batch_seconds.Observe(static_cast<double>(clock_.MonotonicNs() - start_ns) / 1e9);
    int64_t wait_ms = backoff_ms;
    if (!answer.ok()) {
      if (stop_.is_set()) return Outcome::kStopped;
      *seen = true;  // Perhaps it was only the answer that got lost.
      if (reachable_.exchange(false)) outages_.fetch_add(1, std::memory_order_release);
      log::Warn("remote write: the receiver cannot be reached; trying again",
                {{"err", answer.status()}, {"attempt", attempt + 1}});
    } else if (answer->status / 100 == 2) {
      last_success_ns_.store(std::max<int64_t>(clock_.MonotonicNs(), 1), std::memory_order_relaxed);
      reachable_.store(true);
      return Outcome::kTaken;
    } else {
      const bool passes =
          answer->status / 100 == 5 || (answer->status == 429 && options_.retry_on_http_429);
      *why = StrCat("status ", answer->status, ": ", answer->body.substr(0, kShownBody));
      *partly = answer->partly_written;
      if (!passes) return Outcome::kRefused;
      *seen = true;
      log::Warn("remote write: the receiver is in trouble; trying again",
                {{"answer", *why}, {"attempt", attempt + 1}});
      wait_ms = std::max(wait_ms, answer->retry_after_ms);
    }
    if (stop_.WaitFor(wait_ms)) return Outcome::kStopped;
    backoff_ms = std::min(std::max<int64_t>(backoff_ms * 2, 1), options_.max_backoff_ms);
  }
}

bool Delivery::Send(std::span<const Piece> pieces, bool again) {
  std::vector<Piece> young;
  if (options_.sample_age_limit_ms > 0) {
    const int64_t oldest = clock_.NowMs() - options_.sample_age_limit_ms;
    for (const Piece& p : pieces) {
      if (p.t_ms >= oldest) young.push_back(p);
    }
    using Of = SendMetrics::Of;
    for (const auto& [kind, of] : {std::pair(Piece::Kind::kSample, Of::kSamples),
                                   std::pair(Piece::Kind::kHistogram, Of::kHistograms),
                                   std::pair(Piece::Kind::kExemplar, Of::kExemplars)}) {
      metrics_.Dropped(of, "too_old", CountOf(pieces, kind) - CountOf(young, kind));
    }
    pieces = young;
  }
  if (pieces.empty()) return true;
  int budget = kSplits;
  return SendPart(pieces, again, &budget);
}

bool Delivery::SendPart(std::span<const Piece> pieces, bool again, int* budget) {
  const std::string body = Encode(pieces);
  bool partly = false;
  std::string why;
  const Outcome outcome = Try(
      body,
      [&] {
        metrics_.samples.retried.Add(CountOf(pieces, Piece::Kind::kSample));
        metrics_.histograms.retried.Add(CountOf(pieces, Piece::Kind::kHistogram));
        metrics_.exemplars.retried.Add(CountOf(pieces, Piece::Kind::kExemplar));
      },
      &partly, &again, &why);
  if (outcome == Outcome::kStopped) return false;
  if (outcome == Outcome::kTaken) {
    metrics_.bytes.Add(body.size());
    Count(pieces, outcome);
    return true;
  }
  if (pieces.size() > 1 && !partly && (again || *budget > 0)) {
    *budget -= 2;
    const size_t half = pieces.size() / 2;
    return SendPart(pieces.first(half), again, budget) &&
           SendPart(pieces.subspan(half), again, budget);
  }
  if (again) {
    // It has this already: that is why it was refused, and why it was worth finding out.
    metrics_.Dropped(SendMetrics::Of::kSamples, "already_delivered",
                     CountOf(pieces, Piece::Kind::kSample));
    metrics_.Dropped(SendMetrics::Of::kHistograms, "already_delivered",
                     CountOf(pieces, Piece::Kind::kHistogram));
    metrics_.Dropped(SendMetrics::Of::kExemplars, "already_delivered",
                     CountOf(pieces, Piece::Kind::kExemplar));
    log::Debug("remote write: refused when it was sent again",
               {{"pieces", pieces.size()}, {"answer", why}});
    return true;
  }
  log::Error("remote write: refused for good by the receiver",
             {{"pieces", pieces.size()},
              {"series", pieces.front().series->labels.ToString()},
              {"answer", why}});
  Count(pieces, outcome);
  return true;
}

void Delivery::Count(std::span<const Piece> pieces, Outcome outcome) {
  const auto add = [&](SendMetrics::Kind& kind, Piece::Kind of) {
    (outcome == Outcome::kTaken ? kind.sent : kind.failed).Add(CountOf(pieces, of));
  };
  add(metrics_.samples, Piece::Kind::kSample);
  add(metrics_.histograms, Piece::Kind::kHistogram);
  add(metrics_.exemplars, Piece::Kind::kExemplar);
  if (outcome != Outcome::kTaken) return;
  int64_t newest = 0;
  for (const Piece& p : pieces) newest = std::max(newest, p.t_ms);
  const double seconds = static_cast<double>(newest) / 1000;
  if (seconds > metrics_.highest_sent.value()) metrics_.highest_sent.Set(seconds);
}

bool Delivery::SendOnce(std::span<const Piece> pieces) {
  const Result<PostAnswer> answer = post_(Encode(pieces), headers_, stop_.flag());
  return answer.ok() && answer->status / 100 == 2;
}

bool Delivery::SendMetadata(std::span<const storage::NamedMetadata> metadata) {
  std::string body;
  (void)compress::Compress(compress::Encoding::kSnappy, EncodeMetadataV1(metadata), body);
  bool partly = false, seen = false;
  std::string why;
  const Outcome outcome =
      Try(body, [&] { metrics_.metadata.retried.Add(metadata.size()); }, &partly, &seen, &why);
  if (outcome == Outcome::kStopped) return false;
  if (outcome == Outcome::kTaken) {
    metrics_.metadata.sent.Add(metadata.size());
    metrics_.metadata_bytes.Add(body.size());
  } else {
    metrics_.metadata.failed.Add(metadata.size());
    log::Error("remote write: the receiver refused metadata", {{"answer", why}});
  }
  return true;
}

}  // namespace vedette::remote
