#include "server/alerts.h"

#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/http/client.h"
#include "common/log/log.h"
#include "server/alerting/alerting.h"
#include "server/notify/http_port.h"
#include "server/notify/message.h"
#include "server/notify/receiver.h"
#include "server/scrape/http_source.h"

namespace vedette {
namespace {

// What a receiver's HTTP client is made of: the file's http_config over our own client.
Result<notify::HttpClient> MakeClient(const config::HttpClientConfig& config) {
  auto client = std::make_shared<http::Client>(scrape::ToClientOptions(config));
  return notify::HttpClient([client](const notify::HttpPost& post) -> Result<notify::HttpReply> {
    http::ClientRequest request;
    request.method = post.method;
    request.url = post.url;
    for (const auto& [name, value] : post.headers) request.headers.Add(name, value);
    request.body = post.body;
    request.timeout_ms = post.timeout_ms;
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer, client->Do(request));
    return notify::HttpReply{.status = answer.status,
                             .retry_after = std::string(answer.headers.Get("Retry-After")),
                             .body = std::move(answer.body)};
  });
}

Result<std::string> ReadTemplate(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return NotFound(StrCat("template file ", file, " cannot be read"));
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

}  // namespace

struct AlertPipeline::Parts {
  Parts(const Options& o, storage::KeyValue& store, const Clock& c)
      : options(o), clock(c), alerting({}, store, c) {}

  Status LoadReceivers();

  const Options options;
  const Clock& clock;
  alerting::Alerting alerting;
};

AlertPipeline::AlertPipeline(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AlertPipeline::~AlertPipeline() { Stop(); }

Result<std::unique_ptr<AlertPipeline>> AlertPipeline::Start(const Options& options,
                                                            storage::KeyValue& key_value,
                                                            const Clock& clock,
                                                            metrics::Registry& registry) {
  auto parts = std::make_unique<Parts>(options, key_value, clock);
  VEDETTE_RETURN_IF_ERROR(parts->alerting.Load());
  if (!options.alertmanager_config_file.empty()) {
    VEDETTE_RETURN_IF_ERROR(parts->LoadReceivers());
    parts->alerting.Start();
  }
  registry.AddCallback([p = parts.get()](std::vector<MetricFamily>& out) {
    const auto counts = p->alerting.Counts();
    const auto family = [&](std::string_view name, std::string_view help, auto value) {
      MetricFamily f{.name = std::string(name),
                     .metadata = {.type = MetricType::kCounter, .help = std::string(help)}};
      for (const auto& [integration, c] : counts) {
        f.samples.push_back(
            {.labels = Labels::Of({{kMetricNameLabel, name}, {"integration", integration}}),
             .value = static_cast<double>(value(c))});
      }
      out.push_back(std::move(f));
    };
    family("alertmanager_notifications_total", "Notifications that were attempted.",
           [](const alerting::NotifyCounts& c) { return c.sent + c.failed; });
    family("alertmanager_notifications_failed_total", "Notifications that were given up.",
           [](const alerting::NotifyCounts& c) { return c.failed; });
    family("alertmanager_notification_requests_total", "Requests made to send notifications.",
           [](const alerting::NotifyCounts& c) { return c.attempts; });
  });
  return std::unique_ptr<AlertPipeline>(new AlertPipeline(std::move(parts)));
}

Status AlertPipeline::Parts::LoadReceivers() {
  VEDETTE_ASSIGN_OR_RETURN(config::AlertmanagerConfig config,
                           config::LoadAlertmanagerConfig(options.alertmanager_config_file));
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
  context.http = MakeClient;
  context.clock = &clock;
  auto receivers = notify::MakeReceivers(config, context);
  if (!receivers.ok()) return receivers.status().Annotate(config.file);
  return alerting.Update(std::move(config), *std::move(receivers));
}

Status AlertPipeline::Apply(const config::PrometheusConfig& config) {
  if (!config.alerting.alertmanagers.empty()) {
    log::Warn(
        "alerting.alertmanagers is read and not yet served by this build; give the receivers "
        "to --alertmanager.config.file");
  }
  if (parts_->options.alertmanager_config_file.empty()) return {};
  return parts_->LoadReceivers();
}

void AlertPipeline::Take(std::vector<Alert> alerts) {
  if (parts_->options.alertmanager_config_file.empty()) return;
  const Status status = parts_->alerting.Put(std::move(alerts));
  if (!status.ok()) log::Warn("alerts left out", {{"err", status}});
}

api::AlertmanagerUrls AlertPipeline::alertmanagers() const { return {}; }

void AlertPipeline::Stop() {
  if (parts_) parts_->alerting.Stop();
}

}  // namespace vedette
