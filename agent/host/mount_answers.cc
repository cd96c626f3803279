#include "agent/host/mount_answers.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/mutex.h"

namespace vedette::agent {

struct MountAnswers::State {
  Mutex mu;
  CondVar answered;
};

// All of it guarded by the state's lock.
struct MountAnswers::Mount {
  bool running = false;
  int64_t begun_ns = 0;  // Of the question that runs, or the last one.
  bool known = false;    // It has answered, and this was it:
  MountAnswer answer;
  int64_t took_ns = 0;
  bool fresh = false;  // Nobody has had it yet.
};

MountAnswers::MountAnswers(int64_t timeout_ms, Ask ask, const Clock& clock)
    : timeout_ns_(timeout_ms * 1'000'000),
      ask_(ask != nullptr ? std::move(ask)
                          : [](const std::string& path, struct statvfs* out) {
                              return statvfs(path.c_str(), out);
                            }),
      clock_(clock),
      state_(std::make_shared<State>()) {}

MountAnswers::~MountAnswers() = default;

void MountAnswers::Start(const std::string& path, const std::shared_ptr<Mount>& mount) {
  mount->running = true;
  mount->begun_ns = clock_.MonotonicNs();
  std::thread([path, mount, state = state_, ask = ask_, clock = &clock_] {
    MountAnswer answer;
    answer.good = ask(path, &answer.fs) == 0;
    MutexLock lock(state->mu);
    mount->running = false;
    mount->known = true;
    mount->answer = answer;
    mount->took_ns = clock->MonotonicNs() - mount->begun_ns;
    mount->fresh = true;
    state->answered.NotifyAll();
  }).detach();
}

std::vector<MountAnswer> MountAnswers::Get(const std::vector<std::string>& paths) {
  std::erase_if(mounts_, [&](const auto& m) { return std::ranges::find(paths, m.first) == paths.end(); });
  std::vector<std::shared_ptr<Mount>> asked, waited;
  MutexLock lock(state_->mu);
  for (const std::string& path : paths) {
    std::shared_ptr<Mount>& mount = mounts_[path];
    if (mount == nullptr) mount = std::make_shared<Mount>();
    asked.push_back(mount);
    if (mount->running) continue;
    // A slow one's late answer is taken as it is, and the next one asked for; a quick one is waited for.
    const bool late = mount->fresh && mount->took_ns > kWaitMs * 1'000'000;
    if (!late) {
      mount->fresh = false;
      waited.push_back(mount);
    }
    Start(path, mount);
  }
  const int64_t until = SystemClock().MonotonicNs() + kWaitMs * 1'000'000;
  const auto waiting = [&] {
    return std::ranges::any_of(waited, [](const auto& m) { return m->running; });
  };
  while (waiting()) {
    const int64_t left_ms = (until - SystemClock().MonotonicNs()) / 1'000'000;
    if (left_ms <= 0) break;
    state_->answered.WaitFor(state_->mu, left_ms);
  }
  std::vector<MountAnswer> answers;
  const int64_t now = clock_.MonotonicNs();
  for (const std::shared_ptr<Mount>& mount : asked) {
    const bool silent = mount->running && now - mount->begun_ns >= timeout_ns_;
    const bool in_time = mount->took_ns < timeout_ns_;
    answers.push_back(mount->known && in_time && !silent ? mount->answer : MountAnswer());
    mount->fresh = false;
  }
  return answers;
}

}  // namespace vedette::agent
