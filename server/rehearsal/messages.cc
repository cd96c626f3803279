#include "server/rehearsal/messages.h"

#include <utility>

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "server/notify/receiver.h"

namespace vedette::rehearsal {
namespace {

// What every service takes for a yes.
constexpr const char* kYes =
    R"({"ok":true,"success":true,"errcode":0,"access_token":"rehearsal","issues":[],)"
    R"("channel":"C0","ts":"0"})";

std::string Masked(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
      text.replace(at, secret.size(), "<secret>");
      at += 8;
    }
  }
  return text;
}

}  // namespace

Result<std::map<std::string, std::vector<Integration>>> Recorder::MakeReceivers(
    const config::AlertmanagerConfig& config, const std::string& external_url, const Clock& clock) {
  secrets_ = config::SecretValues(config);
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& file : config.template_files) {
    VEDETTE_ASSIGN_OR_RETURN(std::string text, config::ReadConfigFile(file));
    files.emplace_back(file, std::move(text));
  }
  notify::NotifyContext context;
  VEDETTE_ASSIGN_OR_RETURN(context.templates,
                           notify::MessageTemplates::Make(files, clock, external_url));
  context.clock = &clock;
  context.http = [this](const config::HttpClientConfig&) -> Result<notify::HttpClient> {
    return notify::HttpClient([this](const notify::HttpPost& post) -> Result<notify::HttpReply> {
      // Of several requests (Jira's search, WeChat's token) the last with a body is the message.
      if (!post.body.empty()) body_ = post.body;
      return notify::HttpReply{.status = 200, .body = kYes};
    });
  };
  context.signed_http = [http = context.http](const config::HttpClientConfig& c,
                                              const notify::AwsKeys&) { return http(c); };
  context.mail = [this](const notify::Mail& mail) {
    body_ = mail.message;
    return SendOutcome{};
  };
  VEDETTE_ASSIGN_OR_RETURN(auto receivers, notify::MakeReceivers(config, context));
  for (auto& [name, integrations] : receivers) {
    for (Integration& way : integrations) {
      way.send = [this, send = std::move(way.send), name = StrCat(way.name, "[", way.index, "]")](
                     const Notification& n, int64_t timeout_ms) {
        body_.clear();
        SendOutcome outcome = send(n, timeout_ms);
        Message m{.t_ms = n.now_ms,
                  .receiver = n.receiver,
                  .integration = name,
                  .group_key = n.group_key,
                  .reason = n.reason};
        for (const Alert& a : n.alerts) ++(a.resolved_at(n.now_ms) ? m.resolved : m.firing);
        m.body = outcome.status.ok() ? Masked(body_, secrets_)
                                     : StrCat("not sent: ", outcome.status.message());
        messages_.push_back(std::move(m));
        return SendOutcome{};  // Nobody is there to try again for.
      };
    }
  }
  return receivers;
}

}  // namespace vedette::rehearsal
