#include "ctl/graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace vedette::ctl {
namespace {

std::vector<std::string> Rows(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

// No character of the braille block is in it: those are the bytes E2 A0..A3.
bool Empty(const std::string& row) {
  for (const char* lead : {"\xe2\xa0", "\xe2\xa1", "\xe2\xa2", "\xe2\xa3"}) {
    if (row.find(lead) != std::string::npos) return false;
  }
  return true;
}

TEST(Graph, ARisingLineGoesFromTheBottomToTheTop) {
  const GraphLine line{"up", {{0, 0}, {500, 50}, {1000, 100}}};
  const std::vector<std::string> rows = Rows(DrawGraph({line}, 0, 1000, 40, 8));
  ASSERT_EQ(rows.size(), 10u);  // Eight of picture, the time, the legend.
  EXPECT_NE(rows[0].find("100"), std::string::npos);
  EXPECT_NE(rows[7].find("0 "), std::string::npos);
  for (size_t i = 0; i < 8; ++i) EXPECT_FALSE(Empty(rows[i])) << "row " << i;
  EXPECT_NE(rows[9].find("up"), std::string::npos);
}

TEST(Graph, AFlatLineRunsThroughOneRow) {
  const std::vector<std::string> rows =
      Rows(DrawGraph({{"flat", {{0, 5}, {1000, 5}}}}, 0, 1000, 60, 8));
  size_t drawn = 0;
  for (size_t i = 0; i < 8; ++i) drawn += Empty(rows[i]) ? 0 : 1;
  EXPECT_EQ(drawn, 1u);
}

TEST(Graph, GapsStayGapsAndNothingIsSaidInWords) {
  const double nan = std::nan("");
  EXPECT_EQ(DrawGraph({}, 0, 1000, 60, 8), "nothing to draw\n");
  EXPECT_EQ(DrawGraph({{"x", {{0, nan}, {10, INFINITY}}}}, 0, 1000, 60, 8), "nothing to draw\n");
  const std::string with_gap =
      DrawGraph({{"x", {{0, 1}, {500, nan}, {1000, 1}}}}, 0, 1000, 60, 8);
  const std::string without = DrawGraph({{"x", {{0, 1}, {1000, 1}}}}, 0, 1000, 60, 8);
  EXPECT_LT(with_gap.size(), without.size());
}

TEST(Graph, ManyLinesAreCounted) {
  std::vector<GraphLine> lines(12, {"l", {{0, 1}, {1000, 2}}});
  EXPECT_NE(DrawGraph(lines, 0, 1000, 60, 8).find("and 4 more"), std::string::npos);
}

}  // namespace
}  // namespace vedette::ctl
