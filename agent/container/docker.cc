#include "agent/container/docker.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/http/client.h"
#include "common/http/client_options.h"

namespace vedette::agent {
namespace {

constexpr int64_t kMaxAnswerBytes = 16 << 20;

// What /containers/json answers. Fields that are missing or of another type are left empty.
Result<std::vector<ContainerInfo>> ParseContainers(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return DataLoss("the answer of the container runtime is no JSON list");
  std::vector<ContainerInfo> out;
  for (const auto& c : json) {
    if (!c.is_object()) continue;
    ContainerInfo info;
    if (c.contains("Id") && c["Id"].is_string()) info.id = c["Id"].get<std::string>();
    if (c.contains("Image") && c["Image"].is_string()) info.image = c["Image"].get<std::string>();
    if (c.contains("Names") && c["Names"].is_array() && !c["Names"].empty() &&
        c["Names"][0].is_string()) {
      info.name = c["Names"][0].get<std::string>();
      if (info.name.starts_with('/')) info.name.erase(0, 1);
    }
    if (c.contains("Created") && c["Created"].is_number()) {
      info.created_seconds = c["Created"].get<double>();
    }
    if (c.contains("Labels") && c["Labels"].is_object()) {
      for (const auto& [k, v] : c["Labels"].items()) {
        if (v.is_string()) info.labels[k] = v.get<std::string>();
      }
    }
    if (!info.id.empty()) out.push_back(std::move(info));
  }
  return out;
}

struct Docker {
  Docker(http::ClientOptions options, int64_t max_age_ms)
      : client(std::move(options)), max_age_ms(max_age_ms) {}
  http::Client client;
  const int64_t max_age_ms;
  Mutex mu;
  std::vector<ContainerInfo> last VEDETTE_GUARDED_BY(mu);
  int64_t asked_ns VEDETTE_GUARDED_BY(mu) = 0;
};

}  // namespace

ContainerList DockerContainers(std::string socket_path, int64_t timeout_ms, int64_t max_age_ms) {
  http::ClientOptions options;
  options.unix_socket = socket_path;
  options.timeout_ms = timeout_ms;
  options.connect_timeout_ms = timeout_ms;
  options.follow_redirects = false;
  options.max_body_bytes = kMaxAnswerBytes;
  auto docker = std::make_shared<Docker>(std::move(options), max_age_ms);
  return [docker, socket_path]() -> Result<std::vector<ContainerInfo>> {
    MutexLock lock(docker->mu);
    const int64_t now = SystemClock().MonotonicNs();
    if (docker->asked_ns != 0 && now - docker->asked_ns < docker->max_age_ms * 1'000'000) {
      return docker->last;
    }
    auto answer = docker->client.Do({.url = "http://localhost/containers/json"});
    if (!answer.ok()) return answer.status().Annotate(socket_path);
    if (answer->status != 200) {
      return Unavailable(StrCat(socket_path, ": the container runtime answered ", answer->status));
    }
    VEDETTE_ASSIGN_OR_RETURN(docker->last, ParseContainers(answer->body));
    docker->asked_ns = now;
    return docker->last;
  };
}

}  // namespace vedette::agent
