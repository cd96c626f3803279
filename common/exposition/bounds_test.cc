#include "common/exposition/bounds.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette::exposition {
namespace {

TEST(Bounds, AreWrittenByOneRule) {
  struct Case {
    MetricType type;
    std::string label, text, canonical, brief;
  };
  for (const Case& c : {Case{MetricType::kHistogram, "le", "1", "1.0", "1"},
                        Case{MetricType::kHistogram, "le", "1.0", "1.0", "1"},
                        Case{MetricType::kHistogram, "le", "0.250", "0.25", "0.25"},
                        Case{MetricType::kHistogram, "le", "+Inf", "+Inf", "+Inf"},
                        Case{MetricType::kHistogram, "le", "inf", "+Inf", "+Inf"},
                        Case{MetricType::kHistogram, "le", "few", "few", "few"},
                        Case{MetricType::kHistogram, "le", "", "", ""},
                        Case{MetricType::kHistogram, "quantile", "1", "1", "1"},
                        Case{MetricType::kGaugeHistogram, "le", "100", "100.0", "100"},
                        Case{MetricType::kSummary, "quantile", "1", "1.0", "1"},
                        Case{MetricType::kSummary, "le", "1", "1", "1"},
                        Case{MetricType::kCounter, "le", "1", "1", "1"},
                        Case{MetricType::kUnknown, "le", "1", "1", "1"}}) {
    SCOPED_TRACE(c.label + " " + c.text);
    LabelsBuilder builder(Labels::Of({{"__name__", "m_bucket"}, {"a", "1"}}));
    builder.Set(c.label, c.text);
    const Labels labels = builder.Build();
    const Labels canonical = CanonicalBounds(labels, c.type);
    EXPECT_EQ(canonical.Get(c.label), c.canonical);
    EXPECT_EQ(canonical.Get("a"), "1");
    EXPECT_EQ(ShortBounds(labels, c.type).Get(c.label), c.brief);
  }
}

}  // namespace
}  // namespace vedette::exposition
