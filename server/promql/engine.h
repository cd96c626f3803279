#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/promql/value.h"
#include "server/storage/queryable.h"

namespace vedette::promql {

// What is behind --enable-feature, and the flags of --query.*.
struct EngineOptions {
  int64_t lookback_ms = 5 * 60 * 1000;
  int64_t timeout_ms = 2 * 60 * 1000;
  int64_t default_subquery_step_ms = 60 * 1000;  // The global evaluation interval.
  uint64_t max_samples = 50'000'000;
  int max_concurrency = 20;
  bool experimental_functions = false;
  bool extended_range_selectors = false;
  bool binop_fill_modifiers = false;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
};

struct Query {
  std::string text;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;  // 0: an instant query at start_ms (== end_ms).
  // Unset: the engine's own.
  std::optional<int64_t> lookback_ms;
  std::optional<int64_t> timeout_ms;
};

// Set from any thread to stop a query; the query then fails with kCancelled. Cheap to poll.
class CancelFlag {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

struct QueryStats {
  uint64_t series = 0;
  uint64_t samples_read = 0;  // "totalQueryableSamples".
  uint64_t peak_samples = 0;
  double queue_seconds = 0;
  double prepare_seconds = 0;
  double eval_seconds = 0;
};

struct QueryAnswer {
  Value value;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  QueryStats stats;
};

// Engine runs PromQL over a Queryable, column at a time: a selector streams series by, window
// bounds are worked out once per timeline, kernels run over plain doubles, aggregations fold as
// series pass.
//
// Error codes: kInvalidArgument (the text is wrong: position and reason), kDeadlineExceeded,
// kCancelled, kResourceExhausted (the sample budget), kFailedPrecondition (execution: a
// many-to-many match, a duplicate label set, ...), kInternal, kUnavailable (storage). Thread-safe.
// The Queryable and the Clock outlive it.
class Engine {
 public:
  virtual ~Engine() = default;

  // Answers of an instant query are in the engine's order; of a range query sorted by labels.
  virtual Result<QueryAnswer> Run(const Query& query, const CancelFlag* cancel) = 0;

  // Takes effect for queries that start later.
  virtual void SetDefaultSubqueryStep(int64_t step_ms) = 0;

  virtual const EngineOptions& options() const = 0;
};

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options,
                                   const storage::Queryable& queryable, const Clock& clock);

}  // namespace vedette::promql
