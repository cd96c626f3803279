#include "agent/service/probe_page.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "agent/probe/probe.h"
#include "common/base/strings.h"
#include "common/exposition/writer.h"

namespace vedette::agent {
namespace {

constexpr double kDefaultSeconds = 120;
constexpr double kOffsetSeconds = 0.5;

void Probe(const ProbeModules& modules, const http::Request& request, http::Response& response) {
  std::string name(request.query.Get("module"));
  if (name.empty()) name = "http_2xx";
  const auto module = modules.find(name);
  if (module == modules.end()) {
    response.SetError(400, StrCat("Unknown module ", Quoted(name)));
    return;
  }
  const std::string target(request.query.Get("target"));
  if (target.empty()) {
    response.SetError(400, "Target parameter is missing");
    return;
  }
  const std::string header(request.headers.Get("X-Prometheus-Scrape-Timeout-Seconds"));
  double seconds = header.empty() ? kDefaultSeconds : std::strtod(header.c_str(), nullptr);
  if (!(seconds > 0) || seconds > kDefaultSeconds) seconds = kDefaultSeconds;
  if (seconds > 2 * kOffsetSeconds) seconds -= kOffsetSeconds;
  const ProbeResult result =
      RunProbe(module->second, target, static_cast<int64_t>(seconds * 1000));
  std::string text = exposition::WriteText(result.families);
  if (request.query.Get("debug") == "true") {
    text = StrCat("Logs for the probe:\n", result.log, "\n\n\nMetrics that would have been returned:\n",
                  text);
    response.SetBody("text/plain; charset=utf-8", std::move(text));
    return;
  }
  response.SetBody("text/plain; version=0.0.4; charset=utf-8", std::move(text));
}

}  // namespace

void AddProbePage(http::Router& router, ProbeModules modules) {
  const auto shared = std::make_shared<const ProbeModules>(std::move(modules));
  router.Handle("GET", "/probe", [shared](const http::Request& q, http::Response& r) {
    Probe(*shared, q, r);
  });
}

}  // namespace vedette::agent
