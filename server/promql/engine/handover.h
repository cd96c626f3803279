#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/promql/engine.h"
#include "server/promql/functions/column.h"

namespace vedette::promql {

// Columns on their way from a helper to the thread of the query, in order.
struct HandedBatch {
  struct Series {
    bool empty = true;  // It gave nothing; what reading it held counts all the same.
    Labels labels;
    bool drop_name = false;
    std::vector<HistogramPtr> histograms;
    uint64_t samples = 0;  // Held while it was read: charged while it is passed on.
    uint64_t bytes = 0;
    // Said since the series before.
    std::vector<std::string> warnings;
    std::vector<std::string> infos;
  };

  std::vector<Series> series;
  std::vector<double> values;  // Of those that are not empty, one after the other.
  uint64_t bytes = 0;
  bool last = false;  // Of its part,
  QueryStats stats;   // which read so much.

  // Takes what the column has; `c` null: nothing.
  void Add(Column* c, uint64_t samples, uint64_t held_bytes);
  // Keeps the memory.
  void Clear();
};

// Handover lets a helper work on parts of a selection while the thread of the query takes them in
// their order. The helper leaves the first part that nobody has to the query's thread, so that this
// one finds work wherever it stands, and takes those behind it in order: what it hands over is in
// order too.
//
//   query's thread                            helper
//   for part in 0..parts:                     while part = Claim():
//     if ClaimOwn(part): do it                  for ...: Put(batch), batch = Spare()
//     else: Take() until `last`, Return()       Put(batch, last)
//   Stop(), WaitForEnd()                      End(status)
//
// The helper waits while more than `room_bytes` are under way, unless nothing is. Thread-safe.
class Handover {
 public:
  Handover(size_t parts, uint64_t room_bytes)
      : room_bytes_(room_bytes), claimed_(parts, false) {}

  // The query's thread. False: the helper has this part.
  bool ClaimOwn(size_t part) VEDETTE_EXCLUDES(mu_);
  // The next batch, or why there is none: the helper has failed.
  Result<HandedBatch> Take() VEDETTE_EXCLUDES(mu_);
  // One that is done with, for its memory.
  void Return(HandedBatch batch) VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);
  void WaitForEnd() VEDETTE_EXCLUDES(mu_);

  // The helper. Nothing: no part is left for it, or nobody wants more.
  std::optional<size_t> Claim() VEDETTE_EXCLUDES(mu_);
  // kCancelled: nobody wants more.
  Status Put(HandedBatch batch) VEDETTE_EXCLUDES(mu_);
  // An empty one.
  HandedBatch Spare() VEDETTE_EXCLUDES(mu_);
  // The last thing it does.
  void End(Status status) VEDETTE_EXCLUDES(mu_);

 private:
  const uint64_t room_bytes_;
  Mutex mu_;
  CondVar changed_;
  std::vector<bool> claimed_ VEDETTE_GUARDED_BY(mu_);  // By part.
  size_t first_free_ VEDETTE_GUARDED_BY(mu_) = 0;      // No part before it is free.
  size_t behind_ VEDETTE_GUARDED_BY(mu_) = 0;          // No part from here on is claimed.
  std::deque<HandedBatch> batches_ VEDETTE_GUARDED_BY(mu_);
  std::vector<HandedBatch> spare_ VEDETTE_GUARDED_BY(mu_);
  uint64_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool stopped_ VEDETTE_GUARDED_BY(mu_) = false;
  bool ended_ VEDETTE_GUARDED_BY(mu_) = false;
  Status status_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::promql
