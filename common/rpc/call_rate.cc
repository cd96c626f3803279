#include "common/rpc/call_rate.h"

#include <algorithm>
#include <functional>

namespace vedette::rpc {

CallRate::Bucket& CallRate::Find(std::string_view certificate, int64_t now_ns) {
  const uint64_t key = std::hash<std::string_view>()(certificate);
  if (buckets_.size() >= kMaxBuckets && !buckets_.contains(key)) {
    std::erase_if(buckets_, [&](const auto& b) {
      return now_ns - b.second.at_ns > kPenaltyMs * 1'000'000;
    });
  }
  const auto [it, added] = buckets_.try_emplace(key);
  Bucket& b = it->second;
  const double burst = 2 * calls_per_second_;
  const double seconds = static_cast<double>(now_ns - b.at_ns) / 1e9;
  b.calls = added ? burst : std::min(burst, b.calls + seconds * calls_per_second_);
  b.at_ns = now_ns;
  return b;
}

void CallRate::Refuse(std::string_view certificate) {
  const int64_t now_ns = clock_.MonotonicNs();
  MutexLock lock(mu_);
  Bucket& b = Find(certificate, now_ns);
  b.calls = 0;
  b.refused_until_ns = now_ns + kPenaltyMs * 1'000'000;
}

CallRate::Verdict CallRate::Call(std::string_view certificate) {
  const int64_t now_ns = clock_.MonotonicNs();
  MutexLock lock(mu_);
  Bucket& b = Find(certificate, now_ns);
  if (now_ns < b.refused_until_ns) {
    b.calls = 0;  // Whoever goes on is refused for longer.
    b.refused_until_ns = now_ns + kPenaltyMs * 1'000'000;
    return Verdict::kRefused;
  }
  if (b.calls < 1) {
    b.refused_until_ns = now_ns + kPenaltyMs * 1'000'000;
    return Verdict::kBegins;
  }
  b.calls -= 1;
  if (now_ns - b.second_from_ns >= 1'000'000'000) {
    b.second_from_ns = now_ns;
    b.in_second = 0;
  }
  return ++b.in_second > kBusy ? Verdict::kGoBusy : Verdict::kGo;
}

bool CallRate::Refuses(std::string_view certificate) const {
  const int64_t now_ns = clock_.MonotonicNs();
  MutexLock lock(mu_);
  const auto it = buckets_.find(std::hash<std::string_view>()(certificate));
  return it != buckets_.end() && now_ns < it->second.refused_until_ns;
}

}  // namespace vedette::rpc
