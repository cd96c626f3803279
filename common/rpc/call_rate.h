#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette::rpc {

// How often each certificate may call. A peer that opens streams and takes them back as quickly as it
// can (a rapid reset) costs a signature check and a place in a queue each time, which gRPC 1.51 does
// not bound: after a burst it is refused, without a look at anything, until it has been quiet.
//
// Thread-safe; about 0.2 us a call.
class CallRate {
 public:
  static constexpr int64_t kPenaltyMs = 10'000;

  // Bursts may be of two seconds' calls.
  CallRate(int64_t calls_per_second, const Clock& clock)
      : calls_per_second_(static_cast<double>(calls_per_second)), clock_(clock) {}

  // Calls in a second after which what was just found out about a certificate will do for a second.
  static constexpr int kBusy = 50;

  enum class Verdict : uint8_t {
    kGo,
    kGoBusy,  // It has made more than kBusy calls within a second.
    kBegins,  // Refused, and it was not a moment ago: worth a line in the log.
    kRefused,
  };
  // `certificate` as the peer showed it; "" for all who showed none.
  Verdict Call(std::string_view certificate);
  // Whether a call would be refused now. Asking does not make it longer.
  bool Refuses(std::string_view certificate) const;
  // It floods in another way: its calls are refused until it has been quiet.
  void Refuse(std::string_view certificate);

 private:
  struct Bucket {
    double calls = 0;  // That it may make now.
    int64_t at_ns = 0;
    int64_t refused_until_ns = 0;
    int64_t second_from_ns = 0;
    int in_second = 0;  // Calls since then.
  };
  // More certificates than a fleet has; those that are idle go first.
  static constexpr size_t kMaxBuckets = 20'000;

  // The bucket of a certificate, full where it is new.
  Bucket& Find(std::string_view certificate, int64_t now_ns) VEDETTE_REQUIRES(mu_);

  const double calls_per_second_;
  const Clock& clock_;
  mutable Mutex mu_;
  std::unordered_map<uint64_t, Bucket> buckets_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::rpc
