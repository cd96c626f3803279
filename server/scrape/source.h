#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/exposition/negotiate.h"
#include "common/wire/pull.h"

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

  // The agent's stream began anew: what positions meant before is forgotten.
  virtual void OnStreamStart() = 0;
};

// Source is how a target is read: over HTTP, or through an agent's stream. One per target, used by
// one thread at a time.
class Source {
 public:
  virtual ~Source() = default;

  struct Request {
    int64_t t_ms = 0;        // The instant this scrape is for.
    int64_t timeout_ms = 0;  // The call returns by then, with kDeadlineExceeded if it must.
  };

  // One scrape. Blocks. What the sink refused comes back as it is.
  virtual Status Scrape(const Request& request, SourceSink& sink) = 0;

  // Makes a Scrape that is under way on another thread return soon. For the end of the program.
  virtual void Cancel() {}

  // Bytes of the last answer before decompression and parsing; -1 if unknown.
  virtual int64_t last_body_bytes() const { return -1; }
};

}  // namespace vedette::scrape
