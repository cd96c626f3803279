#include "common/model/labels.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(Labels, SortsDropsEmptyAndKeepsTheLastOfTwo) {
  Labels l = Labels::Of({{"job", "a"}, {"__name__", "up"}, {"job", "b"}, {"gone", ""}});
  EXPECT_EQ(l.ToString(), R"({__name__="up", job="b"})");
  EXPECT_EQ(l.size(), 2u);
  EXPECT_EQ(l.Get("job"), "b");
  EXPECT_EQ(l.Get("none"), "");
}

TEST(Labels, LongPiecesSurvive) {
  const std::string value(70'000, 'x');
  Labels l = Labels::Of({{"a", value}, {"b", std::string(255, 'y')}, {"c", std::string(254, 'z')}});
  EXPECT_EQ(l.Get("a"), value);
  EXPECT_EQ(l.Get("c").size(), 254u);
  Result<Labels> again = Labels::FromBytes(l.bytes());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, l);
}

TEST(Labels, EveryTruncationIsNoticedOrAShorterSet) {
  Labels l = Labels::Of({{"a", "1"}, {"b", "22"}});
  for (size_t n = 0; n < l.bytes().size(); ++n) {
    Result<Labels> got = Labels::FromBytes(l.bytes().substr(0, n));
    if (got.ok()) {
      EXPECT_LT(got->size(), 2u);
    } else {
      EXPECT_EQ(got.status().code(), StatusCode::kDataLoss);
    }
  }
  EXPECT_FALSE(Labels::FromBytes(std::string_view("\x01"
                                                  "b\x01"
                                                  "1\x01"
                                                  "a\x01"
                                                  "1",
                                                  8))
                   .ok());
}

TEST(Labels, OrderIsByNameThenValue) {
  EXPECT_LT(Labels::Of({{"a", "1"}}), Labels::Of({{"a", "2"}}));
  EXPECT_LT(Labels::Of({{"a", "2"}}), Labels::Of({{"b", "1"}}));
  EXPECT_LT(Labels(), Labels::Of({{"a", "1"}}));
  EXPECT_LT(Labels::Of({{"a", "1"}}), Labels::Of({{"a", "1"}, {"b", "1"}}));
}

TEST(Labels, OnlyAndWithout) {
  Labels l = Labels::Of({{"__name__", "m"}, {"a", "1"}, {"b", "2"}});
  const std::vector<std::string> names = {"a", "z"};
  EXPECT_EQ(l.Only(names).ToString(), R"({a="1"})");
  EXPECT_EQ(l.Without(names).ToString(), R"({__name__="m", b="2"})");
  EXPECT_EQ(l.WithoutName().ToString(), R"({a="1", b="2"})");
}

TEST(LabelsBuilder, SetsDeletesAndKeepsOrder) {
  LabelsBuilder b(Labels::Of({{"b", "1"}}));
  b.Set("a", "0");
  b.Set("c", "x");
  b.Set("b", "2");
  b.Delete("c");
  EXPECT_EQ(b.Get("b"), "2");
  EXPECT_EQ(b.Build().ToString(), R"({a="0", b="2"})");
}

TEST(Labels, HashIsFrozen) {
  // It may be stored: a change of the hash is a change of format.
  EXPECT_EQ(Labels().Hash(), 3244421341483603138ULL);
  EXPECT_NE(Labels::Of({{"a", "1"}}).Hash(), Labels::Of({{"a", "2"}}).Hash());
}

TEST(Labels, Utf8NamesAreQuotedInText) {
  EXPECT_EQ(Labels::Of({{"a.b", "1"}}).ToString(), R"({"a.b"="1"})");
  EXPECT_FALSE(IsLegacyMetricName("1a"));
  EXPECT_TRUE(IsLegacyMetricName("job:up:sum"));
  EXPECT_FALSE(IsLegacyLabelName("job:up"));
}

}  // namespace
}  // namespace vedette
