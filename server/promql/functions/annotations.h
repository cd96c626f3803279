#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "server/promql/parser/ast.h"

namespace vedette::promql {

// What is said beside an answer: warnings (it may be wrong) and infos (it may not be what was
// meant), each once, with the place in the text it is about. One query's; not thread-safe.
class Annotations {
 public:
  explicit Annotations(std::string_view query) : query_(query) {}

  void Warn(std::string_view text, PosRange pos);
  void Info(std::string_view text, PosRange pos);

  void BadQuantile(double q, PosRange pos);
  void BadRatio(double ratio, double capped, PosRange pos);
  void BadBucketLabel(std::string_view metric, std::string_view value, PosRange pos);
  void MixedFloatsHistograms(std::string_view metric, PosRange pos);
  void MixedFloatsHistogramsInAggregation(PosRange pos);
  void MixedClassicNative(std::string_view metric, PosRange pos);
  void NotCounterHistogram(std::string_view metric, PosRange pos);
  void NotGaugeHistogram(std::string_view metric, PosRange pos);
  void MixedSchemas(std::string_view metric, PosRange pos);
  void IncompatibleBuckets(std::string_view op, PosRange pos);
  void IncompatibleTypes(std::string_view left, std::string_view op, std::string_view right,
                         PosRange pos);
  void IgnoredInAggregation(std::string_view aggregation, PosRange pos);
  void IgnoredInMixedRange(std::string_view metric, PosRange pos);
  void ResetCollision(std::string_view operation, PosRange pos);
  void BoundsReconciled(std::string_view operation, PosRange pos);
  void OverlappingStarts(std::string_view metric, PosRange pos);
  void NotCounterName(std::string_view metric, PosRange pos);
  void NotCounterType(std::string_view metric, std::string_view type, PosRange pos);

  // Warnings that come from elsewhere (the storage), as they are.
  void AddPlainWarning(std::string text);

  // What another thread of this query said, as it stands there.
  void AddPlain(std::vector<std::string> warnings, std::vector<std::string> infos);

  // Leaves nothing; what was said is not said again.
  std::vector<std::string> TakeWarnings() { return std::exchange(warnings_, {}); }
  std::vector<std::string> TakeInfos() { return std::exchange(infos_, {}); }

 private:
  void Add(std::vector<std::string>& list, std::string text);

  const std::string_view query_;
  std::vector<std::string> warnings_;
  std::vector<std::string> infos_;
  std::unordered_set<std::string> seen_;
};

}  // namespace vedette::promql
