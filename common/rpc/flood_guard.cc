#include "common/rpc/flood_guard.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/rpc/call_rate.h"

namespace vedette::rpc {
namespace {

// Looks without trouble until the guard sleeps again.
constexpr int kQuietLooks = 10;
constexpr int64_t kBytesLookMs = 1000;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What wakes the guard: the timer and whoever calls Wake(). Sent to its thread alone, which never
// lets it interrupt anything.
int Signal() { return SIGRTMIN + 7; }

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, Signal());
  return set;
}

// Signals the calling thread each time that the process has used so much CPU time.
class CpuTimer {
 public:
  explicit CpuTimer(int64_t every_ns) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = Signal();
    event._sigev_un._tid = gettid();
    made_ = timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer_) == 0;
    if (!made_) return;
    const timespec every = {every_ns / 1'000'000'000, every_ns % 1'000'000'000};
    const itimerspec times = {every, every};
    (void)timer_settime(timer_, 0, &times, nullptr);
  }
  ~CpuTimer() {
    if (made_) (void)timer_delete(timer_);
  }
  CpuTimer(const CpuTimer&) = delete;
  CpuTimer& operator=(const CpuTimer&) = delete;

 private:
  timer_t timer_{};
  bool made_ = false;
};

}  // namespace

FloodGuard::FloodGuard(OnCut on_cut) : on_cut_(std::move(on_cut)), thread_([this] { Run(); }) {
  (void)pthread_setname_np(thread_.native_handle(), "rpc-flood-guard");
  while (!ready_) std::this_thread::yield();  // Before that the signal would end the process.
}

FloodGuard::~FloodGuard() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

void FloodGuard::Watch(std::vector<int> ports) {
  MutexLock lock(mu_);
  ports_ = std::move(ports);
}

void FloodGuard::Wake() { (void)pthread_kill(thread_.native_handle(), Signal()); }

void FloodGuard::Refused() {
  refused_.fetch_add(1, std::memory_order_relaxed);
  if (!awake_.exchange(true)) Wake();
}

void FloodGuard::Stop() {
  {
    MutexLock lock(mu_);
    if (stopping_) return;
    stopping_ = true;
  }
  Wake();
}

bool FloodGuard::Stopping() const {
  MutexLock lock(mu_);
  return stopping_;
}

bool FloodGuard::Sleep(int64_t ms) {
  const sigset_t signals = Signals();
  const int64_t until = NowMs() + ms;
  while (!Stopping()) {
    const int64_t left = until - NowMs();
    if (left <= 0) return true;
    const timespec wait = {left / 1000, left % 1000 * 1'000'000};
    (void)sigtimedwait(&signals, nullptr, &wait);
  }
  return false;
}

void FloodGuard::Run() {
  const sigset_t signals = Signals();
  (void)pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const CpuTimer timer(kCpuNs);
  ready_ = true;
  int64_t next_bytes_ms = 0;
  while (!Stopping()) {
    (void)sigwaitinfo(&signals, nullptr);
    if (Stopping()) return;
    if (awake_) {
      WatchCalls();
      awake_ = false;
    }
    if (NowMs() < next_bytes_ms) continue;
    WatchBytes();
    next_bytes_ms = NowMs() + kBytesLookMs;
  }
}

void FloodGuard::WatchBytes() {
  // A connection that was not there a moment ago is young, and all that came on it came just now.
  constexpr int64_t kMomentMs = 5000;
  std::vector<int> ports;
  {
    MutexLock lock(mu_);
    ports = ports_;
  }
  if (ports.empty()) return;
  const std::vector<Traffic> all = Received(ports);
  const int64_t now_ms = NowMs();
  const bool young = now_ms - bytes_at_ms_ < kMomentMs;
  bytes_at_ms_ = now_ms;
  std::map<uint64_t, Brought> next;
  for (const Traffic& t : all) {
    Brought b{.bytes = young ? 0 : t.received_bytes, .at_ms = now_ms};
    if (const auto it = brought_.find(t.socket);
        it != brought_.end() && it->second.bytes <= t.received_bytes) {
      b = it->second;
    }
    b.left = std::min(kBurstBytes,
                      b.left + kBytesPerSecond * static_cast<double>(now_ms - b.at_ms) / 1000);
    b.left -= static_cast<double>(t.received_bytes - b.bytes);
    b.bytes = t.received_bytes;
    b.at_ms = now_ms;
    if (b.left < 0 && CutOff(t.peer)) {
      if (on_cut_) on_cut_({.peer = t.peer, .bytes = t.received_bytes});
      continue;
    }
    next[t.socket] = b;
  }
  brought_ = std::move(next);
}

FloodGuard::Streams FloodGuard::Count(const std::vector<Connection>& connections) {
  Streams out;
  for (const Connection& c : connections) out[c.id] = c.streams;
  return out;
}

void FloodGuard::WatchCalls() {
  Streams before = Count(ServerConnections());
  int64_t at_ms = NowMs();
  refused_ = 0;
  for (int quiet = 0; quiet < kQuietLooks;) {
    if (!Sleep(kLookMs)) return;
    const bool trouble = refused_.exchange(0) >= kTrouble;
    const std::vector<Connection> now = ServerConnections();
    const int64_t now_ms = NowMs();
    // What a connection had sent is still being worked off for a moment after its end, and would be
    // held against the next.
    const bool settle =
        trouble && CutBusiest(before, now, std::max<int64_t>(now_ms - at_ms, 1)) > 0;
    if (settle && !Sleep(kLookMs)) return;
    if (settle) refused_ = 0;
    quiet = trouble ? 0 : quiet + 1;
    before = Count(settle ? ServerConnections() : now);
    at_ms = NowMs();
  }
}

int FloodGuard::CutBusiest(const Streams& before, const std::vector<Connection>& now, int64_t ms) {
  std::vector<Cut> busy;
  for (const Connection& c : now) {
    const auto it = before.find(c.id);
    const int64_t calls = c.streams - (it == before.end() ? 0 : it->second);
    if (calls >= kTrouble) busy.push_back({.peer = c.peer, .calls = calls, .ms = ms});
  }
  std::ranges::sort(busy, [](const Cut& a, const Cut& b) { return a.calls > b.calls; });
  int cut = 0;
  for (size_t i = 0; i < busy.size(); ++i) {
    const bool over = busy[i].calls * 1000 > static_cast<int64_t>(CallRate::kCallsPerSecond) * ms;
    if (i > 0 && !over) break;
    if (!CutOff(busy[i].peer)) continue;
    ++cut;
    if (on_cut_) on_cut_(busy[i]);
  }
  return cut;
}

}  // namespace vedette::rpc
