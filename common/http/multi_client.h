#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/http/client.h"

namespace vedette::http {

// MultiClient runs many requests at once on one thread of its own (curl's multi interface): a
// thousand targets cost a thousand sockets, not a thousand threads.
//
//   MultiClient multi("scrape");
//   uint64_t id = multi.Submit(options, {.url = url}, std::move(buffer),
//                              [](Result<ClientResponse> answer) { ... });
//
// `buffer` becomes the answer's body, keeping its capacity, so a target can hand in the same one
// every time. `done` runs exactly once, on the client's thread: it must be quick and may Submit.
// Idle connections are shared by all requests to one host. No OAuth2 (UNIMPLEMENTED). Thread-safe.
class MultiClient {
 public:
  using Done = std::function<void(Result<ClientResponse> answer)>;

  explicit MultiClient(std::string name, int max_connections = 2048);
  ~MultiClient();  // Requests under way end with CANCELLED.
  MultiClient(const MultiClient&) = delete;
  MultiClient& operator=(const MultiClient&) = delete;

  uint64_t Submit(std::shared_ptr<const ClientOptions> options, ClientRequest request,
                  std::string buffer, Done done);
  // Its `done` gets CANCELLED, unless it has run or is running.
  void Cancel(uint64_t id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::http
