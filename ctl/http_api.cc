#include "ctl/http_api.h"

#include <cstdlib>
#include <utility>

#include "common/base/strings.h"
#include "common/http/client.h"

namespace vedette::ctl {
namespace {

constexpr size_t kMaxQuoted = 2000;

StatusCode CodeOf(int status) {
  switch (status) {
    case 400:
    case 422:
      return StatusCode::kInvalidArgument;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    default:
      return StatusCode::kUnavailable;
  }
}

}  // namespace

std::string PercentEncoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    const auto u = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      StrAppend(out, '%', kHex[u >> 4], kHex[u & 15]);
    }
  }
  return out;
}

void HttpApi::FillDefaults() {
  if (url.empty()) {
    const char* from_environment = std::getenv("VEDETTE_URL");
    url = from_environment != nullptr ? from_environment : "http://localhost:9090";
  }
  if (url.find("://") == std::string::npos) url = "http://" + url;
  while (url.ends_with('/')) url.pop_back();
}

Result<std::string> HttpApi::Call(const std::string& method, const std::string& path,
                                  const std::string& body) const {
  http::ClientOptions options;
  options.user_agent = "vedettectl";
  options.timeout_ms = timeout_ms;
  options.username = username;
  options.password_file = password_file;
  options.credentials_file = token_file;
  options.tls.ca_file = ca_file;
  options.tls.cert_file = cert_file;
  options.tls.key_file = key_file;
  options.tls.insecure_skip_verify = insecure_skip_verify;
  http::Client client(std::move(options));
  http::ClientRequest request;
  request.method = method;
  request.url = url + path;
  request.body = body;
  request.max_body_bytes = 256 << 20;
  if (!body.empty()) request.headers.Set("Content-Type", "application/json");
  Result<http::ClientResponse> answer = client.Do(request);
  if (!answer.ok()) return answer.status();
  if (answer->status / 100 == 2) return std::move(answer->body);
  std::string words(Trim(std::string_view(answer->body).substr(0, kMaxQuoted)));
  return Status(CodeOf(answer->status), StrCat(http::SafeUrl(url), " answered ", answer->status,
                                               words.empty() ? "" : ": ", words));
}

}  // namespace vedette::ctl
