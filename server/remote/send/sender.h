#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/model/labels.h"
#include "server/relabel/relabel.h"
#include "server/remote/send/delivery.h"
#include "server/remote/send/entry.h"
#include "server/remote/send/progress.h"
#include "server/remote/send/queue.h"
#include "server/remote/send/send_metrics.h"
#include "server/remote/send/shard.h"
#include "server/remote/send/stop_signal.h"
#include "server/storage/queryable.h"

namespace vedette::remote {

// Sender is one destination of remote write: a thread reads the queue from the destination's
// cursor, gives each series its external labels and write_relabel_configs (worked out once per
// series of a layout), and deals the pieces to shards by series; the shards deliver, and the cursor
// follows what has arrived. Between min_shards and max_shards as the rates call for; the shards are
// changed only when nothing is under way, so the order within a series holds.
//
// At least once: what was under way when the process ended is sent again by the next one. Some
// receivers acknowledge what they hold only in memory (VictoriaMetrics: for some seconds), so when
// one has been gone and is back, what it acknowledged shortly before is sent once more; the first
// refusal says that this one forgets nothing, and ends that. Thread-safe.
class Sender {
 public:
  struct Options {
    std::string id;    // Of the destination in the queue.
    std::string name;  // remote_name in metrics.
    std::string url;   // Without what is secret.
    config::RemoteWriteConfig config;
    Labels external_labels;
    Post post;
    int64_t reshard_interval_ms = 10'000;
    // How far to go back when the receiver was gone; 0: not at all.
    int64_t rewind_ms = 10'000;
  };

  // INVALID_ARGUMENT: write_relabel_configs do not compile. The destination must be in the queue.
  static Result<std::unique_ptr<Sender>> Start(Options options, Queue& queue,
                                               const storage::MetadataQueryable* metadata,
                                               const Clock& clock, metrics::Registry& registry);
  ~Sender();  // Stops. What is not delivered stays in the queue.

  const config::RemoteWriteConfig& config() const { return options_.config; }
  const Labels& external_labels() const { return options_.external_labels; }

 private:
  // Where the series of one writer's layout go. A null pointer: dropped by relabelling.
  struct Layout {
    std::vector<std::shared_ptr<const OutSeries>> series;
    uint64_t last_entry = 0;
  };

  Sender(Options options, relabel::Relabeler relabel, Queue& queue,
         const storage::MetadataQueryable* metadata, const Clock& clock,
         metrics::Registry& registry);

  void Read();
  void SendMetadataRegularly();
  std::vector<Piece> PiecesOf(uint64_t number, Entry entry);
  void RowPieces(uint64_t number, Entry& entry, std::vector<Piece>& out);
  std::shared_ptr<const OutSeries> MakeSeries(const Labels& labels) const;
  Layout* LayoutOf(uint64_t writer, size_t positions, uint64_t number);
  void ForgetOldLayouts(uint64_t number);
  bool Enqueue(Piece piece);
  void Deliver(std::vector<Piece> batch);
  void Pending(std::span<const Piece> pieces, double sign);

  // Tells the queue how far we are; `keep` lags behind by rewind_ms.
  Status Ack() VEDETTE_EXCLUDES(mu_);
  void MaybeRewind() VEDETTE_EXCLUDES(mu_);
  // Nothing is under way when it returns true; false: stopping.
  bool Drain();
  int64_t DesiredShards(int64_t elapsed_ms);
  void MaybeReshard();
  void OpenShards(int64_t n);

  const Options options_;
  const relabel::Relabeler relabel_;
  Queue& queue_;
  const storage::MetadataQueryable* metadata_;
  const Clock& clock_;
  SendMetrics metrics_;
  StopSignal stop_;
  Delivery delivery_;
  Progress progress_;
  // Entries before this one were there when the process started: they may have been delivered.
  const uint64_t again_until_;

  // The reader's own.
  std::unordered_map<uint64_t, Layout> layouts_;
  std::vector<std::unique_ptr<Shard>> shards_;
  int64_t last_reshard_ns_ = 0;
  uint64_t read_pieces_ = 0;  // Since the last look at the shards.
  double in_rate_ = 0;        // Pieces a second, smoothed.
  double seconds_per_piece_ = 0;

  Mutex mu_;
  // When the cursor got where; the first is the newest that is older than rewind_ms.
  std::deque<std::pair<int64_t, uint64_t>> history_ VEDETTE_GUARDED_BY(mu_);
  std::atomic<uint64_t> rewound_outages_{0};  // Outages after which we went back.

  // Written by shards.
  std::atomic<uint64_t> sent_pieces_{0};
  std::atomic<int64_t> sending_ns_{0};

  std::thread reader_;
  std::thread metadata_sender_;
};

}  // namespace vedette::remote
