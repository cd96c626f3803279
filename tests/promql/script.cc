#include "tests/promql/script.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <regex>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/model/sample.h"
#include "server/promql/functions/histogram_math.h"
#include "server/rehearsal/series_text.h"
#include "server/start_times/start_times.h"
#include "tests/support/memory_appender.h"
#include "tests/support/memory_storage.h"

namespace vedette::promql {
namespace {

constexpr double kEpsilon = 1e-6;

bool AlmostEqual(double a, double b) {
  if (IsStale(a) || IsStale(b)) return IsStale(a) && IsStale(b);
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double diff = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < std::numeric_limits<double>::min()) {
    return diff < kEpsilon * std::numeric_limits<double>::min();
  }
  return diff / std::min(sum, std::numeric_limits<double>::max()) < kEpsilon;
}

bool AlmostEqual(const Histogram& a, const Histogram& b, bool hint) {
  if (a.schema != b.schema || !AlmostEqual(a.count, b.count) || !AlmostEqual(a.sum, b.sum)) {
    return false;
  }
  if (hint && a.reset_hint != b.reset_hint) return false;
  if (!UsesCustomBuckets(a) &&
      (!AlmostEqual(a.zero_count, b.zero_count) || a.zero_threshold != b.zero_threshold)) {
    return false;
  }
  if (UsesCustomBuckets(a) && a.custom_values != b.custom_values) return false;
  auto side = [](std::vector<Bucket> buckets) {
    std::erase_if(buckets, [](const Bucket& x) { return x.count == 0; });
    return buckets;
  };
  auto same = [](const std::vector<Bucket>& x, const std::vector<Bucket>& y) {
    return std::ranges::equal(x, y, [](const Bucket& p, const Bucket& q) {
      return p.index == q.index && AlmostEqual(p.count, q.count);
    });
  };
  return same(side(PositiveBuckets(a)), side(PositiveBuckets(b))) &&
         same(side(NegativeBuckets(a)), side(NegativeBuckets(b)));
}

// An instant of an eval line: a duration, or a number of seconds.
Result<int64_t> Instant(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative) text.remove_prefix(1);
  char* end = nullptr;
  const std::string copy(text);
  const double seconds = std::strtod(copy.c_str(), &end);
  int64_t ms = static_cast<int64_t>(std::llround(seconds * 1000));
  if (end != copy.c_str() + copy.size()) {
    VEDETTE_ASSIGN_OR_RETURN(ms, ParseDuration(text));
  }
  return negative ? -ms : ms;
}

struct Demand {
  bool wanted = false;
  bool forbidden = false;
  std::vector<std::string> messages;
  std::vector<std::string> patterns;
};

struct Eval {
  int line = 0;
  Query query;
  bool range = false;
  bool ordered = false;
  Demand fail;
  Demand warn;
  Demand info;
  bool has_string = false;
  std::string string;
  std::vector<std::string_view> lines;
};

class Runner {
 public:
  Runner(std::string_view text, const EngineOptions& options)
      : lines_(Split(text, '\n')), engine_(MakeEngine(options, starts_, SystemClock())) {}

  ScriptOutcome Run() {
    while (at_ < lines_.size()) {
      const size_t line = at_ + 1;
      Status s = Command();
      if (s.ok()) continue;
      ++out_.failed;
      out_.failures.push_back(StrCat("line ", line, ": ", s.message()));
    }
    return std::move(out_);
  }

 private:
  std::string_view Line() {
    std::string_view l = lines_[at_];
    return Trim(l);
  }
  static bool Blank(std::string_view l) { return l.empty() || l.starts_with("#"); }

  Status Command() {
    const std::string_view l = Line();
    if (Blank(l)) {
      ++at_;
      return {};
    }
    if (l == "clear") {
      ++at_;
      storage_.Clear();
      return {};
    }
    if (l.starts_with("load")) return Load(l);
    if (l.starts_with("eval")) return Evaluate(l);
    ++at_;
    return InvalidArgument(StrCat("unknown command ", Quoted(l)));
  }

  Status Load(std::string_view l) {
    const bool nhcb = l.starts_with("load_with_nhcb");
    VEDETTE_ASSIGN_OR_RETURN(const int64_t step, ParseDuration(Trim(l.substr(nhcb ? 14 : 4))));
    Status first;
    std::vector<ScriptSeries> loaded;
    for (++at_; at_ < lines_.size() && !Line().empty(); ++at_) {
      if (Line().starts_with("#")) continue;
      Result<ScriptSeries> series = ParseSeriesLine(Line());
      if (!series.ok()) {
        if (first.ok()) first = series.status().Annotate(Line());
        continue;
      }
      if (series->start_timestamps) {
        LabelsBuilder companion(series->labels);
        companion.Set(StartTimes::kStartTimeLabel, "1");
        for (size_t i = 0; i < series->starts.size(); ++i) {
          const int64_t t = static_cast<int64_t>(i) * step;
          const int64_t start = t + series->starts[i].value_or(-t);
          if (start != 0) storage_.Add(companion.Build(), t, static_cast<double>(start));
        }
        continue;
      }
      for (size_t i = 0; i < series->values.size(); ++i) {
        const ScriptValue& v = series->values[i];
        const int64_t t = static_cast<int64_t>(i) * step;
        if (v.absent) continue;
        if (v.histogram != nullptr) {
          storage_.Add(series->labels, t, v.histogram);
        } else {
          storage_.Add(series->labels, t, v.value);
        }
      }
      loaded.push_back(*std::move(series));
    }
    if (nhcb) AddCustomBuckets(loaded, step);
    return first;
  }

  // Classic histograms once more as native ones with custom buckets.
  void AddCustomBuckets(const std::vector<ScriptSeries>& loaded, int64_t step) {
    struct Parts {
      std::map<double, const ScriptSeries*> buckets;
      const ScriptSeries* sum = nullptr;
      const ScriptSeries* count = nullptr;
    };
    std::map<Labels, Parts> histograms;
    for (const ScriptSeries& s : loaded) {
      const std::string name(s.labels.metric_name());
      LabelsBuilder lb(s.labels);
      auto base = [&](std::string_view suffix) -> Parts& {
        lb.Set(kMetricNameLabel, std::string_view(name).substr(0, name.size() - suffix.size()));
        lb.Delete("le");
        return histograms[lb.Build()];
      };
      if (name.ends_with("_bucket") && s.labels.Has("le")) {
        const std::string le(s.labels.Get("le"));
        char* end = nullptr;
        const double bound = std::strtod(le.c_str(), &end);
        if (end != le.c_str() + le.size()) continue;
        base("_bucket").buckets[bound] = &s;
      } else if (name.ends_with("_sum")) {
        base("_sum").sum = &s;
      } else if (name.ends_with("_count")) {
        base("_count").count = &s;
      }
    }
    for (const auto& [labels, parts] : histograms) {
      if (parts.buckets.empty()) continue;
      size_t n = 0;
      for (const auto& [bound, s] : parts.buckets) n = std::max(n, s->values.size());
      for (size_t i = 0; i < n; ++i) {
        auto h = std::make_shared<Histogram>();
        h->schema = Histogram::kCustomSchema;
        double below = 0;
        bool any = false;
        uint32_t buckets = 0;
        for (const auto& [bound, s] : parts.buckets) {
          if (!std::isinf(bound)) h->custom_values.push_back(bound);
          double cumulative = below;
          if (i < s->values.size() && !s->values[i].absent) {
            cumulative = s->values[i].value;
            any = true;
          }
          h->positive_buckets.push_back(cumulative - below);
          below = cumulative;
          ++buckets;
        }
        if (!any) continue;
        if (!std::isinf(parts.buckets.rbegin()->first)) {
          const double all = parts.count != nullptr && i < parts.count->values.size()
                                 ? parts.count->values[i].value
                                 : below;
          h->positive_buckets.push_back(all - below);
          below = all;
          ++buckets;
        }
        h->positive_spans = {{0, buckets}};
        h->count = below;
        if (parts.sum != nullptr && i < parts.sum->values.size()) {
          h->sum = parts.sum->values[i].value;
        }
        Compact(*h);
        storage_.Add(labels, static_cast<int64_t>(i) * step, std::move(h));
      }
    }
  }

  Status Evaluate(std::string_view l) {
    Eval e;
    e.line = static_cast<int>(at_) + 1;
    static const std::regex kInstant(R"(^eval(_\w+)?\s+instant\s+(?:at\s+)?(\S+)?\s+([^]+)$)");
    static const std::regex kRange(
        R"(^eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+?)\s+([^]+)$)");
    const std::string text(l);
    std::smatch m;
    std::string mode;
    ++at_;
    for (; at_ < lines_.size() && !Line().empty(); ++at_) {
      if (!Line().starts_with("#")) e.lines.push_back(Line());
    }
    if (std::regex_match(text, m, kRange)) {
      mode = m[1];
      e.range = true;
      VEDETTE_ASSIGN_OR_RETURN(e.query.start_ms, Instant(m[2].str()));
      VEDETTE_ASSIGN_OR_RETURN(e.query.end_ms, Instant(m[3].str()));
      VEDETTE_ASSIGN_OR_RETURN(e.query.step_ms, Instant(m[4].str()));
      e.query.text = m[5];
    } else if (std::regex_match(text, m, kInstant)) {
      mode = m[1];
      VEDETTE_ASSIGN_OR_RETURN(e.query.start_ms, Instant(m[2].str()));
      e.query.end_ms = e.query.start_ms;
      e.query.text = m[3];
    } else {
      return InvalidArgument(StrCat("unknown eval: ", l));
    }
    if (mode == "_fail") e.fail.wanted = true;
    if (mode == "_warn") e.warn.wanted = true;
    if (mode == "_info") e.info.wanted = true;
    if (mode == "_ordered") e.ordered = true;
    std::erase_if(e.lines, [&](std::string_view x) { return Expectation(x, e); });
    const Status outcome = Check(e);
    if (outcome.ok()) {
      ++out_.passed;
      return {};
    }
    return outcome.Annotate(e.query.text);
  }

  bool Expectation(std::string_view l, Eval& e) {
    if (!l.starts_with("expect ")) return false;
    l = Trim(l.substr(7));
    auto demand = [&](std::string_view word, Demand& d) {
      if (!l.starts_with(word)) return false;
      d.wanted = true;
      std::string_view rest = Trim(l.substr(word.size()));
      if (rest.starts_with("msg:")) d.messages.emplace_back(Trim(rest.substr(4)));
      if (rest.starts_with("regex:")) d.patterns.emplace_back(Trim(rest.substr(6)));
      return true;
    };
    if (l == "ordered") {
      e.ordered = true;
    } else if (l == "no_warn") {
      e.warn.forbidden = true;
    } else if (l == "no_info") {
      e.info.forbidden = true;
    } else if (l.starts_with("string ")) {
      e.has_string = true;
      std::string_view s = Trim(l.substr(7));
      e.string = s.substr(1, s.size() - 2);
    } else {
      return demand("fail", e.fail) || demand("warn", e.warn) || demand("info", e.info);
    }
    return true;
  }

  static Status CheckTexts(const Demand& d, const std::vector<std::string>& got,
                           std::string_view what) {
    if (d.forbidden && !got.empty()) {
      return Internal(StrCat("unexpected ", what, ": ", got[0]));
    }
    if (!d.wanted) return {};
    if (got.empty()) return Internal(StrCat("missing ", what));
    for (const std::string& text : d.messages) {
      if (std::ranges::find(got, text) == got.end()) {
        return Internal(StrCat("no ", what, " ", Quoted(text), " but ", Quoted(got[0])));
      }
    }
    for (const std::string& pattern : d.patterns) {
      const std::regex re(pattern);
      if (std::ranges::none_of(got,
                               [&](const std::string& g) { return std::regex_search(g, re); })) {
        return Internal(StrCat("no ", what, " like ", Quoted(pattern), " but ", Quoted(got[0])));
      }
    }
    return {};
  }

  static std::string Show(const Point& p) {
    return p.histogram != nullptr ? HistogramText(*p.histogram) : StrCat(p.value);
  }

  Status Check(const Eval& e) {
    Result<QueryAnswer> answer = engine_->Run(e.query, nullptr);
    if (e.fail.wanted) {
      if (answer.ok()) return Internal("should have failed");
      return CheckTexts(e.fail, {std::string(answer.status().message())}, "failure");
    }
    if (!answer.ok()) return answer.status().Annotate("failed");
    VEDETTE_RETURN_IF_ERROR(CheckTexts(e.warn, answer->warnings, "warning"));
    VEDETTE_RETURN_IF_ERROR(CheckTexts(e.info, answer->infos, "info"));
    if (const auto* s = std::get_if<String>(&answer->value)) {
      if (e.has_string && s->value != e.string) return Internal(StrCat("got ", Quoted(s->value)));
      return {};
    }
    if (const auto* s = std::get_if<Scalar>(&answer->value)) {
      if (e.lines.size() != 1) return Internal("one number was expected of a scalar");
      char* end = nullptr;
      const std::string copy(e.lines[0]);
      const double want = std::strtod(copy.c_str(), &end);
      if (!AlmostEqual(s->value, want)) return Internal(StrCat("got ", s->value));
      return {};
    }
    std::vector<ScriptSeries> want;
    int64_t range_start = 0;
    int64_t range_step = 0;
    for (std::string_view l : e.lines) {
      static const std::regex kVector(R"(^expect range vector from (\S+) to (\S+) step (\S+)$)");
      const std::string text(l);
      std::smatch m;
      if (std::regex_match(text, m, kVector)) {
        VEDETTE_ASSIGN_OR_RETURN(range_start, Instant(m[1].str()));
        VEDETTE_ASSIGN_OR_RETURN(range_step, Instant(m[3].str()));
        continue;
      }
      VEDETTE_ASSIGN_OR_RETURN(ScriptSeries s, ParseSeriesLine(l));
      want.push_back(std::move(s));
    }
    Matrix got;
    if (auto* v = std::get_if<Vector>(&answer->value)) {
      for (VectorSample& s : *v) got.push_back({s.metric, {s.point}});
    } else {
      got = std::move(std::get<Matrix>(answer->value));
    }
    if (!e.range && range_step == 0) {
      return CheckInstant(e, want, got);
    }
    const int64_t start = e.range ? e.query.start_ms : range_start;
    const int64_t step = e.range ? e.query.step_ms : range_step;
    return CheckMatrix(want, got, start, step);
  }

  static Status CheckPoint(const ScriptValue& want, const Point& got) {
    const bool same =
        (want.histogram != nullptr) == (got.histogram != nullptr) &&
        (want.histogram != nullptr ? AlmostEqual(*want.histogram, *got.histogram, want.hint_given)
                                   : AlmostEqual(want.value, got.value));
    if (same) return {};
    return Internal(StrCat(
        "want ", want.histogram != nullptr ? HistogramText(*want.histogram) : StrCat(want.value),
        ", got ", Show(got)));
  }

  Status CheckInstant(const Eval& e, const std::vector<ScriptSeries>& want, const Matrix& got) {
    if (want.size() != got.size()) {
      std::string all;
      for (const Series& s : got) StrAppend(all, " ", s.metric.ToString(), " ", Show(s.points[0]));
      return Internal(StrCat("want ", want.size(), " elements, got ", got.size(), ":", all));
    }
    for (size_t i = 0; i < want.size(); ++i) {
      const Series* found = nullptr;
      if (e.ordered) {
        if (got[i].metric == want[i].labels) found = &got[i];
      } else {
        for (const Series& s : got) {
          if (s.metric == want[i].labels) found = &s;
        }
      }
      if (found == nullptr) {
        return Internal(StrCat(want[i].labels.ToString(), " is missing at ", i, "; there is ",
                               got[i].metric.ToString()));
      }
      VEDETTE_RETURN_IF_ERROR(CheckPoint(want[i].values.at(0), found->points.at(0))
                                  .Annotate(want[i].labels.ToString()));
    }
    return {};
  }

  static Status CheckMatrix(const std::vector<ScriptSeries>& want, const Matrix& got, int64_t start,
                            int64_t step) {
    size_t expected = 0;
    for (const ScriptSeries& w : want) {
      const Series* found = nullptr;
      for (const Series& s : got) {
        if (s.metric == w.labels) found = &s;
      }
      const bool any =
          std::ranges::any_of(w.values, [](const ScriptValue& v) { return !v.absent; });
      if (!any) continue;
      ++expected;
      if (found == nullptr) return Internal(StrCat(w.labels.ToString(), " is missing"));
      size_t k = 0;
      for (size_t i = 0; i < w.values.size(); ++i) {
        if (w.values[i].absent) continue;
        const int64_t t = start + static_cast<int64_t>(i) * step;
        if (k >= found->points.size() || found->points[k].t_ms != t) {
          return Internal(StrCat(w.labels.ToString(), " has no point at ", t));
        }
        VEDETTE_RETURN_IF_ERROR(CheckPoint(w.values[i], found->points[k++])
                                    .Annotate(StrCat(w.labels.ToString(), " at ", t)));
      }
      if (k != found->points.size()) {
        return Internal(
            StrCat(w.labels.ToString(), " has ", found->points.size(), " points, wanted ", k));
      }
    }
    if (expected != got.size()) {
      return Internal(StrCat("want ", expected, " series, got ", got.size()));
    }
    return {};
  }

  std::vector<std::string_view> lines_;
  size_t at_ = 0;
  MemoryStorage storage_;
  testing::MemoryAppender unwritten_;
  StartTimes starts_{unwritten_, storage_};
  std::unique_ptr<Engine> engine_;
  ScriptOutcome out_;
};

}  // namespace

EngineOptions ScriptOptions() {
  EngineOptions o;
  o.experimental_functions = true;
  o.extended_range_selectors = true;
  o.binop_fill_modifiers = true;
  o.delayed_name_removal = true;
  o.type_and_unit_labels = true;
  o.start_timestamps = true;
  o.timeout_ms = 100'000;
  return o;
}

ScriptOutcome RunScript(std::string_view text, const EngineOptions& options) {
  return Runner(text, options).Run();
}

}  // namespace vedette::promql
