#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "common/base/mutex.h"

namespace vedette::discovery {

// Tells when something in a directory changes (inotify). One thread; events while one call of
// `changed` is on its way are told by one more. Without inotify (no more instances) nothing is
// told, and the refresh interval is what remains. Thread-safe.
class DirectoryWatcher {
 public:
  // `changed` is called from the watcher's thread, with the directory as given to Watch.
  explicit DirectoryWatcher(std::function<void(const std::string& directory)> changed);
  ~DirectoryWatcher();
  DirectoryWatcher(const DirectoryWatcher&) = delete;
  DirectoryWatcher& operator=(const DirectoryWatcher&) = delete;

  // Watching twice is watching once. False when it cannot be watched, as when it does not exist.
  bool Watch(const std::string& directory) VEDETTE_EXCLUDES(mu_);
  void Stop();

 private:
  void Run();

  const std::function<void(const std::string&)> changed_;
  const int inotify_;
  const int stop_;  // eventfd
  mutable Mutex mu_;
  std::map<int, std::string> directories_ VEDETTE_GUARDED_BY(mu_);  // By watch descriptor.
  std::thread thread_;
};

}  // namespace vedette::discovery
