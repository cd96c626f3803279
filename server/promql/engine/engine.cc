#include "server/promql/engine.h"

#include <algorithm>
#include <atomic>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/parser/parser.h"

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
  Gate(int slots, const Clock& clock) : clock_(clock), free_(std::max(slots, 1)) {}

  Status Enter(int64_t deadline_ns, const CancelFlag* cancel) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (free_ == 0) {
      if (cancel != nullptr && cancel->cancelled()) {
        return Cancelled("query was canceled in query queue");
      }
      if (clock_.MonotonicNs() > deadline_ns) {
        return DeadlineExceeded("query timed out in query queue");
      }
      // Cancellation has no way to wake this up: it is looked at now and then.
      turn_.WaitFor(mu_, 50);
    }
    --free_;
    return {};
  }
  void Leave() VEDETTE_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      ++free_;
    }
    turn_.NotifyOne();
  }

 private:
  const Clock& clock_;
  Mutex mu_;
  CondVar turn_;
  int free_ VEDETTE_GUARDED_BY(mu_);
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

class ColumnEngine final : public Engine {
 public:
  ColumnEngine(const EngineOptions& options, const storage::Queryable& queryable,
               const Clock& clock)
      : options_(options),
        queryable_(queryable),
        clock_(clock),
        gate_(options.max_concurrency, clock),
        subquery_step_ms_(options.default_subquery_step_ms) {}

  Result<QueryAnswer> Run(const Query& query, const CancelFlag* cancel) override {
    const int64_t began = clock_.MonotonicNs();
    const int64_t deadline = began + query.timeout_ms.value_or(options_.timeout_ms) * 1'000'000;
    VEDETTE_RETURN_IF_ERROR(gate_.Enter(deadline, cancel));
    const int64_t entered = clock_.MonotonicNs();
    Result<QueryAnswer> answer = RunInside(query, cancel, deadline);
    gate_.Leave();
    if (answer.ok()) answer->stats.queue_seconds = SecondsBetween(began, entered);
    return answer;
  }

  void SetDefaultSubqueryStep(int64_t step_ms) override { subquery_step_ms_ = step_ms; }
  const EngineOptions& options() const override { return options_; }

 private:
  Result<QueryAnswer> RunInside(const Query& query, const CancelFlag* cancel, int64_t deadline) {
    const int64_t began = clock_.MonotonicNs();
    ParserOptions parser;
    parser.experimental_functions = options_.experimental_functions;
    parser.extended_range_selectors = options_.extended_range_selectors;
    parser.binop_fill_modifiers = options_.binop_fill_modifiers;
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr expr, ParseExpr(query.text, parser));
    const bool instant = query.step_ms <= 0;
    if (!instant && expr->type != ValueType::kScalar && expr->type != ValueType::kVector) {
      return InvalidArgument(StrCat("invalid expression type ", Quoted(DocumentedType(expr->type)),
                                    " for range query, must be Scalar or instant Vector"));
    }
    if (!instant && query.end_ms < query.start_ms) {
      return InvalidArgument("end of the range is before its start");
    }
    PlanContext context;
    context.text = query.text;
    context.start_ms = query.start_ms;
    context.end_ms = instant ? query.start_ms : query.end_ms;
    context.step_ms = instant ? 0 : query.step_ms;
    context.lookback_ms = query.lookback_ms.value_or(options_.lookback_ms);
    if (context.lookback_ms <= 0) context.lookback_ms = options_.lookback_ms;
    context.default_subquery_step_ms = subquery_step_ms_;
    VEDETTE_RETURN_IF_ERROR(PlanQuery(*expr, context));

    Grid grid;
    grid.start_ms = query.start_ms;
    grid.step_ms = instant ? 0 : query.step_ms;
    grid.steps = instant ? 1 : (query.end_ms - query.start_ms) / query.step_ms + 1;
    if (grid.steps > kMaxSteps) {
      return InvalidArgument(
          StrCat("range query of ", grid.steps, " steps: the limit is ", kMaxSteps));
    }
    const TimeRange range = NeededRange(*expr, context);
    QueryAnswer answer;
    VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<storage::Querier> querier,
                             queryable_.Open(range.min_ms, range.max_ms));
    const int64_t prepared = clock_.MonotonicNs();
    answer.stats.prepare_seconds = SecondsBetween(began, prepared);

    Budget budget;
    budget.clock = &clock_;
    budget.cancel = cancel;
    budget.deadline_ns = deadline;
    budget.max_samples = options_.max_samples;
    budget.stats = &answer.stats;
    Annotations notes(query.text);
    Evaluator evaluator(options_, context, *querier, budget, notes);
    VEDETTE_ASSIGN_OR_RETURN(answer.value, ValueOf(*expr, grid, instant, evaluator));
    answer.warnings = notes.TakeWarnings();
    answer.infos = notes.TakeInfos();
    answer.stats.eval_seconds = SecondsBetween(prepared, clock_.MonotonicNs());
    return answer;
  }

  static Result<Value> ValueOf(const Expr& expr, const Grid& grid, bool instant,
                               Evaluator& evaluator) {
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
    VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> columns, evaluator.Collect(expr, grid));
    VEDETTE_ASSIGN_OR_RETURN(columns, evaluator.Finish(std::move(columns)));
    if (instant) {
      Vector out;
      for (Column& c : columns) {
        if (!c.present(0)) continue;
        out.push_back({std::move(c.labels), PointAt(c, 0, grid.start_ms)});
      }
      return Value(std::move(out));
    }
    std::sort(columns.begin(), columns.end(),
              [](const Column& a, const Column& b) { return a.labels < b.labels; });
    Matrix out;
    for (Column& c : columns) {
      Series s;
      s.metric = std::move(c.labels);
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (c.present(i)) s.points.push_back(PointAt(c, i, grid.At(static_cast<int64_t>(i))));
      }
      if (!s.points.empty()) out.push_back(std::move(s));
    }
    return Value(std::move(out));
  }

  const EngineOptions options_;
  const storage::Queryable& queryable_;
  const Clock& clock_;
  Gate gate_;
  std::atomic<int64_t> subquery_step_ms_;
};

}  // namespace

std::unique_ptr<Engine> MakeEngine(const EngineOptions& options,
                                   const storage::Queryable& queryable, const Clock& clock) {
  return std::make_unique<ColumnEngine>(options, queryable, clock);
}

}  // namespace vedette::promql
