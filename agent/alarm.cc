#include "agent/alarm.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/model/labels.h"
#include "common/model/notification.h"

namespace vedette::agent {
namespace {

constexpr int64_t kLookMs = 1000;
constexpr int64_t kNsPerMs = 1'000'000;

std::string Rfc3339(int64_t t_ms) {
  const time_t seconds = t_ms / 1000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(text, n);
}

}  // namespace

Alarm::Alarm(Options options, Post post, const Clock& clock)
    : options_(std::move(options)),
      post_(std::move(post)),
      clock_(clock),
      last_scrape_ns_(clock.MonotonicNs()) {}

Alarm::~Alarm() { Stop(); }

void Alarm::Start() {
  MutexLock lock(mu_);
  if (running_) return;
  running_ = true;
  thread_ = std::thread([this] { Work(); });
  pthread_setname_np(thread_.native_handle(), "alarm");
}

void Alarm::Stop() {
  {
    MutexLock lock(mu_);
    running_ = false;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Alarm::Scraped() {
  MutexLock lock(mu_);
  last_scrape_ns_ = clock_.MonotonicNs();
}

std::string Alarm::Body(bool firing, int64_t since_ms, int64_t now_ms) const {
  const Labels labels = Labels::Of({{"alertname", "AgentUnscraped"}, {"node", options_.node}});
  const std::string named =
      StrCat("{\"alertname\":\"AgentUnscraped\",\"node\":", Quoted(options_.node), "}");
  const std::string summary =
      Quoted(firing ? StrCat("Nobody has scraped the agent on ", options_.node, " for ",
                             FormatDuration((now_ms - since_ms) / 1000 * 1000))
                    : StrCat("The agent on ", options_.node, " is scraped again"));
  const std::string notes = StrCat(
      "{\"description\":\"Monitoring of this node is down: look at the server, and at the network "
      "between. The agent keeps what it measures in its ring.\",\"summary\":",
      summary, "}");
  const char* status = firing ? "firing" : "resolved";
  return StrCat(
      "{\"version\":\"4\",\"groupKey\":", Quoted(StrCat("agent:", labels.ToString())),
      ",\"truncatedAlerts\":0,\"status\":\"", status,
      "\",\"receiver\":\"agent\",\"groupLabels\":", named, ",\"commonLabels\":", named,
      ",\"commonAnnotations\":", notes, ",\"externalURL\":\"\",\"alerts\":[{\"status\":\"", status,
      "\",\"labels\":", named, ",\"annotations\":", notes, ",\"startsAt\":\"", Rfc3339(since_ms),
      "\",\"endsAt\":\"", firing ? "0001-01-01T00:00:00Z" : Rfc3339(now_ms),
      "\",\"generatorURL\":\"\",\"fingerprint\":\"", AlertFingerprintText(labels), "\"}]}");
}

int64_t Alarm::TellIfDue() {
  bool firing = false;
  int64_t since_ms = 0;
  const int64_t now_ms = clock_.NowMs();
  {
    MutexLock lock(mu_);
    const int64_t now_ns = clock_.MonotonicNs();
    const int64_t silent_ms = (now_ns - last_scrape_ns_) / kNsPerMs;
    firing = silent_ms >= options_.after_ms;
    if (!firing && !told_) {
      return std::clamp<int64_t>(options_.after_ms - silent_ms, 1, kLookMs);
    }
    if (firing && !told_) since_ms_ = now_ms - silent_ms;
    // News is told at once; the same again, and what nobody took, when its time has come.
    if (now_ns < (firing == told_ ? repeat_at_ns_ : retry_at_ns_)) return kLookMs;
    since_ms = since_ms_;
  }
  const bool taken = post_(Body(firing, since_ms, now_ms)).ok();
  MutexLock lock(mu_);
  if (taken) told_ = firing;
  const int64_t now_ns = clock_.MonotonicNs();
  repeat_at_ns_ = now_ns + (taken ? options_.repeat_ms : options_.retry_ms) * kNsPerMs;
  retry_at_ns_ = taken ? 0 : now_ns + options_.retry_ms * kNsPerMs;
  return kLookMs;
}

void Alarm::Work() {
  for (;;) {
    const int64_t wait_ms = TellIfDue();
    MutexLock lock(mu_);
    if (!running_) return;
    changed_.WaitFor(mu_, wait_ms);
    if (!running_) return;
  }
}

}  // namespace vedette::agent
