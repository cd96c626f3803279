#include "server/promql/functions/mixed_window.h"

#include <algorithm>
#include <cmath>

#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/start_turn.h"

namespace vedette::promql {

bool MarkFresh(std::vector<MixedSample>& all) {
  bool overlap = false;
  for (size_t k = 1; k < all.size(); ++k) {
    const StartTurn turn =
        TurnBetween(all[k - 1].t_ms, all[k - 1].start_ms, all[k].t_ms, all[k].start_ms);
    all[k].fresh = turn == StartTurn::kReset;
    overlap = overlap || turn == StartTurn::kOverlap;
  }
  return overlap;
}

bool ResetBetween(const MixedSample& before, const MixedSample& after) {
  return after.fresh || DetectReset(*after.histogram, *before.histogram);
}

std::shared_ptr<Histogram> HistogramChange(std::span<const MixedSample> points, bool is_counter,
                                           std::string_view metric, PosRange pos,
                                           Annotations& notes, Edge left, Edge right) {
  const Histogram* first = points.front().histogram.get();
  const Histogram* last = points.back().histogram.get();
  if (first == nullptr || last == nullptr) {
    notes.MixedFloatsHistograms(metric, pos);
    return nullptr;
  }
  bool custom = UsesCustomBuckets(*first);
  bool not_counter = is_counter && (first->reset_hint == Histogram::ResetHint::kGauge ||
                                    last->reset_hint == Histogram::ResetHint::kGauge);
  Histogram empty;
  const Histogram* previous = first;
  if (is_counter && points.size() > 1 && left == Edge::kSample) {
    const Histogram* second = points[1].histogram.get();
    if (second != nullptr && (points[1].fresh || DetectReset(*second, *first))) {
      // What was before the reset does not matter, nor does its layout.
      empty.schema = second->schema;
      empty.custom_values = second->custom_values;
      custom = UsesCustomBuckets(*second);
      previous = &empty;
    }
  }
  if (UsesCustomBuckets(*last) != custom) {
    if (not_counter) notes.NotCounterHistogram(metric, pos);
    notes.MixedSchemas(metric, pos);
    return nullptr;
  }
  int32_t schema = std::min(previous->schema, last->schema);
  for (size_t i = 1; i + 1 < points.size(); ++i) {
    const Histogram* h = points[i].histogram.get();
    if (h == nullptr) {
      notes.MixedFloatsHistograms(metric, pos);
      return nullptr;
    }
    if (!is_counter) continue;
    not_counter = not_counter || h->reset_hint == Histogram::ResetHint::kGauge;
    if (UsesCustomBuckets(*h) != custom) {
      notes.MixedSchemas(metric, pos);
      return nullptr;
    }
    schema = std::min(schema, h->schema);
  }
  auto out = std::make_shared<Histogram>(*last);
  if (!custom) ReduceSchema(*out, schema);
  CombineNotes combined;
  if (!SubtractFrom(*out, *previous, &combined)) {
    notes.MixedSchemas(metric, pos);
    return nullptr;
  }
  if (not_counter) notes.NotCounterHistogram(metric, pos);
  if (combined.bounds_reconciled) notes.BoundsReconciled("subtraction", pos);
  if (is_counter) {
    const Histogram* before = previous;
    for (size_t i = 1; i < points.size(); ++i) {
      const Histogram* h = points[i].histogram.get();
      const bool edge = (i == 1 && left == Edge::kInterpolated) ||
                        (i + 1 == points.size() && right == Edge::kInterpolated);
      if (!edge && (points[i].fresh || DetectReset(*h, *before))) {
        CombineNotes added;
        AddTo(*out, *before, &added);
        if (added.bounds_reconciled) notes.BoundsReconciled("addition", pos);
      }
      before = h;
    }
  } else if (first->reset_hint != Histogram::ResetHint::kGauge ||
             last->reset_hint != Histogram::ResetHint::kGauge) {
    notes.NotGaugeHistogram(metric, pos);
  }
  out->reset_hint = Histogram::ResetHint::kGauge;
  Compact(*out);
  return out;
}

double CountTurns(std::span<const MixedSample> all, bool resets) {
  double n = 0;
  for (size_t k = 1; k < all.size(); ++k) {
    const MixedSample& x = all[k - 1];
    const MixedSample& y = all[k];
    bool turn;
    if ((x.histogram == nullptr) != (y.histogram == nullptr)) {
      turn = true;
    } else if (x.histogram == nullptr) {
      turn = resets ? y.fresh || y.value < x.value
                    : y.value != x.value && !(std::isnan(x.value) && std::isnan(y.value));
    } else {
      turn = resets ? ResetBetween(x, y)
                    : !SameContent(*x.histogram, *y.histogram);
    }
    n += turn ? 1 : 0;
  }
  return n;
}

}  // namespace vedette::promql
