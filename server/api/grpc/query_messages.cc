#include "server/api/grpc/query_messages.h"

#include <cmath>
#include <limits>
#include <vector>

#include "common/model/histogram.h"

namespace vedette::api {
namespace {

// The bounds of bucket `index` of an exponential histogram or of one with custom bounds.
double UpperBound(const Histogram& h, int32_t index) {
  if (h.schema != Histogram::kCustomSchema) {
    return std::exp2(std::ldexp(static_cast<double>(index), -h.schema));
  }
  return index >= 0 && static_cast<size_t>(index) < h.custom_values.size()
             ? h.custom_values[static_cast<size_t>(index)]
             : std::numeric_limits<double>::infinity();
}

void SetHistogram(int64_t t_ms, const Histogram& h, v1::HistogramPoint* out) {
  out->set_time_ms(t_ms);
  out->set_count(h.count);
  out->set_sum(h.sum);
  const auto visit = [&](const std::vector<Histogram::Span>& spans,
                         const std::vector<double>& counts, bool negative) {
    int32_t index = 0;
    size_t at = 0;
    for (const Histogram::Span& s : spans) {
      index += s.offset;
      for (uint32_t i = 0; i < s.length && at < counts.size(); ++i, ++index) {
        const double count = counts[at++];
        if (count == 0) continue;
        const double upper = UpperBound(h, index);
        const double lower = h.schema == Histogram::kCustomSchema && index == 0
                                 ? -std::numeric_limits<double>::infinity()
                                 : UpperBound(h, index - 1);
        v1::HistogramBucket* b = out->add_buckets();
        b->set_lower(negative ? -upper : lower);
        b->set_upper(negative ? -lower : upper);
        b->set_lower_inclusive(negative);
        b->set_upper_inclusive(!negative);
        b->set_count(count);
      }
    }
  };
  visit(h.negative_spans, h.negative_buckets, true);
  if (h.zero_count != 0) {
    v1::HistogramBucket* b = out->add_buckets();
    b->set_lower(-h.zero_threshold);
    b->set_upper(h.zero_threshold);
    b->set_lower_inclusive(true);
    b->set_upper_inclusive(true);
    b->set_count(h.zero_count);
  }
  visit(h.positive_spans, h.positive_buckets, false);
}

}  // namespace

void AddPoint(const promql::Point& p, v1::Series* out) {
  if (p.histogram) {
    SetHistogram(p.t_ms, *p.histogram, out->add_histograms());
  } else {
    out->add_times_ms(p.t_ms);
    out->add_values(p.value);
  }
}

void SetStats(const promql::QueryStats& s, v1::QueryStats* out) {
  out->set_series(s.series);
  out->set_samples(s.samples_read);
  out->set_peak_samples(s.peak_samples);
  out->set_eval_seconds(s.prepare_seconds + s.eval_seconds);
  out->set_bytes_decoded(s.bytes_decoded);
  out->set_peak_bytes(s.peak_bytes);
}

void SetPlan(const promql::PlanNode& node, v1::PlanNode* out) {
  out->set_op(node.op);
  out->set_expression(node.text);
  out->set_type(node.type);
  out->set_position(node.position);
  out->set_end_position(node.end_position);
  out->set_step_invariant(node.step_invariant);
  out->set_matching_series(node.matching_series);
  out->set_min_ms(node.min_ms);
  out->set_max_ms(node.max_ms);
  out->set_series(node.series);
  out->set_points(node.points);
  out->set_samples_read(node.samples_read);
  out->set_bytes_decoded(node.bytes_decoded);
  out->set_self_seconds(node.self_seconds);
  out->set_total_seconds(node.total_seconds);
  for (const promql::PlanNode& c : node.children) SetPlan(c, out->add_children());
}

void SetRunning(const promql::ActiveQuery& q, v1::RunningQuery* out) {
  out->set_id(q.id);
  out->set_query(q.text);
  out->set_origin(q.origin);
  out->set_began_ms(q.began_ms);
  out->set_start_ms(q.start_ms);
  out->set_end_ms(q.end_ms);
  out->set_step_ms(q.step_ms);
  out->set_waiting(q.waiting);
  out->set_series(q.series);
  out->set_samples(q.samples);
  out->set_held_bytes(q.held_bytes);
}

void SetAlert(const ruler::ActiveAlert& a, v1::Alert* out) {
  SetLabels(a.labels, out->mutable_labels());
  SetLabels(a.annotations, out->mutable_annotations());
  out->set_state(std::string(ruler::AlertStateName(a.state)));
  out->set_active_at_ms(a.active_at_ms);
  out->set_value(a.value);
}

}  // namespace vedette::api
