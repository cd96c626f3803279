#include "server/api/http/federate.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/protobuf.h"
#include "common/model/histogram.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"

namespace vedette::api {
namespace {

constexpr std::string_view kContentType =
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
// A series says even that it has none: an empty one keeps the scraper from adding its own.
constexpr std::string_view kInstance = "instance";

// The newest sample of a series.
struct Newest {
  int64_t t_ms = 0;
  double value = 0;
  std::shared_ptr<const Histogram> histogram;
};
using SeriesByName = std::map<std::string, std::map<Labels, Newest>, std::less<>>;

// Label values in the text format: backslash, quote and newline are escaped, nothing else.
void AppendEscaped(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  out += '"';
}

// name{a="1",instance=""} 3.5 1435781430781
void AppendSample(std::string& out, const Labels& labels, const Labels& external, int64_t t_ms,
                  double value) {
  const std::string_view name = labels.metric_name();
  const bool quoted_name = !IsLegacyMetricName(name);
  std::map<std::string_view, std::string_view> all;
  for (const Label& l : external) all[l.name] = l.value;
  for (const Label& l : labels) all[l.name] = l.value;
  all.erase(kMetricNameLabel);
  all.try_emplace(kInstance, "");
  if (!quoted_name) out += name;
  out += '{';
  bool first = true;
  if (quoted_name) {
    AppendEscaped(out, name);
    first = false;
  }
  for (const auto& [n, v] : all) {
    if (!first) out += ',';
    first = false;
    if (IsLegacyLabelName(n)) {
      out += n;
    } else {
      AppendEscaped(out, n);
    }
    out += '=';
    AppendEscaped(out, v);
  }
  out += "} ";
  AppendFloat(out, value);
  StrAppend(out, " ", t_ms, "\n");
}

// Native histograms have no text form.
std::string Text(const SeriesByName& by_name, const Labels& external) {
  std::string out;
  for (const auto& [name, series] : by_name) {
    bool headed = false;
    for (const auto& [labels, newest] : series) {
      if (newest.histogram != nullptr) continue;
      if (!headed) StrAppend(out, "# TYPE ", name, " untyped\n");
      headed = true;
      AppendSample(out, labels, external, newest.t_ms, newest.value);
    }
  }
  return out;
}

// One family of each kind of samples that a name has. Custom buckets have no form here either.
std::string Protobuf(const SeriesByName& by_name, const Labels& external) {
  std::vector<MetricFamily> families;
  for (const auto& [name, series] : by_name) {
    std::map<MetricType, MetricFamily> kinds;
    for (const auto& [labels, newest] : series) {
      MetricType type = MetricType::kUnknown;
      if (newest.histogram != nullptr) {
        if (newest.histogram->schema == Histogram::kCustomSchema) continue;
        type = newest.histogram->reset_hint == Histogram::ResetHint::kGauge
                   ? MetricType::kGaugeHistogram
                   : MetricType::kHistogram;
      }
      LabelsBuilder whole(external);
      for (const Label& l : labels) whole.Set(l.name, l.value);
      FamilySample sample;
      sample.labels = whole.Build();
      sample.value = newest.value;
      sample.t_ms = newest.t_ms;
      sample.histogram = newest.histogram;
      MetricFamily& family = kinds[type];
      family.name = name;
      family.metadata.type = type;
      family.samples.push_back(std::move(sample));
    }
    for (auto& [type, family] : kinds) families.push_back(std::move(family));
  }
  return exposition::WriteProtobuf(families, kInstance);
}

}  // namespace

Reply FederateDoor::Federate(const Call& call) const {
  std::vector<std::vector<Matcher>> selectors;
  for (const std::string_view text : call.All("match[]")) {
    Result<std::vector<Matcher>> matchers = parse_(text);
    if (!matchers.ok()) {
      return {.status = 400,
              .content_type = "text/plain; charset=utf-8",
              .body = StrCat(matchers.status().message(), "\n")};
    }
    selectors.push_back(*std::move(matchers));
  }
  const int64_t now_ms = clock_.NowMs();
  const int64_t start_ms = now_ms - lookback_ms_ + 1;
  const auto querier = queryable_.Open(start_ms, now_ms);
  if (!querier.ok()) return Failure(ErrorType::kInternal, querier.status().message());
  SeriesByName by_name;
  for (const auto& matchers : selectors) {
    const auto set = (*querier)->Select({.start_ms = start_ms, .end_ms = now_ms}, matchers);
    while (set->Next()) {
      const storage::SeriesColumns& s = set->at();
      if (s.t_ms.empty()) continue;
      const auto histogram = s.histograms.empty() ? nullptr : s.histograms.back();
      if (histogram == nullptr && IsStale(s.values.back())) continue;
      by_name[std::string(s.labels.metric_name())][s.labels] = {s.t_ms.back(), s.values.back(),
                                                                histogram};
    }
    if (!set->status().ok()) return Failure(ErrorType::kInternal, set->status().message());
  }
  const Labels external = external_labels_();
  const exposition::Negotiated wanted = exposition::NegotiateAccept(call.accept);
  if (wanted.protocol == exposition::Protocol::kPrometheusProto) {
    return {.content_type = wanted.content_type, .body = Protobuf(by_name, external)};
  }
  return {.content_type = std::string(kContentType), .body = Text(by_name, external)};
}

}  // namespace vedette::api
