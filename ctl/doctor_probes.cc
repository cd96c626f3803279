#include "ctl/doctor_probes.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/config/yaml_node.h"

namespace vedette::ctl {
namespace {

using config::YamlNode;
using Json = nlohmann::json;

// Where a service is that is not told to be elsewhere.
constexpr std::pair<std::string_view, std::string_view> kServices[] = {
    {"slack_configs", "hooks.slack.com:443"},
    {"pagerduty_configs", "events.pagerduty.com:443"},
    {"opsgenie_configs", "api.opsgenie.com:443"},
    {"victorops_configs", "alert.victorops.com:443"},
    {"pushover_configs", "api.pushover.net:443"},
    {"telegram_configs", "api.telegram.org:443"},
    {"discord_configs", "discord.com:443"},
    {"webex_configs", "webexapis.com:443"},
    {"wechat_configs", "qyapi.weixin.qq.com:443"},
};

// "host:port" of an http or https URL; "" for anything else.
std::string AddressOf(std::string_view url) {
  std::string_view port;
  if (url.starts_with("http://")) port = "80";
  if (url.starts_with("https://")) port = "443";
  if (port.empty()) return "";
  std::string_view host = url.substr(url.find("://") + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  host = host.substr(host.rfind('@') + 1);  // npos + 1 is 0.
  const bool has_port = host.rfind(':') != std::string_view::npos && !host.ends_with(']');
  return has_port ? std::string(host) : StrCat(host, ":", port);
}

bool Mentions(const YamlNode& node, std::string_view key) {
  if (node.Find(key) != nullptr) return true;
  return std::ranges::any_of(node.items, [&](const YamlNode& n) { return Mentions(n, key); });
}

// One integration: its own address, else global's, else the service's.
void AddIntegration(const YamlNode& item, const YamlNode* global, std::string_view kind,
                    std::set<std::string>& out) {
  if (Mentions(item, "proxy_url") || Mentions(item, "proxy_from_environment")) return;
  bool secret = false;
  for (const char* key : {"url", "api_url", "webhook_url", "app_url", "smarthost"}) {
    const YamlNode* value = item.Find(key);
    if (value == nullptr) continue;
    secret |= value->scalar == "<secret>";
    const std::string address =
        std::string_view(key) == "smarthost" ? value->scalar : AddressOf(value->scalar);
    if (address.empty()) continue;
    out.insert(address);
    return;
  }
  const std::string prefix(kind.substr(0, kind.find('_')));
  const std::string names[] = {kind == "email_configs" ? "smtp_smarthost" : prefix + "_api_url",
                               prefix + "_url"};
  for (const std::string& name : names) {
    const YamlNode* value = global == nullptr || secret ? nullptr : global->Find(name);
    if (value == nullptr) continue;
    const std::string address =
        kind == "email_configs" ? value->scalar : AddressOf(value->scalar);
    if (address.empty()) continue;
    out.insert(address);
    return;
  }
  for (const auto& [service, address] : kServices) {
    if (service == kind) out.insert(std::string(address));
  }
}

// $job, ${job:regex}, [[job]] and Grafana's macros become text that parses wherever they stand.
std::string WithoutVariables(std::string_view expression) {
  std::string out;
  for (size_t i = 0; i < expression.size();) {
    size_t end = i;
    std::string_view name;
    if (expression.substr(i, 2) == "${") {
      end = expression.find('}', i);
      if (end != std::string_view::npos) name = expression.substr(i + 2, end++ - i - 2);
    } else if (expression.substr(i, 2) == "[[") {
      end = expression.find("]]", i);
      if (end != std::string_view::npos) name = expression.substr(i + 2, end - i - 2), end += 2;
    } else if (expression[i] == '$') {
      end = i + 1;
      while (end < expression.size() && (std::isalnum(static_cast<unsigned char>(expression[end])) ||
                                         expression[end] == '_')) {
        ++end;
      }
      name = expression.substr(i + 1, end - i - 1);
    }
    if (name.empty()) {
      out += expression[i++];
      continue;
    }
    // Where a duration stands, in brackets or after offset, only one will do.
    const bool duration = out.ends_with('[') || out.ends_with(':') || out.ends_with("offset ") ||
                          name.find("interval") != std::string_view::npos ||
                          name.find("range") != std::string_view::npos;
    out += duration ? "5m" : "1";
    i = end;
  }
  return out;
}

void Collect(const Json& node, std::vector<std::string>& out) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      if (key == "expr" && value.is_string()) {
        out.push_back(WithoutVariables(value.get<std::string>()));
      }
    }
  }
  if (node.is_structured()) {
    for (const Json& child : node) Collect(child, out);
  }
}

}  // namespace

std::set<std::string> ReceiverAddresses(std::string_view alertmanager_yaml) {
  std::set<std::string> out;
  const Result<YamlNode> root = config::ParseYaml(alertmanager_yaml, "alertmanager.yml");
  if (!root.ok()) return out;
  const YamlNode* receivers = root->Find("receivers");
  if (receivers == nullptr) return out;
  const YamlNode* global = root->Find("global");
  if (global != nullptr && Mentions(*global, "proxy_url")) return out;
  for (const YamlNode& receiver : receivers->items) {
    for (size_t i = 0; i < receiver.keys.size(); ++i) {
      const std::string& kind = receiver.keys[i].scalar;
      if (!kind.ends_with("_configs")) continue;
      for (const YamlNode& item : receiver.items[i].items) AddIntegration(item, global, kind, out);
    }
  }
  return out;
}

Status Reach(const std::string& address, int64_t timeout_ms) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return InvalidArgument(StrCat(address, ": no port"));
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
      error != 0) {
    return Unavailable(StrCat(address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  int error = 0;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    const int fd = ::socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    error = ::connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
      socklen_t size = sizeof error;
      if (::poll(&wait, 1, static_cast<int>(timeout_ms)) != 1) {
        error = ETIMEDOUT;
      } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
    ::close(fd);
    if (error == 0) return {};
  }
  return Unavailable(StrCat(address, ": ", std::strerror(error)));
}

std::vector<std::string> DashboardExpressions(std::string_view json) {
  std::vector<std::string> out;
  Collect(Json::parse(json, nullptr, /*allow_exceptions=*/false), out);
  return out;
}

}  // namespace vedette::ctl
