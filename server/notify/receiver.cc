#include "server/notify/receiver.h"

#include "common/base/strings.h"

namespace vedette::notify {
namespace {

template <typename Config>
Status Add(const std::vector<Config>& configs, const NotifyContext& context,
           Result<Integration> (*make)(const Config&, const NotifyContext&),
           std::vector<Integration>& out) {
  for (size_t i = 0; i < configs.size(); ++i) {
    Result<Integration> made = make(configs[i], context);
    if (!made.ok()) return made.status().Annotate(StrCat(configs[i].line));
    made->index = static_cast<int>(i);
    out.push_back(*std::move(made));
  }
  return Status();
}

Result<std::vector<Integration>> MakeReceiver(const config::ReceiverConfig& r,
                                              const NotifyContext& context) {
  std::vector<Integration> out;
  VEDETTE_RETURN_IF_ERROR(Add(r.webhook, context, MakeWebhook, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.email, context, MakeEmail, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.slack, context, MakeSlack, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.pagerduty, context, MakePagerduty, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.opsgenie, context, MakeOpsgenie, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.victorops, context, MakeVictorops, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.pushover, context, MakePushover, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.telegram, context, MakeTelegram, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.discord, context, MakeDiscord, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.msteams, context, MakeMsteams, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.msteamsv2, context, MakeMsteamsV2, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.webex, context, MakeWebex, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.sns, context, MakeSns, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.wechat, context, MakeWechat, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.jira, context, MakeJira, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.rocketchat, context, MakeRocketchat, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.mattermost, context, MakeMattermost, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.incidentio, context, MakeIncidentio, out));
  return out;
}

}  // namespace

Status CheckTexts(const MessageTemplates& templates, std::span<const std::string_view> texts) {
  for (std::string_view text : texts) {
    if (text.find("{{") == text.npos) continue;
    Result<tmpl::Template> t = templates.Prepare(text);
    if (!t.ok()) return t.status();
  }
  return Status();
}

Result<std::map<std::string, std::vector<Integration>>> MakeReceivers(
    const config::AlertmanagerConfig& config, const NotifyContext& context) {
  std::map<std::string, std::vector<Integration>> out;
  for (const config::ReceiverConfig& r : config.receivers) {
    Result<std::vector<Integration>> made = MakeReceiver(r, context);
    if (!made.ok()) {
      // "alertmanager.yml:12: receiver "team": template: ..."; the line comes first.
      const std::string_view message = made.status().message();
      const size_t colon = message.find(": ");
      return vedette::Status(made.status().code(),
                             StrCat(config.file, ":", message.substr(0, colon), ": receiver ",
                                    Quoted(r.name), message.substr(colon)));
    }
    out[r.name] = *std::move(made);
  }
  return out;
}

}  // namespace vedette::notify
