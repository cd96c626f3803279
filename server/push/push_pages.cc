#include "server/push/push_pages.h"

#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/number.h"

namespace vedette::push {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kInstance = "instance";

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
}

void AppendName(std::string& out, std::string_view name, bool plain) {
  if (plain) {
    out += name;
    return;
  }
  out.push_back('"');
  AppendEscaped(out, name, true);
  out.push_back('"');
}

void AppendSample(std::string& out, const FamilySample& sample) {
  const std::string_view name = sample.labels.metric_name();
  const bool plain = IsLegacyMetricName(name);
  if (plain) out += name;
  out.push_back('{');
  bool first = true;
  const auto label = [&](std::string_view key, std::string_view value) {
    if (!std::exchange(first, false)) out.push_back(',');
    AppendName(out, key, IsLegacyLabelName(key));
    out += "=\"";
    AppendEscaped(out, value, true);
    out.push_back('"');
  };
  if (!plain) {
    AppendName(out, name, false);
    first = false;
  }
  if (!sample.labels.Has(kInstance)) label(kInstance, "");
  for (const Label& l : sample.labels) {
    if (l.name != kMetricNameLabel) label(l.name, l.value);
  }
  out += "} ";
  exposition::AppendValue(out, sample.value);
  out.push_back('\n');
}

std::string_view TextType(MetricType type) {
  return type == MetricType::kUnknown ? "untyped" : MetricTypeName(type);
}

// The families of a group with its two times among them, in order of their names.
std::vector<const MetricFamily*> AllOf(const Group& group, const std::vector<MetricFamily>& times) {
  std::vector<const MetricFamily*> out;
  for (const MetricFamily& family : group.families) out.push_back(&family);
  for (const MetricFamily& family : times) out.push_back(&family);
  return out;
}

std::string Rfc3339(int64_t t_ms) {
  const time_t seconds = static_cast<time_t>(t_ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + n, sizeof text - n, ".%03dZ", static_cast<int>(t_ms % 1000));
  return text;
}

std::string ValueText(double value) {
  std::string out;
  exposition::AppendValue(out, value);
  return out;
}

std::string UpperType(MetricType type) {
  if (type == MetricType::kUnknown) return "UNTYPED";
  std::string out;
  for (const char c : MetricTypeName(type)) {
    out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return out;
}

// Of a metric, which always says an instance; a group says only what its key does.
Json LabelsJson(const Labels& labels, bool metric, std::string_view without = "") {
  Json out = Json::object();
  for (const Label& l : labels) {
    if (l.name == kMetricNameLabel || l.name == without) continue;
    out[std::string(l.name)] = std::string(l.value);
  }
  if (metric && !labels.Has(kInstance)) out[std::string(kInstance)] = "";
  return out;
}

// Flat samples become one metric for each set of labels, as clients sent them.
Json MetricsJson(const MetricFamily& family) {
  const bool histogram = family.metadata.type == MetricType::kHistogram;
  const bool summary = family.metadata.type == MetricType::kSummary;
  if (!histogram && !summary) {
    Json out = Json::array();
    for (const FamilySample& s : family.samples) {
      out.push_back({{"labels", LabelsJson(s.labels, true)}, {"value", ValueText(s.value)}});
    }
    return out;
  }
  const std::string_view part = histogram ? "le" : "quantile";
  const std::string key = histogram ? "buckets" : "quantiles";
  std::map<std::string, Json> metrics;
  std::vector<std::string> order;
  for (const FamilySample& s : family.samples) {
    const std::vector<std::string> parts = {std::string(part), std::string(kMetricNameLabel)};
    const std::string identity(s.labels.Without(parts).bytes());
    const auto [at, fresh] = metrics.try_emplace(identity, Json::object());
    Json& metric = at->second;
    if (fresh) {
      order.push_back(identity);
      metric["labels"] = LabelsJson(s.labels, true, part);
    }
    if (s.histogram != nullptr) {
      metric["count"] = ValueText(s.histogram->count);
      metric["sum"] = ValueText(s.histogram->sum);
    } else if (s.labels.Has(part)) {
      metric[key][std::string(s.labels.Get(part))] = ValueText(s.value);
    } else if (s.labels.metric_name().ends_with("_sum")) {
      metric["sum"] = ValueText(s.value);
    } else if (s.labels.metric_name().ends_with("_count")) {
      metric["count"] = ValueText(s.value);
    }
  }
  Json out = Json::array();
  for (const std::string& identity : order) out.push_back(std::move(metrics[identity]));
  return out;
}

}  // namespace

std::string PushedText(const Groups& groups) {
  struct Merged {
    Metadata metadata;
    std::string samples;
  };
  std::map<std::string, Merged> by_name;
  for (const auto& group : groups) {
    const std::vector<MetricFamily> times = PushTimes(*group);
    for (const MetricFamily* family : AllOf(*group, times)) {
      const auto [at, fresh] = by_name.try_emplace(family->name);
      if (fresh) at->second.metadata = family->metadata;
      for (const FamilySample& s : family->samples) {
        if (s.histogram == nullptr) AppendSample(at->second.samples, s);
      }
    }
  }
  std::string out;
  for (const auto& [name, family] : by_name) {
    const bool plain = IsLegacyMetricName(name);
    if (!family.metadata.help.empty()) {
      out += "# HELP ";
      AppendName(out, name, plain);
      out.push_back(' ');
      AppendEscaped(out, family.metadata.help, false);
      out.push_back('\n');
    }
    out += "# TYPE ";
    AppendName(out, name, plain);
    StrAppend(out, " ", TextType(family.metadata.type), "\n", family.samples);
  }
  return out;
}

std::string PushedJson(const Groups& groups) {
  Json data = Json::array();
  for (const auto& group : groups) {
    Json one = Json::object();
    one["labels"] = LabelsJson(group->key, false);
    one["last_push_successful"] = group->last_push_ok;
    if (group->ttl_ms > 0) one["expires"] = Rfc3339(group->pushed_ms + group->ttl_ms);
    const std::vector<MetricFamily> times = PushTimes(*group);
    for (const MetricFamily* family : AllOf(*group, times)) {
      one[family->name] = {{"time_stamp", Rfc3339(group->pushed_ms)},
                           {"type", UpperType(family->metadata.type)},
                           {"help", family->metadata.help},
                           {"metrics", MetricsJson(*family)}};
    }
    data.push_back(std::move(one));
  }
  // Names and values have been checked when they came; replace rather than throw all the same.
  return Json{{"status", "success"}, {"data", std::move(data)}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vedette::push
