#include "agent/snapshot/snapshot_taker.h"

#include <pthread.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <iterator>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// A waiting run gets a thread of its own once nothing has moved for so long.
constexpr int64_t kPatienceMs = 50;
constexpr int64_t kStopMs = 2'000;

int64_t MonotonicMs() { return SystemClock().MonotonicNs() / 1'000'000; }

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Collectors share family names (two applications, a relayed node_exporter): one family then.
// The index remembers where each family is: a thousand families and fifty collectors compared each
// with each would be the dearest part of a scrape.
using FamilyIndex = std::unordered_map<std::string, size_t>;

void Merge(std::vector<MetricFamily>& into, FamilyIndex& index, std::vector<MetricFamily> from) {
  for (MetricFamily& family : from) {
    const auto [at, is_new] = index.try_emplace(family.name, into.size());
    if (is_new) {
      into.push_back(std::move(family));
    } else {
      std::ranges::move(family.samples, std::back_inserter(into[at->second].samples));
    }
  }
}

}  // namespace

// One run of one collector. Shared by the thread that runs it and whoever waits.
struct SnapshotTaker::Run {
  std::shared_ptr<Collector> collector;
  size_t source = 0;
  int64_t deadline_ms = 0;  // Monotonic.

  // Guarded by the pool's lock.
  bool done = false;
  Status status;
  double duration_seconds = 0;
  std::vector<MetricFamily> families;
  BlankLabels blanks;
};

// The threads. Outlives the taker as long as a collector hangs in one of them.
class SnapshotTaker::Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(int threads) : threads_(threads) {}

  // Runs what is not still running from an earlier collection, and waits until each is done or past
  // its deadline. Returns false for those that were not started.
  std::vector<bool> RunAll(const std::vector<std::shared_ptr<Run>>& runs) VEDETTE_EXCLUDES(mu_) {
    std::vector<bool> started(runs.size(), false);
    MutexLock lock(mu_);
    for (size_t i = 0; i < runs.size(); ++i) {
      if (std::ranges::find(running_, runs[i]->collector.get()) != running_.end()) continue;
      running_.push_back(runs[i]->collector.get());
      queue_.push_back(runs[i]);
      started[i] = true;
    }
    while (live_ - stuck_ < std::min<int>(threads_, static_cast<int>(queue_.size()))) {
      StartThread();
    }
    work_.NotifyAll();
    size_t moved = finished_;
    for (;;) {
      const int64_t now = MonotonicMs();
      int64_t next = INT64_MAX;
      for (size_t i = 0; i < runs.size(); ++i) {
        if (started[i] && !runs[i]->done && runs[i]->deadline_ms > now) {
          next = std::min(next, runs[i]->deadline_ms);
        }
      }
      if (next == INT64_MAX) break;
      changed_.WaitFor(mu_, std::min(next - now, kPatienceMs));
      if (finished_ == moved && !queue_.empty() && idle_ == 0) StartThread();
      moved = finished_;
    }
    // What never got a thread is not run after all.
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto at = std::ranges::find(queue_, runs[i]);
      if (at == queue_.end()) continue;
      queue_.erase(at);
      std::erase(running_, runs[i]->collector.get());
    }
    stuck_ = static_cast<int>(running_.size());
    return started;
  }

  // The outcome, or nothing if it is still running. Takes the families out of the run.
  bool Outcome(Run& run, Status& status, double& seconds, std::vector<MetricFamily>& families,
               BlankLabels& blanks) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (!run.done) return false;
    status = run.status;
    seconds = run.duration_seconds;
    families = std::move(run.families);
    blanks = std::move(run.blanks);
    return true;
  }

  void Stop() VEDETTE_EXCLUDES(mu_) {
    std::vector<std::thread> finished;
    {
      MutexLock lock(mu_);
      stopping_ = true;
      work_.NotifyAll();
      const int64_t until = MonotonicMs() + kStopMs;
      while (live_ > 0 && MonotonicMs() < until) changed_.WaitFor(mu_, until - MonotonicMs());
      for (Thread& t : all_) {
        if (t.ended) {
          finished.push_back(std::move(t.thread));
        } else {
          t.thread.detach();  // Its collector hangs in the kernel or on a peer.
        }
      }
      all_.clear();
    }
    for (std::thread& t : finished) t.join();
  }

 private:
  struct Thread {
    std::thread thread;
    uint64_t id = 0;
    bool ended = false;
  };

  void StartThread() VEDETTE_REQUIRES(mu_) {
    // Those that ended are joined here, so that their number stays bounded.
    for (auto t = all_.begin(); t != all_.end();) {
      if (t->ended) {
        t->thread.join();
        t = all_.erase(t);
      } else {
        ++t;
      }
    }
    ++live_;
    const uint64_t id = ++last_id_;
    all_.push_back({std::thread([self = shared_from_this(), id] { self->Work(id); }), id});
    pthread_setname_np(all_.back().thread.native_handle(), "collect");
  }

  void Work(uint64_t id) VEDETTE_EXCLUDES(mu_) {
    for (;;) {
      std::shared_ptr<Run> run;
      {
        MutexLock lock(mu_);
        ++idle_;
        while (queue_.empty() && !stopping_ && live_ - stuck_ <= threads_) work_.Wait(mu_);
        --idle_;
        if (queue_.empty()) {
          // Stopping, or one of those that filled in for a stuck one that came back.
          --live_;
          for (Thread& t : all_) t.ended = t.ended || t.id == id;
          changed_.NotifyAll();
          return;
        }
        run = queue_.front();
        queue_.pop_front();
      }
      const int64_t began = SystemClock().MonotonicNs();
      MetricSink sink;
      Status status;
      try {
        status = run->collector->Collect(sink);
      } catch (const std::exception& e) {  // bad_alloc and friends: a failed collector, no more.
        status = Internal(StrCat("collector threw: ", e.what()));
      }
      const double seconds = static_cast<double>(SystemClock().MonotonicNs() - began) / 1e9;
      std::vector<MetricFamily> families = sink.Take();
      MutexLock lock(mu_);
      run->status = std::move(status);
      run->duration_seconds = seconds;
      run->families = std::move(families);
      run->blanks = sink.TakeBlanks();
      run->done = true;
      std::erase(running_, run->collector.get());
      stuck_ = std::min(stuck_, static_cast<int>(running_.size()));
      ++finished_;
      changed_.NotifyAll();
    }
  }

  const int threads_;
  Mutex mu_;
  CondVar work_, changed_;
  std::deque<std::shared_ptr<Run>> queue_ VEDETTE_GUARDED_BY(mu_);
  std::vector<const Collector*> running_ VEDETTE_GUARDED_BY(mu_);  // Queued ones too.
  std::vector<Thread> all_ VEDETTE_GUARDED_BY(mu_);
  uint64_t last_id_ VEDETTE_GUARDED_BY(mu_) = 0;
  int live_ VEDETTE_GUARDED_BY(mu_) = 0;
  int idle_ VEDETTE_GUARDED_BY(mu_) = 0;
  int stuck_ VEDETTE_GUARDED_BY(mu_) = 0;  // Running when their collection ended.
  size_t finished_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
};

SnapshotTaker::SnapshotTaker(Options options, std::vector<Source> sources)
    : options_(std::move(options)),
      sources_(std::move(sources)),
      pool_(std::make_shared<Pool>(options_.threads)),
      sequence_(options_.last_sequence) {}

SnapshotTaker::~SnapshotTaker() { pool_->Stop(); }

Status SnapshotTaker::CheckNames(const TakeOptions& options) const {
  for (const std::string& name : options.sources) {
    if (std::ranges::find(sources_, name, &Source::name) == sources_.end()) {
      return InvalidArgument(StrCat("no source is called ", Quoted(name)));
    }
  }
  const auto known = [&](const std::string& name) {
    return std::ranges::any_of(sources_, [&](const Source& s) {
      return std::ranges::any_of(s.collectors, [&](const auto& c) { return c->name() == name; });
    });
  };
  for (const auto* names : {&options.collectors, &options.exclude_collectors}) {
    for (const std::string& name : *names) {
      if (!known(name)) {
        return InvalidArgument(
            StrCat("no collector is called ", Quoted(name), ", or it is switched off"));
      }
    }
  }
  return {};
}

Result<std::shared_ptr<const TakenSnapshot>> SnapshotTaker::Take(const TakeOptions& options) {
  VEDETTE_RETURN_IF_ERROR(CheckNames(options));
  const int64_t until = MonotonicMs() + options.timeout_ms;
  const bool everything = !options.filtered();
  uint64_t sequence = 0;
  {
    MutexLock lock(mu_);
    if (everything && last_ != nullptr &&
        options_.clock->MonotonicNs() - last_began_ns_ <= options.max_age_ms * 1'000'000) {
      return last_;
    }
    while (collecting_) {
      const bool shared = everything && collecting_everything_;
      const uint64_t before = sequence_;
      const int64_t left = until - MonotonicMs();
      if (left <= 0) return DeadlineExceeded("another collection is still under way");
      finished_.WaitFor(mu_, left);
      if (shared && last_ != nullptr && last_->snapshot.sequence >= before) return last_;
    }
    collecting_ = true;
    collecting_everything_ = everything;
    if (everything) {
      sequence = ++sequence_;
      last_began_ns_ = options_.clock->MonotonicNs();
    }
  }
  std::shared_ptr<const TakenSnapshot> taken = Collect(options, sequence);
  MutexLock lock(mu_);
  collecting_ = false;
  if (everything) last_ = taken;
  finished_.NotifyAll();
  return taken;
}

std::shared_ptr<const TakenSnapshot> SnapshotTaker::last() const {
  MutexLock lock(mu_);
  return last_;
}

std::shared_ptr<const TakenSnapshot> SnapshotTaker::Collect(const TakeOptions& options,
                                                            uint64_t sequence) {
  auto taken = std::make_shared<TakenSnapshot>();
  Snapshot& snapshot = taken->snapshot;
  snapshot.run_id = options_.run_id;
  snapshot.sequence = sequence;
  snapshot.t_ms = options_.clock->NowMs();
  const int64_t began = MonotonicMs();

  std::vector<std::shared_ptr<Run>> runs;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (!options.sources.empty() && !Contains(options.sources, source.name)) continue;
    for (const auto& collector : source.collectors) {
      if (!options.collectors.empty() && !Contains(options.collectors, collector->name())) continue;
      if (Contains(options.exclude_collectors, collector->name())) continue;
      auto run = std::make_shared<Run>();
      run->collector = collector;
      run->source = i;
      run->deadline_ms = began + std::min(source.deadline_ms, options.timeout_ms);
      runs.push_back(std::move(run));
    }
  }
  const std::vector<bool> started = pool_->RunAll(runs);

  std::vector<SourceSnapshot> found(sources_.size());
  std::vector<FamilyIndex> indexes(sources_.size());
  std::vector<bool> asked(sources_.size(), false);
  for (size_t i = 0; i < runs.size(); ++i) {
    Run& run = *runs[i];
    const Source& source = sources_[run.source];
    SourceSnapshot& out = found[run.source];
    asked[run.source] = true;
    CollectorRun outcome{.name = std::string(run.collector->name()), .source = source.name};
    Status status;
    std::vector<MetricFamily> families;
    BlankLabels blanks;
    if (!started[i]) {
      status = DeadlineExceeded("still running since an earlier collection");
    } else if (!pool_->Outcome(run, status, outcome.duration_seconds, families, blanks)) {
      outcome.duration_seconds = static_cast<double>(MonotonicMs() - began) / 1e3;
      status = DeadlineExceeded(
          StrCat("no answer within ", std::min(source.deadline_ms, options.timeout_ms), " ms"));
    }
    outcome.success = status.ok();
    outcome.absent = status.code() == StatusCode::kNotFound;
    outcome.error = status.ToString();
    if (status.ok()) outcome.error.clear();
    SourceState& state = out.state;
    state.up = state.up || status.ok() || !families.empty();
    if (!status.ok() && state.error.empty()) {
      state.error = StrCat("collector ", run.collector->name(), ": ", outcome.error);
    }
    // Collectors run side by side: the slowest is what the source cost. Whole microseconds cross
    // the wire in two or three bytes, all digits of a clock in eight.
    outcome.duration_seconds =
        static_cast<double>(static_cast<int64_t>(outcome.duration_seconds * 1e6 + 0.5)) / 1e6;
    state.duration_seconds = std::max(state.duration_seconds, outcome.duration_seconds);
    Merge(out.families, indexes[run.source], std::move(families));
    for (auto& [family, labels] : blanks) {
      auto& all = taken->blanks[family];
      for (std::string& label : labels) {
        if (!Contains(all, label)) all.push_back(std::move(label));
      }
    }
    taken->runs.push_back(std::move(outcome));
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (!asked[i]) continue;
    SourceSnapshot& out = found[i];
    out.state.name = source.name;
    out.state.kind = source.kind;
    out.state.address = source.address;
    if (source.kind == SourceState::Kind::kHost && options_.self != nullptr) {
      MetricSink sink;
      options_.self(taken->runs, sink);
      Merge(out.families, indexes[i], sink.Take());
    }
    // A host whose collectors all failed still says so in its own metrics. What failed beside
    // others that did not is in the runs.
    out.state.up = out.state.up || !out.families.empty();
    if (out.state.up) out.state.error.clear();
    snapshot.sources.push_back(std::move(out));
  }
  return taken;
}

}  // namespace vedette::agent
