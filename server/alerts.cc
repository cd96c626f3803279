#include "server/alerts.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/config/register_secrets.h"
#include "common/log/log.h"
#include "server/alert_metrics.h"
#include "server/alerting/alerting.h"
#include "server/discovery/manager.h"
#include "server/discovery_parts.h"
#include "server/notify/alertmanager_sender.h"
#include "server/notify/http_port.h"
#include "server/notify/message.h"
#include "server/notify/receiver.h"
#include "server/notify_ports.h"
#include "server/relabel/relabel.h"

namespace vedette {
namespace {

// Alert relabelling: false drops the alert.
Result<std::function<bool(Alert&)>> MakeAlertRelabel(
    const std::vector<config::RelabelConfig>& configs) {
  if (configs.empty()) return std::function<bool(Alert&)>();
  VEDETTE_ASSIGN_OR_RETURN(relabel::Relabeler rules, relabel::Relabeler::Compile(configs));
  return std::function<bool(Alert&)>([rules = std::move(rules)](Alert& alert) {
    LabelsBuilder labels(alert.labels);
    if (!rules.Apply(labels)) return false;
    alert.labels = labels.Build();
    return true;
  });
}

// One alertmanagers entry of the configuration, compiled.
struct AlertmanagerPool {
  config::AlertmanagerEndpointConfig config;
  relabel::Relabeler target_rules;
  std::function<bool(Alert&)> alert_rules;
  notify::HttpClient client;
};

// Where alerts go for one discovered target: __scheme__, __address__ and __alerts_path__ after the
// pool's relabelling; "" when a rule dropped it.
std::string UrlOf(const AlertmanagerPool& pool, const TargetGroup& group, const Labels& target) {
  LabelsBuilder labels(group.labels);
  for (const Label& l : target) labels.Set(l.name, l.value);
  std::string prefix = pool.config.path_prefix;
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.empty() && !prefix.starts_with('/')) prefix.insert(0, "/");
  labels.Set("__scheme__", pool.config.scheme);
  labels.Set("__alerts_path__", StrCat(prefix, "/api/v2/alerts"));
  if (!pool.target_rules.Apply(labels)) return "";
  const Labels l = labels.Build();
  std::string address(l.Get("__address__"));
  if (address.empty()) return "";
  if (address.find(':') == std::string::npos) {
    address += l.Get("__scheme__") == "https" ? ":443" : ":80";
  }
  return StrCat(l.Get("__scheme__"), "://", address, l.Get("__alerts_path__"));
}

// What is routed where no file says it: posted alerts and silences can be seen, nobody is told.
constexpr std::string_view kNoConfig =
    "route: {receiver: nobody}\n"
    "receivers: [{name: nobody}]\n";

Result<std::string> ReadTemplate(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return NotFound(StrCat("template file ", file, " cannot be read"));
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

}  // namespace

struct AlertPipeline::Parts {
  Parts(const Options& o, storage::KeyValue& store, const Clock& c, metrics::Registry& registry)
      : options(o),
        clock(c),
        loaded(registry),
        alerting({.asked = CountNotifications(registry)}, store, c),
        sender({.queue_capacity = static_cast<size_t>(o.queue_capacity),
                .batch_size = static_cast<size_t>(o.batch_size),
                .asked = CountRequests(registry, c)},
               c),
        discovery({.publish = [this](TargetGroupsSnapshot groups) { SetEndpoints(*groups); },
                   .http = MakeDiscoveryHttp(),
                   .events = MakeDiscoveryEvents(registry, "notify")}) {}

  // An outside Alertmanager has groups and silences of its own: a second set of them here, which
  // holds nothing back, would only mislead.
  bool KeepsAlerts() VEDETTE_EXCLUDES(mu) {
    if (!options.alertmanager_config_file.empty()) return true;
    MutexLock lock(mu);
    return pools.empty();
  }
  Status LoadReceivers();
  Result<std::string> ReadReceivers();
  Status LoadAlertmanagers(const config::AlertingConfig& config) VEDETTE_EXCLUDES(mu);
  void SetEndpoints(const TargetGroups& groups) VEDETTE_EXCLUDES(mu);

  const Options options;
  const Clock& clock;
  AlertConfigMetrics loaded;
  alerting::Alerting alerting;
  notify::AlertmanagerSender sender;

  Mutex mu;
  // By the name that discovery knows them under.
  std::map<std::string, std::shared_ptr<const AlertmanagerPool>> pools VEDETTE_GUARDED_BY(mu);
  std::vector<std::string> dropped VEDETTE_GUARDED_BY(mu);
  discovery::DiscoveryManager discovery;  // Last: it calls into what stands above.
};

AlertPipeline::AlertPipeline(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AlertPipeline::~AlertPipeline() { Stop(); }

Result<std::unique_ptr<AlertPipeline>> AlertPipeline::Start(const Options& options,
                                                            storage::KeyValue& key_value,
                                                            const Clock& clock,
                                                            metrics::Registry& registry) {
  auto parts = std::make_unique<Parts>(options, key_value, clock, registry);
  VEDETTE_RETURN_IF_ERROR(parts->alerting.Load());
  VEDETTE_RETURN_IF_ERROR(parts->LoadReceivers());
  parts->alerting.Start();
  parts->sender.Start();
  AddAlertMetrics(registry, parts->alerting, parts->sender, options.queue_capacity);
  return std::unique_ptr<AlertPipeline>(new AlertPipeline(std::move(parts)));
}

Status AlertPipeline::Parts::LoadReceivers() {
  const Result<std::string> text = ReadReceivers();
  loaded.Note(text.status(), text.ok() ? *text : "", clock.NowMs());
  return text.status();
}

// Puts the file to use; gives what it says.
Result<std::string> AlertPipeline::Parts::ReadReceivers() {
  const std::string& file = options.alertmanager_config_file;
  config::RegisterSecrets(file);
  VEDETTE_ASSIGN_OR_RETURN(config::AlertmanagerConfig config,
                           file.empty() ? config::ParseAlertmanagerConfig(kNoConfig, "built in")
                                        : config::LoadAlertmanagerConfig(file));
  for (const config::ConfigNotice& n : config.notices) {
    log::Warn("configuration field without effect",
              {{"file", config.file}, {"line", n.line}, {"field", n.field}, {"reason", n.reason}});
  }
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& file : config.template_files) {
    VEDETTE_ASSIGN_OR_RETURN(std::string text, ReadTemplate(file));
    files.emplace_back(file, std::move(text));
  }
  notify::NotifyContext context;
  VEDETTE_ASSIGN_OR_RETURN(context.templates,
                           notify::MessageTemplates::Make(files, clock, options.external_url));
  context.http = MakeNotifyClient;
  context.signed_http = MakeSigningNotifyClient;
  context.mail = SendNotifyMail;
  context.clock = &clock;
  auto receivers = notify::MakeReceivers(config, context);
  if (!receivers.ok()) return receivers.status();  // It names the file.
  std::string text = config.text;
  VEDETTE_RETURN_IF_ERROR(alerting.Update(std::move(config), *std::move(receivers)));
  return text;
}

Status AlertPipeline::Parts::LoadAlertmanagers(const config::AlertingConfig& config) {
  VEDETTE_ASSIGN_OR_RETURN(auto relabel, MakeAlertRelabel(config.alert_relabel_configs));
  std::map<std::string, std::shared_ptr<const AlertmanagerPool>> next;
  std::map<std::string, config::DiscoveryConfig> jobs;
  for (size_t i = 0; i < config.alertmanagers.size(); ++i) {
    auto pool = std::make_shared<AlertmanagerPool>();
    pool->config = config.alertmanagers[i];
    if (pool->config.sigv4) {
      return Unimplemented("alerting.alertmanagers: sigv4 is not supported");
    }
    VEDETTE_ASSIGN_OR_RETURN(pool->target_rules,
                             relabel::Relabeler::Compile(pool->config.relabel_configs));
    VEDETTE_ASSIGN_OR_RETURN(pool->alert_rules,
                             MakeAlertRelabel(pool->config.alert_relabel_configs));
    VEDETTE_ASSIGN_OR_RETURN(pool->client, MakeNotifyClient(pool->config.http));
    const std::string name = StrCat("config-", i);
    jobs.emplace(name, pool->config.discovery);
    next.emplace(name, std::move(pool));
  }
  sender.SetRelabel(std::move(relabel));
  {
    MutexLock lock(mu);
    pools = std::move(next);
  }
  VEDETTE_RETURN_IF_ERROR(discovery.ApplyConfig(jobs));
  SetEndpoints(*discovery.snapshot());
  return {};
}

void AlertPipeline::Parts::SetEndpoints(const TargetGroups& groups) {
  std::vector<notify::AlertmanagerEndpoint> endpoints;
  std::vector<std::string> left_out;
  {
    MutexLock lock(mu);
    for (const auto& [name, list] : groups) {
      const auto at = pools.find(name);
      if (at == pools.end()) continue;
      const AlertmanagerPool& pool = *at->second;
      for (const TargetGroup& group : list) {
        for (const Labels& target : group.targets) {
          const std::string url = UrlOf(pool, group, target);
          if (url.empty()) {
            left_out.emplace_back(target.Get("__address__"));
            continue;
          }
          endpoints.push_back({.url = url,
                               .client = pool.client,
                               .timeout_ms = pool.config.timeout_ms,
                               .relabel = pool.alert_rules});
        }
      }
    }
    dropped = std::move(left_out);
  }
  sender.SetEndpoints(std::move(endpoints));
}

Status AlertPipeline::Apply(const config::PrometheusConfig& config) {
  VEDETTE_RETURN_IF_ERROR(parts_->LoadAlertmanagers(config.alerting));
  if (parts_->options.alertmanager_config_file.empty()) return {};
  return parts_->LoadReceivers();
}

void AlertPipeline::Take(std::vector<Alert> alerts) {
  if (parts_->KeepsAlerts()) {
    const Status status = parts_->alerting.Put(alerts);
    // What the disk refuses is told all the same.
    if (!status.ok()) log::Warn("alerts left out or not on the disk", {{"err", status}});
  }
  parts_->sender.Send(std::move(alerts));
}

alerting::Alerting& AlertPipeline::alerting() { return parts_->alerting; }

api::AlertmanagerUrls AlertPipeline::alertmanagers() const {
  api::AlertmanagerUrls urls;
  urls.active = parts_->sender.Urls();
  MutexLock lock(parts_->mu);
  urls.dropped = parts_->dropped;
  return urls;
}

void AlertPipeline::Stop() {
  if (!parts_) return;
  parts_->discovery.Stop();
  parts_->alerting.Stop();
  parts_->sender.Stop();
}

}  // namespace vedette
