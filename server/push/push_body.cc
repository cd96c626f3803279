#include "server/push/push_body.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/protobuf.h"
#include "common/exposition/text_parser.h"
#include "server/push/group.h"

namespace vedette::push {
namespace {

using exposition::Protocol;

Result<std::vector<MetricFamily>> Parse(std::string_view body, Protocol protocol) {
  switch (protocol) {
    case Protocol::kPrometheusProto: {
      std::vector<MetricFamily> families;
      VEDETTE_RETURN_IF_ERROR(exposition::ParseProtobuf(
          body, {.native_histograms = true, .always_classic = true}, [&](MetricFamily& family) {
            families.push_back(std::move(family));
            return Status();
          }));
      return families;
    }
    case Protocol::kOpenMetrics1_0_0:
    case Protocol::kOpenMetrics0_0_1:
      return exposition::ParseText(body, exposition::TextDialect::kOpenMetrics);
    case Protocol::kText1_0_0:
    case Protocol::kText0_0_4:
      break;
  }
  return exposition::ParseText(body, exposition::TextDialect::kText);
}

Status CheckLabels(const Labels& labels, const PushLimits& limits) {
  if (labels.size() > limits.labels) {
    return InvalidArgument(StrCat("label limit exceeded: ", labels.metric_name(), " has ",
                                  labels.size(), " labels, limit: ", limits.labels));
  }
  for (const Label& label : labels) {
    if (label.value.size() > limits.label_value_bytes) {
      return InvalidArgument(StrCat("label value limit exceeded: ", label.name, " of ",
                                    labels.metric_name(), " has ", label.value.size(),
                                    " bytes, limit: ", limits.label_value_bytes));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<MetricFamily>> ReadPushBody(std::string_view body,
                                               std::string_view content_type, const Labels& key,
                                               const PushLimits& limits) {
  VEDETTE_ASSIGN_OR_RETURN(const Protocol protocol, exposition::ProtocolOfContentType(
                                                        content_type, Protocol::kText0_0_4));
  Result<std::vector<MetricFamily>> parsed = Parse(body, protocol);
  if (!parsed.ok()) return InvalidArgument(parsed.status().message());

  // A family that comes in pieces is one.
  std::map<std::string, MetricFamily> by_name;
  uint64_t samples = 0;
  for (MetricFamily& family : *parsed) {
    if (IsPushTimeName(family.name)) continue;  // Ours to say.
    samples += family.samples.size();
    if (samples > limits.samples) {
      return InvalidArgument(
          StrCat("sample limit exceeded: a push may bring ", limits.samples, " samples"));
    }
    for (FamilySample& sample : family.samples) {
      LabelsBuilder labels(sample.labels);
      for (const Label& label : key) labels.Set(label.name, label.value);
      sample.labels = labels.Build();
      VEDETTE_RETURN_IF_ERROR(CheckLabels(sample.labels, limits));
    }
    const auto [at, fresh] = by_name.try_emplace(family.name);
    if (fresh) {
      at->second = std::move(family);
      continue;
    }
    if (at->second.metadata.type != family.metadata.type) {
      return InvalidArgument(StrCat("metric family ", Quoted(at->first), " comes with two types"));
    }
    std::ranges::move(family.samples, std::back_inserter(at->second.samples));
  }
  std::vector<MetricFamily> families;
  families.reserve(by_name.size());
  for (auto& [name, family] : by_name) families.push_back(std::move(family));
  return families;
}

Status CheckPushed(const std::vector<MetricFamily>& families) {
  std::unordered_set<std::string_view> seen;
  for (const MetricFamily& family : families) {
    for (const FamilySample& sample : family.samples) {
      if (sample.t_ms) return InvalidArgument("pushed metrics must not have timestamps");
      if (!seen.insert(sample.labels.bytes()).second) {
        return InvalidArgument(StrCat(
            "pushed metrics are invalid or inconsistent with existing metrics: collected metric ",
            sample.labels.ToString(),
            " was collected before with the same name and label values"));
      }
    }
  }
  return {};
}

}  // namespace vedette::push
