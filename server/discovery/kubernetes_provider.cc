#include "server/discovery/kubernetes_provider.h"

#include <utility>

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "common/http/message.h"
#include "server/discovery/json_value.h"
#include "server/discovery/kubernetes_objects.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kTimeoutMs = 30'000;
constexpr int kPageSize = 500;
constexpr int kMaxPages = 1'000;
constexpr char kAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

const char* PathOf(std::string_view kind) {
  return kind == "endpointslices" ? "/apis/discovery.k8s.io/v1" : "/api/v1";
}

}  // namespace

std::vector<std::string> KubernetesProvider::Namespaces() const {
  std::vector<std::string> names = config_.namespaces;
  if (config_.own_namespace) {
    const Result<std::string> own = config::ReadConfigFile(StrCat(kAccount, "namespace"));
    if (own.ok()) names.emplace_back(Trim(*own));
  }
  return names;
}

Result<std::vector<std::string>> KubernetesProvider::List(const std::string& base,
                                                          const std::string& kind,
                                                          const std::string& selector_role,
                                                          const std::string& scope) const {
  std::vector<std::string> pages;
  std::string next;
  bool whole = false;
  for (int page = 0; page < kMaxPages; ++page) {
    http::Params query;
    if (!whole) query.Add("limit", StrCat(kPageSize));
    if (!next.empty()) query.Add("continue", next);
    for (const config::KubernetesSelector& s : config_.selectors) {
      if (s.role != selector_role) continue;
      if (!s.label.empty()) query.Add("labelSelector", s.label);
      if (!s.field.empty()) query.Add("fieldSelector", s.field);
    }
    HttpCall call;
    call.url = StrCat(base, PathOf(kind), scope.empty() ? "" : StrCat("/namespaces/", scope), "/",
                      kind, "?", query.Encode());
    call.headers["Accept"] = "application/json";
    call.http = config_.http;
    call.timeout_ms = kTimeoutMs;
    if (config_.api_server.empty()) {
      call.http.authorization = config::AuthorizationConfig{.credentials_file = StrCat(kAccount, "token")};
      call.http.tls.ca_file = StrCat(kAccount, "ca.crt");
    }
    const Result<Json> answer = AskJson(http_, call, "Kubernetes");
    if (!answer.ok() && answer.status().code() == StatusCode::kOutOfRange && !next.empty()) {
      // The API server forgets the state that a list began with after some minutes, a busy one sooner:
      // once more, all in one.
      whole = true;
      next.clear();
      pages.clear();
      continue;
    }
    if (!answer.ok()) return answer.status();
    const Json& json = *answer;
    next = Text(Member(json, "metadata"), "continue");
    pages.push_back(Member(json, "items").dump());
    if (next.empty()) return pages;
  }
  return ResourceExhausted(StrCat("Kubernetes: more than ", kMaxPages, " pages of ", kind));
}

Result<std::vector<TargetGroup>> KubernetesProvider::Refresh(Status&) {
  std::string base = config_.api_server;
  if (base.empty()) {
    const std::string host = env_("KUBERNETES_SERVICE_HOST");
    if (host.empty()) {
      return FailedPrecondition(
          "no api_server in the configuration, and not inside a cluster: KUBERNETES_SERVICE_HOST "
          "is not set");
    }
    base = StrCat("https://", host, ":", env_("KUBERNETES_SERVICE_PORT"));
  }
  while (base.ends_with('/')) base.pop_back();

  std::vector<std::string> scopes = {""};
  if (config_.role != "node") {
    if (std::vector<std::string> names = Namespaces(); !names.empty()) scopes = std::move(names);
  }
  std::vector<TargetGroup> groups;
  for (const std::string& scope : scopes) {
    const auto each = [&](const std::string& kind, const std::string& role,
                          const auto& take) -> Status {
      VEDETTE_ASSIGN_OR_RETURN(const std::vector<std::string> pages,
                               List(base, kind, role, scope));
      for (const std::string& page : pages) {
        for (Json& item : Json::parse(page)) take(item);
      }
      return {};
    };
    const auto index = [&](const std::string& kind, const std::string& role,
                           KubernetesObjects& out) {
      return each(kind, role, [&](Json& item) {
        std::string key = KubernetesKey(item);
        out.emplace(std::move(key), std::move(item));
      });
    };
    if (config_.role == "node") {
      VEDETTE_RETURN_IF_ERROR(
          each("nodes", "node", [&](const Json& item) { groups.push_back(NodeGroup(item)); }));
    } else if (config_.role == "pod") {
      VEDETTE_RETURN_IF_ERROR(
          each("pods", "pod", [&](const Json& item) { groups.push_back(PodGroup(item)); }));
    } else if (config_.role == "service") {
      VEDETTE_RETURN_IF_ERROR(each("services", "service", [&](const Json& item) {
        groups.push_back(ServiceGroup(item));
      }));
    } else {
      KubernetesObjects services, pods;
      VEDETTE_RETURN_IF_ERROR(index("services", "service", services));
      VEDETTE_RETURN_IF_ERROR(index("pods", "pod", pods));
      if (config_.role == "endpoints") {
        VEDETTE_RETURN_IF_ERROR(each("endpoints", "endpoints", [&](const Json& item) {
          groups.push_back(EndpointsGroup(item, services, pods));
        }));
      } else {
        VEDETTE_RETURN_IF_ERROR(each("endpointslices", "endpointslice", [&](const Json& item) {
          groups.push_back(EndpointSliceGroup(item, services, pods));
        }));
      }
    }
  }
  return groups;
}

}  // namespace vedette::discovery
