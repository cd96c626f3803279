#include "server/scrape/target.h"

#include <xxhash.h>

#include <array>
#include <map>
#include <string_view>
#include <unordered_map>

#include "common/base/strings.h"
#include "common/model/duration.h"

namespace vedette::scrape {
namespace {

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kMetricsPath = "__metrics_path__";
constexpr std::string_view kInterval = "__scrape_interval__";
constexpr std::string_view kTimeout = "__scrape_timeout__";
constexpr std::string_view kParam = "__param_";
constexpr std::string_view kUnixSocket = "__unix_socket__";
constexpr std::string_view kNativeHistograms = "__scrape_native_histograms__";
constexpr std::string_view kConvertClassic = "__convert_classic_histograms_to_nhcb__";
constexpr std::string_view kAlwaysClassic = "__always_scrape_classic_histograms__";

// "1h30m", as Prometheus writes a duration: years, weeks and days only where they are whole.
std::string FormatDuration(int64_t ms) {
  struct Unit {
    std::string_view name;
    int64_t ms;
    bool whole;
  };
  constexpr std::array<Unit, 7> kUnits = {{{"y", 365LL * 86'400'000, true},
                                           {"w", 7LL * 86'400'000, true},
                                           {"d", 86'400'000, true},
                                           {"h", 3'600'000, false},
                                           {"m", 60'000, false},
                                           {"s", 1'000, false},
                                           {"ms", 1, false}}};
  if (ms == 0) return "0s";
  std::string out;
  for (const Unit& unit : kUnits) {
    if (unit.whole && ms % unit.ms != 0) continue;
    if (const int64_t count = ms / unit.ms; count > 0) {
      StrAppend(out, count, unit.name);
      ms -= count * unit.ms;
    }
  }
  return out;
}

void AppendQueryEscaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (static_cast<unsigned char>((byte | 0x20) - 'a') < 26 ||
        static_cast<unsigned char>(byte - '0') < 10 || c == '-' || c == '_' || c == '.' ||
        c == '~') {
      out.push_back(c);
    } else if (c == ' ') {
      out.push_back('+');
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
}

// The query of the URL: the job's params, of which relabelling may have changed the first values.
std::string QueryOf(const Labels& labels, const Job& job) {
  std::map<std::string, std::vector<std::string>> params;
  for (const auto& [name, values] : job.params) params[name] = values;
  for (const Label& label : labels) {
    if (!label.name.starts_with(kParam)) continue;
    std::vector<std::string>& values = params[std::string(label.name.substr(kParam.size()))];
    if (values.empty()) values.emplace_back();
    values[0] = label.value;
  }
  std::string query;
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      if (!query.empty()) query.push_back('&');
      AppendQueryEscaped(query, name);
      query.push_back('=');
      AppendQueryEscaped(query, value);
    }
  }
  return query;
}

Result<int64_t> PositiveDuration(const Labels& labels, std::string_view name,
                                 std::string_view what) {
  const std::string_view text = labels.Get(name);
  Result<int64_t> ms = ParseDuration(text);
  if (!ms.ok()) return ms.status().Annotate(StrCat("error parsing ", what, " ", Quoted(text)));
  if (*ms <= 0) return InvalidArgument(StrCat(what, " cannot be 0"));
  return ms;
}

bool IsTrue(const Labels& labels, std::string_view name, bool otherwise) {
  const std::string_view value = labels.Get(name);
  return value.empty() ? otherwise : value == "true";
}

Labels DiscoveredLabels(const Labels& found, const Job& job) {
  LabelsBuilder builder(found);
  const auto set_default = [&](std::string_view name, std::string_view value) {
    if (builder.Get(name).empty()) builder.Set(name, value);
  };
  set_default("job", job.name);
  set_default(kInterval, FormatDuration(job.interval_ms));
  set_default(kTimeout, FormatDuration(job.timeout_ms));
  set_default(kMetricsPath, job.metrics_path);
  set_default(kScheme, job.scheme);
  for (const auto& [name, values] : job.params) {
    if (!values.empty()) set_default(StrCat(kParam, name), values[0]);
  }
  return builder.Build();
}

}  // namespace

uint64_t Target::IdentityHash() const {
  return XXH3_64bits_withSeed(url.data(), url.size(), labels.Hash());
}

int64_t Target::OffsetMs(uint64_t seed) const {
  const uint64_t places = scheme == "grpc" ? kPlacesOfAgents : kPlaces;
  const uint64_t place = (IdentityHash() ^ seed) % places;
  return static_cast<int64_t>(place) * interval_ms / static_cast<int64_t>(places);
}

Result<std::shared_ptr<const Target>> MakeTarget(const Labels& found, const Job& job) {
  auto target = std::make_shared<Target>();
  target->job = job.name;
  target->discovered_labels = DiscoveredLabels(found, job);
  Labels labels = target->discovered_labels;
  if (job.relabel) {
    std::optional<Labels> kept = job.relabel(labels);
    if (!kept) return std::shared_ptr<const Target>();
    labels = *std::move(kept);
  }

  target->address = labels.Get(kAddress);
  if (target->address.empty()) {
    return InvalidArgument(StrCat("no address: ", target->discovered_labels.ToString()));
  }
  if (target->address.find('/') != std::string::npos) {
    return InvalidArgument(StrCat(Quoted(target->address), " is not a valid hostname"));
  }
  VEDETTE_ASSIGN_OR_RETURN(target->interval_ms,
                           PositiveDuration(labels, kInterval, "scrape interval"));
  VEDETTE_ASSIGN_OR_RETURN(target->timeout_ms,
                           PositiveDuration(labels, kTimeout, "scrape timeout"));
  if (target->timeout_ms > target->interval_ms) {
    return InvalidArgument(StrCat("scrape timeout cannot be greater than scrape interval (",
                                  Quoted(labels.Get(kTimeout)), " > ",
                                  Quoted(labels.Get(kInterval)), ")"));
  }
  target->scheme = labels.Get(kScheme);
  if (target->scheme != "http" && target->scheme != "https" && target->scheme != "grpc") {
    return InvalidArgument(StrCat("scheme ", Quoted(target->scheme), " of ",
                                  Quoted(target->address), " is not http, https or grpc"));
  }
  target->metrics_path = labels.Get(kMetricsPath);
  target->unix_socket = labels.Get(kUnixSocket);
  target->native_histograms = IsTrue(labels, kNativeHistograms, job.native_histograms);
  target->always_classic_histograms = IsTrue(labels, kAlwaysClassic, job.always_classic_histograms);
  target->convert_classic_histograms =
      IsTrue(labels, kConvertClassic, job.convert_classic_histograms);

  target->url = StrCat(target->scheme, "://", target->address);
  if (target->scheme != "grpc") {
    if (!target->metrics_path.starts_with('/')) target->url.push_back('/');
    target->url.append(target->metrics_path);
    if (const std::string query = QueryOf(labels, job); !query.empty()) {
      StrAppend(target->url, "?", query);
    }
  }

  LabelsBuilder own;
  for (const Label& label : labels) {
    if (!IsValidUtf8(label.value)) {
      return InvalidArgument(
          StrCat("invalid label value for ", Quoted(label.name), ": ", Quoted(label.value)));
    }
    if (!label.name.starts_with("__")) own.Set(label.name, label.value);
  }
  if (own.Get("instance").empty()) own.Set("instance", target->address);
  target->labels = own.Build();
  return std::shared_ptr<const Target>(std::move(target));
}

TargetSet MakeTargets(const std::vector<TargetGroup>& groups, const Job& job) {
  TargetSet set;
  std::unordered_map<uint64_t, const Target*> seen;
  for (const TargetGroup& group : groups) {
    for (size_t i = 0; i < group.targets.size(); ++i) {
      LabelsBuilder builder(group.targets[i]);
      for (const Label& label : group.labels) {
        if (builder.Get(label.name).empty()) builder.Set(label.name, label.value);
      }
      const Labels found = builder.Build();
      Result<std::shared_ptr<const Target>> target = MakeTarget(found, job);
      if (!target.ok()) {
        set.failures.push_back(
            target.status().Annotate(StrCat("instance ", i, " in group ", group.source)));
        continue;
      }
      if (*target == nullptr) {
        ++set.dropped_count;
        const uint64_t keep = job.limits.keep_dropped_targets;
        if (keep == 0 || set.dropped.size() < keep) {
          set.dropped.push_back({job.name, DiscoveredLabels(found, job)});
        }
        continue;
      }
      const auto [it, fresh] = seen.try_emplace((*target)->IdentityHash(), target->get());
      if (fresh) set.active.push_back(*std::move(target));
    }
  }
  return set;
}

}  // namespace vedette::scrape
