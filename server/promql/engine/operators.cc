#include "server/promql/engine/operators.h"

#include <cmath>

#include "server/promql/functions/histogram_math.h"

namespace vedette::promql {
namespace {

std::string_view KindOf(const Operand& o) { return o.histogram != nullptr ? "histogram" : "float"; }

}  // namespace

double ScalarOp(BinaryOp op, double l, double r) {
  switch (op) {
    case BinaryOp::kAdd:
      return l + r;
    case BinaryOp::kSub:
      return l - r;
    case BinaryOp::kMul:
      return l * r;
    case BinaryOp::kDiv:
      return l / r;
    case BinaryOp::kPow:
      return std::pow(l, r);
    case BinaryOp::kMod:
      return std::fmod(l, r);
    case BinaryOp::kAtan2:
      return std::atan2(l, r);
    case BinaryOp::kEqual:
      return l == r;
    case BinaryOp::kNotEqual:
      return l != r;
    case BinaryOp::kGreater:
      return l > r;
    case BinaryOp::kLess:
      return l < r;
    case BinaryOp::kGreaterEqual:
      return l >= r;
    case BinaryOp::kLessEqual:
      return l <= r;
    default:
      return kNormalNan;
  }
}

Outcome ElementOp(BinaryOp op, const Operand& l, const Operand& r, PosRange pos,
                  Annotations& notes) {
  Outcome out;
  if (l.histogram == nullptr && r.histogram == nullptr) {
    if (op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower) {
      notes.IncompatibleTypes("float", OpText(op), "float", pos);
      return out;
    }
    const double v = ScalarOp(op, l.value, r.value);
    if (IsComparison(op)) {
      out.keep = v != 0;
      out.value = l.value;
    } else {
      out.keep = true;
      out.value = v;
    }
    return out;
  }
  auto incompatible = [&] {
    notes.IncompatibleTypes(KindOf(l), OpText(op), KindOf(r), pos);
    return Outcome();
  };
  if (l.histogram != nullptr && r.histogram != nullptr) {
    switch (op) {
      case BinaryOp::kAdd:
      case BinaryOp::kSub: {
        auto h = std::make_shared<Histogram>(*l.histogram);
        CombineNotes combined;
        const bool add = op == BinaryOp::kAdd;
        if (!(add ? AddTo(*h, *r.histogram, &combined)
                  : SubtractFrom(*h, *r.histogram, &combined))) {
          notes.IncompatibleBuckets(OpText(op), pos);
          return out;
        }
        if (combined.reset_collision) notes.ResetCollision(add ? "addition" : "subtraction", pos);
        if (combined.bounds_reconciled)
          notes.BoundsReconciled(add ? "addition" : "subtraction", pos);
        if (!add) h->reset_hint = Histogram::ResetHint::kGauge;
        Compact(*h);
        out.keep = true;
        out.histogram = std::move(h);
        return out;
      }
      case BinaryOp::kEqual:
      case BinaryOp::kNotEqual:
        out.keep = SameContent(*l.histogram, *r.histogram) == (op == BinaryOp::kEqual);
        out.histogram = std::make_shared<Histogram>(*l.histogram);
        return out;
      default:
        return incompatible();
    }
  }
  const Histogram& h = l.histogram != nullptr ? *l.histogram : *r.histogram;
  const bool left = l.histogram != nullptr;
  const double f = left ? r.value : l.value;
  auto changed = [&](auto change) {
    auto copy = std::make_shared<Histogram>(h);
    change(*copy);
    out.keep = true;
    out.histogram = std::move(copy);
    return out;
  };
  switch (op) {
    case BinaryOp::kMul:
      return changed([&](Histogram& c) { Multiply(c, f); });
    case BinaryOp::kDiv:
      if (!left) return incompatible();
      return changed([&](Histogram& c) { Divide(c, f); });
    case BinaryOp::kTrimUpper:
      if (!left) return incompatible();
      return changed([&](Histogram& c) { TrimAbove(c, f); });
    case BinaryOp::kTrimLower:
      if (!left) return incompatible();
      return changed([&](Histogram& c) { TrimBelow(c, f); });
    default:
      return incompatible();
  }
}

}  // namespace vedette::promql
