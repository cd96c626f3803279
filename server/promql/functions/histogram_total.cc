#include <algorithm>
#include <cmath>
#include <utility>

#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/histogram_parts.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {

// The sum, or mean, so far and what rounding lost of it, cell by cell, on the same buckets.
struct HistogramTotal::State {
  explicit State(const Histogram& h) : custom(UsesCustomBuckets(h)), head(h), sum(h), lost(h) {
    lost.zero_count = 0;
    lost.positive.clear();
    lost.negative.clear();
  }

  // Brings the sum, what it lost, and `other` onto buckets that all can have.
  void Align(const Histogram& h, Parts& other, CombineNotes* notes) {
    if (custom) {
      if (SameBounds(head, h)) return;
      notes->bounds_reconciled = true;
      std::vector<double> bounds = CommonBounds(head.custom_values, h.custom_values);
      sum.positive = OntoBounds(head, sum.positive, bounds);
      lost.positive = OntoBounds(head, lost.positive, bounds);
      other.positive = OntoBounds(h, other.positive, bounds);
      head.custom_values = std::move(bounds);
      return;
    }
    MatchZero(sum, other);
    lost.SwallowBelow(sum.zero_threshold);
    const int32_t schema = std::min(sum.schema, other.schema);
    for (Parts* p : {&sum, &lost, &other}) {
      p->positive = Reduced(p->positive, p->schema, schema);
      p->negative = Reduced(p->negative, p->schema, schema);
      p->schema = schema;
    }
  }

  static bool Overflows(const Side& into, const Side& more) {
    return std::ranges::any_of(more, [&](const auto& cell) {
      const auto it = into.find(cell.first);
      return std::isinf(cell.second + (it == into.end() ? 0 : it->second));
    });
  }
  bool WouldOverflow(const Histogram& h, const Parts& other) const {
    return std::isinf(head.count + h.count) || std::isinf(head.sum + h.sum) ||
           std::isinf(sum.zero_count + other.zero_count) ||
           Overflows(sum.positive, other.positive) || Overflows(sum.negative, other.negative);
  }

  // Visits every number with what it lost.
  template <typename Use>
  void ForEach(Use use) {
    use(head.count, lost_count);
    use(head.sum, lost_sum);
    use(sum.zero_count, lost.zero_count);
    for (auto& [index, v] : sum.positive) use(v, lost.positive[index]);
    for (auto& [index, v] : sum.negative) use(v, lost.negative[index]);
  }
  void Scale(double factor) {
    ForEach([&](double& v, double& c) {
      v *= factor;
      c *= factor;
    });
  }
  void Divide(double divisor) {
    ForEach([&](double& v, double& c) {
      v /= divisor;
      c /= divisor;
    });
  }

  void Sum(const Histogram& h, const Parts& other, double divisor) {
    CompensatedAdd(h.count / divisor, head.count, lost_count);
    CompensatedAdd(h.sum / divisor, head.sum, lost_sum);
    CompensatedAdd(other.zero_count / divisor, sum.zero_count, lost.zero_count);
    for (const auto& [index, v] : other.positive) {
      CompensatedAdd(v / divisor, sum.positive[index], lost.positive[index]);
    }
    for (const auto& [index, v] : other.negative) {
      CompensatedAdd(v / divisor, sum.negative[index], lost.negative[index]);
    }
  }

  bool custom;
  Histogram head;  // Count, sum, bounds and hint; its buckets are in `sum`.
  Parts sum;
  Parts lost;
  double lost_count = 0;
  double lost_sum = 0;
  double number = 1;  // Of histograms.
  bool running = false;
};

HistogramTotal::HistogramTotal(bool mean) : mean_(mean) {}
HistogramTotal::~HistogramTotal() = default;
HistogramTotal::HistogramTotal(HistogramTotal&&) noexcept = default;
HistogramTotal& HistogramTotal::operator=(HistogramTotal&&) noexcept = default;

bool HistogramTotal::Add(const Histogram& h, CombineNotes* notes) {
  if (state_ == nullptr) {
    state_ = std::make_unique<State>(h);
    return true;
  }
  State& s = *state_;
  if (s.custom != UsesCustomBuckets(h)) return false;
  notes->reset_collision = CombineHints(s.head, h);
  Parts other(h);
  s.Align(h, other, notes);
  s.number += 1;
  if (mean_ && !s.running && s.WouldOverflow(h, other)) {
    s.running = true;
    s.Divide(s.number - 1);
  }
  if (s.running) s.Scale((s.number - 1) / s.number);
  s.Sum(h, other, s.running ? s.number : 1);
  return true;
}

std::shared_ptr<Histogram> HistogramTotal::Value() const {
  State s = *state_;
  if (mean_ && !s.running) s.Divide(s.number);
  s.ForEach([](double& v, double& c) { v += c; });
  auto out = std::make_shared<Histogram>(std::move(s.head));
  s.sum.Into(*out);
  return out;
}

}  // namespace vedette::promql
