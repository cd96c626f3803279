#include "server/template/template.h"

#include <cmath>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "server/template/format.h"
#include "server/template/prometheus_functions.h"
#include "server/template/text_functions.h"
#include "server/template/time_format.h"
#include "server/template/value.h"
#include "tests/support/fake_clock.h"

namespace vedette::tmpl {
namespace {

Result<std::vector<QuerySample>> FakeQuery(const std::string& query) {
  if (query == "rows") {
    return std::vector<QuerySample>{{Labels::Of({{"id", "b"}}), 1, ""},
                                    {Labels::Of({{"id", "c"}}), 2, ""},
                                    {Labels::Of({{"id", "a"}}), 3, ""}};
  }
  if (query == "broken") return InvalidArgument("1:1: parse error");
  return std::vector<QuerySample>{};
}

const std::vector<std::string> kVariables = {"$labels", "$externalLabels", "$externalURL",
                                             "$value"};

Result<std::string> Expanded(std::string_view text) {
  static testing::FakeClock clock(1'600'000'000'500);
  Template t(PrometheusFunctions(
      {.external_url = "http://host:9090/prom/", .query = FakeQuery, .clock = &clock}));
  if (Status s = t.Parse("test", text, kVariables); !s.ok()) return s;
  const Value labels = LabelsValue(Labels::Of({{"colour", "red"}, {"instance", "db:9104"}}));
  const Value external = LabelsValue(Labels::Of({{"region", "eu"}}));
  const std::vector<Value> variables = {labels, external, Value("http://host:9090/prom/"),
                                        Value(7.5)};
  return t.Execute("test",
                   Value(Map{{"Labels", labels},
                             {"ExternalLabels", external},
                             {"ExternalURL", variables[2]},
                             {"Value", Value(7.5)},
                             {"When", Value(Time{.unix_ms = 1'500'000'000'250})},
                             {"Took", Value(Duration{5'400'000'000'000})},
                             {"Numbers", Value(List{Value(1), Value(2), Value(3)})},
                             {"Empty", Value(List{})}}),
                   {.max_output_bytes = 4096, .max_steps = 10'000, .max_depth = 20}, variables);
}

struct Case {
  std::string_view text;
  std::string_view want;
};

TEST(Template, TheLanguage) {
  const Case kCases[] = {
      {"", ""},
      {"plain {text}", "plain {text}"},
      {"{{ $value }} {{ .Value }}", "7.5 7.5"},
      {"{{$labels.colour}}{{ $labels.nosuch }}|{{ .Labels.colour }}", "red|red"},
      {"a {{- 1 -}} b", "a1b"},
      {"a\n {{- /* nothing */ -}} \n b", "ab"},
      {"a {{/* nothing */}} b", "a  b"},
      {"{{ if true }}y{{ else }}n{{ end }}", "y"},
      {"{{ if 0 }}a{{ else if \"\" }}b{{ else if 1 }}c{{ else }}d{{ end }}", "c"},
      {"{{ if and 1 .Value (eq 1 1) }}yes{{ end }}", "yes"},
      {"{{ or \"\" 0 \"x\" }} {{ and 1 0 \"x\" }}", "x 0"},
      {"{{ if or true (index .Numbers 99) }}short{{ end }}", "short"},
      {"{{ range .Numbers }}<{{ . }}>{{ end }}", "<1><2><3>"},
      {"{{ range $i, $n := .Numbers }}{{ $i }}={{ $n }},{{ end }}", "0=1,1=2,2=3,"},
      {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "colour=red;instance=db:9104;"},
      {"{{ range .Empty }}x{{ else }}none{{ end }}", "none"},
      {"{{ range .Numbers }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "13"},
      {"{{ range .Numbers }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"},
      {"{{ range 3 }}{{ . }}{{ end }}", "012"},
      {"{{ with .Value }}{{ . }}{{ end }}{{ with .Nothing }}x{{ else }}y{{ end }}", "7.5y"},
      {"{{ with $x := 4 }}{{ $x }}{{ end }}", "4"},
      {"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"},
      {"{{ $x := 1 }}{{ range .Numbers }}{{ $x := 5 }}{{ end }}{{ $x }}", "1"},
      {"{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" 5 }}{{ template \"t\" }}",
       "[5][<no value>]"},
      {"{{ block \"b\" .Value }}<{{ . }}>{{ end }}", "<7.5>"},
      {"{{ \"x\" | printf \"%s-%s\" \"y\" }}", "y-x"},
      {"{{ printf \"%d%%\" 5 }}", "5%"},
      {"{{ (index .Numbers 1) }} {{ len \"abc\" }} {{ len .Numbers }}", "2 3 3"},
      {"{{ index $labels \"colour\" }}{{ index $labels \"no\" }}", "red"},
      {"{{ slice \"abcdef\" 1 3 }}", "bc"},
      {"{{ `raw \"x\"` }} {{ 'a' }} {{ 0x10 }} {{ 1e3 }} {{ 5.0 }} {{ -3 }} {{ \"\\u00e9\\n\" }}|",
       "raw \"x\" 97 16 1000 5 -3 \xc3\xa9\n|"},
      {"{{ eq 1 2 3 1 }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt \"b\" \"a\" }} {{ ge 1 2 }}",
       "true true true true true false"},
      {"{{ not 0 }}{{ print 1 2 \"x\" 3 }}{{ println \"a\" }}", "true1 2x3a\n"},
      {"{{ html \"<a&b>\" }} {{ js \"it's\" }} {{ urlquery \"a b&c\" }}",
       "&lt;a&amp;b&gt; it\\'s a+b%26c"},
      {"{{ .When.Format \"2006-01-02T15:04:05.000Z07:00\" }} {{ .When.Unix }}",
       "2017-07-14T02:40:00.250Z 1500000000"},
      {"{{ .Took }} {{ .Took.Hours }}", "1h30m0s 1.5"},
      {"{{ (.When.Sub .When).Seconds }}", "0"},
      {"{{ .Labels }}", "map[colour:red instance:db:9104]"},
      {"{{ .Numbers }} {{ .Nothing }}", "[1 2 3] <no value>"},
      {"{{ $.Value }}", "7.5"},
      {"{{ if gt $value 5.0 }}big{{ end }}", "big"},
      {"{{ 1000000.0 }} {{ 123456.0 }} {{ 1e-7 }}", "1e+06 123456 1e-07"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.text));
    Result<std::string> got = Expanded(c.text);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    EXPECT_EQ(*got, c.want);
  }
}

TEST(Template, FunctionsOfPrometheus) {
  const Case kCases[] = {
      {"{{ humanize 0 }} {{ humanize 1234567.0 }} {{ humanize 0.0123 }} {{ humanize -42.0 }}",
       "0 1.235M 12.3m -42"},
      {"{{ humanize1024 0 }} {{ humanize1024 1048576.0 }} {{ humanize1024 5368709120.0 }}",
       "0 1Mi 5Gi"},
      {"{{ humanizeDuration 0 }} {{ humanizeDuration 135.36 }} {{ humanizeDuration 86400 }} "
       "{{ humanizeDuration 0.0123 }} {{ humanizeDuration 3661 }} {{ humanizeDuration -2.5 }}",
       "0s 2m 15s 1d 0h 0m 0s 12.3ms 1h 1m 1s -2.5s"},
      {"{{ humanizePercentage 0.873 }} {{ humanizePercentage 1.5 }} {{ \"0.5\" | "
       "humanizePercentage }}",
       "87.3% 150% 50%"},
      {"{{ humanizeTimestamp 1600000000 }} {{ humanizeTimestamp 1435065584.128 }}",
       "2020-09-13 12:26:40 +0000 UTC 2015-06-23 13:19:44.128 +0000 UTC"},
      {"{{ title \"some words\" }} {{ toUpper \"mixed Case\" }} {{ toLower \"LOUD Text\" }}",
       "Some Words MIXED CASE loud text"},
      {"{{ stripPort \"[fe80::1]:8080\" }} {{ stripPort \"10.1.2.3:80\" }} {{ stripPort \"host\" "
       "}}",
       "fe80::1 10.1.2.3 host"},
      {"{{ stripDomain \"foo.example.com:99\" }} {{ stripDomain \"192.0.2.1\" }}",
       "foo:99 192.0.2.1"},
      {"{{ match \"b+\" \"abbc\" }} {{ match \"b+$\" \"abbc\" }}", "true false"},
      {"{{ reReplaceAll \"k(.*)t\" \"x${1}y\" \"kilt two\" }}", "xilt ywo"},
      {"{{ reReplaceAll \"k(.)\" \"x$1y\" \"kilt\" }}", "xlt"},
      {"{{ reReplaceAll \"a*\" \"-\" \"baac\" }}", "-b-c-"},
      {"{{ reReplaceAll \"(?<first>.)b\" \"${first}\" \"abxb\" }}", "ax"},
      {"{{ parseDuration \"1h30m5s\" }}", "5405"},
      {"{{ define \"t\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"t\" (args \"foo\" 99) }}",
       "foo-99"},
      {"{{ define \"t\" }}<{{ . }}>{{ end }}{{ tmpl \"t\" 3 }}", "<3>"},
      {"{{ query \"rows\" | first | value }} {{ query \"rows\" | first | label \"id\" }}", "1 b"},
      {"{{ range query \"rows\" | sortByLabel \"id\" }}{{ .Labels.id }}={{ .Value }};{{ end }}",
       "a=3;b=1;c=2;"},
      {"{{ with query \"rows\" }}{{ len . }}{{ end }}{{ with query \"none\" }}x{{ end }}", "3"},
      {"{{ (1500000000.25 | toTime).Format \"2006-01\" }}", "2017-07"},
      {"{{ toDuration 90 }} {{ now }}", "1m30s 1.6000000005e+09"},
      {"{{ graphLink \"up == 0\" }} {{ tableLink \"a/b\" }}",
       "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=a%2Fb&g0.tab=1"},
      {"{{ externalURL }} {{ pathPrefix }} {{ urlQueryEscape \"a b\" }}",
       "http://host:9090/prom/ /prom a+b"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.text));
    Result<std::string> got = Expanded(c.text);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    EXPECT_EQ(*got, c.want);
  }
}

TEST(Template, MistakesAreToldWithTheirPlaceAndReason) {
  const Case kCases[] = {
      {"{{ .A", "unclosed action"},
      {"{{ nosuch 1 }}", "function \"nosuch\" not defined"},
      {"{{ $nosuch }}", "undefined variable \"$nosuch\""},
      {"{{ if }}x{{ end }}", "missing value for if"},
      {"{{ if 1 }}x", "{{if}} has no {{end}}"},
      {"x{{ end }}", "unexpected {{end}}"},
      {"{{ \"abc }}", "unterminated quoted string"},
      {"{{ 1 | 2 }}", "non executable command in pipeline stage 2"},
      {"{{ break }}", "{{break}} outside {{range}}"},
      {"line\nline\n{{ template \"no\" }}", ":3:"},
      {"{{ template \"no\" }}", "template \"no\" not defined"},
      {"{{ query \"none\" | first | value }}", "first() called on vector with no elements"},
      {"{{ query \"broken\" }}", "error calling query: 1:1: parse error"},
      {"{{ gt $value 5 }}", "incompatible types for comparison"},
      {"{{ index .Numbers 7 }}", "index out of range: 7"},
      {"{{ len 5 }}", "len of type int"},
      {"{{ .Value.Foo }}", "can't evaluate field Foo in type float64"},
      {"{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}",
       "exceeded maximum template depth (20)"},
      {"{{ range 1000000000 }}{{ end }}", "over the limit of 10000 steps"},
      {"{{ range 5000 }}xxxxxxxxxxxx{{ end }}", "output is over the limit of 4096 bytes"},
      {"{{ printf \"%9999d\" 1 }}", "over the limit of 4096 bytes"},
      {"{{ match \"(\" \"x\" }}", "error parsing regexp"},
      {"{{ 5 6 }}", "can't give argument to non-function 5"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.text));
    Result<std::string> got = Expanded(c.text);
    ASSERT_FALSE(got.ok()) << *got;
    EXPECT_NE(got.status().message().find(c.want), std::string_view::npos)
        << got.status().ToString();
    EXPECT_TRUE(got.status().message().starts_with("template: ")) << got.status().ToString();
  }
}

TEST(Template, DeepNestingIsRefusedNotFollowed) {
  std::string text = "{{ ";
  for (int i = 0; i < 100'000; ++i) text += "(";
  EXPECT_FALSE(Expanded(text).ok());
  std::string ifs;
  for (int i = 0; i < 10'000; ++i) ifs += "{{ if 1 }}";
  EXPECT_FALSE(Expanded(ifs).ok());
}

TEST(Format, VerbsOfGo) {
  const struct {
    std::string_view format;
    std::vector<Value> args;
    std::string_view want;
  } kCases[] = {
      {"%.2f", {Value(3.14159)}, "3.14"},
      {"%f %e %g", {Value(1.5), Value(1.5), Value(1.5)}, "1.500000 1.500000e+00 1.5"},
      {"%6.1f|%-6.1f|%06.1f", {Value(2.25), Value(2.25), Value(-2.25)}, "   2.2|2.2   |-002.2"},
      {"%+d % d %x %X %o %b %c %U",
       {Value(5), Value(5), Value(255), Value(255), Value(8), Value(5), Value(65), Value(65)},
       "+5  5 ff FF 10 101 A U+0041"},
      {"%q %s %v %T",
       {Value("a\"b"), Value("x"), Value(1.0), Value(1.0)},
       "\"a\\\"b\" x 1 float64"},
      {"%5s|%-5s|%.2s", {Value("ab"), Value("ab"), Value("abc")}, "   ab|ab   |ab"},
      {"%t %v", {Value(true), Value(false)}, "true false"},
      {"%d", {Value("x")}, "%!d(string=x)"},
      {"%s", {}, "%!s(MISSING)"},
      {"%d", {Value(1), Value(2)}, "1%!(EXTRA int=2)"},
      {"%*d", {Value(4), Value(7)}, "   7"},
      {"%[2]d %[1]d", {Value(1), Value(2)}, "2 1"},
      {"%", {}, "%!(NOVERB)"},
      {"%.3g %.4g", {Value(1234567.0), Value(100.0)}, "1.23e+06 100"},
      {"%v", {Value(std::nan(""))}, "NaN"},
      {"%.1f", {Value(INFINITY)}, "+Inf"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(std::string(c.format));
    EXPECT_EQ(Sprintf(c.format, c.args), c.want);
  }
}

TEST(Format, LayoutsOfTime) {
  const Time t{.unix_ms = 1'136'239'445'123, .offset_seconds = -7 * 3600, .zone = "MST"};
  const Case kCases[] = {
      {"Mon Jan _2 15:04:05 2006", "Mon Jan  2 15:04:05 2006"},
      {"Monday, 02-Jan-06 15:04:05 MST", "Monday, 02-Jan-06 15:04:05 MST"},
      {"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-07:00"},
      {"3:04PM", "3:04PM"},
      {"Jan _2 15:04:05.000000", "Jan  2 15:04:05.123000"},
      {"05.999", "05.123"},
      {"002 Month", "002 Month"},
  };
  for (const Case& c : kCases) EXPECT_EQ(FormatTime(t, c.text), c.want);
  EXPECT_EQ(FormatRfc3339(951'782'400'000), "2000-02-29T00:00:00Z");
  EXPECT_EQ(FormatRfc3339(-1), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace vedette::tmpl
