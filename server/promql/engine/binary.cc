#include <algorithm>
#include <map>
#include <optional>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/engine/operators.h"

namespace vedette::promql {
namespace {

bool DropsName(const BinaryExpr& b) {
  if (b.return_bool) return true;
  switch (b.op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kPow:
    case BinaryOp::kAtan2:
      return true;
    default:
      return false;
  }
}

Operand At(const Column& c, size_t i) {
  Operand o;
  if (c.is_histogram(i)) {
    o.histogram = c.histograms[i].get();
  } else {
    o.value = c.values[i];
  }
  return o;
}

// The labels two sides are matched by.
Labels Signature(const Labels& labels, const VectorMatching& m) {
  if (m.on) return labels.Only(m.labels);
  std::vector<std::string> out = m.labels;
  out.emplace_back(kMetricNameLabel);
  return labels.Without(out);
}

// All series of both sides with one signature.
struct Match {
  std::vector<Column*> lhs;
  std::vector<Column*> rhs;
};

struct Matches {
  std::vector<Match> groups;
  std::vector<size_t> of_lhs;  // The group of every left series.
  std::vector<size_t> of_rhs;
};

Matches MatchUp(std::vector<Column>& lhs, std::vector<Column>& rhs, const VectorMatching& m) {
  Matches out;
  std::unordered_map<Labels, size_t, LabelsHash> index;
  auto group = [&](Column& c) {
    const auto [it, fresh] = index.try_emplace(Signature(c.labels, m), out.groups.size());
    if (fresh) out.groups.emplace_back();
    return it->second;
  };
  for (Column& c : lhs) {
    out.of_lhs.push_back(group(c));
    out.groups[out.of_lhs.back()].lhs.push_back(&c);
  }
  for (Column& c : rhs) {
    out.of_rhs.push_back(group(c));
    out.groups[out.of_rhs.back()].rhs.push_back(&c);
  }
  return out;
}

std::vector<bool> PresentAnywhere(const std::vector<Column>& columns, size_t steps) {
  std::vector<bool> out(steps);
  for (const Column& c : columns) {
    for (size_t i = 0; i < steps; ++i) {
      if (c.present(i)) out[i] = true;
    }
  }
  return out;
}

std::vector<bool> PresentAnywhere(const std::vector<Column*>& columns, size_t steps) {
  std::vector<bool> out(steps);
  for (const Column* c : columns) {
    for (size_t i = 0; i < steps; ++i) {
      if (c->present(i)) out[i] = true;
    }
  }
  return out;
}

}  // namespace

Status Evaluator::StreamBinary(const BinaryExpr& b, const Grid& grid, const Sink& sink) {
  if (b.lhs->type == ValueType::kScalar || b.rhs->type == ValueType::kScalar) {
    return StreamVectorScalar(b, grid, sink);
  }
  if (IsSetOp(b.op)) return StreamSetOp(b, grid, sink);
  return StreamVectorVector(b, grid, sink);
}

Status Evaluator::StreamVectorScalar(const BinaryExpr& b, const Grid& grid, const Sink& sink) {
  const bool swap = b.lhs->type == ValueType::kScalar;
  const Expr& vector = swap ? *b.rhs : *b.lhs;
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> scalars,
                           Scalars(swap ? *b.lhs : *b.rhs, grid));
  const bool drops = DropsName(b);
  const Sink checked = drops && unique_needed(vector) ? Unique(sink, false) : sink;
  const bool comparison = IsComparison(b.op);
  return Stream(vector, grid, [&](Column& c) -> Status {
    bool any = false;
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (!c.present(i)) continue;
      if (!c.is_histogram(i) && b.op < BinaryOp::kTrimUpper) {
        // The common case, without detours.
        const double v = swap ? ScalarOp(b.op, scalars[i], c.values[i])
                              : ScalarOp(b.op, c.values[i], scalars[i]);
        if (!comparison || b.return_bool) {
          c.values[i] = v;
        } else if (v == 0) {
          c.values[i] = kAbsent;
          continue;
        }
        any = true;
        continue;
      }
      Operand l = At(c, i);
      Operand r{.value = scalars[i]};
      if (swap) std::swap(l, r);
      Outcome o = ElementOp(b.op, l, r, b.pos, notes_);
      if (!o.keep) {
        c.Clear(i);
        continue;
      }
      any = true;
      if (o.histogram) {
        c.Set(i, std::move(o.histogram));
      } else {
        c.Set(i, o.value);
      }
    }
    if (!any) return {};
    if (drops) MarkNameDropped(c);
    return checked(c);
  });
}

Status Evaluator::StreamSetOp(const BinaryExpr& b, const Grid& grid, const Sink& sink) {
  Charge charge(budget_);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> lhs, Collect(*b.lhs, grid, charge));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> rhs, Collect(*b.rhs, grid, charge));
  const auto steps = static_cast<size_t>(grid.steps);
  const Matches matches = MatchUp(lhs, rhs, b.matching);
  const bool is_or = b.op == BinaryOp::kOr;
  // One bit row a group: where the deciding side is present.
  std::vector<std::vector<bool>> there(matches.groups.size());
  for (size_t g = 0; g < there.size(); ++g) {
    there[g] = PresentAnywhere(is_or ? matches.groups[g].lhs : matches.groups[g].rhs, steps);
  }
  auto keep = [&](Column& c, const std::vector<bool>& where, bool wanted) -> Status {
    for (size_t i = 0; i < steps; ++i) {
      if (c.present(i) && where[i] != wanted) c.Clear(i);
    }
    return Emit(c, sink);
  };
  for (size_t k = 0; k < lhs.size(); ++k) {
    if (is_or) {
      VEDETTE_RETURN_IF_ERROR(Emit(lhs[k], sink));
    } else {
      VEDETTE_RETURN_IF_ERROR(keep(lhs[k], there[matches.of_lhs[k]], b.op == BinaryOp::kAnd));
    }
  }
  if (is_or) {
    for (size_t k = 0; k < rhs.size(); ++k) {
      VEDETTE_RETURN_IF_ERROR(keep(rhs[k], there[matches.of_rhs[k]], false));
    }
  }
  return {};
}

Status Evaluator::StreamVectorVector(const BinaryExpr& b, const Grid& grid, const Sink& sink) {
  const VectorMatching& m = b.matching;
  Charge charge(budget_);
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> written_lhs, Collect(*b.lhs, grid, charge));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Column> written_rhs, Collect(*b.rhs, grid, charge));
  const auto steps = static_cast<size_t>(grid.steps);
  // From here on the left side is the "many" side.
  const bool swapped = m.card == VectorMatching::Card::kOneToMany;
  std::vector<Column>& lhs = swapped ? written_rhs : written_lhs;
  std::vector<Column>& rhs = swapped ? written_lhs : written_rhs;
  // The fill values do not change sides with the operands: fill_left is for the "many" side.
  const std::optional<double> fill_left = m.fill_left;
  const std::optional<double> fill_right = m.fill_right;
  const bool one_to_one = m.card == VectorMatching::Card::kOneToOne;
  const bool drops = DropsName(b);
  Matches matches = MatchUp(lhs, rhs, m);
  const std::vector<bool> lhs_there = PresentAnywhere(lhs, steps);
  const std::vector<bool> rhs_there = PresentAnywhere(rhs, steps);

  // Two series on the "one" side of a match are an error, at steps where it matters.
  for (const Match& g : matches.groups) {
    if (g.rhs.size() < 2) continue;
    std::vector<const Column*> first(steps);
    for (const Column* c : g.rhs) {
      for (size_t i = 0; i < steps; ++i) {
        if (!c->present(i) || (!lhs_there[i] && !fill_left)) continue;
        if (first[i] == nullptr) {
          first[i] = c;
          continue;
        }
        const std::string_view side = swapped ? "left" : "right";
        return FailedPrecondition(StrCat(
            "found duplicate series for the match group ",
            (m.on ? c->labels.Only(m.labels) : Signature(c->labels, m)).ToString(), " on the ",
            side, " hand-side of the operation: [", first[i]->labels.ToString(), ", ",
            c->labels.ToString(),
            "];many-to-many matching not allowed: matching labels must be unique on one side"));
      }
    }
  }

  const bool on_name = std::ranges::find(m.labels, kMetricNameLabel) != m.labels.end();
  auto result_labels = [&](const Labels& l, const Labels& r) {
    // Where nothing is put in, labels are only left out.
    const bool plain = one_to_one && !m.on ? m.labels.empty() : !on_name;
    if (m.include.empty() && plain) {
      if (one_to_one && m.on) return l.Only(m.labels);
      return drops && !delayed_names() ? DropName(l) : l;
    }
    LabelsBuilder lb(drops && !delayed_names() ? DropName(l) : l);
    if (one_to_one) {
      if (m.on) {
        lb = LabelsBuilder(l.Only(m.labels));
        if (drops && !delayed_names()) lb.Delete(kMetricNameLabel);
      } else {
        for (const std::string& name : m.labels) lb.Delete(name);
      }
    }
    for (const std::string& name : m.include) lb.Set(name, r.Get(name));
    return lb.Build();
  };

  // One output series a match and label set; `taken` are the steps a one-to-one match is used at.
  for (size_t gi = 0; gi < matches.groups.size(); ++gi) {
    Match& g = matches.groups[gi];
    std::vector<Column> outs;
    std::unordered_map<Labels, size_t, LabelsHash> index;
    std::vector<bool> taken(one_to_one ? steps : 0);
    auto emit_at = [&](size_t& out_index, const Labels& l, const Labels& r, bool dropped, size_t i,
                       const Operand& left, const Operand& right) -> Status {
      const Operand& a = swapped ? right : left;
      const Operand& z = swapped ? left : right;
      if (one_to_one) {
        if (taken[i]) {
          return FailedPrecondition(
              "multiple matches for labels: many-to-one matching must be explicit "
              "(group_left/group_right)");
        }
        taken[i] = true;
      }
      Outcome o = ElementOp(b.op, a, z, b.pos, notes_);
      if (b.return_bool) {
        // Histograms that cannot be compared give nothing; else it is 0 or 1.
        if ((a.histogram != nullptr) != (z.histogram != nullptr)) return {};
        if (a.histogram != nullptr && b.op != BinaryOp::kEqual && b.op != BinaryOp::kNotEqual) {
          return {};
        }
        o.value = o.keep ? 1 : 0;
        o.histogram.reset();
        o.keep = true;
      }
      if (!o.keep) return {};
      if (out_index == SIZE_MAX) {
        Labels labels = result_labels(l, r);
        const auto [it, fresh] = index.try_emplace(labels, outs.size());
        if (fresh) {
          Column c;
          c.labels = std::move(labels);
          c.drop_name = dropped || (drops && delayed_names());
          c.values.assign(steps, kAbsent);
          outs.push_back(std::move(c));
        }
        out_index = it->second;
      }
      Column& out = outs[out_index];
      if (!one_to_one && out.present(i)) {
        return FailedPrecondition(
            "multiple matches for labels: grouping labels must ensure unique matches");
      }
      if (o.histogram) {
        out.Set(i, std::move(o.histogram));
      } else {
        out.Set(i, o.value);
      }
      return {};
    };
    for (const Column* l : g.lhs) {
      for (const Column* r : g.rhs) {
        VEDETTE_RETURN_IF_ERROR(budget_.Work(steps));
        size_t out = SIZE_MAX;
        for (size_t i = 0; i < steps; ++i) {
          if (!l->present(i) || !r->present(i)) continue;
          VEDETTE_RETURN_IF_ERROR(
              emit_at(out, l->labels, r->labels, l->drop_name, i, At(*l, i), At(*r, i)));
        }
      }
    }
    if (fill_right && !g.lhs.empty()) {
      const std::vector<bool> there = PresentAnywhere(g.rhs, steps);
      for (const Column* l : g.lhs) {
        size_t out = SIZE_MAX;
        const Labels r = Signature(l->labels, m);
        for (size_t i = 0; i < steps; ++i) {
          if (!l->present(i) || there[i]) continue;
          VEDETTE_RETURN_IF_ERROR(emit_at(out, l->labels, r, l->drop_name, i, At(*l, i),
                                          Operand{.value = *fill_right}));
        }
      }
    }
    if (fill_left && !g.rhs.empty()) {
      const std::vector<bool> there = PresentAnywhere(g.lhs, steps);
      for (const Column* r : g.rhs) {
        size_t out = SIZE_MAX;
        const Labels l = Signature(r->labels, m);
        for (size_t i = 0; i < steps; ++i) {
          if (!r->present(i) || there[i]) continue;
          VEDETTE_RETURN_IF_ERROR(
              emit_at(out, l, r->labels, false, i, Operand{.value = *fill_left}, At(*r, i)));
        }
      }
    }
    for (Column& c : outs) VEDETTE_RETURN_IF_ERROR(sink(c));
  }
  return {};
}

}  // namespace vedette::promql
