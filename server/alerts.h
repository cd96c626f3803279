#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/metrics/metrics.h"
#include "common/model/alert.h"
#include "server/alerting/alerting.h"
#include "server/api/http/rules.h"
#include "server/storage/key_value.h"

namespace vedette {

// AlertPipeline is what becomes of an alert once a rule has found it: routing, grouping, inhibition
// and silences by alerting/, messages by notify/, and beside them the outside Alertmanagers that
// the configuration names. Thread-safe; what it is given outlives it.
class AlertPipeline {
 public:
  struct Options {
    // Empty: nobody is told but the outside Alertmanagers of the configuration. Where that names
    // none, alerts are still grouped and silenced here, for the page.
    std::string alertmanager_config_file;
    std::string external_url;
    int64_t queue_capacity = 10'000;
    int64_t batch_size = 256;
  };

  static Result<std::unique_ptr<AlertPipeline>> Start(const Options& options,
                                                      storage::KeyValue& key_value,
                                                      const Clock& clock,
                                                      metrics::Registry& registry);
  ~AlertPipeline();
  AlertPipeline(const AlertPipeline&) = delete;
  AlertPipeline& operator=(const AlertPipeline&) = delete;

  // Reads --alertmanager.config.file again and takes `config`'s alerting section. A mistake changes
  // nothing.
  Status Apply(const config::PrometheusConfig& config);

  void Take(std::vector<Alert> alerts);

  // What the API shows and changes; without --alertmanager.config.file too, where one receiver that
  // tells nobody takes what is posted. Lives as long as the pipeline.
  alerting::Alerting& alerting();

  api::AlertmanagerUrls alertmanagers() const;

  void Stop();

 private:
  struct Parts;
  explicit AlertPipeline(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace vedette
