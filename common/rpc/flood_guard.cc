#include "common/rpc/flood_guard.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/strings.h"

namespace vedette::rpc {
namespace {

// Looks without trouble until the guard sleeps again.
constexpr int kQuietLooks = 10;
constexpr int64_t kBytesLookMs = 1000;
// While somebody's budget is not full: what came on a connection that is gone is not seen.
constexpr int64_t kCloseLookMs = 250;

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

FloodGuard::FloodGuard(const Limits& limits, OnCut on_cut)
    : limits_(limits), on_cut_(std::move(on_cut)), thread_([this] { Run(); }) {
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
    const bool all_full = WatchBytes();
    next_bytes_ms = NowMs() + (all_full ? kBytesLookMs : kCloseLookMs);
  }
}

struct FloodGuard::Share {
  struct One {
    std::string peer;
    uint64_t bytes = 0;  // In all.
    uint64_t grown = 0;  // Since the last look.
  };
  std::string certificate;
  std::vector<One> connections;
  ByteBudget::Brought grown;
};

FloodGuard::Shares FloodGuard::LookAtBytes(const std::vector<int>& ports, int64_t now_ms) {
  // A connection that was not there a moment ago is young, and all that came on it came just now.
  constexpr int64_t kMomentMs = 5000;
  const bool young = now_ms - bytes_at_ms_ < kMomentMs;
  bytes_at_ms_ = now_ms;
  Shares shares;
  const std::vector<Traffic> all = Received(ports);
  std::map<uint64_t, ByteBudget::Brought> next;
  std::map<std::string, Connection> books;
  if (!all.empty()) {
    for (Connection& c : ServerConnections()) books[c.peer] = std::move(c);
  }
  for (const Traffic& t : all) {
    ByteBudget::Brought now{.bytes = t.received_bytes};
    const auto book = books.find(t.peer);  // None while it shakes hands.
    if (book != books.end()) {
      now.calls = book->second.streams;
      now.messages = book->second.messages;
    }
    ByteBudget::Brought before = young ? ByteBudget::Brought{} : now;
    if (const auto it = brought_.find(t.socket);
        it != brought_.end() && it->second.bytes <= t.received_bytes) {
      before = it->second;
    }
    now.calls = std::max(now.calls, before.calls);
    now.messages = std::max(now.messages, before.messages);
    next[t.socket] = now;
    const bool named = book != books.end() && !book->second.certificate.empty();
    Share& share = shares[named ? book->second.certificate : StrCat("socket ", t.socket)];
    if (named) share.certificate = book->second.certificate;
    const uint64_t grown = now.bytes - before.bytes;
    share.connections.push_back({.peer = t.peer, .bytes = now.bytes, .grown = grown});
    share.grown.bytes += grown;
    share.grown.calls += now.calls - before.calls;
    share.grown.messages += now.messages - before.messages;
  }
  brought_ = std::move(next);
  return shares;
}

bool FloodGuard::WatchBytes() {
  std::vector<int> ports;
  {
    MutexLock lock(mu_);
    ports = ports_;
  }
  if (ports.empty()) return true;
  const int64_t now_ms = NowMs();
  const Shares shares = LookAtBytes(ports, now_ms);
  for (const auto& [owner, share] : shares) {
    ByteBudget& budget = budgets_.try_emplace(owner, limits_, now_ms).first->second;
    switch (budget.Take(share.grown, now_ms)) {
      case ByteBudget::Verdict::kFine:
        break;
      case ByteBudget::Verdict::kTooManyBytes:
        CutFlooded(share, Cut::Reason::kBytes);
        break;
      case ByteBudget::Verdict::kTooManyControlBytes:
        CutFlooded(share, Cut::Reason::kControlBytes);
        break;
    }
  }
  std::erase_if(budgets_, [&](const auto& b) { return b.second.Full(now_ms); });
  return budgets_.empty();
}

void FloodGuard::CutFlooded(const Share& share, Cut::Reason reason) {
  uint64_t most = 0;
  for (const Share::One& c : share.connections) most = std::max(most, c.grown);
  for (const Share::One& c : share.connections) {
    // Not those that only stand beside it.
    if (c.grown * 8 < most || !CutOff(c.peer)) continue;
    if (!on_cut_) continue;
    on_cut_({.reason = reason,
             .peer = c.peer,
             .certificate = share.certificate,
             .bytes = c.bytes});
  }
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
    if (calls < kTrouble) continue;
    busy.push_back({.peer = c.peer, .certificate = c.certificate, .calls = calls, .ms = ms});
  }
  std::ranges::sort(busy, [](const Cut& a, const Cut& b) { return a.calls > b.calls; });
  int cut = 0;
  for (size_t i = 0; i < busy.size(); ++i) {
    const bool over = busy[i].calls * 1000 > limits_.max_calls_per_second * ms;
    if (i > 0 && !over) break;
    if (!CutOff(busy[i].peer)) continue;
    ++cut;
    if (on_cut_) on_cut_(busy[i]);
  }
  return cut;
}

}  // namespace vedette::rpc
