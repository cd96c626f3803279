#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/metrics/metrics.h"
#include "server/remote/send/delivery.h"
#include "server/remote/send/queue.h"
#include "server/remote/send/queueing_appender.h"
#include "server/remote/send/sender.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"
#include "server/storage/queryable.h"

namespace vedette::remote {

// RemoteWrite is remote write out as a whole: the queue, the appender that fills it, and a sender
// for each entry of remote_write.
//
//   VEDETTE_ASSIGN_OR_RETURN(auto out, RemoteWrite::Open(options, db->appender(), ...));
//   ... writers use out->appender() ...
//   VEDETTE_RETURN_IF_ERROR(out->Apply(config.remote_write, config.global.external_labels));
//
// A destination is known by its name, or by its URL where it has none: that is what its cursor
// belongs to, so changing anything else keeps what waits for it. One that is taken out of the
// configuration is forgotten with its cursor. Thread-safe.
class RemoteWrite {
 public:
  struct Options {
    uint64_t max_queue_bytes = 0;  // 0: no bound.
    int64_t rewind_ms = 10'000;    // Sender::Options.
    std::function<Result<Post>(const config::RemoteWriteConfig&)> make_post;
    // A URL as it may be shown.
    std::function<std::string(const std::string&)> safe_url;
  };

  // All references outlive it.
  static Result<std::unique_ptr<RemoteWrite>> Open(Options options, storage::Appender& inner,
                                                   storage::KeyValue& key_value,
                                                   const storage::MetadataQueryable& metadata,
                                                   const Clock& clock, metrics::Registry& registry);
  ~RemoteWrite();

  storage::Appender& appender() { return appender_; }

  // Starts, keeps, replaces and ends senders. On an error nothing has changed.
  Status Apply(const std::vector<config::RemoteWriteConfig>& configs, const Labels& external_labels)
      VEDETTE_EXCLUDES(mu_);
  // Senders end; the appender goes on queueing for the destinations that there are.
  void Stop() VEDETTE_EXCLUDES(mu_);

 private:
  RemoteWrite(Options options, storage::Appender& inner, storage::KeyValue& key_value,
              const storage::MetadataQueryable& metadata, const Clock& clock,
              metrics::Registry& registry);

  const Options options_;
  const storage::MetadataQueryable& metadata_;
  const Clock& clock_;
  metrics::Registry& registry_;
  Queue queue_;
  QueueingAppender appender_;
  Mutex mu_;
  std::map<std::string, std::unique_ptr<Sender>> senders_ VEDETTE_GUARDED_BY(mu_);
  struct Shown {
    std::string name;
    std::string url;  // Without secrets.
  };
  std::map<std::string, Shown> shown_ VEDETTE_GUARDED_BY(mu_);  // Of each of senders_.
};

}  // namespace vedette::remote
