#include "common/model/matcher.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(Matcher, EveryOperatorOnEveryKindOfValue) {
  struct {
    Matcher::Op op;
    const char* pattern;
    const char* value;
    bool want;
  } constexpr kCases[] = {
      {Matcher::Op::kEqual, "a", "a", true},
      {Matcher::Op::kEqual, "", "", true},
      {Matcher::Op::kNotEqual, "a", "b", true},
      {Matcher::Op::kRegex, "a.c", "abc", true},
      {Matcher::Op::kRegex, "a.c", "abcd", false},  // Anchored.
      {Matcher::Op::kRegex, "a.c", "a\nc", true},   // Dot matches newline.
      {Matcher::Op::kRegex, "a|b", "b", true},
      {Matcher::Op::kRegex, "a|b", "ab", false},
      {Matcher::Op::kRegex, "a|", "", true},
      {Matcher::Op::kRegex, "", "", true},
      {Matcher::Op::kRegex, "", "x", false},
      {Matcher::Op::kRegex, ".+", "", false},
      {Matcher::Op::kRegex, ".*", "", true},
      {Matcher::Op::kRegex, "(?<y>a+)b", "aab", true},
      {Matcher::Op::kRegex, "(?i)abc", "ABC", true},
      {Matcher::Op::kNotRegex, "a|b", "c", true},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.pattern);
    Result<Matcher> m = Matcher::Make(c.op, "l", c.pattern);
    ASSERT_TRUE(m.ok()) << m.status().ToString();
    EXPECT_EQ(m->Matches(c.value), c.want) << c.value;
  }
}

TEST(Regex, KnowsItsPrefixAndItsLiterals) {
  struct {
    const char* pattern;
    const char* prefix;
    size_t literals;
  } constexpr kCases[] = {
      {"abc", "abc", 1}, {"node_.+", "node_", 0}, {"ab*", "a", 0},
      {"ab?c", "a", 0},  {"ab+", "ab", 0},        {"a|b|c", "", 3},
      {"(a|b)", "", 0},  {"\xc3\xa9*", "", 0},    {".*", "", 0},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.pattern);
    Result<Regex> re = Regex::Compile(c.pattern);
    ASSERT_TRUE(re.ok());
    EXPECT_EQ(re->prefix(), c.prefix);
    EXPECT_EQ(re->literals().size(), c.literals);
  }
}

TEST(Regex, ABadOneIsQuotedInTheError) {
  Result<Regex> re = Regex::Compile("a(b");
  ASSERT_FALSE(re.ok());
  EXPECT_NE(re.status().message().find("a(b"), std::string_view::npos);
}

TEST(Matcher, PrintsAsItIsWritten) {
  EXPECT_EQ(Matcher::Equal("job", "a\"b").ToString(), R"(job="a\"b")");
  EXPECT_EQ(Matcher::Equal("a.b", "x").ToString(), R"("a.b"="x")");
}

}  // namespace
}  // namespace vedette
