#include "common/exposition/text_parser.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstddef>
#include <optional>
#include <random>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/number.h"
#include "common/model/sample.h"

namespace vedette::exposition {
namespace {

// "m{a="1"} 1 @5", sample by sample, or the error.
std::string Read(std::string_view body, TextDialect dialect = TextDialect::kText) {
  TextParser parser(body, dialect);
  MetricType type = MetricType::kUnknown;
  std::string out;
  for (;;) {
    switch (parser.Next()) {
      case TextParser::Event::kEnd:
        return out;
      case TextParser::Event::kError:
        return StrCat("error: ", parser.status().message());
      case TextParser::Event::kType:
        type = parser.metadata().type;
        break;
      case TextParser::Event::kSample: {
        const Result<Labels> labels = ToLabels(parser.sample(), type);
        if (!labels.ok()) return StrCat("error: ", labels.status().message());
        if (!out.empty()) out.push_back('\n');
        StrAppend(out, labels->metric_name());
        if (const Labels rest = labels->WithoutName(); !rest.empty()) out += rest.ToString();
        out.push_back(' ');
        AppendValue(out, parser.sample().value);
        if (parser.sample().t_ms) StrAppend(out, " @", *parser.sample().t_ms);
        if (parser.sample().has_exemplar) {
          const Result<Exemplar> exemplar = ToExemplar(parser.sample());
          if (!exemplar.ok()) return StrCat("error: ", exemplar.status().message());
          StrAppend(out, " # ", exemplar->labels.ToString(), " ", exemplar->value);
          if (exemplar->t_ms) StrAppend(out, " @", *exemplar->t_ms);
        }
        break;
      }
      default:
        break;
    }
  }
}

TEST(TextParser, ReadsWhatPrometheusReads) {
  const struct {
    std::string_view body;
    std::string_view want;
  } kCases[] = {
      {"", ""},
      {"m 1\n", "m 1"},
      {"m 1", "m 1"},
      {"# a comment\n# HELP\n#no space\n", ""},
      {"\n\nm 1\n\n\nn 2\n\n", "m 1\nn 2"},
      {"m   {  a = \"1\" ,  b=\"2\"  }   1  \n", "m{a=\"1\", b=\"2\"} 1"},
      {"m\t1\n", "m 1"},
      {"m{a=\"1\",} 1\n", "m{a=\"1\"} 1"},
      {"m{} 1\n", "m 1"},
      {"m{a=\"\",b=\"2\"} 1\n", "m{b=\"2\"} 1"},
      {"m{a=\"q\\\"b\\\\n\\nz\"} 1\n", "m{a=\"q\\\"b\\\\n\\nz\"} 1"},
      {"m{a=\"{x}\"} 1\n", "m{a=\"{x}\"} 1"},
      {"a:b:c 1\n", "a:b:c 1"},
      {"m 1 1700000000000\n", "m 1 @1700000000000"},
      {"m 1 -5\n", "m 1 @-5"},
      {"{\"my.metric\",\"a.b\"=\"c\"} 1\n", "my.metric{\"a.b\"=\"c\"} 1"},
      {"{a=\"b\",\"my.metric\"} 1\n", "my.metric{a=\"b\"} 1"},
      {"m{a=\"b\"}1\n", "m{a=\"b\"} 1"},
      {"m 1\n# end", "m 1"},
      {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n",
       "h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2"},
      {"# TYPE s summary\ns{quantile=\"1\"} 1\n", "s{quantile=\"1.0\"} 1"},
      {"# TYPE m counter\nm{le=\"1\"} 1\n", "m{le=\"1\"} 1"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Read(c.body), c.want) << c.body;
}

TEST(TextParser, SaysWhereAndWhatIsWrong) {
  const struct {
    std::string_view body;
    std::string_view want;
  } kCases[] = {
      {"m\n",
       "error: line 1: expected a label set or a value after the metric name, got the end "
       "of the line"},
      {"m \n", "error: line 1: expected a value, got the end of the line"},
      {"a 1\nm one\n", "error: line 2: expected a value, got \"one\""},
      {"m 0x1p3\n", "error: line 1: expected a value, got \"0x1p3\""},
      {"m 1_000\n", "error: line 1: expected a value, got \"1_000\""},
      {"m 1\r\n", "error: line 1: expected a value, got \"1\\r\""},
      {"m 1 2.5\n", "error: line 1: expected a timestamp in milliseconds, got \"2.5\""},
      {"m 1 1 1\n", "error: line 1: expected the end of the line, got \"1\""},
      {"1m 1\n", "error: line 1: expected a metric name or '{', got \"1m 1\""},
      {"m-n 1\n",
       "error: line 1: expected a label set or a value after the metric name, got "
       "\"-n 1\""},
      {"m{1a=\"x\"} 1\n", "error: line 1: expected a label name or '}', got \"1a=\\\"x\\\"} 1\""},
      {"m{a=\"x\" 1\n", "error: line 1: expected ',' or '}' after a label value, got \"1\""},
      {"m{a=x} 1\n", "error: line 1: expected a label value in double quotes, got \"x} 1\""},
      {"m{a\"x\"} 1\n", "error: line 1: expected '=' after a label name, got \"\\\"x\\\"} 1\""},
      {"{a=\"x\"} 1\n", "error: line 1: expected a metric name, got \"{a=\\\"x\\\"} 1\""},
      {"m{a=\"1\",a=\"2\"} 1\n",
       "error: \"m{a=\\\"1\\\",a=\\\"2\\\"} \": label \"a\" is given twice"},
      {"# TYPE m nonsense\n", "error: line 1: expected a metric type, got \"nonsense\""},
      {"m 1e999\n", "error: line 1: expected a value, got \"1e999\""},
  };
  for (const auto& c : kCases) EXPECT_EQ(Read(c.body), c.want) << c.body;
  EXPECT_EQ(Read("m{a=\"\xff\"} 1\n").substr(0, 5), "error");
}

TEST(TextParser, ReadsOpenMetrics) {
  const auto read = [](std::string_view body) { return Read(body, TextDialect::kOpenMetrics); };
  EXPECT_EQ(read("# TYPE a counter\na_total 1 2.5 # {t=\"x\"} 0.5 1.25\n# EOF\n"),
            "a_total 1 @2500 # {t=\"x\"} 0.5 @1250");
  EXPECT_EQ(read("a{b=\"# c\"} 1 # {} 2\n# EOF"), "a{b=\"# c\"} 1 # {} 2");
  for (const std::string_view bad :
       {"a 1\n", "a 1\n# EOF\nb 1\n", "a  1\n# EOF\n", "a 1 \n# EOF\n", "a 1\n\n# EOF\n",
        "a 1 NaN\n# EOF\n", "a 1 # {} \n# EOF\n", "a 1 # {}1\n# EOF\n", "# TYPE a untyped\n# EOF\n",
        "# UNIT a seconds\n# EOF\n", "# HELP a\n# EOF\n", "#\n# EOF\n", "a 1"}) {
    EXPECT_EQ(read(bad).substr(0, 5), "error") << bad;
  }
}

TEST(TextParser, AKnownKeyReadsTheValueAlone) {
  const std::string body = "m{a=\"1\"} 1\nm{a=\"1\"} 2 5\nm{a=\"12\"} 3\nm{a=\"1\"} x\n";
  TextParser parser(body, TextDialect::kText);
  ASSERT_EQ(parser.Next(), TextParser::Event::kSample);
  const std::string key(parser.sample().key);
  ASSERT_TRUE(parser.NextKnown(TextParser::KeyOf(key)));
  EXPECT_EQ(parser.sample().value, 2);
  EXPECT_EQ(parser.sample().t_ms, 5);
  EXPECT_FALSE(parser.NextKnown(TextParser::KeyOf(key)));  // Another series.
  ASSERT_EQ(parser.Next(), TextParser::Event::kSample);
  EXPECT_EQ(parser.sample().value, 3);
  EXPECT_FALSE(parser.NextKnown(TextParser::KeyOf(key)));  // A bad value: Next() says so.
  EXPECT_EQ(parser.Next(), TextParser::Event::kError);
}

TEST(TextParser, FamiliesKeepMetadataAndSuffixesTogether) {
  const auto families = ParseText(
      "# HELP h A \\\\ b.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nz 1\n",
      TextDialect::kText);
  ASSERT_TRUE(families.ok());
  ASSERT_EQ(families->size(), 2u);
  EXPECT_EQ((*families)[0].metadata.help, "A \\ b.");
  EXPECT_EQ((*families)[0].samples.size(), 3u);
  EXPECT_EQ((*families)[1].name, "z");
}

TEST(Number, ReadsAsStrtodDoes) {
  for (const char* text : {"0",
                           "-0",
                           "1",
                           "+2",
                           ".5",
                           "5.",
                           "1e3",
                           "1E-3",
                           "123456789.123456",
                           "9007199254740993",
                           "0.1",
                           "1.7976931348623157e308",
                           "5e-324",
                           "1e-400",
                           "123456789012345678901234567890",
                           "0000000000000000000000000000001.2e-1",
                           "2.2250738585072014e-308",
                           "1e22",
                           "1e23",
                           "3.141592653589793238462643383279"}) {
    const std::optional<double> got = ParseValue(text);
    ASSERT_TRUE(got) << text;
    EXPECT_EQ(*got, std::strtod(text, nullptr)) << text;
  }
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ParseValue("+Inf"), inf);
  EXPECT_EQ(ParseValue("-infinity"), -inf);
  EXPECT_EQ(std::bit_cast<uint64_t>(*ParseValue("nAn")), kNormalNanBits);
  for (const char* text : {"", "+", "-", ".", "e5", "1e", "1e+", "+-1", "--1", "0x1", "1_0",
                           "nan(1)", "-nan", "1 ", " 1", "1e999", "infinit", "1.2.3"}) {
    EXPECT_FALSE(ParseValue(text)) << text;
  }
}

// Whatever stands there, and whatever follows it, the quick way reads what the careful way does.
TEST(Number, AValueAtItsPlaceIsTheSameValue) {
  std::vector<std::string> texts = {
      "0",    "7",      "1.5",    "12345678",         "123456789",        "1234567890123456",
      "1e5",  "1e+05",  "1e-07",  "6.1234567e+08",    "9007199254740993", "9.007199254740993e+15",
      "1.",   ".5",     ".",      "e+05",             "1e+5",             "1e+055",
      "-1",   "+1",     "NaN",    "+Inf",             "1.2.3",            "1e+0a",
      "1,5",  "0x10",   "1e+30",  "1e-30",            "0.000001",         "12345678.12345678",
      "\x80", "1\x80",  "1:",     "1/",               "00000000",         "0000000000000001",
      "1ee1", "1e+1e1", "1e.+05", "123456789012.e+01"};
  std::mt19937_64 random(20261128);
  constexpr std::string_view kBytes = "0123456789.e+-";
  for (int i = 0; i < 20'000; ++i) {
    std::string& text = texts.emplace_back();
    for (size_t n = random() % 20; n-- > 0;) {
      // Mostly digits, so that many of them are numbers.
      text.push_back(kBytes[random() % 4 == 0 ? random() % kBytes.size() : random() % 10]);
    }
  }
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    const std::optional<double> want = ParseValue(text);
    for (std::string_view after : {"\n", " 1", "\nnode_load1 0.25 and much more text\n", ""}) {
      const std::string body = text + std::string(after);
      const char* p = body.data();
      const std::optional<double> got = ParseValueAt(p, body.data() + body.size());
      ASSERT_EQ(got.has_value(), want.has_value());
      EXPECT_EQ(p - body.data(), want ? static_cast<ptrdiff_t>(text.size()) : 0);
      if (want) {
        ASSERT_EQ(std::bit_cast<uint64_t>(*got), std::bit_cast<uint64_t>(*want));
      }
    }
  }
}

TEST(Number, WritesAsGoDoes) {
  const struct {
    double value;
    const char* plain;
    const char* canonical;
  } kCases[] = {
      {0, "0", "0.0"},
      {1, "1", "1.0"},
      {-1, "-1", "-1.0"},
      {100000, "100000", "100000.0"},
      {1e6, "1e+06", "1e+06"},
      {1234567, "1.234567e+06", "1.234567e+06"},
      {0.5, "0.5", "0.5"},
      {0.0001, "0.0001", "0.0001"},
      {0.00001, "1e-05", "1e-05"},
      {123456.75, "123456.75", "123456.75"},
      {1e23, "1e+23", "1e+23"},
  };
  for (const auto& c : kCases) {
    std::string plain;
    AppendValue(plain, c.value);
    EXPECT_EQ(plain, c.plain);
    EXPECT_EQ(CanonicalFloat(c.value), c.canonical);
  }
  EXPECT_EQ(CanonicalFloat(HUGE_VAL), "+Inf");
}

}  // namespace
}  // namespace vedette::exposition
