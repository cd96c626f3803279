#include "server/signed_client.h"

#include <utility>

#include "server/discovery_parts.h"

namespace vedette {
namespace {

http::ClientOptions WithService(http::ClientOptions options, const config::Sigv4Config& config) {
  http::SigV4Options& sign = options.sigv4.emplace();
  if (!config.service_name.empty()) sign.service = config.service_name;
  return options;
}

}  // namespace

SignedClient::SignedClient(http::ClientOptions options, const config::Sigv4Config& config)
    : options_(WithService(std::move(options), config)),
      credentials_({.access_key = config.access_key,
                    .secret_key = config.secret_key.Reveal(),
                    .profile = config.profile,
                    .role_arn = config.role_arn,
                    .external_id = config.external_id,
                    .use_fips_sts_endpoint = config.use_fips_sts_endpoint},
                   {.http = MakeDiscoveryHttp(), .env = discovery::ProcessEnvironment()}),
      region_(config.region) {}

Result<std::shared_ptr<http::Client>> SignedClient::Current(const http::Client* refused) {
  MutexLock lock(mu_);
  if (region_.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(region_, credentials_.Region());
  }
  // Another sender may have replaced them since.
  if (refused != nullptr && client_.get() == refused) credentials_.Forget();
  VEDETTE_ASSIGN_OR_RETURN(const discovery::AwsCredentials::Keys keys, credentials_.Get(region_));
  if (client_ != nullptr) {
    const http::SigV4Options& now = *client_->options().sigv4;
    if (now.access_key == keys.access_key && now.secret_key == keys.secret_key &&
        now.session_token == keys.session_token) {
      return client_;
    }
  }
  http::ClientOptions options = options_;
  options.sigv4->region = region_;
  options.sigv4->access_key = keys.access_key;
  options.sigv4->secret_key = keys.secret_key;
  options.sigv4->session_token = keys.session_token;
  client_ = std::make_shared<http::Client>(std::move(options));
  return client_;
}

Result<http::ClientResponse> SignedClient::Do(const http::ClientRequest& request,
                                              const std::atomic<bool>* cancelled) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<http::Client> client, Current(nullptr));
  Result<http::ClientResponse> answer = client->Do(request, cancelled);
  if (!answer.ok() || (answer->status != 401 && answer->status != 403)) return answer;
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<http::Client> other, Current(client.get()));
  if (other == client) return answer;
  return other->Do(request, cancelled);
}

}  // namespace vedette
