#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace vedette::agent {

// What a container's own folders (its writable layer, its runtime's folder with the log) take.
struct LayerUsage {
  double bytes = 0;
  double inodes = 0;
};

// LayerUsageScanner counts files, which is dear: so it does it on a thread of its own, a folder after
// the other, and each at most once a minute. A scrape takes what was counted last.
// Thread-safe.
class LayerUsageScanner {
 public:
  explicit LayerUsageScanner(int64_t pause_ms = 60'000);
  ~LayerUsageScanner();
  LayerUsageScanner(const LayerUsageScanner&) = delete;
  LayerUsageScanner& operator=(const LayerUsageScanner&) = delete;

  // From now on these containers' folders are counted, and no others.
  void Watch(std::map<std::string, std::vector<std::string>> folders_by_id) VEDETTE_EXCLUDES(mu_);
  // By container id; one that was not counted yet is missing.
  std::map<std::string, LayerUsage> Usage() VEDETTE_EXCLUDES(mu_);

  // Counts a folder now. At most a million files: beyond, what was found so far.
  static LayerUsage Count(const std::string& folder);

 private:
  void Work();

  const int64_t pause_ms_;
  Mutex mu_;
  CondVar changed_;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  bool new_ids_ VEDETTE_GUARDED_BY(mu_) = false;
  std::map<std::string, std::vector<std::string>> folders_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, LayerUsage> usage_ VEDETTE_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace vedette::agent
