#pragma once

#include <sys/statvfs.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"

namespace vedette::agent {

// What a file system said of itself.
struct MountAnswer {
  bool good = false;
  struct statvfs fs = {};  // Of a good one.
};

// MountAnswers asks file systems that may hang: a network file system whose server is gone blocks
// statvfs for as long as it likes, and no signal wakes it. So each is asked on a thread of its own, all
// at once, and whoever wants the answers waits for them kWaitMs in all, however many are dead.
//
// - A mount that did not answer is not asked again before it has: one thread for each dead mount.
// - While it is silent, what it said last stands for up to `timeout_ms`; then it has failed. One that
//   has never said anything has failed at once.
// - An answer that comes too late for its collection, but within `timeout_ms`, is the next one's.
//
// Not thread-safe; its threads may outlive it.
class MountAnswers {
 public:
  static constexpr int64_t kWaitMs = 500;

  // statvfs(3): 0, or -1.
  using Ask = std::function<int(const std::string& path, struct statvfs* out)>;

  explicit MountAnswers(int64_t timeout_ms, Ask ask = {}, const Clock& clock = SystemClock());
  ~MountAnswers();

  // One for each of the paths. What is not among them is forgotten.
  std::vector<MountAnswer> Get(const std::vector<std::string>& paths);

 private:
  struct Mount;
  struct State;

  void Start(const std::string& path, const std::shared_ptr<Mount>& mount);

  const int64_t timeout_ns_;
  const Ask ask_;
  const Clock& clock_;
  const std::shared_ptr<State> state_;
  std::map<std::string, std::shared_ptr<Mount>> mounts_;
};

}  // namespace vedette::agent
