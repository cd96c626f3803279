#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/http/body_buffers.h"
#include "common/http/client.h"

namespace vedette::http {

// A request of a MultiClient on its way.
struct Order {
  uint64_t id = 0;
  std::shared_ptr<const ClientOptions> options;
  ClientRequest request;
  std::function<void(Result<ClientResponse> answer)> done;
};

// PlainLoop does the one thing that most scrapes are, a GET over plain TCP to an address that is
// known, on one thread and without libcurl, which spends more on such an exchange than the storing
// of what it brings. Everything else it refers to somebody who knows how to do it: host names that
// are not looked up yet, redirects, and whatever goes wrong before an answer is complete, so that
// errors are found and named in one place only.
//
// Content-Encoding is left as it came. Thread-safe.
class PlainLoop {
 public:
  // Called on the loop's thread, or where Submit is, with a lock held: it only takes a note.
  using Refer = std::function<void(Order order)>;

  PlainLoop(std::string name, BodyBuffers& buffers, Refer refer);
  ~PlainLoop();  // Requests under way end with CANCELLED.

  // Whether it would be tried here: a plain GET, no proxy, no credentials.
  static bool Takes(const ClientOptions& options, const ClientRequest& request);
  // Requires Takes(). Sends at once; `done` runs on the loop's thread.
  void Submit(Order order);
  // CANCELLED for one that is here. Whoever may have been referred to cancels here first: what is
  // referred meanwhile is there before the second call.
  void Cancel(uint64_t id);
  // `address`, an IP address, was where a request to this URL went. Good for a minute.
  void Learn(std::string_view url, std::string_view address);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::http
