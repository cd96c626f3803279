#include "server/notify/posting.h"

#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/strings.h"

namespace vedette::notify {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

}  // namespace

int64_t TimeoutOf(const config::IntegrationConfig& config, int64_t left_ms) {
  return config.timeout_ms > 0 ? std::min(config.timeout_ms, left_ms) : left_ms;
}

std::string HashOfGroup(std::string_view group_key) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(group_key.data()), group_key.size(), digest);
  std::string out;
  for (unsigned char c : digest) {
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
  return out;
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    const auto u = static_cast<unsigned char>(c);
    out += '%';
    out += static_cast<char>(kHex[u >> 4] >= 'a' ? kHex[u >> 4] - 32 : kHex[u >> 4]);
    out += static_cast<char>(kHex[u & 15] >= 'a' ? kHex[u & 15] - 32 : kHex[u & 15]);
  }
  return out;
}

std::string FormBody(std::span<const std::pair<std::string, std::string>> fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    StrAppend(out, out.empty() ? "" : "&", PercentEncode(name), "=", PercentEncode(value));
  }
  return out;
}

std::vector<std::string> SplitTrimmed(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (const std::string_view piece : Split(text, separator)) {
    if (!Trim(piece).empty()) out.emplace_back(Trim(piece));
  }
  return out;
}

Result<Integration> MakePosting(const config::IntegrationConfig& config,
                                const NotifyContext& context, Posting posting) {
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, posting.texts));
  posting.texts.clear();  // Views of a configuration that need not live on.
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto shared = std::make_shared<const Posting>(std::move(posting));
  auto send = [shared, context, client, common = config](const Notification& n,
                                                         int64_t left_ms) -> SendOutcome {
    const Posting& p = *shared;
    Expander expand(*context.templates,
                    MessageData(n, context.templates->external_url(), p.escape));
    Result<HttpPost> post = p.compose(n, expand);
    if (!expand.status().ok()) return {expand.status().Annotate(p.name), false, 0};
    if (!post.ok()) {
      return {post.status().Annotate(p.name), post.status().code() == StatusCode::kNotFound, 0};
    }
    post->timeout_ms = TimeoutOf(common, left_ms);
    HttpReply reply;
    SendOutcome outcome = PostAndJudge(client, *post, p.name, context.clock->NowMs(), &reply);
    if (outcome.status.ok() && p.judge) outcome = p.judge(reply);
    return outcome;
  };
  return Integration{.name = shared->name, .send_resolved = config.send_resolved, .send = send};
}

}  // namespace vedette::notify
