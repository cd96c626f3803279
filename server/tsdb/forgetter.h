#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/index/eras.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// Forgetter gives back what the index holds of series that have no data any more: short-lived ones
// would fill memory and the start for ever. In rounds, as nobody is kept waiting for a query:
//
//   series without data are found  ->  no query is left that began before: they are given up, and their
//   journals are written without them  ->  no query is left that began before that: what is kept by
//   their numbers is freed.
//
// The order of memory first, then the disk, is what a crash needs: what comes back at the start is given
// up again, and nothing that is in use is ever missing from the journals.
class Forgetter {
 public:
  // Series are looked for once there may be `at_least` of them, and an eighth of all.
  Forgetter(Store& store, SeriesIndex& index, Head& head, uint64_t at_least)
      : store_(store), index_(index), head_(head), at_least_(at_least) {}

  // What a query holds for as long as it uses numbers of series. Any thread.
  std::shared_ptr<const void> Hold() const { return eras_.Hold(); }
  // One thread at a time, and none that drops windows meanwhile.
  Status Round();
  uint64_t given_up() const { return given_up_; }  // Since the start.

 private:
  struct StoredJournal;
  void Look();
  Status ThinJournals();
  Status ThinRun(const std::vector<StoredJournal>& run);

  Store& store_;
  SeriesIndex& index_;
  Head& head_;
  const uint64_t at_least_;
  Eras eras_;
  Postings unused_;            // Found in the era before.
  bool free_places_ = false;   // Once that is over.
  bool thin_journals_ = false;  // Some have series that are given up.
  std::atomic<uint64_t> given_up_{0};
};

}  // namespace vedette::tsdb
