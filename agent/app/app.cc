#include "agent/app/app.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/protobuf.h"
#include "common/exposition/text_parser.h"
#include "common/flags/flags.h"
#include "common/http/client.h"
#include "common/http/client_options.h"
#include "common/model/duration.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

using exposition::Protocol;

constexpr std::array<Protocol, 5> kWanted = {
    Protocol::kPrometheusProto, Protocol::kOpenMetrics1_0_0, Protocol::kOpenMetrics0_0_1,
    Protocol::kText1_0_0, Protocol::kText0_0_4};

class AppCollector final : public Collector {
 public:
  AppCollector(std::string name, Fetch fetch) : name_(std::move(name)), fetch_(std::move(fetch)) {}

  std::string_view name() const override { return name_; }
  bool waits() const override { return true; }

  Status Collect(MetricSink& sink) override {
    VEDETTE_ASSIGN_OR_RETURN(const FetchedPage page, fetch_());
    VEDETTE_ASSIGN_OR_RETURN(const Protocol protocol, exposition::ProtocolOfContentType(
                                                          page.content_type, Protocol::kText0_0_4));
    std::vector<MetricFamily> families;
    switch (protocol) {
      case Protocol::kPrometheusProto:
        VEDETTE_RETURN_IF_ERROR(exposition::ParseProtobuf(
            page.body, {.native_histograms = true, .always_classic = true},
            [&](MetricFamily& family) {
              families.push_back(std::move(family));
              return Status();
            }));
        break;
      case Protocol::kOpenMetrics1_0_0:
      case Protocol::kOpenMetrics0_0_1: {
        VEDETTE_ASSIGN_OR_RETURN(
            families, exposition::ParseText(page.body, exposition::TextDialect::kOpenMetrics));
        break;
      }
      case Protocol::kText1_0_0:
      case Protocol::kText0_0_4: {
        VEDETTE_ASSIGN_OR_RETURN(families,
                                 exposition::ParseText(page.body, exposition::TextDialect::kText));
        break;
      }
    }
    for (MetricFamily& family : families) sink.AddFamily(std::move(family));
    return {};
  }

 private:
  const std::string name_;
  const Fetch fetch_;
};

}  // namespace

Result<AppEndpoint> ParseAppEndpoint(std::string_view text) {
  const std::string where = StrCat("--app.endpoint=", text);
  const std::vector<std::string_view> parts = Split(text, ';');
  const size_t equals = parts[0].find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return InvalidArgument(StrCat(where,
                                  ": expected NAME=URL, such as shop=http://127.0.0.1:8000"
                                  "/metrics"));
  }
  AppEndpoint e;
  e.name = Trim(parts[0].substr(0, equals));
  e.url = Trim(parts[0].substr(equals + 1));
  if (!e.url.starts_with("http://") && !e.url.starts_with("https://")) {
    return InvalidArgument(StrCat(where, ": ", Quoted(e.url), " is no http or https URL"));
  }
  for (const std::string_view reserved : {"host", "container", "mysql"}) {
    if (e.name == reserved) {
      return InvalidArgument(StrCat(where, ": the name ", Quoted(e.name), " is taken"));
    }
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = Trim(parts[i]);
    const size_t at = part.find('=');
    const std::string_view key = part.substr(0, at);
    const std::string_view value = at == std::string_view::npos ? "" : part.substr(at + 1);
    if (key == "timeout") {
      auto timeout = ParseDuration(value);
      if (!timeout.ok()) return timeout.status().Annotate(where);
      e.timeout_ms = *timeout;
    } else if (key == "max-body") {
      auto size = flags::ParseSize(value);
      if (!size.ok()) return size.status().Annotate(where);
      e.max_body_bytes = *size;
    } else if (key == "insecure-skip-verify" && at == std::string_view::npos) {
      e.insecure_skip_verify = true;
    } else {
      const std::pair<std::string_view, std::string*> texts[] = {
          {"unix-socket", &e.unix_socket},
          {"username", &e.username},
          {"password-file", &e.password_file},
          {"bearer-token-file", &e.bearer_token_file},
          {"ca-file", &e.ca_file},
          {"cert-file", &e.cert_file},
          {"key-file", &e.key_file},
          {"server-name", &e.server_name},
      };
      const auto* found =
          std::ranges::find(texts, key, &std::pair<std::string_view, std::string*>::first);
      if (found == std::end(texts) || value.empty()) {
        return InvalidArgument(StrCat(where, ": unknown or empty option ", Quoted(part)));
      }
      *found->second = value;
    }
  }
  return e;
}

Fetch HttpFetch(const AppEndpoint& endpoint) {
  http::ClientOptions options;
  options.timeout_ms = endpoint.timeout_ms;
  options.connect_timeout_ms = endpoint.timeout_ms;
  options.max_body_bytes = endpoint.max_body_bytes;
  options.unix_socket = endpoint.unix_socket;
  options.user_agent = "vedette-agent";
  options.username = endpoint.username;
  options.password_file = endpoint.password_file;
  options.credentials_file = endpoint.bearer_token_file;
  options.tls.ca_file = endpoint.ca_file;
  options.tls.cert_file = endpoint.cert_file;
  options.tls.key_file = endpoint.key_file;
  options.tls.server_name = endpoint.server_name;
  options.tls.insecure_skip_verify = endpoint.insecure_skip_verify;
  options.headers.emplace_back("Accept", exposition::AcceptHeader(kWanted, "allow-utf-8"));
  auto client = std::make_shared<http::Client>(std::move(options));
  return [client, url = endpoint.url]() -> Result<FetchedPage> {
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer, client->Do({.url = url}));
    if (answer.status != 200) {
      return Unavailable(StrCat(http::SafeUrl(url), " answered with status ", answer.status));
    }
    return FetchedPage{std::string(answer.headers.Get("Content-Type")), std::move(answer.body)};
  };
}

std::unique_ptr<Collector> MakeAppCollector(std::string name, Fetch fetch) {
  return std::make_unique<AppCollector>(std::move(name), std::move(fetch));
}

}  // namespace vedette::agent
