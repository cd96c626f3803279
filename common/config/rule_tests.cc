#include "common/config/rule_tests.h"

#include <charconv>
#include <cstdlib>

#include "common/base/strings.h"
#include "common/config/decoder.h"

namespace vedette::config {
namespace {

// Numbers as PromQL writes them: 1e3, NaN, +Inf, 0x1F.
void ReadNumber(const Value& value, double& out) {
  if (!value.present()) return;
  std::string text;
  value.Read(text);
  char* end = nullptr;
  out = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') value.Fail(StrCat("not a number: ", Quoted(text)));
}

// Unix seconds, or 2026-01-02T15:04:05Z.
void ReadStart(const Value& value, int64_t& out_ms) {
  if (!value.present()) return;
  std::string text;
  value.Read(text);
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0') {
    out_ms = static_cast<int64_t>(seconds * 1000);
    return;
  }
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  const auto read = [&](size_t at, size_t n, int& to) {
    if (text.size() < at + n) return false;
    const char* last = text.data() + at + n;
    const auto [stop, error] = std::from_chars(text.data() + at, last, to);
    return error == std::errc() && stop == last;
  };
  if (text.size() != 20 || text.back() != 'Z' || !read(0, 4, y) || !read(5, 2, mo) ||
      !read(8, 2, d) || !read(11, 2, h) || !read(14, 2, mi) || !read(17, 2, s) || mo < 1 ||
      mo > 12) {
    value.Fail(StrCat("not a time: ", Quoted(text), "; write seconds, or 2026-01-02T15:04:05Z"));
    return;
  }
  // Days since 1970 of the proleptic Gregorian calendar, the year beginning in March.
  const int64_t year = mo <= 2 ? y - 1 : y;
  const int64_t era = year / 400;
  const int64_t yoe = year - era * 400;
  const int64_t doy = (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
  out_ms = (((days * 24 + h) * 60 + mi) * 60 + s) * 1000;
}

void ReadTest(const Value& item, int64_t evaluation_interval_ms, RuleTestGroup& out) {
  out.line = item.line();
  out.interval_ms = evaluation_interval_ms;
  Object o(item);
  o["name"].Read(out.name);
  const Value interval = o["interval"];
  interval.ReadDuration(out.interval_ms);
  if (out.interval_ms <= 0) interval.Fail("must be above zero");
  ReadStart(o["start_timestamp"], out.start_ms);
  o["input_series"].EachBlock([&](const Value& series) {
    InputSeries& in = out.input.emplace_back();
    in.line = series.line();
    Object s(series);
    s["series"].Read(in.series);
    s["values"].Read(in.values);
    s.Finish();
    if (in.series.empty()) series.Fail("an input series needs 'series'");
  });
  o["alert_rule_test"].EachBlock([&](const Value& test) {
    AlertRuleTest& t = out.alert_tests.emplace_back();
    t.line = test.line();
    Object a(test);
    a["eval_time"].ReadDuration(t.eval_time_ms);
    a["alertname"].Read(t.alertname);
    a["groupname"].Read(t.groupname);
    a["exp_alerts"].EachBlock([&](const Value& expected) {
      ExpectedAlert& e = t.expected.emplace_back();
      Object x(expected);
      x["exp_labels"].Read(e.labels);
      x["exp_annotations"].Read(e.annotations);
      x.Finish();
    });
    a.Finish();
    if (t.alertname.empty()) test.Fail("an alert test needs 'alertname'");
  });
  o["promql_expr_test"].EachBlock([&](const Value& test) {
    ExprTest& t = out.expr_tests.emplace_back();
    t.line = test.line();
    Object e(test);
    e["expr"].Read(t.expr);
    e["eval_time"].ReadDuration(t.eval_time_ms);
    e["exp_samples"].EachBlock([&](const Value& expected) {
      ExpectedSample& s = t.expected.emplace_back();
      Object x(expected);
      x["labels"].Read(s.labels);
      ReadNumber(x["value"], s.value);
      x["histogram"].Read(s.histogram);
      x.Finish();
    });
    e.Finish();
    if (t.expr.empty()) test.Fail("an expression test needs 'expr'");
  });
  o["external_labels"].Read(out.external_labels);
  o["external_url"].Read(out.external_url);
  o.Finish();
}

}  // namespace

Result<RuleTestFile> ParseRuleTestFile(std::string_view text, const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  RuleTestFile out;
  out.file = file;
  Object o(Value::Root(context, root));
  o["rule_files"].EachItem([&](const Value& item) {
    std::string pattern;
    item.ReadPath(pattern);
    std::vector<std::string> found = GlobFiles(pattern);
    if (found.empty()) item.Fail(StrCat("no file matches ", Quoted(pattern)));
    out.rule_files.insert(out.rule_files.end(), found.begin(), found.end());
  });
  const Value interval = o["evaluation_interval"];
  interval.ReadDuration(out.evaluation_interval_ms);
  if (out.evaluation_interval_ms <= 0) interval.Fail("must be above zero");
  o["group_eval_order"].Read(out.group_eval_order);
  o["fuzzy_compare"].Read(out.fuzzy_compare);
  o["tests"].EachBlock([&](const Value& item) {
    ReadTest(item, out.evaluation_interval_ms, out.tests.emplace_back());
  });
  o.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return out;
}

Result<RuleTestFile> LoadRuleTestFile(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseRuleTestFile(text, path);
}

}  // namespace vedette::config
