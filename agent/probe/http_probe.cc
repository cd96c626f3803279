#include <re2/re2.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "agent/probe/address.h"
#include "agent/probe/prober.h"
#include "agent/probe/stream.h"
#include "common/base/strings.h"
#include "common/http/client.h"
#include "common/http/client_options.h"
#include "common/http/from_config.h"

namespace vedette::agent {
namespace {

constexpr int64_t kMaxBodyBytes = 64 << 20;

struct Url {
  std::string whole, host, port;
  bool tls = false;
};

Url ParseUrl(const std::string& target) {
  Url url;
  url.whole = target.starts_with("http://") || target.starts_with("https://")
                  ? target
                  : "http://" + target;
  url.tls = url.whole.starts_with("https://");
  std::string_view rest = std::string_view(url.whole).substr(url.tls ? 8 : 7);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  std::tie(url.host, url.port) = SplitHostPort(rest);
  if (url.port.empty()) url.port = url.tls ? "443" : "80";
  return url;
}

double HttpTime(std::string_view text) {
  tm utc{};
  const std::string copy(text);
  return strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S", &utc) == nullptr
             ? 0
             : static_cast<double>(timegm(&utc));
}

bool Matches(const Regex& regex, std::string_view text) {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex);
}

bool BodyIsRight(const HttpModule& module, const std::string& body, ProbeRun& run) {
  for (const Regex& regex : module.fail_if_body_matches) {
    if (Matches(regex, body)) return run.Fail(StrCat("the body matches ", regex->pattern()));
  }
  for (const Regex& regex : module.fail_if_body_not_matches) {
    if (!Matches(regex, body)) {
      return run.Fail(StrCat("the body does not match ", regex->pattern()));
    }
  }
  return true;
}

bool HeadersAreRight(const HttpModule& module, const http::Headers& headers, ProbeRun& run) {
  const auto any = [&](const HeaderMatch& match, bool& there) {
    bool found = false;
    for (const auto& [name, value] : headers) {
      if (!http::EqualsIgnoreCase(name, match.header)) continue;
      there = true;
      found = found || Matches(match.regex, value);
    }
    return found;
  };
  for (const HeaderMatch& match : module.fail_if_header_matches) {
    bool there = false;
    const bool found = any(match, there);
    if (!there && !match.allow_missing) return run.Fail(StrCat("no header ", match.header));
    if (found) return run.Fail(StrCat("header ", match.header, " matches"));
  }
  for (const HeaderMatch& match : module.fail_if_header_not_matches) {
    bool there = false;
    const bool found = any(match, there);
    if (!there && !match.allow_missing) return run.Fail(StrCat("no header ", match.header));
    if (there && !found) return run.Fail(StrCat("header ", match.header, " does not match"));
  }
  return true;
}

}  // namespace

bool ProbeHttp(const HttpModule& module, const std::string& target, ProbeRun& run) {
  const Url url = ParseUrl(target);
  MetricSink& sink = run.sink;
  // Names are looked up by us, too, so that the address can be told and checked; behind a proxy the
  // proxy's business.
  double lookup_seconds = 0;
  const bool proxied = !module.http.proxy.proxy_url.empty();
  http::ClientOptions options = http::ToClientOptions(module.http);
  std::optional<Address> address;
  if (!proxied) {
    const auto looked = ProbeRun::Clock::now();
    address = Resolve(url.host, url.port, module.ip, run);
    lookup_seconds = SecondsSince(looked);
  }
  if (address) {
    options.resolve = StrCat(url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]",
                             ":", url.port, ":",
                             address->ip6 ? "[" + address->text + "]" : address->text);
  }
  options.timeout_ms = std::max<int64_t>(run.left_ms(), 1);
  options.connect_timeout_ms = options.timeout_ms;
  options.max_body_bytes = module.body_size_limit_bytes > 0
                               ? static_cast<int64_t>(module.body_size_limit_bytes)
                               : kMaxBodyBytes;
  options.user_agent = "vedette-agent probe";
  options.accept_compressed = false;
  http::Client client(std::move(options));
  http::ClientRequest request;
  request.method = module.method;
  request.url = url.whole;
  request.body = module.body;
  request.detailed = true;
  for (const auto& [name, value] : module.headers) request.headers.Add(name, value);
  // What a target without an address says is zeros.
  const Result<http::ClientResponse> answer =
      proxied || address ? client.Do(request) : Result<http::ClientResponse>(Unavailable("no address"));

  http::ClientDetail detail;
  if (answer.ok()) detail = answer->detail;
  sink.Family("probe_http_duration_seconds", MetricType::kGauge,
              "What the phases of the request took, over all redirects, in seconds.");
  sink.Add({{"phase", "resolve"}}, lookup_seconds + detail.resolve_seconds);
  if (proxied || address) {
    sink.Add({{"phase", "connect"}}, detail.connect_seconds);
    sink.Add({{"phase", "tls"}}, detail.tls_seconds);
    sink.Add({{"phase", "processing"}}, detail.processing_seconds);
    sink.Add({{"phase", "transfer"}}, detail.transfer_seconds);
  }
  sink.Gauge("probe_http_redirects", "Redirects that were followed.", detail.redirects);
  sink.Gauge("probe_http_status_code", "The status that was answered; 0: none was.",
             answer.ok() ? answer->status : 0);
  double version = 0;
  if (answer.ok()) version = std::atof(detail.http_version.c_str());
  sink.Gauge("probe_http_version", "The version of HTTP that was answered in.", version);
  const bool ssl = answer.ok() && answer->final_url.starts_with("https://");
  sink.Gauge("probe_http_ssl", "1 if the last answer came over TLS.", ssl ? 1 : 0);
  double length = 0;
  if (answer.ok()) {
    const std::string_view text = answer->headers.Get("Content-Length");
    length = text.empty() ? -1 : std::atof(std::string(text).c_str());
  }
  sink.Gauge("probe_http_content_length",
             "The answer's Content-Length; -1: it has none; 0: there was no answer.", length);
  sink.Gauge("probe_http_uncompressed_body_length", "Bytes of the answer's body.",
             answer.ok() ? static_cast<double>(answer->body.size()) : 0);
  if (answer.ok()) {
    if (const double modified = HttpTime(answer->headers.Get("Last-Modified")); modified > 0) {
      sink.Gauge("probe_http_last_modified_timestamp_seconds",
                 "Last-Modified of the answer, in seconds since the Unix epoch.", modified);
    }
  }
  // The certificate is looked at by a handshake of our own: that works where the request failed
  // because of it, too.
  if (url.tls && address && run.left_ms() > 0) {
    auto stream = Stream::Connect(*address, run.left_ms());
    if (stream.ok()) {
      const Result<TlsFacts> facts = (*stream)->StartTls(module.http.tls, url.host, run.left_ms());
      if (facts.ok()) AddTlsMetrics(*facts, sink);
    }
  }
  bool regex_failed = false;
  bool success = true;
  if (!answer.ok()) {
    success = run.Fail(answer.status().message());
  } else {
    const std::vector<int>& codes = module.valid_status_codes;
    const bool good = codes.empty() ? answer->status >= 200 && answer->status < 300
                                    : std::ranges::find(codes, answer->status) != codes.end();
    if (!good) success = run.Fail(StrCat("status ", answer->status, " is not a valid one"));
    if (success && !module.valid_http_versions.empty()) {
      const std::string name = StrCat("HTTP/", detail.http_version);
      const auto& wanted = module.valid_http_versions;
      if (std::ranges::find(wanted, name) == wanted.end()) {
        success = run.Fail(StrCat(name, " is not a valid version"));
      }
    }
    if (success && (!HeadersAreRight(module, answer->headers, run) ||
                    !BodyIsRight(module, answer->body, run))) {
      success = false;
      regex_failed = true;
    }
    if (ssl && module.fail_if_ssl) success = run.Fail("the last answer came over TLS");
    if (!ssl && module.fail_if_not_ssl) success = run.Fail("the last answer came without TLS");
  }
  sink.Gauge("probe_failed_due_to_regex", "1 if a regular expression made the probe fail.",
             regex_failed ? 1 : 0);
  return success;
}

}  // namespace vedette::agent
