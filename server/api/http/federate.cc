#include "server/api/http/federate.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/model/sample.h"

namespace vedette::api {
namespace {

constexpr std::string_view kContentType =
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";

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

// name{a="1",instance=""} 3.5 1435781430781. A federated series says even which of the labels that
// a scrape would add it has not: instance="" keeps the scraper from adding its own.
void AppendSample(std::string& out, const Labels& labels, const Labels& external, int64_t t_ms,
                  double value) {
  const std::string_view name = labels.metric_name();
  const bool quoted_name = !IsLegacyMetricName(name);
  std::map<std::string_view, std::string_view> all;
  for (const Label& l : external) all[l.name] = l.value;
  for (const Label& l : labels) all[l.name] = l.value;
  all.erase(kMetricNameLabel);
  all.try_emplace("instance", "");
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
  std::map<std::string, std::map<Labels, std::pair<int64_t, double>>, std::less<>> by_name;
  for (const auto& matchers : selectors) {
    const auto set = (*querier)->Select({.start_ms = start_ms, .end_ms = now_ms}, matchers);
    while (set->Next()) {
      const storage::SeriesColumns& s = set->at();
      if (s.t_ms.empty() || IsStale(s.values.back())) continue;
      if (!s.histograms.empty() && s.histograms.back()) continue;  // No text form.
      by_name[std::string(s.labels.metric_name())][s.labels] = {s.t_ms.back(), s.values.back()};
    }
    if (!set->status().ok()) return Failure(ErrorType::kInternal, set->status().message());
  }
  Reply reply{.content_type = std::string(kContentType)};
  const Labels external = external_labels_();
  for (const auto& [name, series] : by_name) {
    StrAppend(reply.body, "# TYPE ", name, " untyped\n");
    for (const auto& [labels, sample] : series) {
      AppendSample(reply.body, labels, external, sample.first, sample.second);
    }
  }
  return reply;
}

}  // namespace vedette::api
