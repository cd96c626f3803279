#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/store/damage.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/presence.h"

namespace vedette::tsdb {

// What was found damaged since the start: counted, logged, and the first sentences kept for the
// status page. Thread-safe.
class DamageReport {
 public:
  static constexpr size_t kMaxSentences = 100;

  void Add(std::string_view what);
  uint64_t count() const;
  std::vector<std::string> sentences() const;
  DamageSink sink() {
    return [this](std::string_view what) { Add(what); };
  }

 private:
  mutable Mutex mu_;
  uint64_t count_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::vector<std::string> sentences_ VEDETTE_GUARDED_BY(mu_);
};

// What the keys of the sealed data themselves say. Read whole, so only after damage.
struct KeyCensus {
  uint32_t series = 0;            // One more than the highest number seen.
  uint32_t highest_timeline = 0;  // The last part of a chunk's key.
};
// Confirms in `presence` and `histograms` every series that has a chunk or a histogram.
Result<KeyCensus> TakeCensus(const Store& store, Presence& presence, Presence& histograms);

}  // namespace vedette::tsdb
