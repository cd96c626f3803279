#pragma once

#include <cstdint>

#include "common/rpc/limits.h"

// Private to common/rpc.
namespace vedette::rpc {

// What a peer brings, held against what it may: two buckets of bytes that fill up with time. One is
// for all of them, one for control bytes: those that no call and no message accounts for. With PING,
// SETTINGS, WINDOW_UPDATE, PRIORITY or empty CONTINUATION frames, or headers that unpack to
// megabytes, nobody asks anything, and each costs the thread that everybody waits for about as much
// as a small call.
//
// Not thread-safe.
class ByteBudget {
 public:
  struct Brought {
    uint64_t bytes = 0;    // TLS included.
    int64_t calls = 0;     // That it has begun,
    int64_t messages = 0;  // and sent to the end.
  };
  enum class Verdict : uint8_t { kFine, kTooManyBytes, kTooManyControlBytes };

  // What a call's headers and a message of a question are, generously.
  static constexpr int64_t kBytesOfCall = 4 << 10;
  static constexpr int64_t kBytesOfMessage = 64 << 10;

  // Full.
  ByteBudget(const Limits& limits, int64_t now_ms);

  // `more`: since the last time.
  Verdict Take(const Brought& more, int64_t now_ms);
  // Nothing would be lost by forgetting it.
  bool Full(int64_t now_ms) const;

 private:
  class Bucket {
   public:
    Bucket(double bytes_per_second, double burst)
        : bytes_per_second_(bytes_per_second), burst_(burst), left_(burst) {}
    // False: there was not so much left; it is empty then.
    bool Take(double bytes, int64_t ms);
    bool FullIn(int64_t ms) const;

   private:
    double bytes_per_second_;
    double burst_;
    double left_;
  };

  Bucket all_;
  Bucket control_;
  int64_t at_ms_;
};

}  // namespace vedette::rpc
