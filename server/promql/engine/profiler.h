#pragma once

#include <cstdint>
#include <unordered_map>

#include "common/base/clock.h"
#include "server/promql/parser/ast.h"

namespace vedette::promql {

// What one operator of a query did.
struct NodeCost {
  uint64_t series = 0;        // That it gave to the operator above.
  uint64_t points = 0;        // Samples in them.
  uint64_t samples_read = 0;  // Selectors: samples looked at in storage.
  uint64_t bytes_decoded = 0;
  int64_t self_ns = 0;
};

// Profiler tells where the time of a query goes. Operators hand columns up by calling each other,
// so time is charged to the one that is at work: to the one below while it makes a column, to the
// one above while it takes it. One query's; one thread: a helper of the query has one of its own,
// which is added when it has ended.
class Profiler {
 public:
  explicit Profiler(const Clock& clock) : clock_(clock), since_ns_(clock.MonotonicNs()) {}

  // While it lives, time goes to `expr` (null: to nobody).
  class Scope {
   public:
    Scope(Profiler* profiler, const Expr* expr) : profiler_(profiler) {
      if (profiler_ != nullptr) before_ = profiler_->SwitchTo(expr);
    }
    ~Scope() {
      if (profiler_ != nullptr) profiler_->SwitchTo(before_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    const Expr* before() const { return before_; }

   private:
    Profiler* const profiler_;
    const Expr* before_ = nullptr;
  };

  NodeCost& At(const Expr& expr) { return costs_[&expr]; }
  // Of whoever is at work.
  NodeCost& Current() { return costs_[current_]; }
  // Who that is; null: nobody.
  const Expr* current() const { return current_; }
  const Clock& clock() const { return clock_; }

  void Add(const Profiler& other) {
    for (const auto& [expr, cost] : other.costs_) {
      NodeCost& sum = costs_[expr];
      sum.series += cost.series;
      sum.points += cost.points;
      sum.samples_read += cost.samples_read;
      sum.bytes_decoded += cost.bytes_decoded;
      sum.self_ns += cost.self_ns;
    }
  }

 private:
  const Expr* SwitchTo(const Expr* expr) {
    const int64_t now = clock_.MonotonicNs();
    if (current_ != nullptr) costs_[current_].self_ns += now - since_ns_;
    since_ns_ = now;
    const Expr* before = current_;
    current_ = expr;
    return before;
  }

  const Clock& clock_;
  int64_t since_ns_;
  const Expr* current_ = nullptr;
  std::unordered_map<const Expr*, NodeCost> costs_;
};

}  // namespace vedette::promql
