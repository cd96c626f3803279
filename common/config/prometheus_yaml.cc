#include <algorithm>
#include <iterator>

#include "common/config/decoder.h"
#include "common/config/prometheus.h"
#include "common/config/yaml_node.h"
#include "common/model/duration.h"

namespace vedette::config {
namespace {

YamlNode Scalar(std::string_view text, bool quoted = false) {
  YamlNode node;
  node.kind = YamlNode::Kind::kScalar;
  node.scalar = std::string(text);
  node.quoted = quoted;
  return node;
}

YamlNode Map() {
  YamlNode node;
  node.kind = YamlNode::Kind::kMap;
  return node;
}

// Sets a key where it is, or at the end.
YamlNode& Set(YamlNode& map, std::string_view key, YamlNode value) {
  map.kind = YamlNode::Kind::kMap;
  for (size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].scalar == key) return map.items[i] = std::move(value);
  }
  map.keys.push_back(Scalar(key));
  map.items.push_back(std::move(value));
  return map.items.back();
}

void Default(YamlNode& map, std::string_view key, YamlNode value) {
  const YamlNode* present = map.Find(key);
  if (present == nullptr || present->kind == YamlNode::Kind::kNull) {
    Set(map, key, std::move(value));
  }
}

YamlNode Duration(int64_t ms) { return Scalar(FormatDuration(ms)); }
YamlNode Bool(bool value) { return Scalar(value ? "true" : "false"); }

YamlNode Protocols(const std::vector<ScrapeProtocol>& protocols) {
  YamlNode list;
  list.kind = YamlNode::Kind::kList;
  for (ScrapeProtocol p : protocols) list.items.push_back(Scalar(ScrapeProtocolName(p)));
  return list;
}

void FillScrape(const ScrapeConfig& config, YamlNode& node) {
  Default(node, "honor_timestamps", Bool(config.honor_timestamps));
  Default(node, "track_timestamps_staleness", Bool(config.track_timestamps_staleness));
  Set(node, "scrape_interval", Duration(config.scrape_interval_ms));
  Set(node, "scrape_timeout", Duration(config.scrape_timeout_ms));
  Default(node, "scrape_protocols", Protocols(config.scrape_protocols));
  Default(node, "metrics_path", Scalar(config.metrics_path));
  Default(node, "scheme", Scalar(config.scheme));
  Default(node, "enable_compression", Bool(config.enable_compression));
  Default(node, "follow_redirects", Bool(config.http.follow_redirects));
  Default(node, "enable_http2", Bool(config.http.enable_http2));
}

const YamlNode* FindJob(const YamlNode& root, const std::string& job) {
  const YamlNode* list = root.Find("scrape_configs");
  if (list == nullptr) return nullptr;
  for (const YamlNode& item : list->items) {
    const YamlNode* name = item.Find("job_name");
    if (name != nullptr && name->scalar == job) return &item;
  }
  return nullptr;
}

}  // namespace

std::string ToYaml(const PrometheusConfig& config) {
  Result<YamlNode> parsed = ParseYaml(config.text, config.file);
  YamlNode root = parsed.ok() ? *std::move(parsed) : Map();
  YamlNode global = root.Find("global") != nullptr ? *root.Find("global") : Map();
  Set(global, "scrape_interval", Duration(config.global.scrape_interval_ms));
  Set(global, "scrape_timeout", Duration(config.global.scrape_timeout_ms));
  Default(global, "scrape_protocols", Protocols(config.global.scrape_protocols));
  Set(global, "evaluation_interval", Duration(config.global.evaluation_interval_ms));
  if (!config.global.external_labels.empty()) {
    YamlNode labels = Map();
    for (const Label& label : config.global.external_labels) {
      Set(labels, label.name, Scalar(label.value, true));
    }
    Set(global, "external_labels", std::move(labels));
  }

  YamlNode out = Map();
  Set(out, "global", std::move(global));
  YamlNode jobs;
  jobs.kind = YamlNode::Kind::kList;
  // Jobs of one file stand together, so each file is read once.
  std::string file = config.file;
  YamlNode other;
  for (const ScrapeConfig& scrape : config.scrape_configs) {
    if (scrape.file != file) {
      file = scrape.file;
      Result<std::string> text = ReadConfigFile(file);
      Result<YamlNode> again = text.ok() ? ParseYaml(*text, file) : text.status();
      other = again.ok() ? *std::move(again) : Map();
    }
    const YamlNode* written = FindJob(file == config.file ? root : other, scrape.job_name);
    YamlNode job = written != nullptr ? *written : Map();
    Default(job, "job_name", Scalar(scrape.job_name, true));
    FillScrape(scrape, job);
    jobs.items.push_back(std::move(job));
  }
  for (size_t i = 0; i < root.keys.size(); ++i) {
    const std::string& key = root.keys[i].scalar;
    if (key == "global" || key == "scrape_configs") continue;
    Set(out, key, root.items[i]);
  }
  if (!jobs.items.empty()) Set(out, "scrape_configs", std::move(jobs));
  MaskSecrets(out);
  return EmitYaml(out);
}

std::string ToYaml(const PrometheusConfig& config, std::string_view job_name) {
  for (const ScrapeConfig& scrape : config.scrape_configs) {
    if (scrape.job_name != job_name) continue;
    Result<std::string> text =
        scrape.file == config.file ? Result<std::string>(config.text) : ReadConfigFile(scrape.file);
    Result<YamlNode> root = text.ok() ? ParseYaml(*text, scrape.file) : text.status();
    const YamlNode* written = root.ok() ? FindJob(*root, scrape.job_name) : nullptr;
    YamlNode job = written != nullptr ? *written : Map();
    Default(job, "job_name", Scalar(scrape.job_name, true));
    FillScrape(scrape, job);
    MaskSecrets(job);
    return EmitYaml(job);
  }
  return "";
}

}  // namespace vedette::config
