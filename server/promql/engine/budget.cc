#include "server/promql/engine/budget.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/metrics/refusals.h"
#include "common/model/duration.h"

namespace vedette::promql {
namespace {

// Asking the process for its memory costs a system call.
constexpr uint32_t kPollsPerMemoryCheck = 64;

}  // namespace

Status Budget::Poll() {
  if (cancel != nullptr && cancel->cancelled()) {
    return Cancelled("query was canceled in expression evaluation");
  }
  if (running != nullptr) {
    if (running->killed()) return Cancelled("query was killed in expression evaluation");
    if (reports) running->Report(stats->series, stats->samples_read, held_bytes);
  }
  if (deadline_ns != 0 && clock->MonotonicNs() > deadline_ns) {
    metrics::CountRefusal(metrics::Limit::kQueryTimeout);
    return DeadlineExceeded(StrCat("query timed out in expression evaluation after ",
                                   FormatDuration(timeout_ms), " (--query.timeout, or timeout=)"));
  }
  if (memory_left != nullptr && polls_++ % kPollsPerMemoryCheck == 0) return (*memory_left)();
  return {};
}

Status Budget::Hold(uint64_t n) {
  held += n;
  stats->peak_samples = std::max(stats->peak_samples, held);
  if (held > max_samples) {
    metrics::CountRefusal(metrics::Limit::kQuerySamples);
    return ResourceExhausted(
        "query processing would load too many samples into memory in query execution "
        "(--query.max-samples)");
  }
  return {};
}

Status Budget::HoldBytes(uint64_t n) {
  held_bytes += n;
  stats->peak_bytes = std::max(stats->peak_bytes, held_bytes);
  if (max_bytes != 0 && held_bytes > max_bytes) {
    metrics::CountRefusal(metrics::Limit::kQueryMemory);
    return ResourceExhausted(StrCat(
        "query processing would take more than ", max_bytes >> 20,
        " MiB of memory (--query.max-memory): select fewer series, a shorter range or a longer "
        "step"));
  }
  return {};
}

uint64_t BytesOf(const Column& c) {
  uint64_t bytes = sizeof(Column) + c.labels.bytes().size() + c.values.capacity() * sizeof(double);
  if (c.histograms.empty()) return bytes;
  bytes += c.histograms.capacity() * sizeof(HistogramPtr);
  const Histogram* last = nullptr;
  for (const HistogramPtr& h : c.histograms) {
    if (h == nullptr || h.get() == last) continue;
    last = h.get();
    bytes += sizeof(Histogram) + 64 +
             (h->positive_buckets.size() + h->negative_buckets.size() + h->positive_spans.size() +
              h->negative_spans.size() + h->custom_values.size()) *
                 sizeof(double);
  }
  return bytes;
}

}  // namespace vedette::promql
