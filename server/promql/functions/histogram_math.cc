#include "server/promql/functions/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// The buckets of one side by index: what arithmetic works on.
using Side = std::map<int32_t, double>;

Side Unpack(const std::vector<Histogram::Span>& spans, const std::vector<double>& counts) {
  Side out;
  int32_t index = 0;
  size_t k = 0;
  bool first = true;
  for (const Histogram::Span& s : spans) {
    index += s.offset + (first ? 0 : 0);
    first = false;
    for (uint32_t i = 0; i < s.length && k < counts.size(); ++i) out[index++] = counts[k++];
  }
  return out;
}

void Pack(const Side& side, std::vector<Histogram::Span>& spans, std::vector<double>& counts) {
  spans.clear();
  counts.clear();
  int32_t next = 0;
  for (const auto& [index, count] : side) {
    if (count == 0) continue;
    if (!spans.empty() && index == next) {
      ++spans.back().length;
    } else {
      spans.push_back({spans.empty() ? index : index - next, 1});
    }
    counts.push_back(count);
    next = index + 1;
  }
}

// The upper bound of an exponential bucket, 2^(index / 2^schema).
double ExponentialBound(int32_t index, int32_t schema) {
  if (schema < 0) {
    const double exponent = std::ldexp(static_cast<double>(index), -schema);
    if (exponent == 1024) return std::numeric_limits<double>::max();
    return exponent > 1024 ? kInf : std::exp2(exponent);
  }
  const int32_t whole = index >> schema;
  const int32_t part = index - (whole << schema);
  if (part == 0 && whole == 1024) return std::numeric_limits<double>::max();
  return std::ldexp(std::exp2(std::ldexp(static_cast<double>(part), -schema)), whole);
}

double UpperBound(const Histogram& h, int32_t index) {
  if (UsesCustomBuckets(h)) {
    if (index < 0) return -kInf;
    const auto i = static_cast<size_t>(index);
    return i < h.custom_values.size() ? h.custom_values[i] : kInf;
  }
  return ExponentialBound(index, h.schema);
}

Side Reduced(const Side& side, int32_t from, int32_t to) {
  if (from <= to) return side;
  Side out;
  for (const auto& [index, count] : side) out[((index - 1) >> (from - to)) + 1] += count;
  return out;
}

// A histogram taken apart.
struct Parts {
  int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  Side positive;
  Side negative;

  explicit Parts(const Histogram& h)
      : schema(h.schema),
        zero_threshold(h.zero_threshold),
        zero_count(h.zero_count),
        positive(Unpack(h.positive_spans, h.positive_buckets)),
        negative(Unpack(h.negative_spans, h.negative_buckets)) {}

  // Widens the zero bucket to at least `threshold`, further where that falls into a bucket that is
  // not empty.
  void WidenZero(double threshold) {
    bool again = true;
    while (again) {
      again = false;
      for (const Side* side : {&positive, &negative}) {
        for (const auto& [index, count] : *side) {
          if (count == 0) continue;
          const double lower = ExponentialBound(index - 1, schema);
          const double upper = ExponentialBound(index, schema);
          if (lower < threshold && upper > threshold) {
            threshold = upper;
            again = true;
          }
        }
      }
    }
    SwallowBelow(threshold);
  }

  // The buckets up to `threshold` become part of the zero bucket.
  void SwallowBelow(double threshold) {
    for (Side* side : {&positive, &negative}) {
      for (auto it = side->begin(); it != side->end();) {
        if (ExponentialBound(it->first, schema) <= threshold) {
          zero_count += it->second;
          it = side->erase(it);
        } else {
          ++it;
        }
      }
    }
    zero_threshold = threshold;
  }

  void Into(Histogram& h) const {
    h.schema = schema;
    h.zero_threshold = zero_threshold;
    h.zero_count = zero_count;
    Pack(positive, h.positive_spans, h.positive_buckets);
    Pack(negative, h.negative_spans, h.negative_buckets);
  }
};

void MatchZero(Parts& a, Parts& b) {
  while (a.zero_threshold != b.zero_threshold) {
    if (a.zero_threshold > b.zero_threshold) {
      b.WidenZero(a.zero_threshold);
    } else {
      a.WidenZero(b.zero_threshold);
    }
  }
}

// The bounds both have; buckets of `h` land in the next common one.
std::vector<double> CommonBounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Side OntoBounds(const Histogram& h, const Side& side, const std::vector<double>& bounds) {
  Side out;
  for (const auto& [index, count] : side) {
    const double upper = UpperBound(h, index);
    out[static_cast<int32_t>(std::lower_bound(bounds.begin(), bounds.end(), upper) -
                             bounds.begin())] += count;
  }
  return out;
}

bool SameBounds(const Histogram& a, const Histogram& b) {
  return a.custom_values == b.custom_values;
}

bool CombineHints(Histogram& h, const Histogram& other) {
  using Hint = Histogram::ResetHint;
  if (h.reset_hint == other.reset_hint || h.reset_hint == Hint::kGauge) return false;
  if (other.reset_hint == Hint::kGauge) {
    h.reset_hint = Hint::kGauge;
    return false;
  }
  if (h.reset_hint == Hint::kUnknown) return false;
  const bool collision = other.reset_hint != Hint::kUnknown;
  h.reset_hint = Hint::kUnknown;
  return collision;
}

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

double NativeQuantile(double q, const Histogram& h, bool* nan_result, bool* nan_skew) {
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (h.count == 0 || std::isnan(q)) return kNormalNan;
  std::vector<Bucket> buckets = AllBuckets(h);
  const bool nan_sum = std::isnan(h.sum);
  // From the nearer end, so that rounding adds up less; NaN observations are in no bucket, so with
  // them only the way from the lower end is right.
  const bool forward = nan_sum || q < 0.5;
  double rank = forward ? q * h.count : (1 - q) * h.count;
  if (!forward) std::reverse(buckets.begin(), buckets.end());
  Bucket bucket;
  double count = 0;
  for (const Bucket& b : buckets) {
    if (b.count == 0) continue;
    bucket = b;
    count += b.count;
    if (count >= rank) break;
  }
  const bool custom = UsesCustomBuckets(h);
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    if (h.negative_buckets.empty() && !h.positive_buckets.empty()) {
      bucket.lower = 0;
    } else if (h.positive_buckets.empty() && !h.negative_buckets.empty()) {
      bucket.upper = 0;
    }
  } else if (custom) {
    if (bucket.lower == -kInf) {
      if (bucket.upper <= 0) return bucket.upper;
      bucket.lower = 0;
    } else if (bucket.upper == kInf) {
      if (!(nan_sum && count < rank)) return bucket.lower;
    }
  }
  count = std::min(count, h.count);
  if (count < rank) {
    if (nan_sum) {
      *nan_result = true;
      return kNormalNan;
    }
    rank = count;
  }
  if (nan_sum) *nan_skew = true;
  rank = forward ? rank - (count - bucket.count) : count - rank;
  const double fraction = rank / bucket.count;
  if (custom || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  const double low = std::log2(std::fabs(bucket.lower));
  const double high = std::log2(std::fabs(bucket.upper));
  if (bucket.lower > 0) return std::exp2(low + (high - low) * fraction);
  return -std::exp2(high + (low - high) * (1 - fraction));
}

namespace {

// How many observations of `b` are at or below v, with b.lower < v < b.upper.
double PartBelow(const Bucket& b, double v, bool linear) {
  if (linear) {
    if (std::isinf(b.lower)) return b.count;
    if (std::isinf(b.upper)) return 0;
    return b.count * (v - b.lower) / (b.upper - b.lower);
  }
  const double low = std::log2(std::fabs(b.lower));
  const double high = std::log2(std::fabs(b.upper));
  const double at = std::log2(std::fabs(v));
  const double fraction = v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
  return b.count * fraction;
}

double FractionOf(double lower, double upper, double count, const std::vector<Bucket>& buckets,
                  auto is_linear) {
  double rank = 0;
  double lower_rank = 0;
  double upper_rank = 0;
  bool lower_set = false;
  bool upper_set = false;
  for (const Bucket& b : buckets) {
    auto settle = [&](double v, double& at, bool& set) {
      if (set) return;
      if (b.lower >= v) {
        at = rank;
        set = true;
      } else if (b.upper > v) {
        at = rank + PartBelow(b, v, is_linear(b));
        set = true;
      }
    };
    settle(lower, lower_rank, lower_set);
    settle(upper, upper_rank, upper_set);
    if (lower_set && upper_set) break;
    rank += b.count;
  }
  if (!lower_set || lower_rank > count) lower_rank = count;
  if (!upper_set || upper_rank > count) upper_rank = count;
  return lower_rank == upper_rank ? 0 : upper_rank - lower_rank;
}

}  // namespace

double NativeFraction(double lower, double upper, const Histogram& h) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNormalNan;
  if (lower >= upper) return 0;
  std::vector<Bucket> buckets = AllBuckets(h);
  double in_buckets = 0;
  for (Bucket& b : buckets) {
    in_buckets += b.count;
    if (!UsesCustomBuckets(h) && b.lower < 0 && b.upper > 0) {
      if (h.negative_buckets.empty() && !h.positive_buckets.empty()) {
        b.lower = 0;
      } else if (h.positive_buckets.empty() && !h.negative_buckets.empty()) {
        b.upper = 0;
      }
    }
  }
  const double limit = std::isnan(h.sum) ? in_buckets : h.count;
  const bool custom = UsesCustomBuckets(h);
  if (custom && !buckets.empty() && std::isinf(buckets[0].lower) && buckets[0].upper > 0) {
    buckets[0].lower = 0;
  }
  const double part = FractionOf(lower, upper, limit, buckets, [&](const Bucket& b) {
    return custom || (b.lower <= 0 && b.upper >= 0);
  });
  return part / h.count;
}

double NativeVariance(const Histogram& h) {
  const double mean = h.sum / h.count;
  double variance = 0;
  double c = 0;
  for (const Bucket& b : AllBuckets(h)) {
    if (b.count == 0) continue;
    double value = 0;
    if (UsesCustomBuckets(h)) {
      if (std::isinf(b.lower)) {
        value = b.upper;
      } else if (std::isinf(b.upper)) {
        value = b.lower;
      } else {
        value = (b.lower + b.upper) / 2;
      }
    } else if (!(b.lower <= 0 && b.upper >= 0)) {
      value = std::sqrt(b.upper * b.lower);
      if (b.upper < 0) value = -value;
    }
    const double delta = value - mean;
    CompensatedAdd(b.count * delta * delta, variance, c);
  }
  return (variance + c) / h.count;
}

std::string HistogramText(const Histogram& h) {
  std::string out = StrCat("{count:", h.count, ", sum:", h.sum);
  for (const Bucket& b : AllBuckets(h)) {
    if (b.count == 0) continue;
    const bool zero = b.lower == -b.upper && b.index == 0;
    const bool negative = b.upper <= 0 && !zero;
    const char open = zero || negative ? '[' : '(';
    const char close = negative ? ')' : ']';
    StrAppend(out, ", ", open, b.lower, ",", b.upper, close, ":", b.count);
  }
  return out + "}";
}

namespace {

// Sorts, joins equal bounds, and makes counts rise. False where there is no +Inf bucket.
bool Tidy(std::vector<ClassicBucket>& buckets, ClassicNotes* notes) {
  std::stable_sort(
      buckets.begin(), buckets.end(),
      [](const ClassicBucket& a, const ClassicBucket& b) { return a.upper < b.upper; });
  if (buckets.empty() || buckets.back().upper != kInf) return false;
  size_t kept = 0;
  for (size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper == buckets[kept].upper) {
      buckets[kept].count += buckets[i].count;
    } else {
      buckets[++kept] = buckets[i];
    }
  }
  buckets.resize(kept + 1);
  double previous = buckets[0].count;
  for (size_t i = 1; i < buckets.size(); ++i) {
    double& current = buckets[i].count;
    if (current == previous) continue;
    const double sum = std::fabs(current) + std::fabs(previous);
    const double difference = std::fabs(current - previous);
    if (difference / std::min(sum, std::numeric_limits<double>::max()) < 1e-12) {
      current = previous;  // Rounding, in whichever direction.
      continue;
    }
    if (current < previous) {
      if (!notes->forced_monotonic) notes->min_bucket = buckets[i].upper;
      notes->forced_monotonic = true;
      notes->max_bucket = buckets[i].upper;
      notes->max_diff = std::max(notes->max_diff, previous - current);
      current = previous;
      continue;
    }
    previous = current;
  }
  return true;
}

}  // namespace

double ClassicQuantile(double q, std::vector<ClassicBucket>& buckets, ClassicNotes* notes) {
  if (std::isnan(q)) return kNormalNan;
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (!Tidy(buckets, notes) || buckets.size() < 2) return kNormalNan;
  const size_t n = buckets.size();
  const double observations = buckets[n - 1].count;
  if (observations == 0 || std::isnan(observations)) return kNormalNan;
  double rank = q * observations;
  size_t b = 0;
  while (b < n - 1 && buckets[b].count < rank) ++b;
  if (b == n - 1) return buckets[n - 2].upper;
  if (b == 0 && buckets[0].upper <= 0) return buckets[0].upper;
  double start = 0;
  double count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return start + (buckets[b].upper - start) * (rank / count);
}

double ClassicFraction(double lower, double upper, std::vector<ClassicBucket>& buckets,
                       ClassicNotes* notes) {
  if (!Tidy(buckets, notes)) return kNormalNan;
  const double total = buckets.back().count;
  if (total == 0 || std::isnan(lower) || std::isnan(upper)) return kNormalNan;
  if (lower >= upper) return 0;
  std::vector<Bucket> parts;
  for (size_t i = 0; i < buckets.size(); ++i) {
    Bucket b;
    b.lower = i > 0 ? buckets[i - 1].upper : buckets[0].upper > 0 ? 0 : -kInf;
    b.upper = buckets[i].upper;
    b.count = buckets[i].count - (i > 0 ? buckets[i - 1].count : 0);
    parts.push_back(b);
  }
  return FractionOf(lower, upper, total, parts, [](const Bucket&) { return true; }) / total;
}

}  // namespace vedette::promql
