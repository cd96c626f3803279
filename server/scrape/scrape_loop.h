#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"
#include "server/scrape/job.h"
#include "server/scrape/layout_cache.h"
#include "server/scrape/metrics.h"
#include "server/scrape/shared_metadata.h"
#include "server/scrape/source.h"
#include "server/scrape/target.h"
#include "server/scrape/timeline.h"
#include "server/storage/appender.h"
#include "server/storage/cost.h"
#include "server/storage/key_value.h"

namespace vedette::scrape {

enum class Health : uint8_t { kUnknown, kUp, kDown };

// What the API says about a target.
struct TargetStatus {
  std::shared_ptr<const Target> target;
  Health health = Health::kUnknown;
  std::string last_error;      // Empty when the last scrape was good.
  int64_t last_scrape_ms = 0;  // 0: not yet scraped.
  double last_duration_seconds = 0;
  // Of an agent: its sources as they said of themselves, in its order.
  std::vector<SourceState> sources;
  // Scrapes that were missed, and that the agent had kept: how many were filled in since the server
  // started, and when the newest of them was taken there (0: none).
  uint64_t snapshots_filled = 0;
  int64_t last_filled_ms = 0;
};

// ScrapeLoop is one target's life: its source, its timelines, its last outcome. It owns no thread;
// the manager calls Start and Finish in turn, for one scrape at a time.
//
//   loop.Start(t_ms, [&](Status fetched) { queue.push(fetched); });
//   loop.Finish(fetched);   // on a worker: parse, relabel, commit, status
//
// Finish is Deliver, a commit, and Conclude: whoever has several loops to finish may gather what they
// delivered into one commit for all.
//
// A target that exposes text has one timeline. An agent has one for each source it reports, and its
// own: what stops (a killed application) goes stale at once without touching the others, and each
// application has an `up` of its own, under the application's name as job.
//
// status(), metadata() and Update() may be called from any thread; the rest by one at a time.
class ScrapeLoop final : public SourceSink {
 public:
  struct Parts {
    std::shared_ptr<const Target> target;
    std::shared_ptr<const Job> job;
    std::unique_ptr<Source> source;
  };
  // The references outlive the loop.
  ScrapeLoop(Parts parts, storage::Appender& appender, const Clock& clock, Metrics& metrics);
  ~ScrapeLoop() override;

  // From the next scrape on. A null source: the one there is stays.
  void Update(Parts parts) VEDETTE_EXCLUDES(mu_);
  // Every scrape fails with this (target_limit) until it is OK again.
  void SetForcedError(Status error) VEDETTE_EXCLUDES(mu_);

  void Start(int64_t t_ms, Source::Fetched fetched);
  void Finish(Status fetched);
  // What was started has come, and waits for Deliver: its duration ends here.
  void Came() { came_ns_ = clock_.MonotonicNs(); }
  // Puts what was fetched into the timelines, and commits what cannot wait for others' rows.
  void Deliver(Status fetched);
  // What Deliver left: rows, and the pair that goes with them. Good until Conclude.
  void AddTo(std::vector<storage::WriterRow>& rows,
             std::vector<storage::KeyValue::Change>& notes) const;
  // Commits that by itself.
  Status CommitRows();
  // Whether it is in the storage.
  void Conclude(Status committed) VEDETTE_EXCLUDES(mu_);
  void Cancel() { source_->Cancel(); }
  // What has come is little work: Source::brief.
  bool brief() const { return source_->brief(); }
  // The target is gone: a stale marker for everything. Not called when the server stops.
  void End(int64_t t_ms);

  std::shared_ptr<const Target> target() const VEDETTE_EXCLUDES(mu_);
  TargetStatus status() const VEDETTE_EXCLUDES(mu_);
  // What the target has sent since the loop began; of an agent, each application's part by itself.
  std::vector<storage::ReceivedBytes> received() const VEDETTE_EXCLUDES(mu_);
  std::map<std::string, Metadata> metadata() const VEDETTE_EXCLUDES(mu_);
  // The same without a copy. Targets that tell the same may share one.
  std::shared_ptr<const std::map<std::string, Metadata>> shared_metadata() const
      VEDETTE_EXCLUDES(mu_);

  // SourceSink:
  Status OnBody(std::string_view body, exposition::Protocol protocol) override;
  Status OnFrame(const wire::PullFrame& frame, int64_t t_ms, bool backlog) override;
  Status OnKnownFrame(const wire::PullFrame& frame) override;
  void OnStreamStart() override;

 private:
  struct Outcome {
    bool up = false;
    double duration_seconds = 0;
    uint64_t scraped = 0;
    uint64_t kept = 0;
    int64_t body_bytes = -1;
  };
  struct Reports {
    uint64_t generation = 0;
    std::vector<uint32_t> numbers;
  };
  // One source of an agent.
  struct Pulled {
    Pulled(storage::Appender& appender, const std::string& owner, Labels own_labels)
        : timeline(appender, owner, /*starts_over=*/false), labels(std::move(own_labels)) {}
    void ForgetNumbers() {
      numbers.clear();
      in_order = true;
    }

    Timeline timeline;
    Labels labels;                  // The target's; of an application with its own job.
    std::vector<uint32_t> numbers;  // By position in the frame's layout; kDropped.
    bool in_order = true;           // numbers[p] == p.
    SourceState state;
    Outcome outcome;
    Reports reports;
    bool in_frame = false;
    uint64_t frame_weight = 0;  // Of its part of the frames of this scrape.
    std::vector<uint8_t> special;  // Scratch, by position: has a histogram or a time of its own.
  };
  static constexpr uint32_t kDropped = 0xffffffff;

  void TakeUpdate() VEDETTE_EXCLUDES(mu_);
  void SetReports(const Outcome& outcome, const Labels& labels, Timeline& timeline,
                  Reports& reports);
  Status CommitTimeline(int64_t t_ms, Timeline& timeline);
  // The same for one whose row may wait in together_ for those of the others.
  Status CommitOrGather(int64_t t_ms, Timeline& timeline);
  Status Apply(const wire::PulledSource& source, Pulled& pulled);
  Status ApplyOne(const wire::PulledSource& source, Pulled& pulled);
  Labels SourceLabels(const SourceState& state) const;
  Pulled& PulledOf(const SourceState& state);
  void NoteMetadata(std::span<const wire::PulledSource::Family> families) VEDETTE_EXCLUDES(mu_);
  void NoteStorage(const storage::CommitStats& stats);
  void NoteReceived() VEDETTE_EXCLUDES(mu_);
  void CountFailure(const Status& status);

  storage::Appender& appender_;
  const Clock& clock_;
  Metrics& metrics_;

  // Of the thread that runs the scrape.
  std::shared_ptr<const Target> target_;
  std::shared_ptr<const Job> job_;
  std::unique_ptr<Source> source_;
  Timeline timeline_;
  LayoutCache cache_;
  Reports reports_;
  std::map<std::string, Pulled> pulled_;
  std::shared_ptr<MetadataMap> pulled_metadata_;  // A changed copy of metadata_; null: as it is.
  bool metadata_news_ = false;
  // Of the scrape being finished.
  std::vector<storage::WriterRow> together_;
  std::optional<storage::KeyValue::Change> receipt_;
  struct Finishing {
    Status status;
    bool delivered = false;
    bool stored = true;  // What could not wait.
    double duration_seconds = 0;
    std::vector<SourceState> sources;
  };
  Finishing finishing_;
  int64_t t_ms_ = 0;
  int64_t started_ns_ = 0;
  int64_t came_ns_ = 0;  // 0: when it is delivered.

  mutable Mutex mu_;
  TargetStatus status_ VEDETTE_GUARDED_BY(mu_);
  std::shared_ptr<const LayoutCache::MetadataMap> metadata_ VEDETTE_GUARDED_BY(mu_);
  std::optional<Parts> next_ VEDETTE_GUARDED_BY(mu_);
  Status forced_error_ VEDETTE_GUARDED_BY(mu_);
  std::map<Labels, uint64_t> received_ VEDETTE_GUARDED_BY(mu_);  // By the labels of series.
};

}  // namespace vedette::scrape
