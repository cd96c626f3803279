#include "server/promql/functions/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/strings.h"
#include "server/promql/functions/histogram_parts.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

bool Combine(Histogram& h, const Histogram& other, double sign, CombineNotes* notes) {
  if (UsesCustomBuckets(h) != UsesCustomBuckets(other)) return false;
  notes->reset_collision = CombineHints(h, other);
  h.count += sign * other.count;
  h.sum += sign * other.sum;
  if (UsesCustomBuckets(h)) {
    Side a = Unpack(h.positive_spans, h.positive_buckets);
    Side b = Unpack(other.positive_spans, other.positive_buckets);
    if (!SameBounds(h, other)) {
      notes->bounds_reconciled = true;
      std::vector<double> bounds = CommonBounds(h.custom_values, other.custom_values);
      a = OntoBounds(h, a, bounds);
      b = OntoBounds(other, b, bounds);
      h.custom_values = std::move(bounds);
    }
    for (const auto& [index, count] : b) a[index] += sign * count;
    Pack(a, h.positive_spans, h.positive_buckets);
    return true;
  }
  Parts a(h);
  Parts b(other);
  MatchZero(a, b);
  const int32_t schema = std::min(a.schema, b.schema);
  a.positive = Reduced(a.positive, a.schema, schema);
  a.negative = Reduced(a.negative, a.schema, schema);
  b.positive = Reduced(b.positive, b.schema, schema);
  b.negative = Reduced(b.negative, b.schema, schema);
  a.schema = schema;
  a.zero_count += sign * b.zero_count;
  for (const auto& [index, count] : b.positive) a.positive[index] += sign * count;
  for (const auto& [index, count] : b.negative) a.negative[index] += sign * count;
  a.Into(h);
  return true;
}

bool AnyLess(const Side& current, const Side& previous) {
  for (const auto& [index, count] : previous) {
    if (count == 0) continue;
    const auto it = current.find(index);
    if ((it == current.end() ? 0 : it->second) < count) return true;
  }
  return false;
}

bool SameNumber(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool SameSide(const Side& a, const Side& b) {
  Side x;
  Side y;
  for (const auto& [i, c] : a) {
    if (c != 0) x[i] = c;
  }
  for (const auto& [i, c] : b) {
    if (c != 0) y[i] = c;
  }
  return x == y;
}

}  // namespace

std::vector<Bucket> PositiveBuckets(const Histogram& h) {
  std::vector<Bucket> out;
  for (const auto& [index, count] : Unpack(h.positive_spans, h.positive_buckets)) {
    out.push_back({UpperBound(h, index - 1), UpperBound(h, index), count, index});
  }
  return out;
}

std::vector<Bucket> NegativeBuckets(const Histogram& h) {
  std::vector<Bucket> out;
  for (const auto& [index, count] : Unpack(h.negative_spans, h.negative_buckets)) {
    out.push_back({-UpperBound(h, index), -UpperBound(h, index - 1), count, index});
  }
  return out;
}

std::vector<Bucket> AllBuckets(const Histogram& h) {
  std::vector<Bucket> out = NegativeBuckets(h);
  std::reverse(out.begin(), out.end());
  const bool custom = UsesCustomBuckets(h);
  if (!custom) {
    for (Bucket& b : out) {
      if (b.upper > -h.zero_threshold && b.upper < 0) b.upper = -h.zero_threshold;
    }
    if (h.zero_count > 0) out.push_back({-h.zero_threshold, h.zero_threshold, h.zero_count, 0});
  }
  for (Bucket b : PositiveBuckets(h)) {
    if (!custom && b.lower < h.zero_threshold) b.lower = h.zero_threshold;
    out.push_back(b);
  }
  return out;
}

bool AddTo(Histogram& h, const Histogram& other, CombineNotes* notes) {
  return Combine(h, other, 1, notes);
}

bool SubtractFrom(Histogram& h, const Histogram& other, CombineNotes* notes) {
  return Combine(h, other, -1, notes);
}

void Multiply(Histogram& h, double factor) {
  h.zero_count *= factor;
  h.count *= factor;
  h.sum *= factor;
  for (double& v : h.positive_buckets) v *= factor;
  for (double& v : h.negative_buckets) v *= factor;
  if (factor < 0) h.reset_hint = Histogram::ResetHint::kGauge;
}

void Divide(Histogram& h, double divisor) {
  h.zero_count /= divisor;
  h.count /= divisor;
  h.sum /= divisor;
  for (double& v : h.positive_buckets) v /= divisor;
  for (double& v : h.negative_buckets) v /= divisor;
  if (divisor < 0) h.reset_hint = Histogram::ResetHint::kGauge;
  // Nothing can be said about buckets when everything was divided by nothing.
  if (divisor == 0) {
    h.positive_spans.clear();
    h.positive_buckets.clear();
    h.negative_spans.clear();
    h.negative_buckets.clear();
  }
}

void ReduceSchema(Histogram& h, int32_t schema) {
  if (UsesCustomBuckets(h) || h.schema <= schema) return;
  Parts p(h);
  p.positive = Reduced(p.positive, p.schema, schema);
  p.negative = Reduced(p.negative, p.schema, schema);
  p.schema = schema;
  p.Into(h);
}

void Compact(Histogram& h) {
  Pack(Unpack(h.positive_spans, h.positive_buckets), h.positive_spans, h.positive_buckets);
  Pack(Unpack(h.negative_spans, h.negative_buckets), h.negative_spans, h.negative_buckets);
}

std::shared_ptr<const Histogram> Interpolated(const Histogram& a, const Histogram& b,
                                              double fraction) {
  auto h = std::make_shared<Histogram>(b);
  CombineNotes ignored;
  if (!SubtractFrom(*h, a, &ignored)) return nullptr;
  Multiply(*h, fraction);
  if (!AddTo(*h, a, &ignored)) return nullptr;
  h->reset_hint =
      a.reset_hint == Histogram::ResetHint::kGauge || b.reset_hint == Histogram::ResetHint::kGauge
          ? Histogram::ResetHint::kGauge
          : Histogram::ResetHint::kUnknown;
  return h;
}

bool DetectReset(const Histogram& current, const Histogram& previous) {
  if (current.reset_hint == Histogram::ResetHint::kReset) return true;
  if (current.reset_hint == Histogram::ResetHint::kNotReset) return false;
  if (current.count < previous.count) return true;
  if (UsesCustomBuckets(current) != UsesCustomBuckets(previous)) return true;
  if (UsesCustomBuckets(current)) {
    Side now = Unpack(current.positive_spans, current.positive_buckets);
    Side before = Unpack(previous.positive_spans, previous.positive_buckets);
    if (!SameBounds(current, previous)) {
      const std::vector<double> bounds =
          CommonBounds(current.custom_values, previous.custom_values);
      now = OntoBounds(current, now, bounds);
      before = OntoBounds(previous, before, bounds);
    }
    return AnyLess(now, before);
  }
  if (current.schema > previous.schema) return true;
  if (current.zero_threshold < previous.zero_threshold) return true;
  Parts now(current);
  Parts before(previous);
  if (before.zero_threshold != now.zero_threshold) before.WidenZero(now.zero_threshold);
  // The new threshold cuts through a bucket that was not empty before.
  if (before.zero_threshold != now.zero_threshold) return true;
  if (now.zero_count < before.zero_count) return true;
  before.positive = Reduced(before.positive, before.schema, now.schema);
  before.negative = Reduced(before.negative, before.schema, now.schema);
  return AnyLess(now.positive, before.positive) || AnyLess(now.negative, before.negative);
}

std::vector<std::shared_ptr<const Histogram>> WithResetHints(
    const Histogram* before, std::span<const std::shared_ptr<const Histogram>> histograms,
    bool tell_resets) {
  using Hint = Histogram::ResetHint;
  std::vector<std::shared_ptr<const Histogram>> out(histograms.begin(), histograms.end());
  for (std::shared_ptr<const Histogram>& h : out) {
    const Histogram* previous = std::exchange(before, h.get());
    if (h == nullptr || h->reset_hint == Hint::kGauge || h->reset_hint == Hint::kReset) continue;
    auto hinted = std::make_shared<Histogram>(*h);
    hinted->reset_hint = Hint::kUnknown;
    if (previous != nullptr && previous->reset_hint != Hint::kGauge) {
      if (!DetectReset(*hinted, *previous)) {
        hinted->reset_hint = Hint::kNotReset;
      } else if (tell_resets) {
        hinted->reset_hint = Hint::kReset;
      }
    }
    before = hinted.get();
    h = std::move(hinted);
  }
  return out;
}

bool SameContent(const Histogram& a, const Histogram& b) {
  if (a.schema != b.schema || !SameNumber(a.count, b.count) || !SameNumber(a.sum, b.sum)) {
    return false;
  }
  if (UsesCustomBuckets(a) && !SameBounds(a, b)) return false;
  if (!UsesCustomBuckets(a) &&
      (a.zero_threshold != b.zero_threshold || !SameNumber(a.zero_count, b.zero_count))) {
    return false;
  }
  return SameSide(Unpack(a.positive_spans, a.positive_buckets),
                  Unpack(b.positive_spans, b.positive_buckets)) &&
         SameSide(Unpack(a.negative_spans, a.negative_buckets),
                  Unpack(b.negative_spans, b.negative_buckets));
}

std::string HistogramText(const Histogram& h) {
  std::string out = StrCat("{count:", GoFloat(h.count), ", sum:", GoFloat(h.sum));
  for (const Bucket& b : AllBuckets(h)) {
    if (b.count == 0) continue;
    const bool zero = b.lower == -b.upper && b.index == 0;
    const bool negative = b.upper <= 0 && !zero;
    const char open = zero || negative ? '[' : '(';
    const char close = negative ? ')' : ']';
    StrAppend(out, ", ", open, GoFloat(b.lower), ",", GoFloat(b.upper), close, ":",
              GoFloat(b.count));
  }
  return out + "}";
}

}  // namespace vedette::promql
