#include "server/promql/engine.h"

#include <algorithm>
#include <atomic>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/metrics/refusals.h"
#include "common/model/duration.h"
#include "common/model/sample.h"
#include "server/promql/engine/active_queries.h"
#include "server/promql/engine/budget.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/explain.h"
#include "server/promql/engine/helper_pool.h"
#include "server/promql/engine/profiler.h"
#include "server/promql/parser/parser.h"
#include "server/promql/parsing.h"

namespace vedette::promql {
namespace {

// Steps of one range query: what Prometheus' HTTP API refuses, the engine bounds as well.
constexpr int64_t kMaxSteps = 10'000'000;

double SecondsBetween(int64_t from_ns, int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e9;
}

// Lets so many queries run at a time; the others wait for their turn, their deadline or their
// cancellation.
class Gate {
 public:
  Gate(int slots, int max_waiting, const Clock& clock)
      : max_waiting_(max_waiting), clock_(clock), free_(std::max(slots, 1)) {}

  Status Enter(int64_t deadline_ns, int64_t timeout_ms, const CancelFlag* cancel,
               const RunningQuery& running) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (free_ == 0 && waiting_ >= max_waiting_) {
      metrics::CountRefusal(metrics::Limit::kQueriesWaiting);
      return Unavailable(StrCat("too many queries: ", waiting_,
                                " wait for their turn already (--query.max-waiting, "
                                "--query.max-concurrency)"));
    }
    ++waiting_;
    const Status turn = WaitForTurn(deadline_ns, timeout_ms, cancel, running);
    --waiting_;
    if (turn.ok()) --free_;
    return turn;
  }

  void Leave() VEDETTE_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      ++free_;
    }
    turn_.NotifyOne();
  }

 private:
  Status WaitForTurn(int64_t deadline_ns, int64_t timeout_ms, const CancelFlag* cancel,
                     const RunningQuery& running) VEDETTE_REQUIRES(mu_) {
    while (free_ == 0) {
      if ((cancel != nullptr && cancel->cancelled()) || running.killed()) {
        return Cancelled("query was canceled in query queue");
      }
      if (clock_.MonotonicNs() > deadline_ns) {
        metrics::CountRefusal(metrics::Limit::kQueryTimeout);
        return DeadlineExceeded(
            StrCat("query timed out in query queue after ", FormatDuration(timeout_ms)));
      }
      // Cancellation has no way to wake this up: it is looked at now and then.
      turn_.WaitFor(mu_, 50);
    }
    return {};
  }

  const int max_waiting_;
  const Clock& clock_;
  Mutex mu_;
  CondVar turn_;
  int free_ VEDETTE_GUARDED_BY(mu_);
  int waiting_ VEDETTE_GUARDED_BY(mu_) = 0;
};

Point PointAt(const Column& c, size_t i, int64_t t_ms) {
  Point p;
  p.t_ms = t_ms;
  if (c.is_histogram(i)) {
    p.histogram = c.histograms[i];
  } else {
    p.value = c.values[i];
  }
  return p;
}

// Everything between a query's text and its evaluation.
struct Prepared {
  ExprPtr expr;
  PlanContext context;
  Grid grid;
  bool instant = true;
  std::unique_ptr<storage::Querier> querier;
};

class ColumnEngine final : public Engine {
 public:
  ColumnEngine(const EngineOptions& options, const storage::Queryable& queryable,
               const Clock& clock)
      : options_(options),
        queryable_(queryable),
        clock_(clock),
        gate_(options.max_concurrency, options.max_waiting, clock),
        helpers_(options.helpers > 0 ? std::make_unique<HelperPool>(options.helpers) : nullptr),
        subquery_step_ms_(options.default_subquery_step_ms) {}

  Result<QueryAnswer> Run(const Query& query, const CancelFlag* cancel) override {
    return Enter(query, cancel, [&](Budget& budget) -> Result<QueryAnswer> {
      const int64_t began = clock_.MonotonicNs();
      VEDETTE_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(query));
      return Evaluate(query, prepared, began, budget, nullptr);
    });
  }

  Result<Explanation> Explain(const Query& query, bool analyze, const CancelFlag* cancel) override {
    Explanation out;
    Result<QueryAnswer> answer =
        Enter(query, cancel, [&](Budget& budget) -> Result<QueryAnswer> {
          const int64_t began = clock_.MonotonicNs();
          VEDETTE_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(query));
          QueryAnswer ran;
          Profiler profiler(clock_);
          if (analyze) {
            VEDETTE_ASSIGN_OR_RETURN(ran, Evaluate(query, prepared, began, budget, &profiler));
            ran.value = Scalar{};  // What it gave is in the tree, in numbers.
          }
          VEDETTE_ASSIGN_OR_RETURN(
              out.plan, ExplainTree(*prepared.expr, prepared.grid, prepared.context,
                                    *prepared.querier, analyze ? &profiler : nullptr));
          out.steps = prepared.grid.steps;
          return ran;
        });
    if (!answer.ok()) return answer.status();
    out.analyzed = analyze;
    out.answer = *std::move(answer);
    return out;
  }

  std::vector<ActiveQuery> Active() const override { return active_.List(); }
  Status Kill(uint64_t id) override { return active_.Kill(id); }

  EngineTotals totals() const override {
    EngineTotals out;
    {
      MutexLock lock(totals_mu_);
      out = totals_;
    }
    out.active = active_.size();
    return out;
  }

  void SetDefaultSubqueryStep(int64_t step_ms) override { subquery_step_ms_ = step_ms; }
  const EngineOptions& options() const override { return options_; }

 private:
  // Waits for the query's turn and runs `work` with its budget.
  template <typename Work>
  Result<QueryAnswer> Enter(const Query& query, const CancelFlag* cancel, Work work) {
    if (options_.memory_left != nullptr) {
      VEDETTE_RETURN_IF_ERROR(options_.memory_left());
    }
    const int64_t began = clock_.MonotonicNs();
    const int64_t timeout_ms = query.timeout_ms.value_or(options_.timeout_ms);
    const int64_t deadline = began + timeout_ms * 1'000'000;
    const std::shared_ptr<RunningQuery> running = active_.Add(query, clock_.NowMs());
    const Status entered =
        query.urgent ? Status() : gate_.Enter(deadline, timeout_ms, cancel, *running);
    const int64_t turn = clock_.MonotonicNs();
    Result<QueryAnswer> answer = entered.ok() ? Internal("the query was not run") : entered;
    if (entered.ok()) {
      running->Begin();
      QueryStats stats;
      Budget budget;
      budget.clock = &clock_;
      budget.cancel = cancel;
      budget.deadline_ns = deadline;
      budget.timeout_ms = timeout_ms;
      budget.max_samples = options_.max_samples;
      budget.max_bytes = options_.max_bytes;
      if (options_.memory_left != nullptr) budget.memory_left = &options_.memory_left;
      budget.running = running.get();
      budget.stats = &stats;
      answer = work(budget);
      if (!query.urgent) gate_.Leave();
      stats.queue_seconds = SecondsBetween(began, turn);
      if (answer.ok()) answer->stats = stats;
      Count(stats, answer.ok());
      if (options_.ended != nullptr) options_.ended(stats);
    } else {
      Count({}, false);
    }
    active_.Remove(running->id());
    return answer;
  }

  void Count(const QueryStats& stats, bool ok) VEDETTE_EXCLUDES(totals_mu_) {
    MutexLock lock(totals_mu_);
    ++totals_.queries;
    if (!ok) ++totals_.failed;
    totals_.samples += stats.samples_read;
  }

  Result<Prepared> Prepare(const Query& query) const {
    Prepared out;
    VEDETTE_ASSIGN_OR_RETURN(out.expr, ParseExpr(query.text, ParsingOf(options_)));
    out.instant = query.step_ms <= 0;
    const ValueType type = out.expr->type;
    if (!out.instant && type != ValueType::kScalar && type != ValueType::kVector) {
      return InvalidArgument(StrCat("invalid expression type ", Quoted(DocumentedType(type)),
                                    " for range query, must be Scalar or instant Vector"));
    }
    if (!out.instant && query.end_ms < query.start_ms) {
      return InvalidArgument("end of the range is before its start");
    }
    PlanContext& context = out.context;
    context.text = query.text;
    context.start_ms = query.start_ms;
    context.end_ms = out.instant ? query.start_ms : query.end_ms;
    context.step_ms = out.instant ? 0 : query.step_ms;
    context.lookback_ms = query.lookback_ms.value_or(options_.lookback_ms);
    if (context.lookback_ms <= 0) context.lookback_ms = options_.lookback_ms;
    context.default_subquery_step_ms = subquery_step_ms_;
    VEDETTE_RETURN_IF_ERROR(PlanQuery(*out.expr, context));

    out.grid.start_ms = query.start_ms;
    out.grid.step_ms = out.instant ? 0 : query.step_ms;
    out.grid.steps = out.instant ? 1 : (query.end_ms - query.start_ms) / query.step_ms + 1;
    if (out.grid.steps > kMaxSteps) {
      return InvalidArgument(
          StrCat("range query of ", out.grid.steps, " steps: the limit is ", kMaxSteps));
    }
    const TimeRange range = NeededRange(*out.expr, context);
    VEDETTE_ASSIGN_OR_RETURN(out.querier, queryable_.Open(range.min_ms, range.max_ms));
    return out;
  }

  Result<QueryAnswer> Evaluate(const Query& query, const Prepared& prepared, int64_t began_ns,
                               Budget& budget, Profiler* profiler) const {
    QueryAnswer answer;
    const int64_t ready = clock_.MonotonicNs();
    budget.stats->evaluated = true;
    budget.stats->prepare_seconds = SecondsBetween(began_ns, ready);
    Annotations notes(query.text);
    Evaluator evaluator(options_, prepared.context, *prepared.querier, budget, notes, profiler,
                        helpers_.get());
    Result<Value> value =
        ValueOf(*prepared.expr, prepared.grid, prepared.instant, evaluator, budget);
    budget.stats->eval_seconds = SecondsBetween(ready, clock_.MonotonicNs());
    if (!value.ok()) return value.status();
    answer.value = *std::move(value);
    answer.warnings = notes.TakeWarnings();
    answer.infos = notes.TakeInfos();
    return answer;
  }

  static Result<Value> ValueOf(const Expr& expr, const Grid& grid, bool instant,
                               Evaluator& evaluator, Budget& budget) {
    switch (expr.type) {
      case ValueType::kString:
        return Value(String{grid.start_ms, WithoutParens(expr).As<StringLiteral>().value});
      case ValueType::kMatrix: {
        VEDETTE_ASSIGN_OR_RETURN(Matrix m, evaluator.RangeAt(expr, grid));
        return Value(std::move(m));
      }
      case ValueType::kScalar: {
        VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> v, evaluator.Scalars(expr, grid));
        if (instant) return Value(Scalar{grid.start_ms, v[0]});
        VEDETTE_RETURN_IF_ERROR(budget.HoldBytes(v.size() * sizeof(Point)));
        Series s;
        for (size_t i = 0; i < v.size(); ++i) {
          s.points.push_back({.t_ms = grid.At(static_cast<int64_t>(i)), .value = v[i]});
        }
        Matrix m;
        m.push_back(std::move(s));
        return Value(std::move(m));
      }
      default:
        break;
    }
    Charge charge(budget);
    VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> columns, evaluator.Collect(expr, grid, charge));
    VEDETTE_ASSIGN_OR_RETURN(columns, evaluator.Finish(std::move(columns)));
    if (instant) {
      Vector out;
      for (Column& c : columns) {
        if (!c.present(0)) continue;
        out.push_back({std::move(c.labels), PointAt(c, 0, grid.start_ms)});
      }
      return Value(std::move(out));
    }
    const int64_t unsorted_ns = budget.clock->MonotonicNs();
    std::sort(columns.begin(), columns.end(),
              [](const Column& a, const Column& b) { return a.labels < b.labels; });
    budget.stats->sort_seconds = SecondsBetween(unsorted_ns, budget.clock->MonotonicNs());
    Matrix out;
    out.reserve(columns.size());
    for (Column& column : columns) {
      const Column c = std::move(column);  // Freed at the end of its turn: columns become points.
      const auto points = static_cast<size_t>(
          std::ranges::count_if(c.values, [](double v) { return !IsAbsent(v); }));
      if (points == 0) continue;
      VEDETTE_RETURN_IF_ERROR(budget.HoldBytes(points * sizeof(Point)));
      budget.ReleaseBytes(c.values.capacity() * sizeof(double));
      Series s;
      s.metric = c.labels;
      s.points.reserve(points);
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (c.present(i)) s.points.push_back(PointAt(c, i, grid.At(static_cast<int64_t>(i))));
      }
      out.push_back(std::move(s));
    }
    return Value(std::move(out));
  }

  const EngineOptions options_;
  const storage::Queryable& queryable_;
  const Clock& clock_;
  Gate gate_;
  const std::unique_ptr<HelperPool> helpers_;
  ActiveQueries active_;
  std::atomic<int64_t> subquery_step_ms_;
  mutable Mutex totals_mu_;
  EngineTotals totals_ VEDETTE_GUARDED_BY(totals_mu_);
};

}  // namespace

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options,
                                   const storage::Queryable& queryable, const Clock& clock) {
  return std::make_unique<ColumnEngine>(options, queryable, clock);
}

}  // namespace vedette::promql
