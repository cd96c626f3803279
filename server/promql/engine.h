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

struct QueryStats;

// What is behind --enable-feature, and the flags of --query.*.
struct EngineOptions {
  int64_t lookback_ms = 5 * 60 * 1000;
  int64_t timeout_ms = 2 * 60 * 1000;
  int64_t default_subquery_step_ms = 60 * 1000;  // The global evaluation interval.
  uint64_t max_samples = 50'000'000;
  uint64_t max_bytes = 400ull << 20;  // What one query may hold in memory, near enough. 0: no limit.
  int max_concurrency = 20;
  // So many may wait for their turn; more are refused with kUnavailable, because each waits on a
  // thread of the door it came through.
  int max_waiting = 64;
  uint64_t max_text_bytes = 1 << 20;
  int32_t max_depth = 1000;  // Of a query's tree; more does not fit the stack of a thread.
  bool experimental_functions = false;
  bool extended_range_selectors = false;
  bool binop_fill_modifiers = false;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
  bool start_timestamps = false;  // rate() and its kin look at start timestamps too.
  // Threads that help large queries, one each, where they are idle. 0: each query has one thread.
  int helpers = 0;
  // A query is large from so many samples and steps of one selector on: some 10 ms of work, beside
  // which handing a part of it over costs nothing. 0: two series are enough, for tests.
  uint64_t divide_from = 2'000'000;
  // Asked before a query begins and while it runs: kUnavailable while the process is short of
  // memory. Thread-safe and cheap; null: never.
  std::function<Status()> memory_left;
  // Told what each query took that got its turn, when it has ended. Called by the query's own thread,
  // several at a time; null: nobody is told.
  std::function<void(const QueryStats&)> ended;
};

struct Query {
  std::string text;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;  // 0: an instant query at start_ms (== end_ms).
  // Unset: the engine's own.
  std::optional<int64_t> lookback_ms;
  std::optional<int64_t> timeout_ms;
  // Who asks, for the list of running queries: "http 10.0.0.7:5123", "rule group disk".
  std::string origin;
  // A rule's: it runs at once, whatever waits in the queue of --query.max-concurrency.
  bool urgent = false;
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
  bool evaluated = false;  // It was read, planned and run; whether it succeeded is another matter.
  uint64_t series = 0;
  uint64_t samples_read = 0;  // "totalQueryableSamples".
  uint64_t peak_samples = 0;
  uint64_t peak_bytes = 0;
  uint64_t bytes_decoded = 0;
  double queue_seconds = 0;
  double prepare_seconds = 0;
  double eval_seconds = 0;
  double sort_seconds = 0;  // Of eval_seconds: putting the series of a range answer in order.
};

struct QueryAnswer {
  Value value;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  QueryStats stats;
};

// A query that waits or runs.
struct ActiveQuery {
  uint64_t id = 0;
  std::string text;  // Cut where it is very long.
  std::string origin;
  int64_t began_ms = 0;  // When it came in.
  int64_t start_ms = 0;  // What it asks for, as in Query.
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  bool waiting = false;  // For its turn: --query.max-concurrency.
  uint64_t series = 0;   // Read so far.
  uint64_t samples = 0;
  uint64_t held_bytes = 0;
};

// One operator of a planned query; with ANALYZE also what it cost.
struct PlanNode {
  std::string op;    // "selector", "range selector", "subquery", "rate", "sum by (job)", "+", ...
  std::string text;  // The expression below and with this operator.
  std::string type;  // "vector", "matrix", "scalar", "string".
  int32_t position = 0;  // Bytes of the query's text.
  int32_t end_position = 0;
  bool step_invariant = false;  // Worked out once, for all steps.
  // Selectors: what they ask the storage for.
  bool selects = false;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint64_t matching_series = 0;
  // ANALYZE.
  uint64_t series = 0;        // Given to the operator above.
  uint64_t points = 0;        // Samples in them.
  uint64_t samples_read = 0;  // Selectors: looked at in the storage.
  uint64_t bytes_decoded = 0;
  double self_seconds = 0;
  double total_seconds = 0;  // With everything below.
  std::vector<PlanNode> children;
};

struct Explanation {
  PlanNode plan;
  int64_t steps = 1;
  bool analyzed = false;
  QueryAnswer answer;  // Of ANALYZE.
};

// Counted since the start.
struct EngineTotals {
  uint64_t queries = 0;
  uint64_t failed = 0;
  uint64_t samples = 0;  // Read.
  size_t active = 0;     // Right now.
};

// Engine runs PromQL over a Queryable, column at a time: a selector streams series by, window
// bounds are worked out once per timeline, kernels run over plain doubles, aggregations fold as
// series pass.
//
// Error codes: kInvalidArgument (the text is wrong: position and reason), kDeadlineExceeded,
// kCancelled, kResourceExhausted (the sample or memory budget), kFailedPrecondition (execution: a
// many-to-many match, a duplicate label set, ...), kInternal, kUnavailable (storage). Thread-safe.
// The Queryable and the Clock outlive it.
class Engine {
 public:
  virtual ~Engine() = default;

  // Answers of an instant query are in the engine's order; of a range query sorted by labels.
  virtual Result<QueryAnswer> Run(const Query& query, const CancelFlag* cancel) = 0;

  // The plan of a query, without running it or, with `analyze`, by running it.
  virtual Result<Explanation> Explain(const Query& query, bool analyze, const CancelFlag* cancel) {
    return Unimplemented("this engine does not explain its queries");
  }

  virtual std::vector<ActiveQuery> Active() const { return {}; }
  // Ends a query as soon as it looks up from its work. kNotFound where there is none.
  virtual Status Kill(uint64_t id) { return NotFound("no such query is running"); }
  virtual EngineTotals totals() const { return {}; }

  // Takes effect for queries that start later.
  virtual void SetDefaultSubqueryStep(int64_t step_ms) = 0;

  virtual const EngineOptions& options() const = 0;
};

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options,
                                   const storage::Queryable& queryable, const Clock& clock);

}  // namespace vedette::promql
