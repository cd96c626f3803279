#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/http/client.h"

// What speaks to libcurl's easy interface, for Client, MultiClient and SendMail.
namespace vedette::http {

// Transfer is one curl handle, used for one request after another. Not thread-safe.
class Transfer {
 public:
  Transfer();
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Sets everything for one request. `bearer` is an OAuth2 token or "". `buffer` becomes the body.
  // All three referents, and this, stay where they are until Finish.
  Status Prepare(const ClientOptions& options, const ClientRequest& request,
                 const std::atomic<bool>* cancelled, std::string bearer, std::string buffer);
  // Runs it here and now; then Finish.
  int Perform();
  // Turns curl's code into an answer, its body as it came.
  Result<ClientResponse> Finish(int code);

  void* handle() const;  // CURL*, for the multi interface.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void InitCurl();  // Once a process; again is harmless.

// `curl` is a CURL*. Which certificates and versions of TLS it takes.
Status ApplyTls(void* curl, const TlsClientOptions& tls);

// Fetches a client-credentials token. Blocks.
struct Token {
  std::string value;
  int64_t lifetime_ms = 0;  // 0: not said.
};
Result<Token> FetchToken(const OAuth2Options& options, const ClientOptions& client);

// The text itself, or what the file holds now without white space at its end.
Result<std::string> TextOrFile(const std::string& text, const std::string& file,
                               std::string_view what);

}  // namespace vedette::http
