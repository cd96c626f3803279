#include "server/api/grpc/answer_diff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

namespace vedette::api {
namespace {

promql::VectorSample Of(std::string_view job, double value) {
  return {Labels::Of({{"job", job}}), {.t_ms = 1, .value = value}};
}

std::string Text(const Result<AnswerDiff::Change>& change) {
  std::string out;
  for (const promql::VectorSample& s : change->changed) {
    out += std::string(s.metric.Get("job")) + "=" + std::to_string(static_cast<int>(s.point.value)) +
           " ";
  }
  for (const Labels& l : change->gone) out += "-" + std::string(l.Get("job")) + " ";
  return out;
}

TEST(AnswerDiff, OnlyWhatChangedComesAgain) {
  AnswerDiff diff;
  EXPECT_EQ(Text(diff.Take(promql::Vector{Of("a", 1), Of("b", 2), Of("c", 3)})), "a=1 b=2 c=3 ");
  EXPECT_EQ(Text(diff.Take(promql::Vector{Of("a", 1), Of("b", 5), Of("d", 4)})), "b=5 d=4 -c ");
  EXPECT_EQ(Text(diff.Take(promql::Vector{Of("b", 5), Of("a", 1), Of("d", 4)})), "");
  EXPECT_EQ(Text(diff.Take(promql::Vector{})), "-a -b -d ");
}

TEST(AnswerDiff, NanIsNanAndHistogramsAreComparedByContent) {
  AnswerDiff diff;
  const auto histogram = [](double count) {
    auto h = std::make_shared<Histogram>();
    h->count = count;
    return promql::VectorSample{Labels::Of({{"job", "h"}}), {.histogram = std::move(h)}};
  };
  EXPECT_EQ(diff.Take(promql::Vector{Of("a", std::nan("")), histogram(1)})->changed.size(), 2u);
  EXPECT_EQ(diff.Take(promql::Vector{Of("a", std::nan("1")), histogram(1)})->changed.size(), 0u);
  EXPECT_EQ(diff.Take(promql::Vector{Of("a", 1), histogram(2)})->changed.size(), 2u);
}

TEST(AnswerDiff, AScalarIsAnElementWithoutLabels) {
  AnswerDiff diff;
  EXPECT_EQ(diff.Take(promql::Scalar{1, 7})->changed.size(), 1u);
  EXPECT_EQ(diff.Take(promql::Scalar{2, 7})->changed.size(), 0u);
  EXPECT_EQ(diff.Take(promql::String{1, "x"}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace vedette::api
