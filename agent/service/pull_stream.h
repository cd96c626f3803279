#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "agent/snapshot/ring.h"
#include "agent/snapshot/sampler.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/wire/pull.h"

namespace vedette::v1 {
class PullHello;
class PullResponse;
class PullScrape;
class PullStored;
}  // namespace vedette::v1

namespace vedette::agent {

// PullStream is the agent's side of one open AgentService.Pull: what was said on it, what may not
// have arrived, and the cadence at which its server wants to be told without asking.
//
//   PullStream pull({.taker = taker, …, .write = [&](const auto& m) { return stream->Write(m); }});
//   while (stream->Read(&request)) status = pull.Scrape(request.scrape());   // And Hello, Stored.
//
// What was sent and is not known to have arrived when the stream ends goes into the ring. Without a
// cadence that is the last answer, which is kept as it is; with one it may be some frames, which are
// kept encoded, as the ring does.
//
// The three calls are made by one thread; frames by cadence are sent by a thread of the stream's own,
// which is there from the first cadence on.
class PullStream {
 public:
  struct Parts {
    SnapshotTaker& taker;
    Ring& ring;
    Sampler& sampler;
    const Clock* clock = &SystemClock();
    std::function<void()> pulled;       // At each scrape. May be null.
    std::function<Status()> check_peer;  // Whether the caller is still to be believed. May be null.
    // Sends a message; false where the stream is broken. One at a time.
    std::function<bool(const v1::PullResponse& response)> write;
    bool own_thread = true;  // Without it a test calls SendIfDue().
  };

  explicit PullStream(Parts parts);
  ~PullStream();
  PullStream(const PullStream&) = delete;
  PullStream& operator=(const PullStream&) = delete;

  Status Hello(const v1::PullHello& hello) VEDETTE_EXCLUDES(mu_);
  // Answers. An error ends the stream.
  Status Scrape(const v1::PullScrape& scrape) VEDETTE_EXCLUDES(mu_);
  Status Stored(const v1::PullStored& stored) VEDETTE_EXCLUDES(mu_);
  // A message could not be written.
  bool broken() const VEDETTE_EXCLUDES(mu_);

  // Sends the frame that the cadence wants, if it is time to, and says in how many milliseconds to
  // look again.
  int64_t SendIfDue() VEDETTE_EXCLUDES(mu_);

 private:
  // A message that may not have arrived.
  struct Sent {
    uint64_t live = 0;
    std::vector<uint64_t> all;  // The kept ones before it, too.
  };

  int64_t SendDue() VEDETTE_REQUIRES(mu_);
  void SendFrame(int64_t now_ns) VEDETTE_REQUIRES(mu_);
  // Takes a snapshot and puts it into `response`, after up to `max_backlog` kept ones.
  Status Fill(uint32_t max_backlog, v1::PullResponse& response) VEDETTE_REQUIRES(mu_);
  void Write(const v1::PullResponse& response) VEDETTE_REQUIRES(mu_);
  void Arrived(uint64_t sequence) VEDETTE_REQUIRES(mu_);
  void Keep() VEDETTE_REQUIRES(mu_);
  void Work() VEDETTE_EXCLUDES(mu_);

  const Parts parts_;
  std::thread thread_;  // Of the calls' thread.

  // Held while a snapshot is taken, encoded and written: a frame stands on the one before it, so they
  // leave in the order in which they are encoded.
  mutable Mutex mu_;
  CondVar changed_;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  bool broken_ VEDETTE_GUARDED_BY(mu_) = false;
  wire::PullEncoder encoder_ VEDETTE_GUARDED_BY(mu_);
  int64_t interval_ms_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t timeout_ms_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::deque<Sent> sent_ VEDETTE_GUARDED_BY(mu_);
  // The last one that was sent while no cadence was set.
  std::shared_ptr<const TakenSnapshot> unconfirmed_ VEDETTE_GUARDED_BY(mu_);
  // Those that were sent under one. Null before the first.
  std::unique_ptr<Ring> pending_ VEDETTE_GUARDED_BY(mu_);
  // The cadence.
  bool cadence_ VEDETTE_GUARDED_BY(mu_) = false;
  uint64_t cadence_id_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t turn_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t next_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
  size_t window_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
