#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/remote/send/piece.h"
#include "server/remote/send/request_body.h"
#include "server/remote/send/send_metrics.h"
#include "server/remote/send/stop_signal.h"
#include "server/storage/queryable.h"

namespace vedette::remote {

// One request to a receiver and its answer, whatever carries it.
struct PostAnswer {
  int status = 0;
  std::string body;            // Only for the log.
  int64_t retry_after_ms = 0;  // Retry-After; 0 where there is none.
  // The receiver says by X-Prometheus-Remote-Write-*-Written that it kept the good part of a 400.
  bool partly_written = false;
};
using PostHeaders = std::vector<std::pair<std::string, std::string>>;
// A Status is a failure to get an answer. Returns soon after `cancelled` is set. Thread-safe.
using Post = std::function<Result<PostAnswer>(std::string body, const PostHeaders& headers,
                                              const std::atomic<bool>& cancelled)>;

struct DeliveryOptions {
  bool version2 = false;
  std::map<std::string, std::string> headers;
  int64_t min_backoff_ms = 30;
  int64_t max_backoff_ms = 5000;
  bool retry_on_http_429 = false;
  int64_t sample_age_limit_ms = 0;
};

// Delivery brings batches to one receiver: encoded, compressed, and again until they have arrived
// or have been refused for good. A receiver that refuses a batch may refuse it because of one bad
// piece (Prometheus takes nothing of a request that has a sample out of order), so a refused batch
// is halved until the bad pieces stand alone. For a batch that may have been delivered before
// (`again`: a restart, or an answer that was lost) this goes to the end, because there the first
// part is refused exactly since it has arrived; a new one has a budget of kSplits requests.
//
// Thread-safe: shards share one.
class Delivery {
 public:
  static constexpr int kSplits = 32;

  // `metadata` may be null. All references outlive it.
  Delivery(DeliveryOptions options, Post post, const storage::MetadataQueryable* metadata,
           const Clock& clock, SendMetrics& metrics, StopSignal& stop);

  // Comes back when all pieces are dealt with. False: `stop` was set before that.
  bool Send(std::span<const Piece> pieces, bool again);
  bool SendMetadata(std::span<const storage::NamedMetadata> metadata);

  // One attempt, for what has been delivered before. False: refused, or not answered.
  bool SendOnce(std::span<const Piece> pieces);

  // How often the receiver went away (requests that got no answer after one that did), and one for
  // the start.
  uint64_t outages() const { return outages_.load(std::memory_order_acquire); }
  bool reachable() const { return reachable_.load(); }
  // When the last request was answered with success, by the monotonic clock; 0: never.
  int64_t last_success_ns() const { return last_success_ns_.load(std::memory_order_relaxed); }

 private:
  enum class Outcome : uint8_t { kTaken, kRefused, kStopped };

  // One request, tried until it has a final answer. `seen`: set where it may have been taken by an
  // attempt whose answer was lost.
  Outcome Try(const std::string& body, const std::function<void()>& retried, bool* partly,
              bool* seen, std::string* why);
  bool SendPart(std::span<const Piece> pieces, bool again, int* budget);
  void Count(std::span<const Piece> pieces, Outcome outcome);
  std::string Encode(std::span<const Piece> pieces) const;

  const DeliveryOptions options_;
  const Post post_;
  const storage::MetadataQueryable* metadata_;
  const Clock& clock_;
  SendMetrics& metrics_;
  StopSignal& stop_;
  PostHeaders headers_;
  std::atomic<int64_t> last_success_ns_{0};
  std::atomic<bool> reachable_{false};
  std::atomic<uint64_t> outages_{1};  // The start is one: who knows what was before it.
};

}  // namespace vedette::remote
