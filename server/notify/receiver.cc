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
    if (!made.ok()) return made.status().Annotate(StrCat("line ", configs[i].line));
    made->index = static_cast<int>(i);
    out.push_back(*std::move(made));
  }
  return Status();
}

Result<std::vector<Integration>> MakeReceiver(const config::ReceiverConfig& r,
                                              const NotifyContext& context) {
  std::vector<Integration> out;
  VEDETTE_RETURN_IF_ERROR(Add(r.webhook, context, MakeWebhook, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.slack, context, MakeSlack, out));
  VEDETTE_RETURN_IF_ERROR(Add(r.pagerduty, context, MakePagerduty, out));
  const std::pair<std::string_view, bool> kMissing[] = {
      {"email_configs", !r.email.empty()},           {"opsgenie_configs", !r.opsgenie.empty()},
      {"victorops_configs", !r.victorops.empty()},   {"pushover_configs", !r.pushover.empty()},
      {"telegram_configs", !r.telegram.empty()},     {"discord_configs", !r.discord.empty()},
      {"msteams_configs", !r.msteams.empty()},       {"msteamsv2_configs", !r.msteamsv2.empty()},
      {"webex_configs", !r.webex.empty()},           {"sns_configs", !r.sns.empty()},
      {"wechat_configs", !r.wechat.empty()},         {"jira_configs", !r.jira.empty()},
      {"rocketchat_configs", !r.rocketchat.empty()}, {"mattermost_configs", !r.mattermost.empty()},
      {"incidentio_configs", !r.incidentio.empty()}};
  for (const auto& [name, present] : kMissing) {
    if (present) return Unimplemented(StrCat(name, ": this build cannot send through it"));
  }
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
      return made.status().Annotate(StrCat(config.file, ": receiver ", Quoted(r.name)));
    }
    out[r.name] = *std::move(made);
  }
  return out;
}

}  // namespace vedette::notify
