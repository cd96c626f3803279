#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/http/client.h"
#include "common/http/client_options.h"
#include "server/discovery/aws_credentials.h"

namespace vedette {

// SignedClient is an HTTP client that signs by SigV4, with keys from where AWS' own programs look for
// them: the configuration, the environment, a web identity token, the shared files, the role of the
// machine; role_arn is assumed with those. Keys are looked for at the first request and replaced
// before they end, and looked for once more when a peer refuses them (401, 403).
//
// Thread-safe.
class SignedClient {
 public:
  SignedClient(http::ClientOptions options, const config::Sigv4Config& config);

  // Failures are http::Client's, and those of looking for keys: FAILED_PRECONDITION says where.
  Result<http::ClientResponse> Do(const http::ClientRequest& request,
                                  const std::atomic<bool>* cancelled) VEDETTE_EXCLUDES(mu_);

 private:
  // The client for the keys of the moment; not `refused`, if there are others by now.
  Result<std::shared_ptr<http::Client>> Current(const http::Client* refused) VEDETTE_EXCLUDES(mu_);

  const http::ClientOptions options_;  // But for the keys.
  // Held while keys are looked for: the other senders could do nothing without them either.
  Mutex mu_;
  discovery::AwsCredentials credentials_ VEDETTE_GUARDED_BY(mu_);
  std::string region_ VEDETTE_GUARDED_BY(mu_);
  // Signs with one set of keys; replaced with them.
  std::shared_ptr<http::Client> client_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette
