#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/exposition/negotiate.h"
#include "common/wire/pull.h"
#include "server/storage/key_value.h"

namespace vedette::scrape {

// What a source hands over, in the order in which it comes. Views are valid during the call only.
class SourceSink {
 public:
  virtual ~SourceSink() = default;

  // A whole exposition.
  virtual Status OnBody(std::string_view body, exposition::Protocol protocol) = 0;

  // A frame of an agent: `backlog` when it is one that was kept while nobody asked. `t_ms` is its
  // time by the server's clock.
  virtual Status OnFrame(const wire::PullFrame& frame, int64_t t_ms, bool backlog) = 0;

  // A kept frame that is in the storage already: only what it says about layouts counts, as later
  // frames build on that.
  virtual Status OnKnownFrame(const wire::PullFrame& frame) = 0;

  // The agent's stream began anew: what positions meant before is forgotten.
  virtual void OnStreamStart() = 0;
};

// Source is how a target is read: over HTTP, or through an agent's stream. One per target; one
// scrape at a time: Start, its `fetched`, Deliver.
class Source {
 public:
  virtual ~Source() = default;

  struct Request {
    int64_t t_ms = 0;        // The instant this scrape is for.
    int64_t timeout_ms = 0;  // The answer is worth nothing after so long.
    int64_t interval_ms = 0;
  };
  using Fetched = std::function<void(Status)>;

  // Asks for a scrape and returns at once. `fetched` runs exactly once, on any thread, perhaps
  // before this returns.
  virtual void Start(const Request& request, Fetched fetched) = 0;

  // After an OK `fetched`: hands what came to `sink`, on the caller's thread. What the sink refused
  // comes back as it is.
  virtual Status Deliver(SourceSink& sink) = 0;

  // After an OK `fetched`: what came is so little work that the thread which brought it had better
  // do it (Deliver, and the commit) than wake another.
  virtual bool brief() const { return false; }

  // After a good Deliver: a pair that belongs into the commit of what it handed over, such as how
  // far an agent has been read: both are in the storage or neither is.
  virtual std::optional<storage::KeyValue::Change> Receipt() { return std::nullopt; }

  // After a good Deliver: is what it handed over in the storage? An agent forgets what has arrived,
  // so a source that was told no asks for it again.
  virtual void Stored(bool stored) { (void)stored; }

  // Makes a scrape under way end soon, with CANCELLED.
  virtual void Cancel() = 0;

  // The next scrape says everything anew: what its reader remembered is forgotten.
  virtual void Reset() {}

  // Size of the last body after decompression; -1 if unknown.
  virtual int64_t body_bytes() const { return -1; }
  // The same as it came over the network, compressed or not.
  virtual int64_t wire_bytes() const { return body_bytes(); }
};

}  // namespace vedette::scrape
