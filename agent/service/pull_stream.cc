#include "agent/service/pull_stream.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/model/snapshot.h"
#include "proto/vedette/v1/agent.pb.h"

namespace vedette::agent {
namespace {

namespace pb = vedette::v1;

constexpr int64_t kDefaultPullTimeoutMs = 10'000;
constexpr int64_t kMaxPullTimeoutMs = 3'600'000;
// Two servers that pull at the same moment share one collection; a host that is watched ten times a
// second gets a new one each time.
constexpr int64_t kMaxAgeMs = 25;
constexpr uint32_t kMaxBacklog = 1'000;
constexpr size_t kMaxBacklogBytes = 32 << 20;
// A cadence: no faster, no slower, and so much that nobody has confirmed at most.
constexpr int64_t kMinIntervalMs = 100;
constexpr int64_t kMaxIntervalMs = 24LL * 3'600'000;
constexpr uint32_t kMaxWindow = 64;
// A segment of the ring and the window after it: nothing is dropped before it has arrived.
constexpr size_t kMaxPendingBytes = 1 << 30;
constexpr int64_t kIdleMs = 60'000;

// A tenth of the time is left for encoding and the way back; of a short time half a second, as a busy
// machine takes no less for a large answer, and at most a quarter.
int64_t CollectionTime(int64_t timeout_ms) {
  constexpr int64_t kWayBackMs = 500;
  if (timeout_ms <= 0) timeout_ms = kDefaultPullTimeoutMs;
  timeout_ms = std::min(timeout_ms, kMaxPullTimeoutMs);
  const int64_t rest = std::max(timeout_ms / 10, std::min(kWayBackMs, timeout_ms / 4));
  return std::max<int64_t>(timeout_ms - rest, 1);
}

}  // namespace

PullStream::PullStream(Parts parts) : parts_(std::move(parts)) {}

PullStream::~PullStream() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mu_);
  Keep();
}

// What may not have arrived is for who comes next.
void PullStream::Keep() {
  if (pending_ != nullptr) {
    for (const Snapshot& snapshot : pending_->Oldest(SIZE_MAX)) parts_.ring.Push(snapshot);
    pending_ = std::make_unique<Ring>(kMaxPendingBytes);
  }
  if (unconfirmed_ != nullptr) parts_.ring.Push(unconfirmed_->snapshot);
  unconfirmed_ = nullptr;
}

Status PullStream::Hello(const pb::PullHello& hello) {
  if (hello.max_version() < wire::kPullVersion) {
    return FailedPrecondition(StrCat("this agent speaks version ", wire::kPullVersion,
                                     " of the pull format, the server up to ",
                                     hello.max_version()));
  }
  MutexLock lock(mu_);
  if (hello.cursor_run_id() == parts_.taker.run_id() && hello.cursor_sequence() != 0) {
    const uint64_t cursor[] = {hello.cursor_sequence()};
    parts_.ring.Done(cursor);
  }
  interval_ms_ = hello.interval_ms();
  parts_.sampler.Pulled(interval_ms_);
  parts_.ring.NoteInterval(interval_ms_);
  return {};
}

Status PullStream::Scrape(const pb::PullScrape& scrape) {
  const int64_t asked_ns = parts_.clock->MonotonicNs();
  if (parts_.check_peer) {
    VEDETTE_RETURN_IF_ERROR(parts_.check_peer());
  }
  MutexLock lock(mu_);
  cadence_ = false;
  Arrived(scrape.stored_sequence());
  if (scrape.interval_ms() > 0) {
    interval_ms_ = scrape.interval_ms();
    parts_.ring.NoteInterval(interval_ms_);
  }
  timeout_ms_ = scrape.timeout_ms();
  const bool cadence = scrape.has_cadence() && scrape.cadence().window() > 0 &&
                       interval_ms_ >= kMinIntervalMs && interval_ms_ <= kMaxIntervalMs &&
                       scrape.cadence().first_in_ms() >= 0 &&
                       scrape.cadence().first_in_ms() <= 2 * interval_ms_;
  if (cadence) {
    cadence_id_ = scrape.id();
    turn_ = 0;
    window_ = std::min(scrape.cadence().window(), kMaxWindow);
    next_ns_ = asked_ns + scrape.cadence().first_in_ms() * 1'000'000;
    if (pending_ == nullptr) pending_ = std::make_unique<Ring>(kMaxPendingBytes);
  }
  cadence_ = cadence;
  pb::PullResponse response;
  if (Status status = Fill(scrape.max_backlog(), response); !status.ok()) {
    cadence_ = false;
    return status;
  }
  response.set_id(scrape.id());
  response.set_cadence(cadence);
  Write(response);
  if (cadence && parts_.own_thread && !thread_.joinable()) {
    thread_ = std::thread([this] { Work(); });
    pthread_setname_np(thread_.native_handle(), "pull-cadence");
  }
  changed_.NotifyAll();
  return {};
}

Status PullStream::Fill(uint32_t max_backlog, pb::PullResponse& response) {
  auto taken =
      parts_.taker.Take({.timeout_ms = CollectionTime(timeout_ms_), .max_age_ms = kMaxAgeMs});
  if (!taken.ok()) return taken.status();
  parts_.sampler.Pulled(interval_ms_);
  if (parts_.pulled) parts_.pulled();

  Sent sent;
  sent.live = (*taken)->snapshot.sequence;
  std::vector<uint64_t> under_way = {sent.live};
  for (const Sent& s : sent_) under_way.insert(under_way.end(), s.all.begin(), s.all.end());
  size_t bytes = 0;
  if (max_backlog > 0) {
    for (const Snapshot& kept : parts_.ring.Oldest(std::min(max_backlog, kMaxBacklog), under_way)) {
      response.add_frames(encoder_.Encode(kept));
      bytes += response.frames(response.frames_size() - 1).size();
      sent.all.push_back(kept.sequence);
      // The first frame of a stream has all names; the others are small.
      if (bytes > kMaxBacklogBytes) break;
    }
  }
  response.add_frames(encoder_.Encode((*taken)->snapshot));
  response.set_version(wire::kPullVersion);
  response.set_dropped(parts_.ring.dropped());
  // The live one may be in the ring, too, if another stream broke off after it.
  sent.all.push_back(sent.live);
  under_way.insert(under_way.end(), sent.all.begin(), sent.all.end());
  response.set_backlog(parts_.ring.waiting(under_way));
  sent_.push_back(std::move(sent));
  if (cadence_) {
    unconfirmed_ = nullptr;
    pending_->Push((*taken)->snapshot);
  } else {
    unconfirmed_ = *taken;
  }
  response.set_now_ms(parts_.clock->NowMs());
  return {};
}

void PullStream::Write(const pb::PullResponse& response) {
  if (parts_.write(response)) return;
  broken_ = true;
  cadence_ = false;
}

bool PullStream::broken() const {
  MutexLock lock(mu_);
  return broken_;
}

// Of what was sent, up to and including the message whose live frame this is.
void PullStream::Arrived(uint64_t sequence) {
  size_t count = sent_.size();
  if (sequence != 0) {
    while (count > 0 && sent_[count - 1].live != sequence) --count;
  }
  if (count == 0) return;
  std::vector<uint64_t> arrived;
  for (size_t i = 0; i < count; ++i) {
    arrived.insert(arrived.end(), sent_[i].all.begin(), sent_[i].all.end());
  }
  sent_.erase(sent_.begin(), sent_.begin() + static_cast<ptrdiff_t>(count));
  parts_.ring.Done(arrived);
  if (pending_ != nullptr) pending_->Done(arrived);
  if (sent_.empty()) unconfirmed_ = nullptr;
}

Status PullStream::Stored(const pb::PullStored& stored) {
  MutexLock lock(mu_);
  if (stored.sequence() == 0) return InvalidArgument("nothing is said to be stored");
  Arrived(stored.sequence());
  if (!cadence_ || stored.shift_ms() == 0) return {};
  if (stored.shift_ms() < -interval_ms_ || stored.shift_ms() > interval_ms_) {
    return InvalidArgument(StrCat("a shift by ", stored.shift_ms(), " ms of frames that are ",
                                  interval_ms_, " ms apart"));
  }
  next_ns_ += stored.shift_ms() * 1'000'000;
  changed_.NotifyAll();
  return {};
}

int64_t PullStream::SendIfDue() {
  MutexLock lock(mu_);
  return SendDue();
}

int64_t PullStream::SendDue() {
  const int64_t now_ns = parts_.clock->MonotonicNs();
  if (cadence_ && now_ns >= next_ns_) SendFrame(now_ns);
  if (!cadence_) return kIdleMs;
  const int64_t left_ns = next_ns_ - parts_.clock->MonotonicNs();
  return std::clamp<int64_t>((left_ns + 999'999) / 1'000'000, 1, kIdleMs);
}

void PullStream::SendFrame(int64_t now_ns) {
  // A machine that slept does not catch up.
  const int64_t turns = (now_ns - next_ns_) / (interval_ms_ * 1'000'000) + 1;
  turn_ += static_cast<uint64_t>(turns);
  next_ns_ += turns * interval_ms_ * 1'000'000;
  pb::PullResponse response;
  Status status;
  if (sent_.size() >= window_) {
    // Perhaps the line is broken, and this end of it will not know for a quarter of an hour.
    Keep();
    status = ResourceExhausted("nobody confirms");
  }
  if (status.ok() && parts_.check_peer) status = parts_.check_peer();
  if (status.ok()) status = Fill(0, response);
  if (!status.ok()) {
    // The server asks, and is told why.
    response.Clear();
    cadence_ = false;
  }
  response.set_id(cadence_id_);
  response.set_turn(turn_);
  Write(response);
}

void PullStream::Work() {
  MutexLock lock(mu_);
  while (!stopping_) changed_.WaitFor(mu_, SendDue());
}

}  // namespace vedette::agent
