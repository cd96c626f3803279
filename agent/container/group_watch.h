#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "agent/container/cgroup.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette::agent {

// GroupWatch keeps the last values of containers that come and go between two scrapes. The kernel
// says when a control group is made and when it goes (inotify on the trees' folders); while a group
// is young it is read four times a second, later ever more seldom. What was read last of a group that
// is gone is shown for a while, with the time at which it was read.
//
//   GroupWatch watch(reader, {.wanted = IsContainer, .born = [] { AskTheRuntimeForItsName(); }});
//   for (const GroupWatch::Gone& g : watch.TakeGone()) Show(g.stats, g.seen_ms);
//
// One thread, which sleeps while nothing is made. Thread-safe.
class GroupWatch {
 public:
  struct Options {
    // Which groups are worth it, by id.
    std::function<bool(std::string_view id)> wanted;
    // Called on the thread when a wanted group was made, and again when it is one and four seconds old:
    // its runtime may not have known it yet.
    std::function<void()> born;
    // A group that is gone is shown at least once and at least so long.
    int64_t show_ms = 30'000;
    const Clock* clock = &SystemClock();
  };
  struct Gone {
    CgroupStats stats;
    int64_t seen_ms = 0;  // When it was read, Unix time.
  };

  GroupWatch(const CgroupReader& reader, Options options);
  ~GroupWatch();
  GroupWatch(const GroupWatch&) = delete;
  GroupWatch& operator=(const GroupWatch&) = delete;

  // The groups that are gone and still to be shown.
  std::vector<Gone> TakeGone() VEDETTE_EXCLUDES(mu_);

  // Beyond so many folders the rest is not watched.
  static constexpr size_t kMaxWatches = 4'096;

 private:
  struct Young {
    int64_t born_ms = 0;  // Monotonic, as all below.
    int64_t next_ms = 0;
    CgroupStats last;
    int64_t seen_ms = 0;  // Unix time.
    bool known = false;
    int told = 0;  // How often born() was called since it was made.
  };
  struct Shown {
    Gone gone;
    int64_t until_ms = 0;
    bool taken = false;
  };

  void Work();
  void WatchTree(int fd, const std::string& id);
  void ReadEvents(int fd);
  void Sample() VEDETTE_EXCLUDES(mu_);
  int64_t NowMs() const { return options_.clock->MonotonicNs() / 1'000'000; }

  const CgroupReader& reader_;
  const Options options_;
  // Of the thread alone.
  std::map<int, std::string> folders_;  // Watch to the folder's id.
  std::map<std::string, Young> young_;
  int stop_fd_ = -1;

  Mutex mu_;
  std::map<std::string, Shown> gone_ VEDETTE_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace vedette::agent
