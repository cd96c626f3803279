#include "server/api/http/targets.h"

#include <algorithm>
#include <cstddef>

#include "common/base/strings.h"
#include "common/config/secret.h"
#include "common/config/url_secrets.h"
#include "common/log/log.h"
#include "common/model/duration.h"
#include "server/relabel/relabel.h"

namespace vedette::api {
namespace {

std::string_view HealthName(scrape::Health health) {
  switch (health) {
    case scrape::Health::kUp:
      return "up";
    case scrape::Health::kDown:
      return "down";
    case scrape::Health::kUnknown:
      return "unknown";
  }
  return "unknown";
}

// Parameters whose name says that they hold a secret are shown without it, in labels and URLs.
Labels Shown(const Labels& discovered) {
  constexpr std::string_view kParam = "__param_";
  LabelsBuilder out(discovered);
  for (const Label& l : discovered) {
    const bool secret =
        l.name.starts_with(kParam) && config::LooksSecret(l.name.substr(kParam.size()));
    out.Set(l.name, secret ? "<secret>" : config::HideUrlSecrets(l.value));
  }
  return out.Build();
}

// The URL as someone on another machine would type it.
std::string GlobalUrl(std::string url, const std::string& hostname) {
  for (const std::string_view local : {"//localhost", "//127.0.0.1", "//[::1]"}) {
    const size_t at = url.find(local);
    if (at == std::string::npos) continue;
    url.replace(at + 2, local.size() - 2, hostname);
    break;
  }
  return url;
}

void WriteTarget(JsonWriter& json, const scrape::TargetStatus& s, const std::string& hostname,
                 const std::map<std::string, std::string>& refused_jobs, bool discovered) {
  const scrape::Target& t = *s.target;
  json.BeginObject();
  if (discovered) json.Key("discoveredLabels").Object(Shown(t.discovered_labels));
  json.Key("labels").Object(t.labels);
  json.Key("scrapePool").String(t.job);
  json.Key("scrapeUrl").String(config::HideUrlSecrets(t.url));
  json.Key("globalUrl").String(GlobalUrl(config::HideUrlSecrets(t.url), hostname));
  // A target over its budget is up, and what it has more than that is not stored: told where people
  // look for what is wrong.
  const auto refused = refused_jobs.find(t.job);
  json.Key("lastError").String(s.last_error.empty() && refused != refused_jobs.end()
                                   ? refused->second
                                   : log::MaskSecrets(s.last_error));
  if (refused != refused_jobs.end()) json.Key("seriesRefused").String(refused->second);
  json.Key("lastScrape")
      .String(s.last_scrape_ms == 0 ? "0001-01-01T00:00:00Z" : FormatTime(s.last_scrape_ms));
  json.Key("lastScrapeDuration").Number(s.last_duration_seconds);
  json.Key("health").String(HealthName(s.health));
  json.Key("scrapeInterval").String(FormatDuration(t.interval_ms));
  json.Key("scrapeTimeout").String(FormatDuration(t.timeout_ms));
  if (!s.sources.empty()) {
    json.Key("sources").BeginArray();
    for (const SourceState& source : s.sources) {
      json.BeginObject();
      json.Key("name").String(source.name);
      json.Key("up").Bool(source.up);
      json.Key("error").String(log::MaskSecrets(source.error));
      json.Key("durationSeconds").Number(source.duration_seconds);
      json.Key("address").String(config::HideUrlSecrets(source.address));
      json.EndObject();
    }
    json.EndArray();
    json.Key("snapshotsFilled").Uint(s.snapshots_filled);
    if (s.last_filled_ms != 0) json.Key("lastFilled").String(FormatTime(s.last_filled_ms));
  }
  json.EndObject();
}

// Pool by pool, what is down first: the order in which people look at them.
bool LooksAtFirst(const scrape::TargetStatus& a, const scrape::TargetStatus& b) {
  const auto rank = [](scrape::Health health) {
    return health == scrape::Health::kDown ? 0 : health == scrape::Health::kUnknown ? 1 : 2;
  };
  if (a.target->job != b.target->job) return a.target->job < b.target->job;
  if (rank(a.health) != rank(b.health)) return rank(a.health) < rank(b.health);
  return a.target->url < b.target->url;
}

// {"name":"value",...}: the little of JSON that a label set is. Strings as the API writes them.
bool ReadLabels(std::string_view text, Labels& out) {
  size_t at = 0;
  const auto skip = [&] {
    while (at < text.size() && std::string_view(" \t\r\n").find(text[at]) != std::string_view::npos)
      ++at;
  };
  const auto take = [&](char c) {
    skip();
    if (at == text.size() || text[at] != c) return false;
    ++at;
    return true;
  };
  const auto string = [&](std::string& value) {
    if (!take('"')) return false;
    value.clear();
    while (at < text.size() && text[at] != '"') {
      char c = text[at++];
      if (c == '\\') {
        if (at == text.size()) return false;
        constexpr std::string_view kFrom = "\"\\/nrtbf";
        constexpr std::string_view kTo = "\"\\/\n\r\t\b\f";
        const size_t which = kFrom.find(text[at++]);
        if (which == std::string_view::npos) return false;
        c = kTo[which];
      }
      value += c;
    }
    return take('"') && IsValidUtf8(value);
  };
  LabelsBuilder labels;
  std::string name;
  std::string value;
  if (!take('{')) return false;
  if (!take('}')) {
    do {
      if (!string(name) || name.empty() || !take(':') || !string(value)) return false;
      labels.Set(name, value);
    } while (take(','));
    if (!take('}')) return false;
  }
  skip();
  out = labels.Build();
  return at == text.size();
}

}  // namespace

Reply TargetsDoor::Targets(const Call& call) const {
  const std::string pool(call.Get("scrapePool").value_or(""));
  const std::string_view state = call.Get("state").value_or("any");
  const std::map<std::string, std::string> refused_jobs =
      refused_jobs_ ? refused_jobs_() : std::map<std::string, std::string>();
  // Vedette's own: the first so many, with counts of all; and without the labels before relabelling,
  // which are half of the bytes.
  const Result<uint64_t> limit = LimitOf(call);
  if (!limit.ok()) return Failure(limit.status());
  const bool discovered = call.Get("discovered").value_or("true") != "false";
  std::vector<scrape::TargetStatus> active;
  if (state != "dropped") active = manager_.Targets(pool);
  std::map<std::string_view, uint64_t> counts;
  if (*limit > 0) {
    for (const scrape::TargetStatus& s : active) ++counts[HealthName(s.health)];
    const size_t first = std::min<uint64_t>(*limit, active.size());
    std::partial_sort(active.begin(), active.begin() + static_cast<ptrdiff_t>(first), active.end(),
                      LooksAtFirst);
    active.erase(active.begin() + static_cast<ptrdiff_t>(first), active.end());
  }
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("activeTargets").BeginArray();
    for (const scrape::TargetStatus& s : active) {
      WriteTarget(json, s, hostname_, refused_jobs, discovered);
    }
    json.EndArray();
    if (*limit > 0) {
      json.Key("activeTargetCounts").BeginObject();
      for (const auto& [health, count] : counts) json.Key(health).Uint(count);
      json.EndObject();
    }
    const auto dropped = manager_.DroppedTargets(pool);
    json.Key("droppedTargets").BeginArray();
    if (state != "active") {
      for (const scrape::DroppedTarget& d : dropped.targets) {
        json.BeginObject();
        json.Key("discoveredLabels").Object(Shown(d.discovered_labels));
        json.Key("scrapePool").String(d.job);
        json.EndObject();
      }
    }
    json.EndArray();
    json.Key("droppedTargetCounts").BeginObject();
    for (const auto& [name, count] : dropped.counts) json.Key(name).Uint(count);
    json.EndObject();
    json.EndObject();
  });
}

Reply TargetsDoor::ScrapePools(const Call&) const {
  const std::vector<std::string> pools = manager_.pools();
  return Success([&](JsonWriter& json) {
    json.BeginObject().Key("scrapePools").BeginArray();
    for (const std::string& p : pools) json.String(p);
    json.EndArray().EndObject();
  });
}

Reply TargetsDoor::ScrapePoolConfig(const Call& call) const {
  const std::string pool(call.Get("scrapePool").value_or(""));
  if (pool.empty()) return Failure(ErrorType::kBadData, "no scrapePool parameter provided");
  const std::optional<std::string> yaml = yaml_of_pool_(pool);
  if (!yaml) return Failure(ErrorType::kNotFound, StrCat("no scrape pool ", Quoted(pool)));
  return Success(
      [&](JsonWriter& json) { json.BeginObject().Key("yaml").String(*yaml).EndObject(); });
}

Reply TargetsDoor::RelabelSteps(const Call& call) const {
  const std::string pool(call.Get("scrapePool").value_or(""));
  if (pool.empty()) return Failure(ErrorType::kBadData, "no scrapePool parameter provided");
  Labels labels;
  if (!ReadLabels(call.Get("labels").value_or(""), labels)) {
    return BadParameter("labels", R"(a JSON object of strings is expected, as {"name":"value"})");
  }
  const auto configs = rules_of_pool_(pool);
  if (!configs) return Failure(ErrorType::kNotFound, StrCat("no scrape pool ", Quoted(pool)));
  const Result<relabel::Relabeler> rules = relabel::Relabeler::Compile(*configs);
  if (!rules.ok()) return Failure(rules.status());
  return Success([&](JsonWriter& json) {
    json.BeginObject().Key("steps").BeginArray();
    for (const relabel::Relabeler::Step& step : rules->Trace(labels)) {
      json.BeginObject().Key("rule").BeginObject();
      json.Key("source_labels").BeginArray();
      for (const std::string& name : step.rule.source_labels) json.String(name);
      json.EndArray();
      json.Key("separator").String(step.rule.separator);
      json.Key("regex").String(step.rule.regex);
      json.Key("modulus").Uint(step.rule.modulus);
      json.Key("target_label").String(step.rule.target_label);
      json.Key("replacement").String(step.rule.replacement);
      json.Key("action").String(config::RelabelActionName(step.rule.action));
      json.EndObject();
      json.Key("output").Object(step.labels);
      json.Key("keep").Bool(step.kept);
      json.EndObject();
    }
    json.EndArray().EndObject();
  });
}

Reply TargetsDoor::Metadata(const Call& call) const {
  const Result<uint64_t> limit = LimitOf(call);
  if (!limit.ok()) return Failure(ErrorType::kBadData, "limit must be a number");
  std::vector<Matcher> matchers;
  if (const auto text = call.Get("match_target"); text && !text->empty()) {
    Result<std::vector<Matcher>> parsed = parse_(*text);
    if (!parsed.ok()) return BadParameter("match_target", parsed.status());
    matchers = *std::move(parsed);
  }
  const std::string metric(call.Get("metric").value_or(""));
  uint64_t written = 0;
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const auto& t : manager_.MetadataByTarget()) {
      const Labels& labels = t.target->labels;
      if (!std::ranges::all_of(matchers,
                               [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); })) {
        continue;
      }
      for (const auto& [name, metadata] : t.families) {
        if (!metric.empty() && name != metric) continue;
        if (*limit > 0 && written == *limit) break;
        ++written;
        json.BeginObject();
        json.Key("target").Object(labels);
        if (metric.empty()) json.Key("metric").String(name);
        json.Key("type").String(MetricTypeName(metadata.type));
        json.Key("help").String(metadata.help);
        json.Key("unit").String(metadata.unit);
        json.EndObject();
      }
    }
    json.EndArray();
  });
}

}  // namespace vedette::api
