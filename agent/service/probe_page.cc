#include "agent/service/probe_page.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "agent/probe/probe.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/exposition/writer.h"

namespace vedette::agent {
namespace {

constexpr char kTextType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr double kDefaultSeconds = 120;
constexpr double kOffsetSeconds = 0.5;
constexpr double kMysqlDefaultSeconds = 10;
constexpr double kMysqlOffsetSeconds = 0.25;

// What Prometheus says it waits, less `offset`; `most` where it says nothing.
int64_t TimeoutMs(const http::Request& request, double most, double offset) {
  const std::string header(request.headers.Get("X-Prometheus-Scrape-Timeout-Seconds"));
  double seconds = header.empty() ? most : std::strtod(header.c_str(), nullptr);
  if (!(seconds > 0) || seconds > kDefaultSeconds) seconds = most;
  if (seconds > 2 * offset) seconds -= offset;
  return static_cast<int64_t>(seconds * 1000);
}

int StatusOf(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return 400;
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kResourceExhausted:
      return 503;
    default:
      return 500;
  }
}

void ProbeMysql(MysqlTargets* targets, const http::Request& request, http::Response& response) {
  if (targets == nullptr) {
    response.SetError(400, "auth_module is a section of a my.cnf: start the agent with "
                           "--mysql.probe-config-file=FILE or --config.my-cnf=FILE");
    return;
  }
  MysqlTargets::Request wanted{
      .target = std::string(request.query.Get("target")),
      .collectors = request.query.All("collect[]"),
      .timeout_ms = TimeoutMs(request, kMysqlDefaultSeconds, kMysqlOffsetSeconds)};
  if (const auto module = request.query.Get("auth_module"); !module.empty()) {
    wanted.auth_module = module;
  }
  const Result<MysqlTargets::Answer> answer = targets->Probe(wanted);
  if (!answer.ok()) {
    response.SetError(StatusOf(answer.status().code()), answer.status().message());
    return;
  }
  const exposition::WriteOptions write{.blank_labels = &answer->blanks};
  response.SetBody(kTextType, exposition::WriteText(answer->families, write));
}

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
  const ProbeResult result = RunProbe(module->second, target,
                                      TimeoutMs(request, kDefaultSeconds, kOffsetSeconds));
  std::string text = exposition::WriteText(result.families);
  if (request.query.Get("debug") == "true") {
    text = StrCat("Logs for the probe:\n", result.log, "\n\n\nMetrics that would have been returned:\n",
                  text);
    response.SetBody("text/plain; charset=utf-8", std::move(text));
    return;
  }
  response.SetBody(kTextType, std::move(text));
}

}  // namespace

void AddProbePage(http::Router& router, ProbePageOptions options) {
  const auto shared = std::make_shared<const ProbePageOptions>(std::move(options));
  router.Handle("GET", "/probe", [shared](const http::Request& q, http::Response& r) {
    const bool blackbox = q.query.Has("module");
    const bool mysql = q.query.Has("auth_module") || q.query.Has("collect[]");
    if (blackbox && mysql) {
      r.SetError(400, "module is of a probe, auth_module and collect[] of a MySQL server: give one");
    } else if (mysql || (shared->mysql_first && !blackbox)) {
      ProbeMysql(shared->mysql, q, r);
    } else {
      Probe(shared->modules, q, r);
    }
  });
}

}  // namespace vedette::agent
