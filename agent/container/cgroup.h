#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette::agent {

// What a control group has used of one block device.
struct BlockUsage {
  std::string major, minor;
  double reads = 0, writes = 0;
  double read_bytes = 0, written_bytes = 0;
  // Bytes by operation, as the kernel calls it: Read, Write, Sync, ...
  std::map<std::string, double> bytes_by_operation;
};

// Everything read of one control group, in seconds and bytes whichever version it came from. What
// the kernel does not say is not there.
struct CgroupStats {
  std::string id;  // The path below the root: "/" is the machine.
  std::optional<double> start_time_seconds;
  std::optional<double> processes, threads, threads_max;
  int64_t first_process = 0;  // Of the group itself; 0: it has none.

  std::map<std::string, double> cpu_usage_seconds;  // By "cpu00" or, on version 2, "total".
  std::optional<double> cpu_user_seconds, cpu_system_seconds;
  std::optional<double> cfs_periods, cfs_throttled_periods, cfs_throttled_seconds;
  std::optional<double> cfs_burst_periods, cfs_burst_seconds;
  std::optional<double> cpu_period, cpu_quota, cpu_shares;

  std::optional<double> memory_usage, memory_max_usage, memory_working_set, memory_rss,
      memory_cache, memory_swap, memory_mapped_file, memory_failcnt, memory_kernel;
  std::optional<double> memory_active_file, memory_inactive_file, memory_file_dirty,
      memory_file_writeback, memory_pgscan, memory_pgsteal, refault_anon, refault_file;
  std::optional<double> page_faults, major_page_faults;
  std::optional<double> events_high, events_max, oom_kills;
  std::optional<double> memory_limit, memory_reservation, memory_swap_limit;

  std::map<std::string, double> pressure_waiting_seconds;  // By cpu, memory, io.
  std::map<std::string, double> pressure_stalled_seconds;
  std::vector<BlockUsage> block;
};

// Reads the control groups under `root` (/sys/fs/cgroup): version 1 (one tree a controller),
// version 2 (one tree), or both side by side (the unified tree then has what version 1 lacks:
// pressure). Each call walks the trees anew. Thread-safe.
class CgroupReader {
 public:
  CgroupReader(std::string root, std::string procfs)
      : root_(std::move(root)), procfs_(std::move(procfs)) {}

  // Beyond so many groups the rest is left out, and ResourceExhausted says so once all else is
  // read.
  static constexpr size_t kMaxGroups = 10'000;
  static constexpr int kMaxDepth = 32;

  // In order of their ids. A group that goes away while it is read is left out.
  Result<std::vector<CgroupStats>> Read() const;

  // One group; nothing where it is not there (any more).
  std::optional<CgroupStats> ReadOne(const std::string& id) const;

  // The ids of `id` and of all groups below it, in one of the trees.
  std::vector<std::string> IdsBelow(const std::string& id) const;
  // The folders of a group that the kernel makes when it makes the group: one, in the tree that has
  // them all.
  std::vector<std::string> Folders(const std::string& id) const;

 private:
  struct Trees {
    bool version2 = false;
    std::string unified;                             // Version 2's tree, "" if there is none.
    std::map<std::string, std::string> controllers;  // Version 1: controller to folder.
  };
  Result<Trees> FindTrees() const;
  // The same, found once a minute: trees are mounted when the machine starts.
  Result<Trees> KnownTrees() const VEDETTE_EXCLUDES(mu_);
  // The tree that shows all groups: version 2's, or that of a controller that everybody uses.
  static std::string MainTree(const Trees& trees);
  // The groups that each tree has, by its folder, and when each was changed last; none: look for each
  // group yourself.
  using Groups = std::map<std::string, double>;
  using Listed = std::map<std::string, Groups, std::less<>>;
  static void Walk(const std::string& root, const std::string& below, int depth, Groups& ids,
                   bool& cut);
  // Adds to `listed` which of the groups a tree has.
  static void LookFor(const std::set<std::string>& ids, const std::string& tree, Listed& listed);
  // Whether a tree has a group, and when the group was changed last.
  static bool HasGroup(const Listed& listed, const std::string& tree, const std::string& id);
  static std::optional<double> ChangedAt(const Listed& listed, const std::string& tree,
                                         const std::string& id);
  void ReadGroup(const Trees& trees, const Listed& listed, CgroupStats& stats) const;
  void ReadVersion1(const Trees& trees, const Listed& listed, CgroupStats& stats) const;
  void ReadVersion2(const std::string& folder, CgroupStats& stats) const;

  const std::string root_;
  const std::string procfs_;
  mutable Mutex mu_;
  mutable std::optional<Trees> trees_ VEDETTE_GUARDED_BY(mu_);
  mutable int64_t trees_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

// A whole small file, one of the kernel's over a descriptor that is kept; nothing if it cannot be
// read.
std::optional<std::string> ReadSmallFile(const std::string& path);

}  // namespace vedette::agent
