#include "server/notify/alertmanager_sender.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "server/template/time_format.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

Json Object(const Labels& labels) {
  Json out = Json::object();
  for (const Label& l : labels) out[std::string(l.name)] = std::string(l.value);
  return out;
}

std::string Body(const std::vector<Alert>& alerts) {
  Json out = Json::array();
  for (const Alert& a : alerts) {
    Json one = {{"labels", Object(a.labels)},
                {"annotations", Object(a.annotations)},
                {"startsAt", tmpl::FormatRfc3339(a.starts_at_ms)}};
    if (a.ends_at_ms != 0) one["endsAt"] = tmpl::FormatRfc3339(a.ends_at_ms);
    one["generatorURL"] = a.generator_url;
    out.push_back(std::move(one));
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Relabel(const std::function<bool(Alert&)>& relabel, std::vector<Alert>& alerts) {
  if (!relabel) return;
  std::erase_if(alerts, [&](Alert& a) { return !relabel(a); });
}

}  // namespace

AlertmanagerSender::AlertmanagerSender(SenderOptions options, const Clock& clock)
    : options_(options), clock_(clock) {}

AlertmanagerSender::~AlertmanagerSender() { Stop(); }

void AlertmanagerSender::SetEndpoints(std::vector<AlertmanagerEndpoint> endpoints) {
  auto next = std::make_shared<const std::vector<AlertmanagerEndpoint>>(std::move(endpoints));
  auto fresh = std::make_shared<std::vector<AlertmanagerEndpoint>>();
  MutexLock lock(mu_);
  for (const AlertmanagerEndpoint& e : *next) {
    const auto same = [&](const AlertmanagerEndpoint& old) { return old.url == e.url; };
    if (std::ranges::none_of(*endpoints_, same)) fresh->push_back(e);
  }
  endpoints_ = std::move(next);
  if (fresh->empty()) return;
  const int64_t now_ms = clock_.NowMs();
  std::erase_if(going_on_, [&](const auto& a) { return a.second.resolved_at(now_ms); });
  Batch batch{.alerts = {}, .endpoints = fresh};
  for (const auto& [labels, alert] : going_on_) {
    batch.alerts.push_back(alert);
    if (batch.alerts.size() < options_.batch_size) continue;
    greetings_.push_back(std::exchange(batch, {.alerts = {}, .endpoints = fresh}));
  }
  if (!batch.alerts.empty()) greetings_.push_back(std::move(batch));
  changed_.NotifyAll();
}

void AlertmanagerSender::Remember(const Alert& alert) {
  const int64_t now_ms = clock_.NowMs();
  if (alert.resolved_at(now_ms)) {
    going_on_.erase(alert.labels);
    return;
  }
  if (going_on_.size() >= options_.queue_capacity && !going_on_.contains(alert.labels)) {
    std::erase_if(going_on_, [&](const auto& a) { return a.second.resolved_at(now_ms); });
    if (going_on_.size() >= options_.queue_capacity) return;
  }
  going_on_.insert_or_assign(alert.labels, alert);
}

void AlertmanagerSender::SetRelabel(std::function<bool(Alert&)> relabel) {
  MutexLock lock(mu_);
  relabel_ = std::move(relabel);
}

void AlertmanagerSender::Send(std::vector<Alert> alerts) {
  std::function<bool(Alert&)> relabel;
  {
    MutexLock lock(mu_);
    relabel = relabel_;
  }
  Relabel(relabel, alerts);
  MutexLock lock(mu_);
  if (endpoints_->empty()) {  // Nobody is asked for; nothing is lost.
    for (const Alert& a : alerts) Remember(a);
    return;
  }
  for (Alert& a : alerts) queue_.push_back(std::move(a));
  while (queue_.size() > options_.queue_capacity) {
    queue_.pop_front();
    ++counts_.dropped;
  }
  changed_.NotifyAll();
}

AlertmanagerSender::Batch AlertmanagerSender::TakeBatch() {
  Batch out;
  MutexLock lock(mu_);
  if (!greetings_.empty()) {
    out = std::move(greetings_.front());
    greetings_.pop_front();
    return out;
  }
  while (!queue_.empty() && out.alerts.size() < options_.batch_size) {
    Remember(queue_.front());
    out.alerts.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  out.endpoints = endpoints_;
  return out;
}

bool AlertmanagerSender::SendBatch() {
  const auto [batch, endpoints] = TakeBatch();
  if (batch.empty()) return false;
  uint64_t errors = 0;
  bool told = false;
  const std::string body = Body(batch);
  for (const AlertmanagerEndpoint& e : *endpoints) {
    std::string own_body;
    size_t told_of = batch.size();
    if (e.relabel) {
      std::vector<Alert> own = batch;
      Relabel(e.relabel, own);
      told_of = own.size();
      if (own.empty()) {
        told = true;
        continue;
      }
      own_body = Body(own);
    }
    const int64_t began_ns = clock_.MonotonicNs();
    const SendOutcome outcome = PostAndJudge(e.client,
                                             {.url = e.url,
                                              .headers = {{"Content-Type", "application/json"}},
                                              .body = e.relabel ? own_body : body,
                                              .timeout_ms = e.timeout_ms},
                                             "alertmanager", clock_.NowMs());
    if (options_.asked) {
      options_.asked(e.url, told_of, outcome.status.ok(),
                     static_cast<double>(clock_.MonotonicNs() - began_ns) / 1e9);
    }
    told |= outcome.status.ok();
    errors += outcome.status.ok() ? 0 : batch.size();
  }
  MutexLock lock(mu_);
  counts_.errors += errors;
  (told ? counts_.sent : counts_.dropped) += batch.size();
  return true;
}

void AlertmanagerSender::SendQueued() {
  while (SendBatch()) {
  }
}

void AlertmanagerSender::Work() {
  while (true) {
    {
      MutexLock lock(mu_);
      while (Idle() && !stopping_) changed_.Wait(mu_);
      if (stopping_ && (Idle() || !options_.drain_on_shutdown)) return;
    }
    (void)SendBatch();  // Whether there was anything does not matter here.
  }
}

void AlertmanagerSender::Start() {
  thread_ = std::thread([this] { Work(); });
  (void)pthread_setname_np(thread_.native_handle(), "alertmanagers");
}

void AlertmanagerSender::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::vector<std::string> AlertmanagerSender::Urls() const {
  MutexLock lock(mu_);
  std::vector<std::string> out;
  for (const AlertmanagerEndpoint& e : *endpoints_) out.push_back(e.url);
  return out;
}

SenderCounts AlertmanagerSender::counts() const {
  MutexLock lock(mu_);
  return counts_;
}

size_t AlertmanagerSender::queued() const {
  MutexLock lock(mu_);
  return queue_.size();
}

}  // namespace vedette::notify
