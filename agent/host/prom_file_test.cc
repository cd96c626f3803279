#include "agent/host/prom_file.h"

#include <gtest/gtest.h>

#include <string>

#include "common/exposition/writer.h"

namespace vedette::agent {
namespace {

std::string Shown(std::string_view text) {
  auto families = ParsePromFile(text);
  return families.ok() ? exposition::WriteText(*families) : "error";
}

std::string ErrorOf(std::string_view text) {
  return std::string(ParsePromFile(text).status().message());
}

// tests/interop/textfile_test.py has the same beside node_exporter.
TEST(PromFile, WhatIsRefusedSaysWhy) {
  struct Case {
    const char* text;
    const char* why;
  };
  for (const Case& c : {Case{"a 1", "half written"}, Case{"a 1\nb 1", "half written"},
                        Case{"# TYPE a gauge\na 1\n# TYPE a gauge\n", "comes after its samples"},
                        Case{"# TYPE a gauge\n# TYPE a counter\na 1\n", "a second TYPE for a"},
                        Case{"# HELP a x\na 1\n# HELP a y\n", "a second HELP for a"},
                        Case{"a 1\n# TYPE a gauge\n", "comes after its samples"},
                        Case{"# TYPE a info\na 1\n", "not a type of this format"},
                        Case{"a 1 1000\n", "has a timestamp"},
                        Case{"a{x=\"\\q\"} 1\n", "backslash"},
                        Case{"# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "is no number"},
                        Case{"a one\n", "line 1"}}) {
    SCOPED_TRACE(c.text);
    EXPECT_NE(ErrorOf(c.text).find(c.why), std::string::npos) << ErrorOf(c.text);
  }
}

TEST(PromFile, WhatIsShown) {
  EXPECT_EQ(Shown(""), "");
  EXPECT_EQ(Shown("# HELP a x\n# TYPE b gauge\n"), "");
  EXPECT_EQ(Shown("a{x=\"1\"} 1\na{x=\"1\"} 2\n"), "# TYPE a untyped\na{x=\"1\"} 1\n");
  EXPECT_EQ(Shown("# TYPE a gauge\na 1\n# TYPE b gauge\nb -0\na{x=\"\\\\\\\"\\n\"} 3\n"),
            "# TYPE a gauge\na 1\na{x=\"\\\\\\\"\\n\"} 3\n# TYPE b gauge\nb 0\n");
  EXPECT_EQ(Shown("# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_sum 3\nh_count 2\n"),
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 2\nh_bucket{le=\"+Inf\"} 2\n");
  EXPECT_EQ(Shown("# TYPE h histogram\nh_bucket{a=\"b\",le=\"+Inf\"} 1\n"),
            "# TYPE h histogram\nh_bucket{a=\"b\",le=\"+Inf\"} 1\nh_sum{a=\"b\"} 0\nh_count{a=\"b\"} 0\n");
  EXPECT_EQ(Shown("# TYPE s summary\ns 1\n"), "# TYPE s summary\ns_sum 0\ns_count 0\n");
  EXPECT_EQ(Shown("# TYPE s summary\ns{quantile=\"0.50\"} 1\ns_sum 3\ns_count 2\n"),
            "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\n");
}

}  // namespace
}  // namespace vedette::agent
