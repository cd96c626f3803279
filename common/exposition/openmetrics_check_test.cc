#include "common/exposition/openmetrics_check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace vedette::exposition {
namespace {

TEST(OpenMetricsCheck, AcceptsWhatTheStandardAllows) {
  const char* const kBodies[] = {
      "# EOF\n",
      "a 1\n# EOF\n",
      "# TYPE a counter\n# HELP a help\na_total 0 123 # {a=\"b\"} 0.5\n# EOF\n",
      "# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n# EOF\n",
      "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_count 3\nh_sum 2\n# EOF\n",
      "# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# EOF",
      "{\"my.metric\",\"a.b\"=\"c\"} 1\n# EOF\n",
      "a 0 1\na 0 2\n# EOF\n",
  };
  for (const char* body : kBodies) {
    const Status status = CheckOpenMetrics(body);
    EXPECT_TRUE(status.ok()) << body << status.ToString();
  }
}

TEST(OpenMetricsCheck, NamesTheLineOfAnOffence) {
  const struct {
    const char* body;
    const char* why;
  } kCases[] = {
      {"a 1\n", "line 2: the body does not end with \"# EOF\""},
      {"a 1\n# EOF\nb 1\n", "line 3: expected nothing after"},
      {"a 1\n\n# EOF\n", "line 2: expected a metric name"},
      {"# TYPE a counter\na_total NaN\n# EOF\n", "line 2: a count or sum is not NaN"},
      {"# TYPE a gauge\na 1 # {b=\"c\"} 1\n# EOF\n", "line 2: only a counter's _total"},
      {"a{b=\"1\",} 1\n# EOF\n", "line 1: a comma after the last label"},
      {"a 1\nb 1\na 2\n# EOF\n", "line 3: this family's lines are not together"},
      {"# TYPE a_created gauge\n# TYPE a counter\n# EOF\n", "line 2: the name \"a_created\""},
      {"# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n# EOF\n",
       "line 2: buckets stand in the order"},
      {"# TYPE h histogram\nh_bucket{le=\"2\"} 1\n# EOF\n",
       "line 2: a histogram has a bucket +Inf"},
      {"a 1\na 1\n# EOF\n", "line 2: the same sample twice"},
  };
  for (const auto& c : kCases) {
    const Status status = CheckOpenMetrics(c.body);
    ASSERT_FALSE(status.ok()) << c.body;
    EXPECT_NE(status.message().find(c.why), std::string_view::npos) << status.ToString();
  }
}

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The parser cases of the OpenMetrics project, where they are at hand:
//   bazel test --test_env=VEDETTE_OPENMETRICS_CASES=/path/to/openmetrics //common/exposition/...
TEST(OpenMetricsCheck, AgreesWithTheStandardsOwnCases) {
  const char* const root = std::getenv("VEDETTE_OPENMETRICS_CASES");
  if (root == nullptr || !std::filesystem::is_directory(root)) {
    GTEST_SKIP() << "VEDETTE_OPENMETRICS_CASES names no directory";
  }
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "test.json")) continue;
    ++cases;
    const bool valid =
        Read(entry.path() / "test.json").find("\"shouldParse\": true") != std::string::npos;
    const Status status = CheckOpenMetrics(Read(entry.path() / "metrics"));
    EXPECT_EQ(status.ok(), valid) << entry.path().filename() << " " << status.ToString();
  }
  EXPECT_GT(cases, 100);
}

}  // namespace
}  // namespace vedette::exposition
