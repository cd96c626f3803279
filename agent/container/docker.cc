#include "agent/container/docker.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/http/client.h"
#include "common/http/client_options.h"

namespace vedette::agent {
namespace {

constexpr int64_t kMaxAnswerBytes = 16 << 20;
// A container that was restarted has a new start.
constexpr int64_t kDetailsNs = 30'000'000'000;

// "Up 3 minutes (healthy)": health is in words only. Without a check there are no parentheses.
std::optional<int> HealthOf(std::string_view status) {
  if (status.find("(healthy)") != std::string_view::npos) return 1;
  if (status.find('(') != std::string_view::npos && status.starts_with("Up")) return 0;
  return -1;
}

// "2026-01-05T10:00:00.123456789Z"; 0 where it is no time.
double SecondsOf(const std::string& text) {
  std::tm date = {};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &date);
  // A container that never started says year 1.
  if (end == nullptr || date.tm_year < 70) return 0;
  return static_cast<double>(timegm(&date));
}

std::string Text(const nlohmann::json& json, const char* key) {
  const auto at = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>() : "";
}

// Podman says it in the details alone: "" or "none" where nobody checks.
std::optional<int> HealthOfState(const nlohmann::json& state) {
  const auto health = state.find("Health");
  if (health == state.end()) return std::nullopt;
  const std::string status = Text(*health, "Status");
  if (status.empty() || status == "none") return std::nullopt;
  return status == "healthy" ? 1 : 0;
}

// What only /containers/ID/json says: when it started, where its files are, podman's health.
void ParseDetails(const std::string& body, ContainerInfo& info) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  if (json.contains("State") && json["State"].is_object()) {
    info.started_seconds = SecondsOf(Text(json["State"], "StartedAt"));
    info.health = HealthOfState(json["State"]);
  }
  if (json.contains("GraphDriver") && json["GraphDriver"].is_object() &&
      json["GraphDriver"].contains("Data")) {
    const std::string upper = Text(json["GraphDriver"]["Data"], "UpperDir");
    if (!upper.empty()) info.folders.push_back(upper);
  }
  const std::string log = Text(json, "LogPath");
  if (const size_t slash = log.rfind('/'); slash != std::string::npos && slash > 0) {
    info.folders.push_back(log.substr(0, slash));
  }
}

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
    info.running = Text(c, "State") == "running";
    if (info.running) info.health = HealthOf(Text(c, "Status"));
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
  // What was said of each container in detail, and when (monotonic).
  std::map<std::string, std::pair<ContainerInfo, int64_t>> details VEDETTE_GUARDED_BY(mu);
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
    struct stat socket = {};
    if (stat(socket_path.c_str(), &socket) != 0) {
      const std::string reason = StrCat(socket_path, ": ", std::strerror(errno));
      return errno == EACCES ? PermissionDenied(reason) : NotFound(reason);
    }
    if (access(socket_path.c_str(), R_OK | W_OK) != 0) {
      return PermissionDenied(StrCat(socket_path, ": ", std::strerror(errno)));
    }
    auto answer = docker->client.Do({.url = "http://localhost/containers/json?all=1"});
    if (!answer.ok()) return answer.status().Annotate(socket_path);
    if (answer->status != 200) {
      return Unavailable(StrCat(socket_path, ": the container runtime answered ", answer->status));
    }
    VEDETTE_ASSIGN_OR_RETURN(docker->last, ParseContainers(answer->body));
    std::map<std::string, std::pair<ContainerInfo, int64_t>> details;
    for (ContainerInfo& info : docker->last) {
      if (!info.running) continue;
      const auto known = docker->details.find(info.id);
      // Health changes without a word in the list.
      const bool only_there = known != docker->details.end() && info.health == -1 &&
                              known->second.first.health.has_value();
      if (known != docker->details.end() && !only_there &&
          now - known->second.second < kDetailsNs) {
        details[info.id] = std::move(known->second);
      } else {
        ContainerInfo one;
        auto more = docker->client.Do(
            {.url = StrCat("http://localhost/containers/", info.id, "/json")});
        if (more.ok() && more->status == 200) ParseDetails(more->body, one);
        details[info.id] = {std::move(one), now};
      }
      info.started_seconds = details[info.id].first.started_seconds;
      info.folders = details[info.id].first.folders;
      if (info.health == -1) info.health = details[info.id].first.health.value_or(-1);
    }
    docker->details = std::move(details);
    docker->asked_ns = now;
    return docker->last;
  };
}

}  // namespace vedette::agent
