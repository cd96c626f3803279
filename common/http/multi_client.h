#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/http/body_buffers.h"
#include "common/http/client.h"

namespace vedette::http {

// MultiClient runs many requests at once on two threads of its own: a thousand targets cost a
// thousand sockets, not a thousand threads. Plain GETs over TCP are PlainLoop's, everything else is
// curl's (its multi interface).
//
//   MultiClient multi("scrape");
//   uint64_t id = multi.Submit(options, {.url = url}, [](Result<ClientResponse> answer) { ... });
//   ...
//   VEDETTE_RETURN_IF_ERROR(DecodeBody(*answer, max_body_bytes, &multi.buffers()));
//   Use(answer->body);
//   multi.buffers().Give(std::move(answer->body));
//
// `done` runs exactly once, on a thread of the client: it must be quick and may Submit. That is why
// the body comes as it was sent, Content-Encoding and all: to decode it is the caller's. Idle
// connections are shared by all requests to one host. No OAuth2 (UNIMPLEMENTED). Thread-safe.
class MultiClient {
 public:
  using Done = std::function<void(Result<ClientResponse> answer)>;

  explicit MultiClient(std::string name, int max_connections = 2048);
  ~MultiClient();  // Requests under way end with CANCELLED.
  MultiClient(const MultiClient&) = delete;
  MultiClient& operator=(const MultiClient&) = delete;

  uint64_t Submit(std::shared_ptr<const ClientOptions> options, ClientRequest request, Done done);
  // Its `done` gets CANCELLED, unless it has run or is running.
  void Cancel(uint64_t id);
  BodyBuffers& buffers();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::http
