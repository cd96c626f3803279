#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxContentBytes = 2048;
constexpr int64_t kTokenLifetimeMs = 7'000'000;  // WeChat gives 7200 s.
constexpr int kTokenExpired = 42001;
constexpr int kTokenInvalid = 40014;

// The token that the secret buys, kept until it is too old or refused. Thread-safe.
class Wechat {
 public:
  Wechat(config::WechatConfig config, NotifyContext context, HttpClient client)
      : c_(std::move(config)), context_(std::move(context)), client_(std::move(client)) {}

  SendOutcome Send(const Notification& n, int64_t left_ms) VEDETTE_EXCLUDES(mu_) {
    Expander expand(*context_.templates,
                    MessageData(n, context_.templates->external_url(), Escape::kNone));
    const std::string content = TruncateBytes(expand(c_.message), kMaxContentBytes);
    Json body;
    body[c_.message_type] = {{"content", content}};
    body["touser"] = expand(c_.to_user);
    body["toparty"] = expand(c_.to_party);
    body["totag"] = expand(c_.to_tag);
    body["agentid"] = expand(c_.agent_id);
    body["safe"] = "0";
    body["msgtype"] = c_.message_type;
    const std::string corp = expand(c_.corp_id);
    if (!expand.status().ok()) return {expand.status().Annotate("wechat"), false, 0};

    std::string token;
    if (SendOutcome got = FreshToken(corp, left_ms, token); !got.status.ok()) return got;
    const HttpPost post{.url = StrCat(Base(), "message/send?access_token=", PercentEncode(token)),
                        .headers = {{"Content-Type", "application/json"}},
                        .body = body.dump(-1, ' ', false, Json::error_handler_t::replace),
                        .timeout_ms = TimeoutOf(c_, left_ms)};
    HttpReply reply;
    SendOutcome outcome = PostAndJudge(client_, post, "wechat", context_.clock->NowMs(), &reply);
    if (!outcome.status.ok()) return outcome;
    const int code = ErrorOf(reply);
    if (code == 0) return {};
    if (code == kTokenExpired || code == kTokenInvalid) {
      MutexLock lock(mu_);
      token_.clear();
      return {Unauthenticated("wechat: the access token has expired"), true, 0};
    }
    return {InvalidArgument(StrCat("wechat: answered errcode ", code)), false, 0};
  }

 private:
  std::string Base() const { return c_.api_url.ends_with('/') ? c_.api_url : c_.api_url + "/"; }

  static int ErrorOf(const HttpReply& reply) {
    const Json json = Json::parse(reply.body, nullptr, false);
    return json.is_object() && json.contains("errcode") && json["errcode"].is_number_integer()
               ? json["errcode"].get<int>()
               : -1;
  }

  SendOutcome FreshToken(const std::string& corp, int64_t left_ms, std::string& token)
      VEDETTE_EXCLUDES(mu_) {
    const int64_t now_ms = context_.clock->NowMs();
    {
      MutexLock lock(mu_);
      if (!token_.empty() && now_ms < good_until_ms_) {
        token = token_;
        return {};
      }
    }
    Result<std::string> secret = SecretOrFile(c_.api_secret, c_.api_secret_file);
    if (!secret.ok()) return {secret.status().Annotate("wechat"), true, 0};
    const HttpPost ask{.method = "GET",
                       .url = StrCat(Base(), "gettoken?corpid=", PercentEncode(corp),
                                     "&corpsecret=", PercentEncode(*secret)),
                       .timeout_ms = TimeoutOf(c_, left_ms)};
    HttpReply reply;
    SendOutcome outcome = PostAndJudge(client_, ask, "wechat token", now_ms, &reply);
    if (!outcome.status.ok()) return outcome;
    const Json json = Json::parse(reply.body, nullptr, false);
    if (json.is_object() && json.contains("access_token") && json["access_token"].is_string()) {
      token = json["access_token"].get<std::string>();
    }
    if (token.empty()) {
      return {PermissionDenied(StrCat("wechat: no access token: errcode ", ErrorOf(reply))), false,
              0};
    }
    MutexLock lock(mu_);
    token_ = token;
    good_until_ms_ = now_ms + kTokenLifetimeMs;
    return {};
  }

  const config::WechatConfig c_;
  const NotifyContext context_;
  const HttpClient client_;
  Mutex mu_;
  std::string token_ VEDETTE_GUARDED_BY(mu_);
  int64_t good_until_ms_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace

Result<Integration> MakeWechat(const config::WechatConfig& config, const NotifyContext& context) {
  const std::string_view texts[] = {config.message, config.to_user,  config.to_party,
                                    config.to_tag,  config.agent_id, config.corp_id};
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto wechat = std::make_shared<Wechat>(config, context, client);
  return Integration{.name = "wechat",
                     .send_resolved = config.send_resolved,
                     .send = [wechat](const Notification& n, int64_t left_ms) {
                       return wechat->Send(n, left_ms);
                     }};
}

}  // namespace vedette::notify
