#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "server/promql/engine.h"
#include "server/promql/engine/budget.h"
#include "server/promql/engine/profiler.h"
#include "server/promql/functions/annotations.h"
#include "server/promql/functions/column.h"
#include "server/promql/functions/range_kernels.h"
#include "server/promql/functions/selection.h"
#include "server/promql/parser/ast.h"
#include "server/promql/parser/function_table.h"
#include "server/promql/plan/plan.h"
#include "server/storage/queryable.h"

namespace vedette::promql {

// Takes the series of a result as they come. The column may be moved from.
using Sink = std::function<Status(Column&)>;

class Handover;
class HelperPool;

// Evaluator runs a planned tree over a grid, all steps at once. Vectors pass from node to node as a
// stream of columns; what needs to see everything (binary operators, topk, sort) collects. One
// query's; one thread. Large selections are read, and their range functions worked out, by a helper
// as well, with an evaluator of its own; columns pass on by this thread, in the order they would have
// without it, so answers are the same to the bit.
class Evaluator {
 public:
  // `helpers` may be null: everything is done by this thread.
  Evaluator(const EngineOptions& options, const PlanContext& context, storage::Querier& querier,
            Budget& budget, Annotations& notes, Profiler* profiler = nullptr,
            HelperPool* helpers = nullptr)
      : options_(options),
        context_(context),
        querier_(querier),
        budget_(budget),
        notes_(notes),
        profiler_(profiler),
        helpers_(helpers) {}

  Status Stream(const Expr& expr, const Grid& grid, const Sink& sink);
  // What is collected is charged to `charge`, and given back with it.
  Result<std::vector<Column>> Collect(const Expr& expr, const Grid& grid, Charge& charge);
  Result<std::vector<double>> Scalars(const Expr& expr, const Grid& grid);
  // The raw samples of a range selector or subquery at one instant.
  Result<Matrix> RangeAt(const Expr& expr, const Grid& grid);

  // Labels without the name (and, with type_and_unit_labels, without those two).
  Labels DropName(const Labels& labels) const;
  // Names that were only marked go; series that are now the same are merged, or refused.
  Result<std::vector<Column>> Finish(std::vector<Column> columns) const;

 private:
  friend class RangeCall;

  // Stream and Scalars without the profiler around them.
  Status StreamNode(const Expr& expr, const Grid& grid, const Sink& sink);
  Result<std::vector<double>> ScalarsOf(const Expr& expr, const Grid& grid);

  // A series' column, or null where it gave nothing, and what reading it held: that is charged while
  // the column is passed on.
  using HeldSink = std::function<Status(Column* c, uint64_t samples, uint64_t bytes)>;
  // Reads a set and hands on its columns, with the evaluator of the thread that it runs on.
  using SeriesWork =
      std::function<Status(Evaluator& on, storage::SeriesSet& set, const HeldSink& out)>;
  using PartOf = std::function<std::unique_ptr<storage::SeriesSet>(size_t part)>;

  // Two threads (divided.cc).
  bool WorthDividing(const storage::SeriesSet& set, const Grid& grid,
                     const storage::SelectHints& hints) const;
  uint64_t PartSeries(const Grid& grid) const;
  Status StreamSeries(const storage::SeriesSet& set, const Grid& grid, const SeriesWork& work,
                      const Sink& sink);
  // What the helper does, with a budget, and perhaps a profiler, of its own.
  Status Help(Handover& handover, Budget& budget, Profiler* profiler, const PartOf& part_of,
              const SeriesWork& work) const;
  Status PassOn(Column* c, uint64_t samples, uint64_t bytes, const Sink& sink);

  // Selectors (selectors.cc).
  enum class Shows : uint8_t { kValue, kTime, kStart };  // Of every sample.
  Status StreamSelector(const VectorSelector& v, const Grid& grid, Shows shows, const Sink& sink);
  Status ReadSelector(const VectorSelector& v, const Grid& grid, Shows shows,
                      storage::SeriesSet& set, const HeldSink& out);
  // Warnings and costs of a selection that has been read to its end.
  void Finished(const storage::SeriesSet& set, uint64_t samples_before);
  using RangeSink = std::function<Status(const RangeSeries&)>;
  Status StreamRange(const Expr& expr, const Grid& grid, std::string_view function,
                     const RangeSink& sink);
  Status StreamMatrix(const MatrixSelector& m, const Grid& grid, std::string_view function,
                      const RangeSink& sink);
  storage::SelectHints HintsOf(const MatrixSelector& m, const Grid& grid,
                               std::string_view function) const;
  // `samples` and `bytes`: what holding the series takes.
  using HeldRangeSink =
      std::function<Status(const RangeSeries& r, uint64_t samples, uint64_t bytes)>;
  Status ReadMatrix(const MatrixSelector& m, const Grid& grid, storage::SeriesSet& set,
                    const HeldRangeSink& sink);
  // The same below a call: `range` is the call's selector.
  Status ReadForCall(const Expr& range, const Grid& grid, storage::SeriesSet& set,
                     const HeldRangeSink& sink);
  Status StreamSubquery(const SubqueryExpr& s, const Grid& grid, const RangeSink& sink);

  // Calls (calls.cc, range_calls.cc, histogram_calls.cc, label_calls.cc).
  Status StreamCall(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamRangeCall(const Call& call, const Grid& grid, const Sink& sink);
  // One series; `out` is empty where the function gives nothing.
  Status RangeColumn(const Call& call, const Grid& grid, PosRange pos, RangeKernel& kernel,
                     const RangeSeries& r, Column& out);
  Status StreamElementwise(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamDate(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamTimestamp(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamAbsent(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamLabelReplace(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamLabelJoin(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamSort(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamHistogramValue(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamHistogramQuantile(const Call& call, const Grid& grid, const Sink& sink);
  Status StreamInfo(const Call& call, const Grid& grid, const Sink& sink);

  // Aggregations (aggregation.cc).
  Status StreamAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink);
  Status FoldAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink);
  Status SelectAggregate(const AggregateExpr& a, const Grid& grid, const Sink& sink);
  Status CountValues(const AggregateExpr& a, const Grid& grid, const Sink& sink);
  // What it groups by, or what it leaves out: each once.
  std::vector<std::string> GroupNames(const AggregateExpr& a) const;
  Labels GroupLabels(const AggregateExpr& a, const Labels& labels) const;
  bool GroupSeesName(const AggregateExpr& a) const;

  // Operators (binary.cc).
  Status StreamBinary(const BinaryExpr& b, const Grid& grid, const Sink& sink);
  Status StreamVectorScalar(const BinaryExpr& b, const Grid& grid, const Sink& sink);
  Status StreamVectorVector(const BinaryExpr& b, const Grid& grid, const Sink& sink);
  Status StreamSetOp(const BinaryExpr& b, const Grid& grid, const Sink& sink);
  Status StreamUnary(const UnaryExpr& u, const Grid& grid, const Sink& sink);

  // A rule that changes a value drops the name: now, or marked for the end.
  void MarkNameDropped(Column& c) const;
  // Passes on what is not empty.
  Status Emit(Column& c, const Sink& sink);
  // Wraps `sink`, so that two series with one label set at one step are an error. `whole`: already
  // when they are never at the same step.
  Sink Unique(const Sink& sink, bool whole);
  bool unique_needed(const Expr& expr) const;
  bool delayed_names() const { return options_.delayed_name_removal; }

  const EngineOptions& options_;
  const PlanContext& context_;
  storage::Querier& querier_;
  Budget& budget_;
  Annotations& notes_;
  Profiler* const profiler_;  // Null unless somebody wants to know.
  HelperPool* const helpers_;
  uint64_t next_timeline_ = 1ull << 63;
};

inline constexpr std::string_view kSameLabelset =
    "vector cannot contain metrics with the same labelset";

}  // namespace vedette::promql
