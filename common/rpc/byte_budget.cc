#include "common/rpc/byte_budget.h"

#include <algorithm>

namespace vedette::rpc {
namespace {

// A message is accounted for when it has come whole.
double Burst(int64_t per_second, int64_t seconds, const Limits& limits) {
  return static_cast<double>(per_second * seconds + limits.max_receive_bytes);
}

}  // namespace

bool ByteBudget::Bucket::Take(double bytes, int64_t ms) {
  left_ = std::min(burst_, left_ + bytes_per_second_ * static_cast<double>(ms) / 1000) - bytes;
  if (left_ >= 0) return true;
  left_ = 0;
  return false;
}

bool ByteBudget::Bucket::FullIn(int64_t ms) const {
  return left_ + bytes_per_second_ * static_cast<double>(ms) / 1000 >= burst_;
}

ByteBudget::ByteBudget(const Limits& limits, int64_t now_ms)
    : all_(static_cast<double>(limits.max_bytes_per_second),
           Burst(limits.max_bytes_per_second, 8, limits)),
      control_(static_cast<double>(limits.max_control_bytes_per_second),
               Burst(limits.max_control_bytes_per_second, 64, limits)),
      at_ms_(now_ms) {}

ByteBudget::Verdict ByteBudget::Take(const Brought& more, int64_t now_ms) {
  const int64_t ms = now_ms - at_ms_;
  at_ms_ = now_ms;
  const double bytes = static_cast<double>(more.bytes);
  const double accounted =
      static_cast<double>(more.calls * kBytesOfCall + more.messages * kBytesOfMessage);
  const bool control = control_.Take(std::max(bytes - accounted, 0.0), ms);
  if (!all_.Take(bytes, ms)) return Verdict::kTooManyBytes;
  return control ? Verdict::kFine : Verdict::kTooManyControlBytes;
}

bool ByteBudget::Full(int64_t now_ms) const {
  return all_.FullIn(now_ms - at_ms_) && control_.FullIn(now_ms - at_ms_);
}

}  // namespace vedette::rpc
