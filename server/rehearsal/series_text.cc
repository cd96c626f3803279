#include "server/rehearsal/series_text.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/model/sample.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/parser/parser.h"

namespace vedette::promql {
namespace {

Status Bad(std::string_view what) { return InvalidArgument(StrCat("cannot read ", Quoted(what))); }

bool Space(char c) { return c == ' ' || c == '\t'; }

Result<double> Number(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double v = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end != copy.c_str() + copy.size()) return Bad(text);
  return std::isnan(v) ? kNormalNan : v;
}

Result<std::vector<double>> Numbers(std::string_view text) {
  std::vector<double> out;
  for (std::string_view piece : Split(text, ' ')) {
    if (Trim(piece).empty()) continue;
    VEDETTE_ASSIGN_OR_RETURN(const double v, Number(Trim(piece)));
    out.push_back(v);
  }
  return out;
}

struct Literal {
  Histogram histogram;
  bool hint_given = false;
};

// What stands between {{ and }}.
Result<Literal> HistogramLiteral(std::string_view text) {
  Literal out;
  Histogram& h = out.histogram;
  int32_t offset = 0;
  int32_t n_offset = 0;
  size_t at = 0;
  while (at < text.size()) {
    if (Space(text[at])) {
      ++at;
      continue;
    }
    const size_t colon = text.find(':', at);
    if (colon == std::string_view::npos) return Bad(text.substr(at));
    const std::string_view key = text.substr(at, colon - at);
    at = colon + 1;
    std::string_view value;
    if (at < text.size() && text[at] == '[') {
      const size_t close = text.find(']', at);
      if (close == std::string_view::npos) return Bad(text.substr(at));
      value = text.substr(at + 1, close - at - 1);
      at = close + 1;
    } else {
      size_t end = at;
      while (end < text.size() && !Space(text[end])) ++end;
      value = text.substr(at, end - at);
      at = end;
    }
    if (key == "buckets") {
      VEDETTE_ASSIGN_OR_RETURN(h.positive_buckets, Numbers(value));
    } else if (key == "n_buckets") {
      VEDETTE_ASSIGN_OR_RETURN(h.negative_buckets, Numbers(value));
    } else if (key == "custom_values") {
      VEDETTE_ASSIGN_OR_RETURN(h.custom_values, Numbers(value));
    } else if (key == "counter_reset_hint") {
      out.hint_given = true;
      using Hint = Histogram::ResetHint;
      h.reset_hint = value == "reset"       ? Hint::kReset
                     : value == "not_reset" ? Hint::kNotReset
                     : value == "gauge"     ? Hint::kGauge
                                            : Hint::kUnknown;
    } else {
      VEDETTE_ASSIGN_OR_RETURN(const double v, Number(value));
      if (key == "schema") {
        h.schema = static_cast<int32_t>(v);
      } else if (key == "sum") {
        h.sum = v;
      } else if (key == "count") {
        h.count = v;
      } else if (key == "z_bucket") {
        h.zero_count = v;
      } else if (key == "z_bucket_w") {
        h.zero_threshold = v;
      } else if (key == "offset") {
        offset = static_cast<int32_t>(v);
      } else if (key == "n_offset") {
        n_offset = static_cast<int32_t>(v);
      } else {
        return Bad(key);
      }
    }
  }
  if (!h.positive_buckets.empty()) {
    h.positive_spans = {{offset, static_cast<uint32_t>(h.positive_buckets.size())}};
  }
  if (!h.negative_buckets.empty()) {
    h.negative_spans = {{n_offset, static_cast<uint32_t>(h.negative_buckets.size())}};
  }
  return out;
}

// "x12" at `at`: 12, and `at` behind it; 0 where there is none.
size_t Times(std::string_view text, size_t& at) {
  if (at >= text.size() || text[at] != 'x') return 0;
  size_t n = 0;
  ++at;
  while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
    n = n * 10 + static_cast<size_t>(text[at++] - '0');
  }
  return n;
}

Status HistogramValues(std::string_view text, size_t& at, std::vector<ScriptValue>& out) {
  auto literal = [&]() -> Result<Literal> {
    const size_t close = text.find("}}", at);
    if (close == std::string_view::npos) return Bad(text.substr(at));
    const std::string_view body = text.substr(at + 2, close - at - 2);
    at = close + 2;
    return HistogramLiteral(body);
  };
  VEDETTE_ASSIGN_OR_RETURN(const Literal base, literal());
  ScriptValue v;
  v.hint_given = base.hint_given;
  v.histogram = std::make_shared<Histogram>(base.histogram);
  out.push_back(v);
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const bool add = text[at++] == '+';
    VEDETTE_ASSIGN_OR_RETURN(const Literal step, literal());
    const size_t n = Times(text, at);
    Histogram now = base.histogram;
    for (size_t i = 0; i < n; ++i) {
      CombineNotes ignored;
      const bool combined =
          add ? AddTo(now, step.histogram, &ignored) : SubtractFrom(now, step.histogram, &ignored);
      if (!combined) return InvalidArgument("histograms of a series do not fit each other");
      v.histogram = std::make_shared<Histogram>(now);
      out.push_back(v);
    }
    return {};
  }
  const size_t n = Times(text, at);
  for (size_t i = 0; i < n; ++i) out.push_back(v);
  return {};
}

// _ _x2 -30s -1m-1mx4: durations, each the one before plus a step.
Status StartTimestamps(std::string_view text, std::vector<std::optional<int64_t>>& out) {
  static const std::regex kItem(R"(([+-]?)(\d+[a-wyz]*)(?:([+-])(\d+[a-wyz]*))?(?:x(\d+))?)");
  std::istringstream items{std::string(text)};
  std::string item;
  const auto signed_ms = [](const std::string& sign, const std::string& digits) -> Result<int64_t> {
    VEDETTE_ASSIGN_OR_RETURN(const int64_t ms, digits == "0" ? Result<int64_t>(0) : ParseDuration(digits));
    return sign == "-" ? -ms : ms;
  };
  while (items >> item) {
    if (item[0] == '_') {
      size_t at = 1;
      const size_t n = item.size() > 1 ? Times(item, at) : 1;
      out.insert(out.end(), n, std::nullopt);
      continue;
    }
    std::smatch m;
    if (!std::regex_match(item, m, kItem)) return Bad(item);
    VEDETTE_ASSIGN_OR_RETURN(const int64_t base, signed_ms(m[1], m[2]));
    int64_t step = 0;
    if (m[3].matched) {
      VEDETTE_ASSIGN_OR_RETURN(step, signed_ms(m[3], m[4]));
    }
    const int64_t n = m[5].matched ? std::stoll(m[5]) : 0;
    for (int64_t i = 0; i <= n; ++i) out.push_back(base + i * step);
  }
  return {};
}

}  // namespace

Result<Labels> ParseSeriesLabels(std::string_view text) {
  if (Trim(text) == "{}") return Labels();
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Matcher> matchers, ParseMetricSelector(Trim(text)));
  std::vector<Label> labels;
  for (const Matcher& m : matchers) labels.push_back({m.name(), m.value()});
  return Labels::Of(std::move(labels));
}

Result<ScriptSeries> ParseSeriesLine(std::string_view line) {
  line = Trim(line);
  ScriptSeries out;
  size_t at = 0;
  bool braces = false;
  char quote = 0;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (quote != 0) {
      if (c == '\\' && quote != '`') {
        ++at;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (braces && (c == '"' || c == '\'' || c == '`')) {
      quote = c;
    } else if (c == '{') {
      if (line.substr(at, 2) == "{{") break;
      braces = true;
    } else if (c == '}') {
      braces = false;
    } else if (!braces && (Space(c) || c == '@')) {
      break;
    }
  }
  const std::string_view name = line.substr(0, at);
  VEDETTE_ASSIGN_OR_RETURN(out.labels,
                           name.empty() ? Result<Labels>(Labels()) : ParseSeriesLabels(name));
  if (line.substr(at, 3) == "@st") {
    out.start_timestamps = true;
    VEDETTE_RETURN_IF_ERROR(StartTimestamps(line.substr(at + 3), out.starts));
    return out;
  }
  while (at < line.size()) {
    if (Space(line[at])) {
      ++at;
      continue;
    }
    if (line.substr(at, 2) == "{{") {
      VEDETTE_RETURN_IF_ERROR(HistogramValues(line, at, out.values));
      continue;
    }
    if (line[at] == '_') {
      ++at;
      const bool repeated = at < line.size() && line[at] == 'x';
      const size_t n = repeated ? Times(line, at) : 1;
      for (size_t i = 0; i < n; ++i) out.values.push_back({.absent = true});
      continue;
    }
    size_t end = at;
    while (end < line.size() && !Space(line[end])) ++end;
    const std::string_view piece = line.substr(at, end - at);
    at = end;
    if (piece == "stale") {
      out.values.push_back({.value = kStaleNan});
      continue;
    }
    // a, axN, a+bxN, a-bxN. The sign of an exponent is not an operator.
    size_t x = piece.rfind('x');
    if (x == std::string_view::npos) {
      VEDETTE_ASSIGN_OR_RETURN(const double v, Number(piece));
      out.values.push_back({.value = v});
      continue;
    }
    const std::string_view left = piece.substr(0, x);
    const size_t n = Times(piece, x);
    size_t op = std::string_view::npos;
    for (size_t i = 1; i < left.size(); ++i) {
      if ((left[i] == '+' || left[i] == '-') && left[i - 1] != 'e' && left[i - 1] != 'E') op = i;
    }
    if (op != std::string_view::npos && op > 0 && (left[op - 1] == '+' || left[op - 1] == '-'))
      --op;
    double base = 0;
    double step = 0;
    if (op == std::string_view::npos) {
      VEDETTE_ASSIGN_OR_RETURN(base, Number(left));
    } else {
      VEDETTE_ASSIGN_OR_RETURN(base, Number(left.substr(0, op)));
      VEDETTE_ASSIGN_OR_RETURN(step, Number(left.substr(op + 1)));
      if (left[op] == '-') step = -step;
    }
    double v = base;
    for (size_t i = 0; i <= n; ++i) {
      out.values.push_back({.value = v});
      v += step;
    }
  }
  return out;
}

}  // namespace vedette::promql
