#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/rpc/byte_budget.h"
#include "common/rpc/connections.h"
#include "common/rpc/limits.h"

// Private to common/rpc.
namespace vedette::rpc {

// Cuts off whoever floods: with calls, with bytes, or with frames that ask nothing.
//
// Calls: CallRate refuses those of a certificate that makes too many, but each still costs
// gRPC 1.51 a stream, some 20 us in the threads that everybody waits for; and at the place where it
// is refused nobody knows on which connection it came. So while calls are being refused, this looks
// ten times a second at how many streams each connection has begun, and ends those that begin more
// than a certificate may, and the busiest of all: whoever floods on many connections at once loses
// one after the other. A peer that is cut off by mistake connects again; one that floods has its
// certificate refused meanwhile.
//
// Bytes and frames: what is asked of our doors is small. A certificate that brings more than its
// ByteBudget loses the connections on which it does: gRPC 1.51 keeps, for example, all of a header
// block that never ends, and works off as many SETTINGS as are sent. Whoever showed no certificate
// has a budget for each connection. That is looked at once a second at most, four times while a
// budget is not full, and only after the process has used kCpuNs of CPU time, which a flood does at
// once and an agent that is at rest in a minute: a timer on that clock wakes the guard. While
// nothing happens it costs nothing.
//
// Thread-safe.
class FloodGuard {
 public:
  struct Cut {
    enum class Reason : uint8_t { kCalls, kBytes, kControlBytes };
    Reason reason = Reason::kCalls;
    std::string peer;         // "ipv4:192.0.2.7:40312"
    std::string certificate;  // PEM; "" where it showed none.
    int64_t calls = 0;        // That it began within these milliseconds,
    int64_t ms = 0;
    uint64_t bytes = 0;  // or what it has sent in all.
  };
  // Called from the guard's thread.
  using OnCut = std::function<void(const Cut&)>;

  static constexpr int64_t kLookMs = 100;
  // In one look. Fewer refused calls than these are nobody's trouble.
  static constexpr int64_t kTrouble = 20;
  static constexpr int64_t kCpuNs = 250'000'000;

  FloodGuard(const Limits& limits, OnCut on_cut);
  ~FloodGuard();
  FloodGuard(const FloodGuard&) = delete;
  FloodGuard& operator=(const FloodGuard&) = delete;

  // Looks at the bytes that come to these ports, from here on.
  void Watch(std::vector<int> ports);
  // A call was refused because its certificate makes too many. Some ns.
  void Refused();
  // Cuts nobody off from here on. Idempotent.
  void Stop();

 private:
  using Streams = std::map<int64_t, int64_t>;  // By Connection::id.

  // What one certificate's connections have brought since the last look.
  struct Share;
  using Shares = std::map<std::string, Share>;

  void Run();
  void WatchCalls();
  bool WatchBytes();  // Whether all budgets are full.
  Shares LookAtBytes(const std::vector<int>& ports, int64_t now_ms);
  void CutFlooded(const Share& share, Cut::Reason reason);
  bool Sleep(int64_t ms);  // False: stopped.
  static Streams Count(const std::vector<Connection>& connections);
  // How many were cut off.
  int CutBusiest(const Streams& before, const std::vector<Connection>& now, int64_t ms);

  void Wake();
  bool Stopping() const VEDETTE_EXCLUDES(mu_);

  const Limits limits_;
  const OnCut on_cut_;
  std::atomic<int64_t> refused_{0};
  std::atomic<bool> awake_{false};
  std::atomic<bool> ready_{false};
  mutable Mutex mu_;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<int> ports_ VEDETTE_GUARDED_BY(mu_);
  // The thread's own.
  std::map<uint64_t, ByteBudget::Brought> brought_;  // Of each connection, by Traffic::socket.
  std::map<std::string, ByteBudget> budgets_;        // By certificate; else by connection.
  int64_t bytes_at_ms_ = INT64_MIN / 2;  // The last look at them.
  std::thread thread_;
};

}  // namespace vedette::rpc
