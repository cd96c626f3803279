#include "server/notify_ports.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/http/client.h"
#include "common/http/client_options.h"
#include "common/http/smtp.h"
#include "common/log/log.h"
#include "server/scrape/http_source.h"

namespace vedette {
namespace {

constexpr size_t kMostQuotedBytes = 8192;

notify::HttpClient Wrap(http::ClientOptions options) {
  auto client = std::make_shared<http::Client>(std::move(options));
  return [client](const notify::HttpPost& post) -> Result<notify::HttpReply> {
    http::ClientRequest request;
    request.method = post.method;
    request.url = post.url;
    for (const auto& [name, value] : post.headers) request.headers.Add(name, value);
    request.body = post.body;
    request.timeout_ms = post.timeout_ms;
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer, client->Do(request));
    // What is refused is quoted in errors and in the history, and an answer may quote our token.
    if (answer.status / 100 != 2) {
      answer.body.resize(std::min(answer.body.size(), kMostQuotedBytes));
      answer.body = log::MaskSecrets(answer.body);
    }
    return notify::HttpReply{.status = answer.status,
                             .retry_after = std::string(answer.headers.Get("Retry-After")),
                             .body = std::move(answer.body)};
  };
}

}  // namespace

Result<notify::HttpClient> MakeNotifyClient(const config::HttpClientConfig& config) {
  return Wrap(scrape::ToClientOptions(config));
}

Result<notify::HttpClient> MakeSigningNotifyClient(const config::HttpClientConfig& config,
                                                   const notify::AwsKeys& keys) {
  http::ClientOptions options = scrape::ToClientOptions(config);
  options.sigv4 = http::SigV4Options{.region = keys.region,
                                     .service = keys.service,
                                     .access_key = keys.access_key,
                                     .secret_key = keys.secret_key,
                                     .session_token = keys.session_token};
  return Wrap(std::move(options));
}

SendOutcome SendNotifyMail(const notify::Mail& mail) {
  const config::HttpClientConfig tls_only{.tls = mail.tls};
  const Status sent = http::SendMail({.host = mail.host,
                                      .port = mail.port,
                                      .hello = mail.hello,
                                      .implicit_tls = mail.implicit_tls,
                                      .start_tls = mail.start_tls,
                                      .tls = scrape::ToClientOptions(tls_only).tls,
                                      .username = mail.username,
                                      .password = mail.password,
                                      .secret = mail.secret,
                                      .identity = mail.identity,
                                      .from = mail.from,
                                      .to = mail.to,
                                      .message = mail.message,
                                      .timeout_ms = mail.timeout_ms});
  const bool again =
      sent.code() == StatusCode::kUnavailable || sent.code() == StatusCode::kDeadlineExceeded;
  return {sent.Annotate("email"), again, 0};
}

}  // namespace vedette
