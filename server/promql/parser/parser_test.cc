#include "server/promql/parser/parser.h"

#include <gtest/gtest.h>

#include <string>

#include "server/promql/parser/print.h"

namespace vedette::promql {
namespace {

const ParserOptions kAll{true, true, true};

TEST(Parser, PrintsTheSameTreeAgain) {
  for (const char* text :
       {"1 + 2 * 3 ^ 2 ^ 2", "-a ^ 2", "sum by (job) (rate(http_total{code=~\"5..\"}[5m]))",
        "a * on (x) group_left (y) b", "rate(x[5m] offset -1m)", "x @ 12.500 offset 1h",
        "max_over_time(rate(x[1m])[1h:30s] @ end())", "{\"my.metric\",\"a.b\"=\"c\"}",
        "topk(3, x) without (y)", "x[step() * 2]", "a == bool b", "a + fill (0) b",
        "increase(x[5m] anchored)", "sum(sum)", "offset + start", "h </ 5", "inf ^ 3",
        "2 ^ Inf ^ -Inf"}) {
    Result<ExprPtr> e = ParseExpr(text, kAll);
    if (std::string(text) == "x[step() * 2]") {
      ASSERT_TRUE(e.ok()) << text << e.status().message();
    }
    ASSERT_TRUE(e.ok()) << text << ": " << e.status().message();
    const std::string printed = Print(**e);
    Result<ExprPtr> again = ParseExpr(printed, kAll);
    ASSERT_TRUE(again.ok()) << printed << ": " << again.status().message();
    EXPECT_EQ(Print(**again), printed);
  }
}

TEST(Parser, BindsAsTheLanguageSays) {
  Result<ExprPtr> e = ParseExpr("-a ^ 2", kAll);
  ASSERT_TRUE(e.ok());
  EXPECT_EQ((*e)->kind, Expr::Kind::kUnary);
  e = ParseExpr("2 ^ 3 ^ 2", kAll);
  ASSERT_TRUE(e.ok());
  EXPECT_EQ((*e)->As<BinaryExpr>().rhs->kind, Expr::Kind::kBinary);
}

TEST(Parser, SaysWhereAndWhy) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "unknown position: parse error: no expression found in input"},
      {"1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"rate(x)",
       "1:6: parse error: expected type range vector in call to function \"rate\", got "
       "instant vector"},
      {"nope(x)", "1:1: parse error: unknown function with name \"nope\""},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"x[0s]", "1:3: parse error: duration must be greater than 0"},
      {"(1", "1:3: parse error: unclosed left parenthesis"},
      {"foo)", "1:5: parse error: unexpected right parenthesis ')'"},
      {"foo + bool bar",
       "1:5: parse error: bool modifier can only be used on comparison operators"},
      {"foo and on(a) group_left bar",
       "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"foo + on(a) group_left(a) bar",
       "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
      {"sum by (a) b", "1:12: parse error: unexpected identifier \"b\" in aggregation"},
      {"foo @ start",
       "1:12: parse error: unexpected end of input in @, expected timestamp"},
      {"'a\\xz'", "1:1: parse error: illegal character U+007A 'z' in escape sequence"},
      {"'a\\x'", "1:1: parse error: illegal character U+0027 ''' in escape sequence"},
      {"'\\q'", "1:1: parse error: unknown escape sequence U+0071 'q'"},
      {"'\\\"'", "1:1: parse error: unknown escape sequence U+0022 '\"'"},
      {"'\\é'", "1:1: parse error: unknown escape sequence U+00E9 'é'"},
      {"'\\400'", "1:1: parse error: escape sequence is an invalid Unicode code point"},
      {"foo\x01", "1:4: parse error: unexpected character: '\\x01'"},
  };
  for (const auto& c : cases) {
    Result<ExprPtr> e = ParseExpr(c.text, kAll);
    ASSERT_FALSE(e.ok()) << c.text;
    EXPECT_EQ(e.status().message(), c.error);
  }
}

TEST(Parser, RefusesDepthInsteadOfCrashing) {
  EXPECT_FALSE(ParseExpr(std::string(10000, '(') + "1" + std::string(10000, ')')).ok());
  EXPECT_FALSE(ParseExpr(std::string(100000, '-') + "1").ok());
  std::string chain = "a";
  for (int i = 0; i < 10000; ++i) chain += "+a";
  EXPECT_FALSE(ParseExpr(chain).ok());
}

}  // namespace
}  // namespace vedette::promql
