#include "server/remote_out.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "common/config/prometheus.h"
#include "common/http/client.h"
#include "server/scrape/http_source.h"
#include "server/signed_client.h"

namespace vedette {
namespace {

// An answer is read for its status and the first words of an error.
constexpr int64_t kMaxAnswerBytes = 1 << 20;

// Retry-After in seconds; a date, which few receivers send, counts as one second.
int64_t RetryAfterMs(std::string_view header) {
  if (header.empty()) return 0;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  const bool number = error == std::errc() && end == header.data() + header.size() && seconds >= 0;
  return number ? std::min<int64_t>(seconds, 3600) * 1000 : 1000;
}

Result<remote::Post> MakePost(const config::RemoteWriteConfig& config) {
  http::ClientOptions options = scrape::ToClientOptions(config.http);
  options.timeout_ms = config.remote_timeout_ms;
  options.max_body_bytes = kMaxAnswerBytes;
  options.user_agent = "vedette";
  options.round_robin_dns = config.round_robin_dns;
  using Send = std::function<Result<http::ClientResponse>(const http::ClientRequest& request,
                                                          const std::atomic<bool>* cancelled)>;
  Send send;
  if (config.sigv4) {
    send = [client = std::make_shared<SignedClient>(std::move(options), *config.sigv4)](
               const http::ClientRequest& request, const std::atomic<bool>* cancelled) {
      return client->Do(request, cancelled);
    };
  } else {
    send = [client = std::make_shared<http::Client>(std::move(options))](
               const http::ClientRequest& request, const std::atomic<bool>* cancelled) {
      return client->Do(request, cancelled);
    };
  }
  return remote::Post([send = std::move(send), url = config.url](
                          std::string body, const remote::PostHeaders& headers,
                          const std::atomic<bool>& cancelled) -> Result<remote::PostAnswer> {
    http::ClientRequest request{.method = "POST", .url = url, .body = std::move(body)};
    for (const auto& [name, value] : headers) request.headers.Add(name, value);
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer, send(request, &cancelled));
    remote::PostAnswer out;
    out.status = answer.status;
    out.body = std::move(answer.body);
    out.retry_after_ms = RetryAfterMs(answer.headers.Get("Retry-After"));
    out.partly_written = !answer.headers.Get("X-Prometheus-Remote-Write-Samples-Written").empty();
    return out;
  });
}

}  // namespace

Result<std::unique_ptr<remote::RemoteWrite>> OpenRemoteWrite(tsdb::Tsdb& db,
                                                             storage::Appender& inner,
                                                             uint64_t max_queue_bytes,
                                                             int64_t rewind_ms, const Clock& clock,
                                                             metrics::Registry& registry) {
  remote::RemoteWrite::Options options;
  options.max_queue_bytes = max_queue_bytes;
  options.rewind_ms = rewind_ms;
  options.make_post = MakePost;
  options.safe_url = [](const std::string& url) { return http::SafeUrl(url); };
  return remote::RemoteWrite::Open(std::move(options), inner, db.key_value(), db.metadata(),
                                   clock, registry);
}

}  // namespace vedette
