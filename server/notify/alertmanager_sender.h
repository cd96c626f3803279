#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/alert.h"
#include "common/model/labels.h"
#include "server/notify/http_port.h"

namespace vedette::notify {

// --alertmanager.*
struct SenderOptions {
  size_t queue_capacity = 10'000;
  size_t batch_size = 256;
  bool drain_on_shutdown = true;
  // Told of each request: to whom, with how many alerts, whether it was taken, how long it took.
  // Called by the sender's thread, without a lock; may be empty.
  std::function<void(const std::string& url, size_t alerts, bool taken, double seconds)> asked;
};

// One external Alertmanager: where, and how to reach it.
struct AlertmanagerEndpoint {
  std::string url;  // http://host:9093/prefix/api/v2/alerts
  HttpClient client;
  int64_t timeout_ms = 10'000;
  // alert_relabel_configs of this endpoint's group; false drops the alert. Unset: as it is.
  std::function<bool(Alert&)> relabel;
};

struct SenderCounts {
  uint64_t sent = 0;
  uint64_t errors = 0;
  uint64_t dropped = 0;  // The queue was full, or nobody could be reached.
};

// AlertmanagerSender posts alerts to external Alertmanagers, in API v2's form, to every endpoint: a
// batch counts as told when one of them took it. Nothing is retried, because the ruler tells every
// alert again; what overflows the queue is dropped from its old end, and counted. An endpoint that
// was not there before is told at once what goes on, so that an alert that is older than its
// discovery does not wait until the ruler tells it again.
//
// Own thread ("alertmanagers") between Start and Stop. Thread-safe.
class AlertmanagerSender {
 public:
  AlertmanagerSender(SenderOptions options, const Clock& clock);
  ~AlertmanagerSender();

  // From discovery, at any time.
  void SetEndpoints(std::vector<AlertmanagerEndpoint> endpoints) VEDETTE_EXCLUDES(mu_);
  // `relabel`: alerting.alert_relabel_configs, for all endpoints.
  void SetRelabel(std::function<bool(Alert&)> relabel) VEDETTE_EXCLUDES(mu_);

  void Send(std::vector<Alert> alerts) VEDETTE_EXCLUDES(mu_);
  // Sends what is queued on the caller's thread; what the thread does.
  void SendQueued() VEDETTE_EXCLUDES(mu_);

  void Start();
  void Stop() VEDETTE_EXCLUDES(mu_);

  std::vector<std::string> Urls() const VEDETTE_EXCLUDES(mu_);
  SenderCounts counts() const VEDETTE_EXCLUDES(mu_);
  size_t queued() const VEDETTE_EXCLUDES(mu_);

 private:
  using Endpoints = std::shared_ptr<const std::vector<AlertmanagerEndpoint>>;

  // Some alerts, and whom to tell them.
  struct Batch {
    std::vector<Alert> alerts;
    Endpoints endpoints;
  };
  Batch TakeBatch() VEDETTE_EXCLUDES(mu_);
  bool SendBatch() VEDETTE_EXCLUDES(mu_);
  void Remember(const Alert& alert) VEDETTE_REQUIRES(mu_);
  bool Idle() const VEDETTE_REQUIRES(mu_) { return queue_.empty() && greetings_.empty(); }
  void Work() VEDETTE_EXCLUDES(mu_);

  const SenderOptions options_;
  const Clock& clock_;
  mutable Mutex mu_;
  CondVar changed_;
  Endpoints endpoints_ VEDETTE_GUARDED_BY(mu_) =
      std::make_shared<const std::vector<AlertmanagerEndpoint>>();
  std::function<bool(Alert&)> relabel_ VEDETTE_GUARDED_BY(mu_);
  std::deque<Alert> queue_ VEDETTE_GUARDED_BY(mu_);
  // What has been taken out of the queue, or came while there was nobody to tell, and goes on.
  std::unordered_map<Labels, Alert, LabelsHash> going_on_ VEDETTE_GUARDED_BY(mu_);
  std::deque<Batch> greetings_ VEDETTE_GUARDED_BY(mu_);  // To new endpoints.
  SenderCounts counts_ VEDETTE_GUARDED_BY(mu_);
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace vedette::notify
