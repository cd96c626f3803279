#include "server/discovery/directory_watcher.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace vedette::discovery {
namespace {

// What a text editor, a rename over the file, a symlink swapped by an orchestrator and rm do.
constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;

}  // namespace

DirectoryWatcher::DirectoryWatcher(std::function<void(const std::string&)> changed)
    : changed_(std::move(changed)),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  if (inotify_ >= 0 && stop_ >= 0) {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "sd-watch");
      Run();
    });
  }
}

DirectoryWatcher::~DirectoryWatcher() {
  Stop();
  if (inotify_ >= 0) close(inotify_);
  if (stop_ >= 0) close(stop_);
}

bool DirectoryWatcher::Watch(const std::string& directory) {
  if (!thread_.joinable()) return false;
  MutexLock lock(mu_);
  const int descriptor = inotify_add_watch(inotify_, directory.c_str(), kEvents);
  if (descriptor < 0) return false;
  directories_[descriptor] = directory;
  return true;
}

void DirectoryWatcher::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  // An eventfd takes a write of eight bytes unless its counter is full; once is enough.
  if (write(stop_, &one, sizeof one) < 0) return;
  thread_.join();
}

void DirectoryWatcher::Run() {
  alignas(inotify_event) char buffer[16384];
  while (true) {
    pollfd waits[2] = {{inotify_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    if (waits[1].revents != 0) return;
    std::set<std::string> changed;
    ssize_t length;
    while ((length = read(inotify_, buffer, sizeof buffer)) > 0) {
      for (ssize_t at = 0; at < length;) {
        inotify_event event;
        std::memcpy(&event, buffer + at, sizeof event);
        at += static_cast<ssize_t>(sizeof event + event.len);
        MutexLock lock(mu_);
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
          // Events were lost: anything may have changed.
          for (const auto& [descriptor, directory] : directories_) changed.insert(directory);
          continue;
        }
        auto known = directories_.find(event.wd);
        if (known == directories_.end()) continue;
        changed.insert(known->second);
        if ((event.mask & IN_IGNORED) != 0) directories_.erase(known);
      }
    }
    for (const std::string& directory : changed) changed_(directory);
  }
}

}  // namespace vedette::discovery
