#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/metric_family.h"

namespace vedette::storage {

// What the reader will do with the samples: storage may use it to read less, never to answer other
// than it would without.
struct SelectHints {
  int64_t start_ms = 0;  // Samples wanted: start_ms <= t <= end_ms.
  int64_t end_ms = 0;
  int64_t step_ms = 0;   // 0: an instant query.
  int64_t range_ms = 0;  // Of a range selector; 0 for an instant selector.
  std::string function;  // The function or aggregation right above the selector, or "".
  bool sorted = false;   // Series in order of their labels.
  bool start_times = false;  // Start timestamps too, where the storage has them.
  // The reader takes SeriesColumns::rolled for samples: it looks at windows of (t - range_ms, t] alone,
  // t being end_ms, end_ms - step_ms and so on as long as start_ms is not passed.
  bool takes_rolled = false;
  // The reader looks at no value, only at whether it is a stale marker: anything else may stand in the
  // place of the others.
  bool presence_only = false;
  // The labels that the reader looks at: others may be left out. Nothing: all of them.
  std::optional<std::vector<std::string>> labels;
  uint64_t limit = 0;    // At most so many series; 0: all.
};

// A stretch of samples of one series, none of them a histogram or a stale marker, and what they come
// to: what a roll-up has in their place. A stretch has one sample at least.
struct RolledUp {
  uint64_t count = 0;
  int64_t first_ms = 0;
  int64_t last_ms = 0;
  double first = 0;
  double last = 0;
  double min = 0;  // NaN only where all are, as of max.
  double max = 0;
  double sum = 0;   // Infinite only where a value is.
  double lost = 0;  // The values before each that is lower: what a counter's resets took away.
};

// One series over the asked time range, decoded. Valid until the next call on its SeriesSet.
struct SeriesColumns {
  Labels labels;
  // Ascending, no two equal, without holes: absent positions are already taken out.
  std::span<const int64_t> t_ms;
  // As long as t_ms. Stale markers are in it (see has_stale); where histograms[i] is not null,
  // values[i] means nothing.
  std::span<const double> values;
  // Empty, or as long as t_ms.
  std::span<const std::shared_ptr<const Histogram>> histograms;
  // Empty, or as long as t_ms: since when each sample counts (a counter's start, the beginning of a
  // delta), in milliseconds; 0 where that is not known. Only with SelectHints::start_times.
  std::span<const int64_t> start_ms;
  // Empty, or as long as t_ms: stretches, one of the reader's windows has all of a stretch or nothing;
  // t_ms and values are those of their last samples then. Only with SelectHints::takes_rolled.
  std::span<const RolledUp> rolled;
  // The histogram before the first of the range, where the storage has it at hand: whether the first
  // is a counter reset can be told by it. May be null.
  std::shared_ptr<const Histogram> histogram_before;
  // Series that follow each other with the same non-zero key have the very same t_ms: what was
  // worked out from the instants (window bounds, step positions) is still true.
  uint64_t timeline_key = 0;
  bool has_stale = false;
};

// A stream of series, each label set once. One thread.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  // False at the end, and on an error: ask status().
  virtual bool Next() = 0;
  virtual const SeriesColumns& at() const = 0;
  virtual Status status() const = 0;
  // Said about the answer, such as "12 damaged chunks were left out". Complete after the end.
  virtual std::vector<std::string> warnings() const { return {}; }
  // Bytes of encoded samples that were decoded so far.
  virtual uint64_t bytes_decoded() const { return 0; }

  // A large read may be divided among threads. How many places for series there are, some of which
  // may turn out empty; 0: this set cannot be divided.
  virtual uint64_t places() const { return 0; }
  // The series at `count` places from `first` on, in this set's order, for another thread. All parts
  // one after the other give what this set does. Only where places() is not 0 and before this set's
  // first Next(); thread-safe; a part is good for as long as this set is.
  virtual std::unique_ptr<SeriesSet> Part(uint64_t first, uint64_t count) const {
    (void)first;
    (void)count;
    return nullptr;
  }
};

// Limits what a call of names, values or series returns; 0: no limit. `truncated` is set when more
// was there.
struct NameLimit {
  uint64_t limit = 0;
  bool truncated = false;
};

// One consistent view of the storage over a time range. Any number of threads may Select at once.
// Holds resources: keep it no longer than the query.
class Querier {
 public:
  virtual ~Querier() = default;

  // Series that match all matchers and may have a sample in the range.
  virtual std::unique_ptr<SeriesSet> Select(const SelectHints& hints,
                                            std::span<const Matcher> matchers) = 0;

  // Label sets alone, sorted; no sample is read. A series is listed when it may have a sample in
  // the querier's range.
  virtual Result<std::vector<Labels>> SeriesLabels(std::span<const Matcher> matchers,
                                                   NameLimit* limit) = 0;

  // Sorted, each once.
  virtual Result<std::vector<std::string>> LabelNames(std::span<const Matcher> matchers,
                                                      NameLimit* limit) = 0;
  virtual Result<std::vector<std::string>> LabelValues(const std::string& name,
                                                       std::span<const Matcher> matchers,
                                                       NameLimit* limit) = 0;
};

// Queryable is where the reading side gets its data from: the local storage, or a remote one.
// Thread-safe.
class Queryable {
 public:
  virtual ~Queryable() = default;
  virtual Result<std::unique_ptr<Querier>> Open(int64_t min_t_ms, int64_t max_t_ms) const = 0;
};

// Exemplars of the series that match one of the selectors, oldest first.
struct SeriesExemplars {
  Labels series;
  std::vector<Exemplar> exemplars;  // t_ms is always set.
};

class ExemplarQueryable {
 public:
  virtual ~ExemplarQueryable() = default;
  virtual Result<std::vector<SeriesExemplars>> Select(
      int64_t start_ms, int64_t end_ms, std::span<const std::vector<Matcher>> selectors) const = 0;
};

// What is known of metric names. Thread-safe.
struct NamedMetadata {
  std::string metric_name;
  Metadata metadata;
};

class MetadataQueryable {
 public:
  virtual ~MetadataQueryable() = default;
  // All of it, or that of one name; sorted by name.
  virtual std::vector<NamedMetadata> Select(const std::string& metric_name_or_empty) const = 0;
};

}  // namespace vedette::storage
