#include "common/config/register_secrets.h"

#include <fstream>
#include <iterator>
#include <string_view>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/config/yaml_node.h"
#include "common/log/log.h"

namespace vedette::config {
namespace {

constexpr size_t kMostBytes = 16 << 20;
// A shorter path ("/hook") is not worth hiding, and would be hidden in texts that mean another.
constexpr size_t kLeastPath = 12;

std::string Content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.size() <= kMostBytes ? text : std::string();
}

// Whole; of an address also what an answer may quote of it: the path, where the token is.
void Register(std::string_view secret) {
  secret = Trim(secret);
  log::RegisterSecret(secret);
  const size_t scheme = secret.find("://");
  if (scheme == std::string_view::npos) return;
  RegisterUrlSecrets(secret);
  const size_t path = secret.find('/', scheme + 3);
  if (path != std::string_view::npos && secret.size() - path >= kLeastPath) {
    log::RegisterSecret(secret.substr(path));
  }
}

// `masked` is `plain` after MaskSecrets: where they differ, there is a secret.
void Walk(const YamlNode& plain, const YamlNode& masked, const std::string& directory) {
  if (plain.kind == YamlNode::Kind::kScalar) {
    RegisterUrlSecrets(plain.scalar);
    if (masked.scalar == "<secret>") Register(plain.scalar);
  }
  const YamlNode* user = plain.Find("username");
  const YamlNode* password = plain.Find("password");
  if (user != nullptr && password != nullptr) RegisterPassword(user->scalar, password->scalar);
  for (size_t i = 0; i < plain.items.size() && i < masked.items.size(); ++i) {
    Walk(plain.items[i], masked.items[i], directory);
    constexpr std::string_view kFile = "_file";
    if (plain.kind != YamlNode::Kind::kMap || !plain.keys[i].scalar.ends_with(kFile)) continue;
    const std::string& key = plain.keys[i].scalar;
    // Of certificates and names nothing is hidden.
    if (key == "ca_file" || key == "cert_file" || key == "key_file" || key == "username_file") continue;
    const std::string& path = plain.items[i].scalar;
    if (path.empty()) continue;
    const std::string content = Content(path[0] == '/' ? path : directory + path);
    Register(content);
    if (key == "password_file" && user != nullptr) RegisterPassword(user->scalar, Trim(content));
  }
}

}  // namespace

void RegisterSecrets(const std::string& path) {
  const Result<YamlNode> plain = ParseYaml(Content(path), path);
  if (!plain.ok()) return;
  YamlNode masked = *plain;
  MaskSecrets(masked);
  const size_t slash = path.rfind('/');
  Walk(*plain, masked, slash == std::string::npos ? "" : path.substr(0, slash + 1));
}

}  // namespace vedette::config
