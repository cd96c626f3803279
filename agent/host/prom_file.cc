#include "agent/host/prom_file.h"

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/bounds.h"
#include "common/exposition/number.h"
#include "common/exposition/text_parser.h"
#include "common/model/labels.h"

namespace vedette::agent {
namespace {

using exposition::TextParser;

bool IsOfText(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
    case MetricType::kCounter:
    case MetricType::kGauge:
    case MetricType::kHistogram:
    case MetricType::kSummary:
      return true;
    default:
      return false;
  }
}

bool GoodEscapes(std::string_view value) {
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\') continue;
    if (++i == value.size() || (value[i] != '\\' && value[i] != '"' && value[i] != 'n')) return false;
  }
  return true;
}

// What the order of the lines, and their bytes, tell.
Status CheckLines(std::string_view text) {
  if (!text.empty() && !text.ends_with('\n')) {
    return InvalidArgument(
        "the last line has no newline at its end, so the file may be half written: write another "
        "file and rename it");
  }
  std::set<std::string, std::less<>> helps, types, sampled;
  TextParser parser(text, exposition::TextDialect::kText);
  for (;;) {
    switch (parser.Next()) {
      case TextParser::Event::kEnd:
        return {};
      case TextParser::Event::kError:
        return parser.status();
      case TextParser::Event::kHelp: {
        const auto& line = parser.metadata();
        if (helps.emplace(line.name).second) break;
        return InvalidArgument(StrCat("a second HELP for ", line.name));
      }
      case TextParser::Event::kType: {
        const auto& line = parser.metadata();
        if (!IsOfText(line.type)) {
          return InvalidArgument(StrCat(Quoted(Trim(line.line)), ": not a type of this format"));
        }
        if (sampled.contains(line.name)) {
          return InvalidArgument(StrCat("the TYPE of ", line.name, " comes after its samples"));
        }
        if (types.emplace(line.name).second) break;
        return InvalidArgument(StrCat("a second TYPE for ", line.name));
      }
      case TextParser::Event::kSample: {
        const auto& line = parser.sample();
        if (!sampled.contains(line.name)) sampled.emplace(line.name);
        for (const auto& label : line.labels) {
          if (!label.value_escaped || GoodEscapes(label.value)) continue;
          return InvalidArgument(StrCat(Quoted(line.key), ": the value of ", label.name,
                                        " has a backslash before neither \\, \" nor n"));
        }
        break;
      }
      default:
        break;
    }
  }
}

// Of a histogram or summary the samples of one set of labels, their bounds apart.
struct Parts {
  Labels labels;  // Without name and bound.
  std::optional<double> count, sum, infinite;
};

FamilySample Part(const Parts& parts, std::string_view name, std::string_view bound, double value) {
  LabelsBuilder labels(parts.labels);
  labels.Set(kMetricNameLabel, name);
  if (!bound.empty()) labels.Set("le", bound);
  return {.labels = labels.Build(), .value = value};
}

Status Complete(MetricFamily& family) {
  const bool histogram = family.metadata.type == MetricType::kHistogram;
  const std::string_view bound = histogram ? "le" : "quantile";
  std::map<std::string, Parts> all;
  for (FamilySample& sample : family.samples) {
    const std::string_view name = sample.labels.metric_name();
    LabelsBuilder rest(sample.labels);
    rest.Delete(kMetricNameLabel);
    rest.Delete(bound);
    Labels labels = rest.Build();
    Parts& parts = all[std::string(labels.bytes())];
    parts.labels = std::move(labels);
    if (name == StrCat(family.name, "_count")) parts.count = sample.value;
    if (name == StrCat(family.name, "_sum")) parts.sum = sample.value;
    if (!sample.labels.Has(bound)) continue;
    const std::optional<double> at = exposition::ParseValue(sample.labels.Get(bound));
    if (!at) {
      return InvalidArgument(StrCat(family.name, ": ", bound, "=",
                                    Quoted(sample.labels.Get(bound)), " is no number"));
    }
    if (std::isinf(*at) && *at > 0) parts.infinite = sample.value;
    sample.labels = exposition::ShortBounds(sample.labels, family.metadata.type);
  }
  // Nobody knows what a plain sample of such a family would be.
  std::erase_if(family.samples, [&](const FamilySample& sample) {
    return sample.labels.metric_name() == family.name && !sample.labels.Has(bound);
  });
  for (const auto& [key, parts] : all) {
    if (histogram && !parts.infinite) {
      family.samples.push_back(
          Part(parts, StrCat(family.name, "_bucket"), "+Inf", parts.count.value_or(0)));
    }
    if (!parts.sum) family.samples.push_back(Part(parts, StrCat(family.name, "_sum"), "", 0));
    if (!parts.count) family.samples.push_back(Part(parts, StrCat(family.name, "_count"), "", 0));
  }
  return {};
}

}  // namespace

Result<std::vector<MetricFamily>> ParsePromFile(std::string_view text) {
  VEDETTE_RETURN_IF_ERROR(CheckLines(text));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<MetricFamily> families,
                           exposition::ParseText(text, exposition::TextDialect::kText));
  std::erase_if(families, [](const MetricFamily& f) { return f.samples.empty(); });
  for (MetricFamily& family : families) {
    for (const FamilySample& sample : family.samples) {
      if (sample.t_ms) {
        return InvalidArgument(StrCat(family.name, " has a timestamp; a file's samples are as old "
                                                   "as the scrape, so remove it"));
      }
    }
    std::unordered_set<std::string> seen;
    std::erase_if(family.samples, [&](const FamilySample& sample) {
      return !seen.emplace(sample.labels.bytes()).second;
    });
    if (family.metadata.type == MetricType::kHistogram ||
        family.metadata.type == MetricType::kSummary) {
      VEDETTE_RETURN_IF_ERROR(Complete(family));
    }
  }
  return families;
}

}  // namespace vedette::agent
