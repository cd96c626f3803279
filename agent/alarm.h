#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette::agent {

// Alarm is the dead man's switch seen from the node: when nobody has scraped the agent for a set
// time, monitoring itself is down, and the agent tells so by a webhook of its own; again at each
// `repeat_ms`, and once more when a scrape comes. The message is Alertmanager's webhook, version 4,
// with one alert AgentUnscraped, so whatever reads those reads this.
//
//   Alarm alarm(options, post, clock);
//   alarm.Start();
//   alarm.Scraped();   // At each pull and each GET of /metrics.
//
// Thread-safe.
class Alarm {
 public:
  struct Options {
    std::string node;
    int64_t after_ms = 600'000;
    int64_t repeat_ms = 4 * 3'600'000;
    int64_t retry_ms = 30'000;  // After a message that nobody took.
  };
  // Sends one body; not OK: it is sent again.
  using Post = std::function<Status(const std::string& body)>;

  Alarm(Options options, Post post, const Clock& clock);
  ~Alarm();  // Stops.
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void Start() VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);
  void Scraped() VEDETTE_EXCLUDES(mu_);

  // Tells what is due, and says in how many milliseconds to look again. What the thread does; a
  // test calls it itself.
  int64_t TellIfDue() VEDETTE_EXCLUDES(mu_);

 private:
  void Work() VEDETTE_EXCLUDES(mu_);
  std::string Body(bool firing, int64_t since_ms, int64_t now_ms) const;

  const Options options_;
  const Post post_;
  const Clock& clock_;
  std::thread thread_;
  Mutex mu_;
  CondVar changed_;
  bool running_ VEDETTE_GUARDED_BY(mu_) = false;
  int64_t last_scrape_ns_ VEDETTE_GUARDED_BY(mu_);
  bool told_ VEDETTE_GUARDED_BY(mu_) = false;         // Somebody knows that nobody scrapes.
  int64_t since_ms_ VEDETTE_GUARDED_BY(mu_) = 0;      // When that began.
  int64_t repeat_at_ns_ VEDETTE_GUARDED_BY(mu_) = 0;  // The same again.
  int64_t retry_at_ns_ VEDETTE_GUARDED_BY(mu_) = 0;   // What nobody took.
};

}  // namespace vedette::agent
