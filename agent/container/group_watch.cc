#include "agent/container/group_watch.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr int64_t kYoungMs = 5'000;
constexpr int64_t kGrownMs = 60'000;
constexpr size_t kMaxGone = 1'000;

// Four times a second while it may be gone any moment, every second in its first minute, then as
// often as people scrape.
int64_t PauseMs(int64_t age_ms) {
  if (age_ms < kYoungMs) return 250;
  return age_ms < kGrownMs ? 1'000 : 15'000;
}

}  // namespace

GroupWatch::GroupWatch(const CgroupReader& reader, Options options)
    : reader_(reader), options_(std::move(options)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([this] { Work(); });
  pthread_setname_np(thread_.native_handle(), "cgroup-watch");
}

GroupWatch::~GroupWatch() {
  const uint64_t one = 1;
  (void)!write(stop_fd_, &one, sizeof one);
  thread_.join();
  close(stop_fd_);
}

void GroupWatch::WatchTree(int fd, const std::string& id) {
  for (const std::string& folder : reader_.Folders(id)) {
    if (folders_.size() >= kMaxWatches) return;
    const int watch = inotify_add_watch(fd, folder.c_str(), IN_CREATE | IN_DELETE | IN_ONLYDIR);
    if (watch >= 0) folders_[watch] = id;
  }
}

void GroupWatch::ReadEvents(int fd) {
  alignas(inotify_event) char buffer[16 << 10];
  bool born = false;
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof *event + event->len;
      if ((event->mask & IN_IGNORED) != 0) {
        folders_.erase(event->wd);
        continue;
      }
      const auto folder = folders_.find(event->wd);
      if (folder == folders_.end() || (event->mask & IN_ISDIR) == 0 || event->len == 0) continue;
      const std::string id = StrCat(folder->second == "/" ? "" : folder->second, "/", event->name);
      if ((event->mask & IN_DELETE) != 0) {
        // Noticed now, not when its turn comes.
        if (const auto young = young_.find(id); young != young_.end()) young->second.next_ms = 0;
        continue;
      }
      if ((event->mask & IN_CREATE) != 0) {
        WatchTree(fd, id);
        // What was made in it before the watch stood.
        for (const std::string& below : reader_.IdsBelow(id)) WatchTree(fd, below);
        if (options_.wanted(id) && young_.try_emplace(id, Young{.born_ms = NowMs()}).second) {
          born = true;
        }
      }
    }
  }
  if (born && options_.born) options_.born();
}

void GroupWatch::Sample() {
  constexpr std::array<int64_t, 2> kTellAgainMs = {1'000, 4'000};
  const int64_t now = NowMs();
  bool tell = false;
  for (auto at = young_.begin(); at != young_.end();) {
    Young& y = at->second;
    if (now < y.next_ms) {
      ++at;
      continue;
    }
    auto stats = reader_.ReadOne(at->first);
    if (stats) {
      y.last = *std::move(stats);
      y.seen_ms = options_.clock->NowMs();
      y.known = true;
      y.next_ms = now + PauseMs(now - y.born_ms);
      if (y.told < static_cast<int>(kTellAgainMs.size()) &&
          now - y.born_ms >= kTellAgainMs[static_cast<size_t>(y.told)]) {
        ++y.told;
        tell = true;
      }
      ++at;
      continue;
    }
    if (y.known) {
      MutexLock lock(mu_);
      if (gone_.size() < kMaxGone) {
        gone_[at->first] = {{std::move(y.last), y.seen_ms}, now + options_.show_ms, false};
      }
    }
    at = young_.erase(at);
  }
  if (tell && options_.born) options_.born();
}

void GroupWatch::Work() {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd >= 0) {
    for (const std::string& id : reader_.IdsBelow("/")) {
      WatchTree(fd, id);
      // Those that are there already are old: nobody has to hurry.
      if (options_.wanted(id)) young_.try_emplace(id, Young{.born_ms = NowMs() - kGrownMs, .told = 2});
    }
  }
  for (;;) {
    Sample();
    int64_t pause = 60'000;
    const int64_t now = NowMs();
    for (const auto& [id, y] : young_) pause = std::min(pause, std::max<int64_t>(y.next_ms - now, 1));
    pollfd waits[2] = {{.fd = stop_fd_, .events = POLLIN, .revents = 0},
                       {.fd = fd, .events = POLLIN, .revents = 0}};
    poll(waits, fd >= 0 ? 2 : 1, static_cast<int>(pause));
    if ((waits[0].revents & POLLIN) != 0) break;
    if (fd >= 0 && (waits[1].revents & POLLIN) != 0) ReadEvents(fd);
  }
  if (fd >= 0) close(fd);
}

std::vector<GroupWatch::Gone> GroupWatch::TakeGone() {
  MutexLock lock(mu_);
  const int64_t now = NowMs();
  std::vector<Gone> out;
  for (auto at = gone_.begin(); at != gone_.end();) {
    Shown& shown = at->second;
    if (shown.taken && now >= shown.until_ms) {
      at = gone_.erase(at);
      continue;
    }
    shown.taken = true;
    out.push_back(shown.gone);
    ++at;
  }
  return out;
}

}  // namespace vedette::agent
