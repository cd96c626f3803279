#include "agent/snapshot/snapshot_taker.h"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
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
// Families of the agent's own.
constexpr size_t kRoomForOwn = 128;

int64_t MonotonicMs() { return SystemClock().MonotonicNs() / 1'000'000; }

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Merger puts the families of a source's collectors together. Collectors may share names (two
// applications, a relayed node_exporter): one family then. To look each name up among a thousand would
// be a good part of a scrape, so that as long as they come as they came the time before, when none
// came twice, nothing is looked up.
class Merger {
 public:
  explicit Merger(const std::vector<std::string>& before) : before_(before) {}

  void Reserve(size_t families) { into_.reserve(families); }
  // `owner` is the number of the families' collector.
  void Add(std::vector<MetricFamily> from, size_t owner) {
    for (MetricFamily& family : from) {
      if (as_before_ && into_.size() < before_.size() && before_[into_.size()] == family.name) {
        Push(std::move(family), owner);
        continue;
      }
      if (as_before_) {
        for (size_t i = 0; i < into_.size(); ++i) index_.emplace(into_[i].name, i);
      }
      as_before_ = false;
      const auto [at, is_new] = index_.try_emplace(family.name, into_.size());
      if (is_new) {
        Push(std::move(family), owner);
      } else {
        std::ranges::move(family.samples, std::back_inserter(into_[at->second].samples));
      }
    }
  }
  bool as_before() const { return as_before_ && into_.size() == before_.size(); }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const MetricFamily& family : into_) names.push_back(family.name);
    return names;
  }
  std::vector<MetricFamily> TakeFamilies() { return std::move(into_); }
  std::vector<size_t> TakeOwners() { return std::move(owners_); }

 private:
  void Push(MetricFamily family, size_t owner) {
    into_.push_back(std::move(family));
    owners_.push_back(owner);
  }

  const std::vector<std::string>& before_;
  bool as_before_ = true;
  std::vector<MetricFamily> into_;
  std::vector<size_t> owners_;
  std::unordered_map<std::string, size_t> index_;  // Once they came otherwise.
};

}  // namespace

// One run of one collector. Shared by the thread that runs it and whoever waits.
struct SnapshotTaker::Run {
  std::shared_ptr<Collector> collector;
  size_t source = 0;
  size_t number = 0;        // Of the collector, on the shelf.
  int64_t deadline_ms = 0;  // Monotonic.
  std::vector<MetricFamily> earlier;  // Until it begins.

  // Guarded by the pool's lock.
  uint64_t collection = 0;  // Which one waits for it.
  bool done = false;
  Status status;
  double duration_seconds = 0;
  std::vector<MetricFamily> families;
  BlankLabels blanks;
};

// What became of a run.
struct SnapshotTaker::Outcome {
  bool there = false;
  Status status;
  double seconds = 0;
  std::vector<MetricFamily> families;
  BlankLabels blanks;
};

// A snapshot that knows whose its families are.
struct SnapshotTaker::Kept {
  TakenSnapshot taken;
  std::vector<std::vector<size_t>> owners;  // Of each source's families.
};

// What snapshots that nobody holds any more leave behind, by collector; the last place is the agent's
// own. Outlives the taker as long as somebody holds a snapshot. Thread-safe.
class SnapshotTaker::Shelf {
 public:
  explicit Shelf(size_t collectors) : own(collectors), places_(collectors + 1) {}

  std::vector<MetricFamily> Take(size_t number) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return std::exchange(places_[number], {});
  }

  void Put(Kept& kept) VEDETTE_EXCLUDES(mu_) {
    // Places that are filled already, by a collection of a part, are left as they are.
    std::vector<std::vector<MetricFamily>> found(own + 1);
    for (size_t s = 0; s < kept.taken.snapshot.sources.size(); ++s) {
      std::vector<MetricFamily>& families = kept.taken.snapshot.sources[s].families;
      for (size_t f = 0; f < families.size(); ++f) {
        found[kept.owners[s][f]].push_back(std::move(families[f]));
      }
    }
    MutexLock lock(mu_);
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].empty()) places_[i].swap(found[i]);
    }
  }

  const size_t own;  // The agent's place.

 private:
  Mutex mu_;
  std::vector<std::vector<MetricFamily>> places_ VEDETTE_GUARDED_BY(mu_);
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
    ++collection_;
    awaited_ = 0;
    int waiting = 0;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (std::ranges::find(running_, runs[i]->collector.get()) != running_.end()) continue;
      running_.push_back(runs[i]->collector.get());
      runs[i]->collection = collection_;
      // Those that wait for others go first, each with a thread; one more does the rest. Files of the
      // kernel's are read by one thread alone: several would only be in each other's way.
      if (runs[i]->collector->waits()) {
        queue_.push_front(runs[i]);
        ++waiting;
      } else {
        queue_.push_back(runs[i]);
      }
      started[i] = true;
      ++awaited_;
    }
    const int wanted =
        std::min({threads_, waiting + 1, static_cast<int>(queue_.size())});
    while (live_ - stuck_ < wanted) StartThread();
    for (int i = 0; i < wanted; ++i) work_.NotifyOne();
    size_t moved = finished_;
    while (awaited_ > 0) {
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

  // False if it is still running. Takes the families out of the run.
  bool TakeOutcome(Run& run, Outcome& outcome) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (!run.done) return false;
    outcome.status = run.status;
    outcome.seconds = run.duration_seconds;
    outcome.families = std::move(run.families);
    outcome.blanks = std::move(run.blanks);
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
      MetricSink sink(std::move(run->earlier));
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
      // Who waits is woken when all is done and not by each: a switch of threads costs more than most
      // collectors.
      if (run->collection == collection_ && --awaited_ == 0) changed_.NotifyAll();
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
  uint64_t collection_ VEDETTE_GUARDED_BY(mu_) = 0;  // Counts calls of RunAll.
  size_t awaited_ VEDETTE_GUARDED_BY(mu_) = 0;       // Runs of it that are not done.
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
};

SnapshotTaker::SnapshotTaker(Options options, std::vector<Source> sources)
    : options_(std::move(options)),
      sources_(std::move(sources)),
      pool_(std::make_shared<Pool>(options_.threads)),
      sequence_(options_.last_sequence) {
  size_t collectors = 0;
  for (const Source& source : sources_) collectors += source.collectors.size();
  shelf_ = std::make_shared<Shelf>(collectors);
  merged_.resize(sources_.size());
}

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
  std::shared_ptr<const TakenSnapshot> before;  // Ends after the lock: it is a lot to put away.
  MutexLock lock(mu_);
  collecting_ = false;
  if (everything) before = std::exchange(last_, taken);
  finished_.NotifyAll();
  return taken;
}

std::shared_ptr<const TakenSnapshot> SnapshotTaker::last() const {
  MutexLock lock(mu_);
  return last_;
}

std::shared_ptr<const TakenSnapshot> SnapshotTaker::Collect(const TakeOptions& options,
                                                            uint64_t sequence) {
  const std::shared_ptr<Kept> kept(new Kept, [shelf = shelf_](Kept* old) {
    shelf->Put(*old);
    delete old;
  });
  TakenSnapshot* const taken = &kept->taken;
  Snapshot& snapshot = taken->snapshot;
  snapshot.run_id = options_.run_id;
  snapshot.sequence = sequence;
  snapshot.t_ms = options_.clock->NowMs();
  const int64_t began = MonotonicMs();

  std::vector<std::shared_ptr<Run>> runs;
  size_t next = 0;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    const size_t first = std::exchange(next, next + source.collectors.size());
    if (!options.sources.empty() && !Contains(options.sources, source.name)) continue;
    for (size_t k = 0; k < source.collectors.size(); ++k) {
      const auto& collector = source.collectors[k];
      if (!options.collectors.empty() && !Contains(options.collectors, collector->name())) continue;
      if (Contains(options.exclude_collectors, collector->name())) continue;
      auto run = std::make_shared<Run>();
      run->collector = collector;
      run->source = i;
      run->number = first + k;
      run->earlier = shelf_->Take(run->number);
      run->deadline_ms = began + std::min(source.deadline_ms, options.timeout_ms);
      runs.push_back(std::move(run));
    }
  }
  const std::vector<bool> started = pool_->RunAll(runs);

  std::vector<SourceSnapshot> found(sources_.size());
  std::vector<Merger> mergers;
  mergers.reserve(sources_.size());
  for (size_t i = 0; i < sources_.size(); ++i) mergers.emplace_back(merged_[i]);
  std::vector<bool> asked(sources_.size(), false);
  std::vector<Outcome> outcomes(runs.size());
  std::vector<size_t> rooms(sources_.size(), kRoomForOwn);
  for (size_t i = 0; i < runs.size(); ++i) {
    outcomes[i].there = started[i] && pool_->TakeOutcome(*runs[i], outcomes[i]);
    rooms[runs[i]->source] += outcomes[i].families.size();
  }
  for (size_t i = 0; i < sources_.size(); ++i) mergers[i].Reserve(rooms[i]);
  for (size_t i = 0; i < runs.size(); ++i) {
    Run& run = *runs[i];
    const Source& source = sources_[run.source];
    SourceSnapshot& out = found[run.source];
    asked[run.source] = true;
    CollectorRun outcome{.name = std::string(run.collector->name()),
                         .source = source.name,
                         .duration_seconds = outcomes[i].seconds};
    Status status = std::move(outcomes[i].status);
    std::vector<MetricFamily>& families = outcomes[i].families;
    if (!started[i]) {
      status = DeadlineExceeded("still running since an earlier collection");
    } else if (!outcomes[i].there) {
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
    // Rounded up to ten microseconds: finer than anybody looks, and most collectors take as many of
    // them as the time before, which crosses the wire in no byte at all.
    outcome.duration_seconds = std::ceil(outcome.duration_seconds * 1e5) / 1e5;
    // What waits runs side by side with the rest, which runs one after the other.
    state.duration_seconds =
        run.collector->waits() ? std::max(state.duration_seconds, outcome.duration_seconds)
                               : state.duration_seconds + outcome.duration_seconds;
    mergers[run.source].Add(std::move(families), run.number);
    for (auto& [family, labels] : outcomes[i].blanks) {
      auto& all = taken->blanks[family];
      for (std::string& label : labels) {
        if (!Contains(all, label)) all.push_back(std::move(label));
      }
    }
    taken->runs.push_back(std::move(outcome));
  }
  // The agent's own metrics go with the first source that is of the host: once, not with each.
  const auto host = std::ranges::find(sources_, SourceState::Kind::kHost, &Source::kind);
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (!asked[i]) continue;
    SourceSnapshot& out = found[i];
    out.state.name = source.name;
    out.state.kind = source.kind;
    out.state.address = source.address;
    if (&source == std::to_address(host) && options_.self != nullptr) {
      MetricSink sink(shelf_->Take(shelf_->own));
      options_.self(taken->runs, sink);
      mergers[i].Add(sink.Take(), shelf_->own);
    }
    if (!options.filtered() && !mergers[i].as_before()) merged_[i] = mergers[i].Names();
    out.families = mergers[i].TakeFamilies();
    // A host whose collectors all failed still says so in its own metrics. What failed beside
    // others that did not is in the runs.
    out.state.up = out.state.up || !out.families.empty();
    if (out.state.up) out.state.error.clear();
    snapshot.sources.push_back(std::move(out));
    kept->owners.push_back(mergers[i].TakeOwners());
  }
  return {kept, taken};
}

}  // namespace vedette::agent
