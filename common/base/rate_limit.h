#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette {

// How often one peer, and all peers together, may knock: two token buckets for each knock, one of the
// peer and one for everybody. What a peer is, the caller says: an address, a certificate. Remembers
// at most so many peers; the memory is O(kMaxPeers) whatever comes. Thread-safe.
class RateLimit {
 public:
  struct Rates {
    double peer_burst = 0;
    double peer_per_second = 0;
    double all_burst = 0;
    double all_per_second = 0;
  };
  static constexpr size_t kMaxPeers = 4096;

  RateLimit(Rates rates, const Clock& clock);

  enum class Verdict : uint8_t { kGo, kPeerTooOften, kAllTooOften };
  // Whether this one may go on; takes one from both buckets if so.
  Verdict Take(std::string_view peer) VEDETTE_EXCLUDES(mu_);

 private:
  struct Bucket {
    double left;
    int64_t at_ns;
  };
  static void Refill(Bucket& bucket, double burst, double per_second, int64_t now_ns);

  const Rates rates_;
  const Clock& clock_;
  Mutex mu_;
  Bucket all_ VEDETTE_GUARDED_BY(mu_);
  std::unordered_map<std::string, Bucket> peers_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette
