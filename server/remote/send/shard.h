#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "server/remote/send/piece.h"

namespace vedette::remote {

// Shard is one thread that collects pieces into batches and hands them out one after the other, so
// that the pieces of a series, which always come to the same shard, stay in order. A batch goes
// when it is full, or when its first piece has waited for the deadline, or at once after Flush().
class Shard {
 public:
  struct Options {
    size_t capacity = 10'000;
    size_t max_batch = 2'000;
    int64_t deadline_ms = 5'000;
  };
  // `deliver` runs on the shard's thread.
  Shard(Options options, std::function<void(std::vector<Piece>)> deliver);
  ~Shard();  // Stops: what is left is not delivered.
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // False where there is no room; `piece` is as it was.
  bool TryPush(Piece& piece) VEDETTE_EXCLUDES(mu_);
  // Waits until there is room, at most so long.
  void WaitForRoom(int64_t timeout_ms) VEDETTE_EXCLUDES(mu_);
  void Flush() VEDETTE_EXCLUDES(mu_);
  // Everything that was pushed has been delivered.
  bool idle() const VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);

 private:
  void Run();

  const Options options_;
  const std::function<void(std::vector<Piece>)> deliver_;
  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Piece> waiting_ VEDETTE_GUARDED_BY(mu_);
  bool busy_ VEDETTE_GUARDED_BY(mu_) = false;
  bool flush_ VEDETTE_GUARDED_BY(mu_) = false;
  bool stop_ VEDETTE_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace vedette::remote
