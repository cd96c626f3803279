#include "agent/container/layer_usage.h"

#include <fts.h>
#include <pthread.h>
#include <sys/stat.h>

#include <set>
#include <utility>

namespace vedette::agent {
namespace {

constexpr size_t kMaxFiles = 1'000'000;

}  // namespace

LayerUsageScanner::LayerUsageScanner(int64_t pause_ms) : pause_ms_(pause_ms) {
  thread_ = std::thread([this] { Work(); });
  pthread_setname_np(thread_.native_handle(), "layer-usage");
}

LayerUsageScanner::~LayerUsageScanner() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void LayerUsageScanner::Watch(std::map<std::string, std::vector<std::string>> folders_by_id) {
  MutexLock lock(mu_);
  for (const auto& [id, folders] : folders_by_id) new_ids_ |= !folders_.contains(id);
  std::erase_if(usage_, [&](const auto& one) { return !folders_by_id.contains(one.first); });
  folders_ = std::move(folders_by_id);
  if (new_ids_) changed_.NotifyAll();
}

std::map<std::string, LayerUsage> LayerUsageScanner::Usage() {
  MutexLock lock(mu_);
  return usage_;
}

LayerUsage LayerUsageScanner::Count(const std::string& folder) {
  LayerUsage total;
  char* const paths[] = {const_cast<char*>(folder.c_str()), nullptr};
  FTS* tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (tree == nullptr) return total;
  std::set<std::pair<dev_t, ino_t>> linked;  // A file with two names is one file.
  size_t seen = 0;
  while (const FTSENT* entry = fts_read(tree)) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR) {
      continue;
    }
    if (++seen > kMaxFiles) break;
    const struct stat& s = *entry->fts_statp;
    if (s.st_nlink > 1 && !S_ISDIR(s.st_mode) && !linked.emplace(s.st_dev, s.st_ino).second) {
      continue;
    }
    total.bytes += static_cast<double>(s.st_blocks) * 512;
    ++total.inodes;
  }
  fts_close(tree);
  return total;
}

void LayerUsageScanner::Work() {
  for (;;) {
    std::map<std::string, std::vector<std::string>> folders;
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      new_ids_ = false;
      folders = folders_;
    }
    for (const auto& [id, list] : folders) {
      LayerUsage total;
      for (const std::string& folder : list) {
        const LayerUsage one = Count(folder);
        total.bytes += one.bytes;
        total.inodes += one.inodes;
      }
      MutexLock lock(mu_);
      if (stopping_) return;
      if (folders_.contains(id)) usage_[id] = total;
    }
    MutexLock lock(mu_);
    if (!new_ids_ && !stopping_) changed_.WaitFor(mu_, pause_ms_);
  }
}

}  // namespace vedette::agent
