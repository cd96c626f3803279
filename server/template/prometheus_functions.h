#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/template/template.h"

namespace vedette::tmpl {

struct QuerySample {
  Labels metric;
  double value = 0;
  std::string text;  // What `strvalue` gives: of a string result.
};

// What the functions of rule templates need from outside.
struct PrometheusContext {
  std::string external_url;  // Whole, such as https://host/prefix
  // Answers an instant query at the evaluation's time.
  std::function<Result<std::vector<QuerySample>>(const std::string& query)> query;
  const Clock* clock = nullptr;  // For `now`.
};

// The functions of alerting rules: query first label value strvalue args tmpl sortByLabel
// reReplaceAll safeHtml match title toUpper toLower graphLink tableLink stripPort stripDomain
// humanize humanize1024 humanizeDuration humanizePercentage humanizeTimestamp toTime toDuration now
// parseDuration urlQueryEscape externalURL pathPrefix.
std::shared_ptr<const FunctionMap> PrometheusFunctions(PrometheusContext context);

// "/graph?g0.expr=...&g0.tab=0" (the graph) and "...&g0.tab=1" (the table).
std::string GraphLink(const std::string& expr);
std::string TableLink(const std::string& expr);

}  // namespace vedette::tmpl
