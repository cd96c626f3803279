#include "common/base/rate_limit.h"

#include <algorithm>
#include <iterator>

namespace vedette {

RateLimit::RateLimit(Rates rates, const Clock& clock)
    : rates_(rates), clock_(clock), all_{rates.all_burst, clock.MonotonicNs()} {}

void RateLimit::Refill(Bucket& bucket, double burst, double per_second, int64_t now_ns) {
  const double seconds = static_cast<double>(now_ns - bucket.at_ns) / 1e9;
  bucket.left = std::min(burst, bucket.left + seconds * per_second);
  bucket.at_ns = now_ns;
}

RateLimit::Verdict RateLimit::Take(std::string_view peer) {
  const int64_t now_ns = clock_.MonotonicNs();
  MutexLock lock(mu_);
  Refill(all_, rates_.all_burst, rates_.all_per_second, now_ns);
  if (all_.left < 1) return Verdict::kAllTooOften;
  auto at = peers_.find(std::string(peer));
  if (at == peers_.end()) {
    if (peers_.size() >= kMaxPeers) {
      // Who has a full bucket again loses nothing by being forgotten.
      for (auto it = peers_.begin(); it != peers_.end();) {
        Refill(it->second, rates_.peer_burst, rates_.peer_per_second, now_ns);
        it = it->second.left >= rates_.peer_burst ? peers_.erase(it) : std::next(it);
      }
    }
    if (peers_.size() >= kMaxPeers) return Verdict::kAllTooOften;
    at = peers_.emplace(peer, Bucket{rates_.peer_burst, now_ns}).first;
  }
  Refill(at->second, rates_.peer_burst, rates_.peer_per_second, now_ns);
  if (at->second.left < 1) return Verdict::kPeerTooOften;
  at->second.left -= 1;
  all_.left -= 1;
  return Verdict::kGo;
}

}  // namespace vedette
