// Large selections are read by two threads: the query's own and one that helps.
#include <algorithm>
#include <optional>
#include <utility>

#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/handover.h"
#include "server/promql/engine/helper_pool.h"

namespace vedette::promql {
namespace {

// Columns of one part: enough that taking it costs nothing beside its work, little enough that the
// parts of two threads even out.
constexpr uint64_t kPartPoints = 1 << 16;
constexpr uint64_t kLeastPartSeries = 16;
constexpr uint64_t kMostPartSeries = 1024;
// What a helper may be ahead.
constexpr uint64_t kRoomBytes = 8 << 20;
constexpr uint64_t kBatchBytes = 256 << 10;
constexpr size_t kBatchSeries = 256;

}  // namespace

bool Evaluator::WorthDividing(const storage::SeriesSet& set, const Grid& grid,
                              const storage::SelectHints& hints) const {
  if (helpers_ == nullptr) return false;
  const uint64_t series = set.places();
  if (series < 2 * PartSeries(grid)) return false;
  // A sample every 15 s is a guess; what matters is the order of magnitude.
  constexpr int64_t kUsualIntervalMs = 15'000;
  const auto samples =
      static_cast<uint64_t>(std::max<int64_t>(hints.end_ms - hints.start_ms, 0) / kUsualIntervalMs);
  if (series * (samples + static_cast<uint64_t>(grid.steps)) < options_.divide_from) return false;
  return budget_.max_bytes == 0 || budget_.held_bytes + 2 * kRoomBytes < budget_.max_bytes;
}

uint64_t Evaluator::PartSeries(const Grid& grid) const {
  if (options_.divide_from == 0) return 1;  // A test, that wants to see all of it.
  return std::clamp(kPartPoints / static_cast<uint64_t>(grid.steps), kLeastPartSeries,
                    kMostPartSeries);
}

Status Evaluator::PassOn(Column* c, uint64_t samples, uint64_t bytes, const Sink& sink) {
  Charge charge(budget_);
  VEDETTE_RETURN_IF_ERROR(charge.Add(samples, bytes));
  return c == nullptr ? Status() : sink(*c);
}

Status Evaluator::StreamSeries(const storage::SeriesSet& set, const Grid& grid,
                               const SeriesWork& work, const Sink& sink) {
  const uint64_t part_series = PartSeries(grid);
  const auto parts = static_cast<size_t>((set.places() + part_series - 1) / part_series);
  const auto part_of = [&](size_t part) { return set.Part(part * part_series, part_series); };
  Charge room(budget_);
  VEDETTE_RETURN_IF_ERROR(room.Add(0, kRoomBytes));
  Handover handover(parts, kRoomBytes);
  // Taken now: from here on it is this thread's alone.
  Budget its_budget = budget_;
  its_budget.reports = false;
  its_budget.held = 0;
  its_budget.held_bytes = 0;
  std::optional<Profiler> its_profiler;
  const Expr* at_work = nullptr;
  if (profiler_ != nullptr) {
    its_profiler.emplace(profiler_->clock());
    at_work = profiler_->current();
  }
  const bool helped = helpers_->TryRun([&] {
    Profiler* const profiler = its_profiler ? &*its_profiler : nullptr;
    Status ended;
    {
      const Profiler::Scope scope(profiler, at_work);
      ended = Help(handover, its_budget, profiler, part_of, work);
    }
    handover.End(std::move(ended));  // From here on the profiler is the other thread's.
  });
  const HeldSink direct = [&](Column* c, uint64_t samples, uint64_t bytes) {
    return PassOn(c, samples, bytes, sink);
  };
  // Waiting is nobody's work.
  const auto take = [&]() -> Result<HandedBatch> {
    const Profiler::Scope waiting(profiler_, nullptr);
    return handover.Take();
  };
  Column column;  // Its memory serves one series after the other, where nobody keeps it.
  const auto take_part = [&](size_t part) -> Status {
    if (handover.ClaimOwn(part)) {
      const std::unique_ptr<storage::SeriesSet> own = part_of(part);
      return work(*this, *own, direct);
    }
    for (bool last = false; !last;) {
      VEDETTE_ASSIGN_OR_RETURN(HandedBatch batch, take());
      const double* values = batch.values.data();
      for (HandedBatch::Series& given : batch.series) {
        notes_.AddPlain(std::move(given.warnings), std::move(given.infos));
        if (!given.empty) {
          column.labels = std::move(given.labels);
          column.drop_name = given.drop_name;
          column.values.assign(values, values + grid.steps);
          column.histograms = std::move(given.histograms);
          values += grid.steps;
        }
        VEDETTE_RETURN_IF_ERROR(
            direct(given.empty ? nullptr : &column, given.samples, given.bytes));
      }
      budget_.stats->series += batch.stats.series;
      budget_.stats->samples_read += batch.stats.samples_read;
      budget_.stats->bytes_decoded += batch.stats.bytes_decoded;
      last = batch.last;
      handover.Return(std::move(batch));
    }
    return budget_.Poll();
  };
  Status status;
  for (size_t part = 0; part < parts && status.ok(); ++part) status = take_part(part);
  handover.Stop();
  if (helped) {
    const Profiler::Scope waiting(profiler_, nullptr);
    handover.WaitForEnd();
    if (its_profiler) profiler_->Add(*its_profiler);
  }
  return status;
}

Status Evaluator::Help(Handover& handover, Budget& budget, Profiler* profiler,
                       const PartOf& part_of, const SeriesWork& work) const {
  QueryStats stats;
  budget.stats = &stats;
  Annotations notes(context_.text);
  Evaluator own(options_, context_, querier_, budget, notes, profiler);
  const auto put = [&](HandedBatch full) -> Status {
    const Profiler::Scope waiting(profiler, nullptr);
    return handover.Put(std::move(full));
  };
  while (const std::optional<size_t> part = handover.Claim()) {
    HandedBatch batch = handover.Spare();
    const auto add = [&](Column* c, uint64_t samples, uint64_t bytes) {
      batch.Add(c, samples, bytes);
      batch.series.back().warnings = notes.TakeWarnings();
      batch.series.back().infos = notes.TakeInfos();
    };
    const std::unique_ptr<storage::SeriesSet> set = part_of(*part);
    Status status =
        work(own, *set, [&](Column* c, uint64_t samples, uint64_t bytes) -> Status {
          add(c, samples, bytes);
          if (batch.bytes < kBatchBytes && batch.series.size() < kBatchSeries) return {};
          return put(std::exchange(batch, handover.Spare()));
        });
    if (!status.ok()) {
      // What came before the failure comes before it there too.
      (void)put(std::move(batch));
      return status;
    }
    add(nullptr, 0, 0);  // For what the end of the part has said.
    batch.last = true;
    batch.stats = std::exchange(stats, QueryStats());
    VEDETTE_RETURN_IF_ERROR(put(std::move(batch)));
  }
  return {};
}

}  // namespace vedette::promql
