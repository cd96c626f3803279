#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/promql/engine.h"
#include "server/promql/functions/column.h"

namespace vedette::promql {

// One series' column on its way from a helper to the thread of the query.
struct HandedColumn {
  bool empty = true;  // The series gave nothing; what reading it held counts all the same.
  Column column;
  uint64_t samples = 0;  // Held while it was read: charged while it is passed on.
  uint64_t bytes = 0;
  // Said since the column before.
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

// Handover lets a helper work on parts of a selection while the thread of the query takes them in
// their order. Each part is done by whoever claims it first; parts are claimed in order, so what the
// helper hands over is in order too.
//
//   query's thread                            helper
//   for part in 0..parts:                     while part = Claim():
//     if ClaimOwn(part): do it                  for ...: Put(batch)
//     else: take with Take() until `last`       Put(batch, last)
//   Stop(), WaitForEnd()                      End(status)
//
// The helper waits while more than `room_bytes` are under way, unless nothing is. Thread-safe.
class Handover {
 public:
  struct Batch {
    std::vector<HandedColumn> columns;
    uint64_t bytes = 0;
    bool last = false;  // Of its part,
    QueryStats stats;   // which read so much.
  };

  Handover(size_t parts, uint64_t room_bytes) : parts_(parts), room_bytes_(room_bytes) {}

  // The query's thread. False: the helper has this part.
  bool ClaimOwn(size_t part) VEDETTE_EXCLUDES(mu_);
  // The next batch, or why there is none: the helper has failed.
  Result<Batch> Take() VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);
  void WaitForEnd() VEDETTE_EXCLUDES(mu_);

  // The helper. Nothing: all parts are claimed, or nobody wants more.
  std::optional<size_t> Claim() VEDETTE_EXCLUDES(mu_);
  // kCancelled: nobody wants more.
  Status Put(Batch batch) VEDETTE_EXCLUDES(mu_);
  // The last thing it does.
  void End(Status status) VEDETTE_EXCLUDES(mu_);

 private:
  const size_t parts_;
  const uint64_t room_bytes_;
  Mutex mu_;
  CondVar changed_;
  size_t next_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::deque<Batch> batches_ VEDETTE_GUARDED_BY(mu_);
  uint64_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool stopped_ VEDETTE_GUARDED_BY(mu_) = false;
  bool ended_ VEDETTE_GUARDED_BY(mu_) = false;
  Status status_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::promql
