#include "server/promql/functions/annotations.h"

#include "common/base/strings.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/parser/lexer.h"

namespace vedette::promql {

void Annotations::Add(std::vector<std::string>& list, std::string text) {
  if (seen_.insert(text).second) list.push_back(std::move(text));
}

void Annotations::Warn(std::string_view text, PosRange pos) {
  Add(warnings_, StrCat("PromQL warning: ", text, " (", LineColumn(query_, pos.start), ")"));
}

void Annotations::Info(std::string_view text, PosRange pos) {
  Add(infos_, StrCat("PromQL info: ", text, " (", LineColumn(query_, pos.start), ")"));
}

void Annotations::AddPlain(std::vector<std::string> warnings, std::vector<std::string> infos) {
  for (std::string& text : warnings) Add(warnings_, std::move(text));
  for (std::string& text : infos) Add(infos_, std::move(text));
}

void Annotations::AddPlainWarning(std::string text) { Add(warnings_, std::move(text)); }

namespace {
std::string ForMetric(std::string_view text, std::string_view metric) {
  return metric.empty() ? std::string(text) : StrCat(text, " for metric name ", Quoted(metric));
}
}  // namespace

void Annotations::BadQuantile(double q, PosRange pos) {
  Warn(StrCat("quantile value should be between 0 and 1, got ", GoFloat(q)), pos);
}
void Annotations::BadRatio(double ratio, double capped, PosRange pos) {
  Warn(StrCat("ratio value should be between -1 and 1, got ", GoFloat(ratio), ", capping to ",
              GoFloat(capped)),
       pos);
}
void Annotations::BadBucketLabel(std::string_view metric, std::string_view value, PosRange pos) {
  Warn(ForMetric(
           StrCat("bucket label \"le\" is missing or has a malformed value of ", Quoted(value)),
           metric),
       pos);
}
void Annotations::MixedFloatsHistograms(std::string_view metric, PosRange pos) {
  Warn(ForMetric("encountered a mix of histograms and floats", metric), pos);
}
void Annotations::MixedFloatsHistogramsInAggregation(PosRange pos) {
  Warn("encountered a mix of histograms and floats for aggregation", pos);
}
void Annotations::MixedClassicNative(std::string_view metric, PosRange pos) {
  Warn(ForMetric("vector contains a mix of classic and native histograms", metric), pos);
}
void Annotations::NotCounterHistogram(std::string_view metric, PosRange pos) {
  Warn(StrCat("this native histogram metric is not a counter: ", Quoted(metric)), pos);
}
void Annotations::NotGaugeHistogram(std::string_view metric, PosRange pos) {
  Warn(StrCat("this native histogram metric is not a gauge: ", Quoted(metric)), pos);
}
void Annotations::MixedSchemas(std::string_view metric, PosRange pos) {
  Warn(ForMetric("vector contains a mix of histograms with exponential and custom buckets schemas",
                 metric),
       pos);
}
void Annotations::IncompatibleBuckets(std::string_view op, PosRange pos) {
  Warn(StrCat("incompatible bucket layout encountered for binary operator ", op), pos);
}
void Annotations::IncompatibleTypes(std::string_view left, std::string_view op,
                                    std::string_view right, PosRange pos) {
  Info(StrCat("incompatible sample types encountered for binary operator ", Quoted(op), ": ", left,
              " ", op, " ", right),
       pos);
}
void Annotations::IgnoredInAggregation(std::string_view aggregation, PosRange pos) {
  Info(StrCat("ignored histogram in ", aggregation, " aggregation"), pos);
}
void Annotations::IgnoredInMixedRange(std::string_view metric, PosRange pos) {
  Info(ForMetric("ignored histograms in a range containing both floats and histograms", metric),
       pos);
}
void Annotations::ResetCollision(std::string_view operation, PosRange pos) {
  Warn(StrCat("conflicting counter resets during histogram ", operation), pos);
}
void Annotations::BoundsReconciled(std::string_view operation, PosRange pos) {
  Info(StrCat("mismatched custom buckets were reconciled during ", operation), pos);
}
void Annotations::OverlappingStarts(std::string_view metric, PosRange pos) {
  Warn(StrCat("sample has start time that overlaps with previous sample timestamp",
              metric.empty() ? "" : StrCat(" for metric ", Quoted(metric))),
       pos);
}
void Annotations::NotCounterName(std::string_view metric, PosRange pos) {
  Info(StrCat("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ",
              Quoted(metric)),
       pos);
}
void Annotations::NotCounterType(std::string_view metric, std::string_view type, PosRange pos) {
  Info(StrCat("metric might not be a counter, __type__ label is not set to \"counter\" or "
              "\"histogram\", got ",
              Quoted(type), ": ", Quoted(metric)),
       pos);
}

}  // namespace vedette::promql
