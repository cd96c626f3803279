#include "server/scrape/series_rules.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette::scrape {
namespace {

constexpr int32_t kCoarsestSchema = -4;
constexpr size_t kQuotedBytes = 50;

std::string Excerpt(std::string_view text) { return Quoted(text.substr(0, kQuotedBytes)); }

Labels Combine(const Labels& exposed, std::span<const std::string> empty_names,
               const Labels& target, bool honor_labels) {
  LabelsBuilder builder(exposed);
  if (honor_labels) {
    for (const Label& label : target) {
      const bool empty =
          std::find(empty_names.begin(), empty_names.end(), label.name) != empty_names.end();
      if (!empty && !exposed.Has(label.name)) builder.Set(label.name, label.value);
    }
    return builder.Build();
  }
  for (const Label& label : target) {
    const std::string_view existing = exposed.Get(label.name);
    if (!existing.empty()) {
      std::string renamed = StrCat("exported_", label.name);
      while (exposed.Has(renamed) || target.Has(renamed) || !builder.Get(renamed).empty()) {
        renamed.insert(0, "exported_");
      }
      builder.Set(renamed, existing);
    }
    builder.Set(label.name, label.value);
  }
  return builder.Build();
}

Status CheckLimits(const Labels& labels, const Limits& limits) {
  if (limits.labels == 0 && limits.label_name_bytes == 0 && limits.label_value_bytes == 0) {
    return Status();
  }
  const std::string_view metric = labels.metric_name();
  if (const size_t count = labels.size(); limits.labels > 0 && count > limits.labels) {
    return ResourceExhausted(StrCat("label_limit exceeded (metric: ", Excerpt(metric),
                                    ", number of labels: ", count, ", limit: ", limits.labels,
                                    ")"));
  }
  for (const Label& label : labels) {
    if (limits.label_name_bytes > 0 && label.name.size() > limits.label_name_bytes) {
      return ResourceExhausted(StrCat("label_name_length_limit exceeded (metric: ", Excerpt(metric),
                                      ", label name: ", Excerpt(label.name),
                                      ", length: ", label.name.size(),
                                      ", limit: ", limits.label_name_bytes, ")"));
    }
    if (limits.label_value_bytes > 0 && label.value.size() > limits.label_value_bytes) {
      return ResourceExhausted(
          StrCat("label_value_length_limit exceeded (metric: ", Excerpt(metric),
                 ", label name: ", Excerpt(label.name), ", value: ", Excerpt(label.value),
                 ", length: ", label.value.size(), ", limit: ", limits.label_value_bytes, ")"));
    }
  }
  return Status();
}

// Two neighbours become one: bucket i of a schema is in bucket (i + 1) / 2, rounded down, of the
// schema below.
void Coarsen(std::vector<Histogram::Span>& spans, std::vector<double>& buckets) {
  std::map<int32_t, double> merged;
  int32_t index = 0;
  size_t next = 0;
  for (const Histogram::Span& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && next < buckets.size(); ++i, ++index) {
      merged[(index + 1) >> 1] += buckets[next++];
    }
  }
  spans.clear();
  buckets.clear();
  int32_t expected = 0;
  for (const auto& [i, count] : merged) {
    if (spans.empty() || i != expected) {
      spans.push_back({i - expected, 0});
    }
    ++spans.back().length;
    buckets.push_back(count);
    expected = i + 1;
  }
}

}  // namespace

Result<std::optional<Labels>> SeriesLabels(const Labels& exposed,
                                           std::span<const std::string> empty_names,
                                           const Labels& target, const Job& job) {
  std::optional<Labels> labels = Combine(exposed, empty_names, target, job.honor_labels);
  if (job.metric_relabel) {
    labels = job.metric_relabel(*labels);
    if (!labels || labels->empty()) return std::optional<Labels>();
  }
  const std::string_view name = labels->metric_name();
  if (name.empty()) {
    return InvalidArgument(
        StrCat("metric relabelling left ", exposed.ToString(), " without a metric name"));
  }
  if (job.legacy_names) {
    if (!IsLegacyMetricName(name)) {
      return InvalidArgument(StrCat("metric name ", Excerpt(name),
                                    " does not suit metric_name_validation_scheme legacy"));
    }
    for (const Label& label : *labels) {
      if (!IsLegacyLabelName(label.name)) {
        return InvalidArgument(StrCat("label name ", Excerpt(label.name), " of ", Excerpt(name),
                                      " does not suit metric_name_validation_scheme legacy"));
      }
    }
  }
  VEDETTE_RETURN_IF_ERROR(CheckLimits(*labels, job.limits));
  return labels;
}

Labels ReportLabels(std::string_view name, const Labels& target) {
  LabelsBuilder builder(target);
  builder.Set(kMetricNameLabel, name);
  return builder.Build();
}

Result<std::shared_ptr<const Histogram>> LimitHistogram(
    std::shared_ptr<const Histogram> histogram, const Limits& limits) {
  if (histogram == nullptr) return histogram;
  const uint64_t limit = limits.native_histogram_buckets;
  const auto count = [](const Histogram& h) {
    return h.positive_buckets.size() + h.negative_buckets.size();
  };
  const auto too_many = [&](const Histogram& h) { return limit > 0 && count(h) > limit; };
  const bool custom = histogram->schema == Histogram::kCustomSchema;
  const bool too_fine = !custom && histogram->schema > limits.native_histogram_schema;
  if (!too_fine && !too_many(*histogram)) return histogram;
  auto coarser = std::make_shared<Histogram>(*histogram);
  while (!custom && coarser->schema > kCoarsestSchema &&
         (coarser->schema > limits.native_histogram_schema || too_many(*coarser))) {
    Coarsen(coarser->positive_spans, coarser->positive_buckets);
    Coarsen(coarser->negative_spans, coarser->negative_buckets);
    --coarser->schema;
  }
  if (too_many(*coarser)) {
    return ResourceExhausted(StrCat("native_histogram_bucket_limit exceeded: ", count(*coarser),
                                    " buckets, limit: ", limit));
  }
  return std::shared_ptr<const Histogram>(std::move(coarser));
}

}  // namespace vedette::scrape
