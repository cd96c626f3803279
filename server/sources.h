#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/http/multi_client.h"
#include "common/rpc/call_queue.h"
#include "common/rpc/event.h"
#include "server/scrape/scrape_manager.h"
#include "server/scrape/source.h"
#include "server/storage/key_value.h"

namespace vedette {

// Sources makes the way to each target: over HTTP, or an agent's stream with the job's
// certificates. It also keeps, for each agent, the cursor of what has been stored of its stream
// ("cursor/TARGET"), so that a restarted server goes on where it stopped. Thread-safe; what it is
// given outlives it, and it outlives the sources.
class Sources {
 public:
  Sources(storage::KeyValue& key_value, rpc::EventSink events, const Clock& clock);

  Result<std::unique_ptr<scrape::Source>> Make(const scrape::Target& target,
                                               const scrape::Job& job);
  // Kept while several sources are started: ScrapeManager::Options::gather.
  std::shared_ptr<void> Gather() VEDETTE_EXCLUDES(mu_);
  // ScrapeManager::Options::at_rest, of the agents' thread.
  void AtRest(std::function<void()> then, int64_t linger_ms) VEDETTE_EXCLUDES(mu_);

 private:
  Result<std::unique_ptr<scrape::Source>> MakeAgent(const scrape::Target& target,
                                                    const scrape::Job& job);
  rpc::CallQueue& Agents() VEDETTE_EXCLUDES(mu_);

  storage::KeyValue& key_value_;
  const rpc::EventSink events_;
  const Clock& clock_;
  http::MultiClient client_{"scrape"};
  Mutex mu_;
  // Made with the first agent: whoever scrapes none has no gRPC in the process.
  std::unique_ptr<rpc::CallQueue> agents_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette
