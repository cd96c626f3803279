#include "agent/service/pages.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

#include "agent/service/families.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/protobuf.h"
#include "common/exposition/writer.h"

namespace vedette::agent {
namespace {

constexpr int64_t kDefaultTimeoutMs = 10'000;
// Two scrapers that meet share one collection; a person who reloads sees a new one.
constexpr int64_t kMaxAgeMs = 200;

int StatusOf(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return 400;
    case StatusCode::kDeadlineExceeded:
      return 503;
    default:
      return 500;
  }
}

// Prometheus says how long it waits; a tenth of it is left for the way.
int64_t TimeoutOf(const http::Request& request) {
  const std::string_view text = request.headers.Get("X-Prometheus-Scrape-Timeout-Seconds");
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds > 0.1)) {
    return kDefaultTimeoutMs;
  }
  return static_cast<int64_t>(std::min(seconds, 3600.0) * 900);
}

// The text of the last whole collection, for the next.
struct LastText {
  Mutex mu;
  exposition::KeptText text VEDETTE_GUARDED_BY(mu);
};

void Metrics(SnapshotTaker& taker, LastText& last, const http::Request& request,
             http::Response& response) {
  TakeOptions options{.timeout_ms = TimeoutOf(request),
                      .max_age_ms = kMaxAgeMs,
                      .sources = request.params.All("source[]"),
                      .collectors = request.params.All("collect[]"),
                      .exclude_collectors = request.params.All("exclude[]")};
  if (!options.collectors.empty() && !options.exclude_collectors.empty()) {
    response.SetError(400, "collect[] and exclude[] do not go together");
    return;
  }
  auto taken = taker.Take(options);
  if (!taken.ok()) {
    response.SetError(StatusOf(taken.status().code()), taken.status().message());
    return;
  }
  const exposition::Negotiated negotiated =
      exposition::NegotiateAccept(request.headers.Get("Accept"));
  const exposition::WriteOptions write{.allow_utf8 = negotiated.allow_utf8,
                                       .blank_labels = &(*taken)->blanks};
  std::string body;
  const bool text = negotiated.protocol == exposition::Protocol::kText1_0_0 ||
                    negotiated.protocol == exposition::Protocol::kText0_0_4;
  if (const auto borrowed = text ? BorrowedFamilies((*taken)->snapshot) : std::nullopt) {
    if (options.filtered()) {
      for (const MetricFamily* family : *borrowed) exposition::AppendText(body, *family, write);
    } else {
      MutexLock lock(last.mu);
      body = last.text.Write(*borrowed, write);
    }
    response.SetBody(negotiated.content_type, std::move(body));
    return;
  }
  const std::vector<MetricFamily> families = MergedFamilies((*taken)->snapshot);
  switch (negotiated.protocol) {
    case exposition::Protocol::kPrometheusProto:
      body = exposition::WriteProtobuf(families);
      break;
    case exposition::Protocol::kOpenMetrics1_0_0:
    case exposition::Protocol::kOpenMetrics0_0_1:
      body = exposition::WriteOpenMetrics(families, write);
      break;
    case exposition::Protocol::kText1_0_0:
    case exposition::Protocol::kText0_0_4:
      body = exposition::WriteText(families, write);
      break;
  }
  response.SetBody(negotiated.content_type, std::move(body));
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string LandingPage(const SnapshotTaker& taker, const std::string& telemetry_path) {
  std::string out = StrCat(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Vedette agent</title>"
      "</head><body><h1>Vedette agent</h1><p><a href=\"",
      Escaped(telemetry_path),
      "\">Metrics</a></p><table><tr><th>source</th><th>collector</th></tr>");
  for (const Source& source : taker.sources()) {
    for (const auto& collector : source.collectors) {
      StrAppend(out, "<tr><td>", Escaped(source.name), "</td><td>", Escaped(collector->name()),
                "</td></tr>");
    }
  }
  return out + "</table></body></html>\n";
}

}  // namespace

http::Router MakePages(SnapshotTaker& taker, std::string telemetry_path) {
  http::Router router;
  const auto last = std::make_shared<LastText>();
  router.Handle("GET", telemetry_path, [&taker, last](const http::Request& q, http::Response& r) {
    Metrics(taker, *last, q, r);
  });
  router.Handle("GET", "/-/healthy",
                [](const http::Request&, http::Response& r) {
                  r.SetBody("text/plain; charset=utf-8", "Vedette agent is healthy.\n");
                },
                {.open = true});
  if (telemetry_path != "/") {
    router.Handle("GET", "/", [&taker, telemetry_path](const http::Request&, http::Response& r) {
      r.SetBody("text/html; charset=utf-8", LandingPage(taker, telemetry_path));
    });
  }
  router.Decorate(http::SecurityHeaders(
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"));
  return router;
}

}  // namespace vedette::agent
