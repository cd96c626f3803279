#include "server/remote_out.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "common/config/prometheus.h"
#include "common/http/client.h"
#include "server/scrape/http_source.h"

namespace vedette {
namespace {

// An answer is read for its status and the first words of an error.
constexpr int64_t kMaxAnswerBytes = 1 << 20;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<http::SigV4Options> ToSigV4(const config::Sigv4Config& config) {
  if (!config.role_arn.empty() || !config.profile.empty()) {
    return Unimplemented(
        "sigv4: role_arn and profile are not supported; give access_key and secret_key, or set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the server's environment");
  }
  http::SigV4Options out;
  out.region = config.region.empty() ? Environment("AWS_REGION") : config.region;
  if (out.region.empty()) return InvalidArgument("sigv4: region is missing (or AWS_REGION)");
  if (!config.service_name.empty()) out.service = config.service_name;
  if (config.access_key.empty()) {
    out.access_key = Environment("AWS_ACCESS_KEY_ID");
    out.secret_key = Environment("AWS_SECRET_ACCESS_KEY");
    out.session_token = Environment("AWS_SESSION_TOKEN");
  } else {
    out.access_key = config.access_key;
    out.secret_key = config.secret_key.Reveal();
  }
  if (out.access_key.empty() || out.secret_key.empty()) {
    return InvalidArgument(
        "sigv4: no keys; give access_key and secret_key, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY in the server's environment");
  }
  return out;
}

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
  if (config.sigv4) {
    VEDETTE_ASSIGN_OR_RETURN(options.sigv4, ToSigV4(*config.sigv4));
  }
  auto client = std::make_shared<http::Client>(std::move(options));
  return remote::Post([client, url = config.url](
                          std::string body, const remote::PostHeaders& headers,
                          const std::atomic<bool>& cancelled) -> Result<remote::PostAnswer> {
    http::ClientRequest request{.method = "POST", .url = url, .body = std::move(body)};
    for (const auto& [name, value] : headers) request.headers.Add(name, value);
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer, client->Do(request, &cancelled));
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
