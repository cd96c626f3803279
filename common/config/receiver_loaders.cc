#include "common/config/receiver_loaders.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/config/shared_loaders.h"

namespace vedette::config {
namespace {

using Defaults = ReceiverDefaults;

void ReadTree(const Value& value, TemplateTree& out) {
  if (!value.present()) return;
  if (value.IsScalar()) {
    const YamlNode& node = *value.node();
    out.scalar = node.scalar;
    double number = 0;
    const char* end = node.scalar.data() + node.scalar.size();
    auto [after, error] = std::from_chars(node.scalar.data(), end, number);
    out.kind = TemplateTree::Kind::kString;
    if (node.quoted) return;
    if (node.scalar == "true" || node.scalar == "false") out.kind = TemplateTree::Kind::kBool;
    if (error == std::errc() && after == end && !node.scalar.empty()) {
      out.kind = TemplateTree::Kind::kNumber;
    }
    return;
  }
  if (value.IsList()) {
    out.kind = TemplateTree::Kind::kList;
    value.EachItem([&](const Value& item) { ReadTree(item, out.items.emplace_back()); });
    return;
  }
  out.kind = TemplateTree::Kind::kMap;
  value.EachEntry([&](const std::string& key, const Value& entry) {
    ReadTree(entry, out.fields.emplace_back(key, TemplateTree()).second);
  });
}

void ReadTrees(const Value& value, std::map<std::string, TemplateTree>& out) {
  value.EachEntry([&](const std::string& key, const Value& entry) { ReadTree(entry, out[key]); });
}

void ReadCommon(Object& o, const Defaults& defaults, IntegrationConfig& out) {
  out.line = o.value().line();
  out.http = defaults.http;
  o["send_resolved"].Read(out.send_resolved);
  ReadHttpClientBlock(o["http_config"], out.http);
}

// A secret and its file, of which at most one may be given; where neither is, global's.
void ReadPair(Object& o, std::string_view name, Secret& secret, std::string& file,
              const Secret& global = {}, const std::string& global_file = {}, bool url = false) {
  const Value inline_value = o[name];
  if (url) {
    inline_value.ReadUrl(secret);
  } else {
    inline_value.Read(secret);
  }
  // The decoder keeps names of fields as views: only those of literals are safe.
  static const std::map<std::string_view, std::string_view> kFiles = {
      {"url", "url_file"},
      {"api_url", "api_url_file"},
      {"app_token", "app_token_file"},
      {"auth_password", "auth_password_file"},
      {"auth_secret", "auth_secret_file"},
      {"routing_key", "routing_key_file"},
      {"service_key", "service_key_file"},
      {"api_key", "api_key_file"},
      {"user_key", "user_key_file"},
      {"token", "token_file"},
      {"token_id", "token_id_file"},
      {"bot_token", "bot_token_file"},
      {"webhook_url", "webhook_url_file"},
      {"api_secret", "api_secret_file"},
      {"alert_source_token", "alert_source_token_file"}};
  const std::string_view file_name = kFiles.at(name);
  o[file_name].ReadPath(file);
  if (!secret.empty() && !file.empty()) {
    inline_value.Fail(StrCat("cannot stand beside ", file_name, "; keep one of them"));
  }
  if (secret.empty() && file.empty()) {
    secret = global;
    file = global_file;
  }
}

void Need(Object& o, std::string_view name, bool given, std::string_view why) {
  if (!given) o[name].Fail(StrCat("is missing; ", why));
}

void ReadUrlOr(Object& o, std::string_view name, const std::string& global, std::string& out) {
  out = global;
  o[name].ReadUrl(out);
}

void ReadSmarthost(const Value& where, const std::string& text, EmailConfig& out) {
  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    auto [after, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc() || after != end) port = 0;
  }
  if (colon == std::string::npos || colon == 0 || port < 1 || port > 65535) {
    where.Fail(StrCat("not a mail relay: ", Quoted(text), "; write host:port"));
    return;
  }
  out.smarthost = text.substr(0, colon);
  out.smarthost_port = static_cast<uint16_t>(port);
}

// subject -> Subject, message-id -> Message-Id: how headers are compared.
std::string Canonical(std::string name) {
  bool start = true;
  for (char& c : name) {
    const unsigned char u = static_cast<unsigned char>(c);
    c = static_cast<char>(start ? std::toupper(u) : std::tolower(u));
    start = c == '-';
  }
  return name;
}

void ReadFields(const Value& value, std::vector<SlackField>& out) {
  value.EachBlock([&](const Value& item) {
    SlackField& field = out.emplace_back();
    Object o(item);
    o["title"].Read(field.title);
    o["value"].Read(field.value);
    o["short"].Read(field.is_short);
    Need(o, "title", !field.title.empty(), "a field needs one");
    Need(o, "value", !field.value.empty(), "a field needs one");
    o.Finish();
  });
}

void ReadOne(Object& o, const Defaults&, WebhookConfig& out) {
  ReadPair(o, "url", out.url, out.url_file, {}, {}, true);
  Need(o, "url", !out.url.empty() || !out.url_file.empty(), "give url or url_file");
  o["max_alerts"].Read(out.max_alerts);
  o["timeout"].ReadDuration(out.timeout_ms);
  const Value payload = o["payload"];
  if (payload.present()) {
    // Not emplace(): clang 19 asks too early whether the recursive TemplateTree is constructible.
    TemplateTree tree;
    ReadTree(payload, tree);
    out.payload = std::move(tree);
  }
}

void ReadOne(Object& o, const Defaults& d, EmailConfig& out) {
  o["to"].Read(out.to);
  Need(o, "to", !out.to.empty(), "an email needs an address");
  out.from = d.smtp_from;
  o["from"].Read(out.from);
  Need(o, "from", !out.from.empty(), "give from, or smtp_from in global");
  std::string smarthost = d.smtp_smarthost;
  const Value host = o["smarthost"];
  host.Read(smarthost);
  Need(o, "smarthost", !smarthost.empty(), "give smarthost, or smtp_smarthost in global");
  ReadSmarthost(host, smarthost, out);
  out.hello = d.smtp_hello;
  o["hello"].Read(out.hello);
  out.auth_username = d.smtp_auth_username;
  o["auth_username"].Read(out.auth_username);
  ReadPair(o, "auth_password", out.auth_password, out.auth_password_file, d.smtp_auth_password,
           d.smtp_auth_password_file);
  ReadPair(o, "auth_secret", out.auth_secret, out.auth_secret_file, d.smtp_auth_secret,
           d.smtp_auth_secret_file);
  out.auth_identity = d.smtp_auth_identity;
  o["auth_identity"].Read(out.auth_identity);
  out.require_tls = d.smtp_require_tls;
  o["require_tls"].Read(out.require_tls);
  out.force_implicit_tls = d.smtp_force_implicit_tls;
  o["force_implicit_tls"].Read(out.force_implicit_tls);
  out.tls = d.smtp_tls;
  const Value tls = o["tls_config"];
  if (tls.present()) {
    out.tls = TlsConfig();
    ReadTls(tls, out.tls);
  }
  o["headers"].EachEntry([&](const std::string& name, const Value& value) {
    const std::string canonical = Canonical(name);
    if (out.headers.contains(canonical)) {
      value.Fail(StrCat("header ", Quoted(canonical), " is given twice in this email"));
    }
    value.Read(out.headers[canonical]);
  });
  o["html"].Read(out.html);
  o["text"].Read(out.text);
  Object t(o["threading"]);
  t["enabled"].Read(out.threading_enabled);
  t["thread_by_date"].ReadOneOf(out.thread_by_date, {"daily", "none"});
  t.Finish();
}

void ReadOne(Object& o, const Defaults& d, SlackConfig& out) {
  ReadPair(o, "api_url", out.api_url, out.api_url_file, {}, {}, true);
  ReadPair(o, "app_token", out.app_token, out.app_token_file);
  ReadUrlOr(o, "app_url", d.slack_app_url, out.app_url);
  const bool own_url = !out.api_url.empty() || !out.api_url_file.empty();
  const bool own_token = !out.app_token.empty() || !out.app_token_file.empty();
  if (own_url && own_token) o["app_token"].Fail("cannot stand beside api_url; keep one of them");
  if (!own_url && !own_token) {
    if (!d.slack_app_token.empty() || !d.slack_app_token_file.empty()) {
      out.app_token = d.slack_app_token;
      out.app_token_file = d.slack_app_token_file;
    } else {
      out.api_url = d.slack_api_url;
      out.api_url_file = d.slack_api_url_file;
    }
  }
  Need(o, "api_url",
       !out.api_url.empty() || !out.api_url_file.empty() || !out.app_token.empty() ||
           !out.app_token_file.empty(),
       "give api_url or app_token here, or slack_api_url in global");
  o["channel"].Read(out.channel);
  o["username"].Read(out.username);
  o["color"].Read(out.color);
  o["title"].Read(out.title);
  o["title_link"].Read(out.title_link);
  o["pretext"].Read(out.pretext);
  o["text"].Read(out.text);
  o["message_text"].Read(out.message_text);
  ReadFields(o["fields"], out.fields);
  o["short_fields"].Read(out.short_fields);
  o["footer"].Read(out.footer);
  o["fallback"].Read(out.fallback);
  o["callback_id"].Read(out.callback_id);
  o["icon_emoji"].Read(out.icon_emoji);
  o["icon_url"].Read(out.icon_url);
  o["image_url"].Read(out.image_url);
  o["thumb_url"].Read(out.thumb_url);
  o["link_names"].Read(out.link_names);
  o["mrkdwn_in"].Read(out.mrkdwn_in);
  o["update_message"].Read(out.update_message);
  o["timeout"].ReadDuration(out.timeout_ms);
  if (out.update_message && out.app_token.empty() && out.app_token_file.empty()) {
    o["update_message"].Fail("needs app_token: a webhook cannot edit what it wrote");
  }
  o["actions"].EachBlock([&](const Value& item) {
    SlackAction& action = out.actions.emplace_back();
    Object a(item);
    a["type"].Read(action.type);
    a["text"].Read(action.text);
    a["url"].Read(action.url);
    a["style"].Read(action.style);
    a["name"].Read(action.name);
    a["value"].Read(action.value);
    const Value confirm = a["confirm"];
    if (confirm.present()) {
      SlackAction::Confirm& c = action.confirm.emplace();
      Object co(confirm);
      co["title"].Read(c.title);
      co["text"].Read(c.text);
      co["ok_text"].Read(c.ok_text);
      co["dismiss_text"].Read(c.dismiss_text);
      Need(co, "text", !c.text.empty(), "a confirmation needs one");
      co.Finish();
    }
    Need(a, "type", !action.type.empty(), "an action needs one");
    Need(a, "text", !action.text.empty(), "an action needs one");
    if (action.url.empty() && action.name.empty()) item.Fail("an action needs url or name");
    a.Finish();
  });
}

void ReadOne(Object& o, const Defaults& d, PagerdutyConfig& out) {
  ReadPair(o, "routing_key", out.routing_key, out.routing_key_file);
  ReadPair(o, "service_key", out.service_key, out.service_key_file);
  const bool v2 = !out.routing_key.empty() || !out.routing_key_file.empty();
  const bool v1 = !out.service_key.empty() || !out.service_key_file.empty();
  Need(o, "routing_key", v1 || v2, "give routing_key or service_key");
  if (v1 && v2) o["service_key"].Fail("cannot stand beside routing_key; keep one of them");
  ReadUrlOr(o, "url", d.pagerduty_url, out.url);
  o["client"].Read(out.client);
  o["client_url"].Read(out.client_url);
  o["description"].Read(out.description);
  o["severity"].Read(out.severity);
  out.source = out.client;
  o["source"].Read(out.source);
  o["class"].Read(out.event_class);
  o["component"].Read(out.component);
  o["group"].Read(out.group);
  for (const auto& [name, text] : std::initializer_list<std::pair<const char*, const char*>>{
           {"firing", R"({{ .Alerts.Firing | toJson }})"},
           {"resolved", R"({{ .Alerts.Resolved | toJson }})"},
           {"num_firing", R"({{ .Alerts.Firing | len }})"},
           {"num_resolved", R"({{ .Alerts.Resolved | len }})"}}) {
    out.details[name] = {.kind = TemplateTree::Kind::kString, .scalar = text};
  }
  ReadTrees(o["details"], out.details);
  o["images"].EachBlock([&](const Value& item) {
    PagerdutyImage& image = out.images.emplace_back();
    Object i(item);
    i["src"].Read(image.src);
    i["alt"].Read(image.alt);
    i["href"].Read(image.href);
    i.Finish();
  });
  o["links"].EachBlock([&](const Value& item) {
    PagerdutyLink& link = out.links.emplace_back();
    Object l(item);
    l["href"].Read(link.href);
    l["text"].Read(link.text);
    l.Finish();
  });
  o["timeout"].ReadDuration(out.timeout_ms);
}

void ReadOne(Object& o, const Defaults& d, OpsgenieConfig& out) {
  ReadPair(o, "api_key", out.api_key, out.api_key_file, d.opsgenie_api_key,
           d.opsgenie_api_key_file);
  Need(o, "api_key", !out.api_key.empty() || !out.api_key_file.empty(),
       "give api_key, or opsgenie_api_key in global");
  ReadUrlOr(o, "api_url", d.opsgenie_api_url, out.api_url);
  o["message"].Read(out.message);
  o["description"].Read(out.description);
  o["source"].Read(out.source);
  o["details"].Read(out.details);
  o["entity"].Read(out.entity);
  o["tags"].Read(out.tags);
  o["note"].Read(out.note);
  o["priority"].Read(out.priority);
  o["actions"].Read(out.actions);
  o["update_alerts"].Read(out.update_alerts);
  o["responders"].EachBlock([&](const Value& item) {
    OpsgenieResponder& r = out.responders.emplace_back();
    Object ro(item);
    ro["id"].Read(r.id);
    ro["name"].Read(r.name);
    ro["username"].Read(r.username);
    const Value type = ro["type"];
    type.Read(r.type);
    ro.Finish();
    if (r.id.empty() && r.name.empty() && r.username.empty()) {
      item.Fail("a responder needs id, name or username");
    }
    std::string lower = r.type;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool known = lower == "team" || lower == "teams" || lower == "user" ||
                       lower == "escalation" || lower == "schedule";
    if (!known && lower.find("{{") == std::string::npos) {
      type.Fail(StrCat("unknown responder type ", Quoted(r.type),
                       "; one of team, teams, user, escalation, schedule"));
    }
  });
}

void ReadOne(Object& o, const Defaults& d, VictoropsConfig& out) {
  ReadPair(o, "api_key", out.api_key, out.api_key_file, d.victorops_api_key,
           d.victorops_api_key_file);
  Need(o, "api_key", !out.api_key.empty() || !out.api_key_file.empty(),
       "give api_key, or victorops_api_key in global");
  ReadUrlOr(o, "api_url", d.victorops_api_url, out.api_url);
  o["routing_key"].Read(out.routing_key);
  Need(o, "routing_key", !out.routing_key.empty(), "VictorOps routes by it");
  o["message_type"].Read(out.message_type);
  o["state_message"].Read(out.state_message);
  o["entity_display_name"].Read(out.entity_display_name);
  o["monitoring_tool"].Read(out.monitoring_tool);
  const Value custom = o["custom_fields"];
  custom.Read(out.custom_fields);
  for (const char* reserved :
       {"routing_key", "message_type", "state_message", "entity_display_name", "monitoring_tool",
        "entity_id", "entity_state"}) {
    if (out.custom_fields.contains(reserved)) {
      custom.Fail(StrCat(reserved, " is a field of VictorOps' own; choose another name"));
    }
  }
}

void ReadOne(Object& o, const Defaults&, PushoverConfig& out) {
  ReadPair(o, "user_key", out.user_key, out.user_key_file);
  Need(o, "user_key", !out.user_key.empty() || !out.user_key_file.empty(),
       "give user_key or user_key_file");
  ReadPair(o, "token", out.token, out.token_file);
  Need(o, "token", !out.token.empty() || !out.token_file.empty(), "give token or token_file");
  o["title"].Read(out.title);
  o["message"].Read(out.message);
  o["url"].Read(out.url);
  o["url_title"].Read(out.url_title);
  o["device"].Read(out.device);
  o["sound"].Read(out.sound);
  o["priority"].Read(out.priority);
  o["retry"].ReadDuration(out.retry_ms);
  o["expire"].ReadDuration(out.expire_ms);
  o["ttl"].ReadDuration(out.ttl_ms);
  o["html"].Read(out.html);
  o["monospace"].Read(out.monospace);
  if (out.html && out.monospace) o["monospace"].Fail("cannot stand beside html; keep one of them");
}

void ReadOne(Object& o, const Defaults& d, TelegramConfig& out) {
  ReadUrlOr(o, "api_url", d.telegram_api_url, out.api_url);
  ReadPair(o, "bot_token", out.bot_token, out.bot_token_file, d.telegram_bot_token,
           d.telegram_bot_token_file);
  Need(o, "bot_token", !out.bot_token.empty() || !out.bot_token_file.empty(),
       "give bot_token or bot_token_file");
  o["chat_id"].Read(out.chat_id);
  o["chat_id_file"].ReadPath(out.chat_id_file);
  Need(o, "chat_id", out.chat_id != 0 || !out.chat_id_file.empty(), "give chat_id or chat_id_file");
  if (out.chat_id != 0 && !out.chat_id_file.empty()) {
    o["chat_id"].Fail("cannot stand beside chat_id_file; keep one of them");
  }
  o["message_thread_id"].Read(out.message_thread_id);
  o["message"].Read(out.message);
  o["disable_notifications"].Read(out.disable_notifications);
  o["parse_mode"].ReadOneOf(out.parse_mode, {"", "HTML", "Markdown", "MarkdownV2"});
}

void ReadWebhookUrl(Object& o, Secret& url, std::string& file) {
  ReadPair(o, "webhook_url", url, file, {}, {}, true);
  Need(o, "webhook_url", !url.empty() || !file.empty(), "give webhook_url or webhook_url_file");
}

void ReadOne(Object& o, const Defaults&, DiscordConfig& out) {
  ReadWebhookUrl(o, out.webhook_url, out.webhook_url_file);
  o["title"].Read(out.title);
  o["message"].Read(out.message);
  o["content"].Read(out.content);
  o["username"].Read(out.username);
  o["avatar_url"].Read(out.avatar_url);
}

void ReadOne(Object& o, const Defaults&, MsteamsConfig& out) {
  ReadWebhookUrl(o, out.webhook_url, out.webhook_url_file);
  o["title"].Read(out.title);
  o["summary"].Read(out.summary);
  o["text"].Read(out.text);
}

void ReadOne(Object& o, const Defaults&, MsteamsV2Config& out) {
  ReadWebhookUrl(o, out.webhook_url, out.webhook_url_file);
  o["title"].Read(out.title);
  o["text"].Read(out.text);
}

void ReadOne(Object& o, const Defaults& d, WebexConfig& out) {
  ReadUrlOr(o, "api_url", d.webex_api_url, out.api_url);
  o["room_id"].Read(out.room_id);
  Need(o, "room_id", !out.room_id.empty(), "name the room to write to");
  o["message"].Read(out.message);
  Need(o, "http_config", out.http.authorization.has_value(),
       "Webex needs http_config.authorization with the bot's token");
}

void ReadOne(Object& o, const Defaults&, SnsConfig& out) {
  o["api_url"].Read(out.api_url);
  Object s(o["sigv4"]);
  s["region"].Read(out.region);
  s["access_key"].Read(out.access_key);
  s["secret_key"].Read(out.secret_key);
  s["profile"].Read(out.profile);
  s["role_arn"].Read(out.role_arn);
  s["external_id"].Read(out.external_id);
  s["use_fips_sts_endpoint"].Read(out.use_fips_sts_endpoint);
  s.Finish();
  if (out.access_key.empty() != out.secret_key.empty()) {
    o["sigv4"].Fail("access_key and secret_key go together; give both or neither");
  }
  o["use_aws_http_client"].Read(out.use_aws_http_client);
  o["topic_arn"].Read(out.topic_arn);
  o["phone_number"].Read(out.phone_number);
  o["target_arn"].Read(out.target_arn);
  if (!out.topic_arn.empty() + !out.phone_number.empty() + !out.target_arn.empty() != 1) {
    o.value().Fail("give exactly one of topic_arn, phone_number and target_arn");
  }
  o["subject"].Read(out.subject);
  o["message"].Read(out.message);
  o["attributes"].Read(out.attributes);
}

void ReadOne(Object& o, const Defaults& d, WechatConfig& out) {
  ReadPair(o, "api_secret", out.api_secret, out.api_secret_file, d.wechat_api_secret,
           d.wechat_api_secret_file);
  Need(o, "api_secret", !out.api_secret.empty() || !out.api_secret_file.empty(),
       "give api_secret, or wechat_api_secret in global");
  out.corp_id = d.wechat_api_corp_id;
  o["corp_id"].Read(out.corp_id);
  Need(o, "corp_id", !out.corp_id.empty(), "give corp_id, or wechat_api_corp_id in global");
  ReadUrlOr(o, "api_url", d.wechat_api_url, out.api_url);
  o["message"].Read(out.message);
  o["to_user"].Read(out.to_user);
  o["to_party"].Read(out.to_party);
  o["to_tag"].Read(out.to_tag);
  o["agent_id"].Read(out.agent_id);
  o["message_type"].ReadOneOf(out.message_type, {"text", "markdown"});
}

// A template, or {template, enable_update}.
void ReadJiraText(const Value& value, std::string& text, bool& enable_update) {
  if (!value.IsMap()) {
    value.Read(text);
    return;
  }
  Object o(value);
  o["template"].Read(text);
  o["enable_update"].Read(enable_update);
  o.Finish();
}

void ReadOne(Object& o, const Defaults& d, JiraConfig& out) {
  ReadUrlOr(o, "api_url", d.jira_api_url, out.api_url);
  Need(o, "api_url", !out.api_url.empty(), "give api_url, or jira_api_url in global");
  o["api_type"].ReadOneOf(out.api_type, {"auto", "cloud", "datacenter"});
  o["project"].Read(out.project);
  Need(o, "project", !out.project.empty(), "an issue needs a project");
  ReadJiraText(o["summary"], out.summary, out.summary_enable_update);
  ReadJiraText(o["description"], out.description, out.description_enable_update);
  o["labels"].Read(out.labels);
  o["priority"].Read(out.priority);
  o["issue_type"].Read(out.issue_type);
  Need(o, "issue_type", !out.issue_type.empty(), "an issue needs a type");
  o["resolve_transition"].Read(out.resolve_transition);
  o["reopen_transition"].Read(out.reopen_transition);
  o["wont_fix_resolution"].Read(out.wont_fix_resolution);
  o["reopen_duration"].ReadDuration(out.reopen_duration_ms);
  const Value custom = o["custom_fields"];
  ReadTrees(custom, out.fields);
  ReadTrees(o["fields"], out.fields);
}

void ReadOne(Object& o, const Defaults& d, RocketchatConfig& out) {
  ReadUrlOr(o, "api_url", d.rocketchat_api_url, out.api_url);
  ReadPair(o, "token", out.token, out.token_file, d.rocketchat_token, d.rocketchat_token_file);
  Need(o, "token", !out.token.empty() || !out.token_file.empty(),
       "give token, or rocketchat_token in global");
  ReadPair(o, "token_id", out.token_id, out.token_id_file, d.rocketchat_token_id,
           d.rocketchat_token_id_file);
  Need(o, "token_id", !out.token_id.empty() || !out.token_id_file.empty(),
       "give token_id, or rocketchat_token_id in global");
  o["channel"].Read(out.channel);
  o["color"].Read(out.color);
  o["title"].Read(out.title);
  o["title_link"].Read(out.title_link);
  o["text"].Read(out.text);
  ReadFields(o["fields"], out.fields);
  o["short_fields"].Read(out.short_fields);
  o["emoji"].Read(out.emoji);
  o["icon_url"].Read(out.icon_url);
  o["image_url"].Read(out.image_url);
  o["thumb_url"].Read(out.thumb_url);
  o["link_names"].Read(out.link_names);
  o["actions"].EachBlock([&](const Value& item) {
    RocketchatAction& action = out.actions.emplace_back();
    Object a(item);
    a["type"].Read(action.type);
    a["text"].Read(action.text);
    a["url"].Read(action.url);
    a["msg"].Read(action.msg);
    a.Finish();
  });
}

void ReadOne(Object& o, const Defaults& d, MattermostConfig& out) {
  ReadPair(o, "webhook_url", out.webhook_url, out.webhook_url_file, d.mattermost_webhook_url,
           d.mattermost_webhook_url_file, true);
  Need(o, "webhook_url", !out.webhook_url.empty() || !out.webhook_url_file.empty(),
       "give webhook_url, or mattermost_webhook_url in global");
  o["channel"].Read(out.channel);
  o["username"].Read(out.username);
  o["text"].Read(out.text);
  o["icon_url"].Read(out.icon_url);
  o["icon_emoji"].Read(out.icon_emoji);
  o["attachments"].EachBlock([&](const Value& item) {
    MattermostAttachment& m = out.attachments.emplace_back();
    Object a(item);
    a["fallback"].Read(m.fallback);
    a["color"].Read(m.color);
    a["pretext"].Read(m.pretext);
    a["text"].Read(m.text);
    a["author_name"].Read(m.author_name);
    a["author_link"].Read(m.author_link);
    a["author_icon"].Read(m.author_icon);
    a["title"].Read(m.title);
    a["title_link"].Read(m.title_link);
    a["thumb_url"].Read(m.thumb_url);
    a["footer"].Read(m.footer);
    a["footer_icon"].Read(m.footer_icon);
    a["image_url"].Read(m.image_url);
    ReadFields(a["fields"], m.fields);
    a.Finish();
  });
  Object props(o["props"]);
  props["card"].Read(out.props_card);
  props.Finish();
  Object p(o["priority"]);
  p["priority"].Read(out.priority);
  p["requested_ack"].Read(out.requested_ack);
  p["persistent_notifications"].Read(out.persistent_notifications);
  p.Finish();
}

void ReadOne(Object& o, const Defaults&, IncidentioConfig& out) {
  o["url"].ReadUrl(out.url);
  o["url_file"].ReadPath(out.url_file);
  Need(o, "url", !out.url.empty() || !out.url_file.empty(), "give url or url_file");
  if (!out.url.empty() && !out.url_file.empty()) {
    o["url"].Fail("cannot stand beside url_file; keep one of them");
  }
  ReadPair(o, "alert_source_token", out.alert_source_token, out.alert_source_token_file);
  Need(o, "alert_source_token",
       !out.alert_source_token.empty() || !out.alert_source_token_file.empty() ||
           out.http.authorization.has_value(),
       "give alert_source_token, or http_config.authorization");
  o["max_alerts"].Read(out.max_alerts);
  o["timeout"].ReadDuration(out.timeout_ms);
}

template <typename T>
void ReadIntegrations(Object& o, std::string_view name, const Defaults& defaults,
                      bool send_resolved, std::vector<T>& out) {
  o[name].EachBlock([&](const Value& item) {
    T& config = out.emplace_back();
    config.send_resolved = send_resolved;
    Object block(item);
    ReadCommon(block, defaults, config);
    ReadOne(block, defaults, config);
    block.Finish();
  });
}

}  // namespace

void ReadReceiverDefaults(Object& o, ReceiverDefaults& d) {
  ReadHttpClientBlock(o["http_config"], d.http);
  o["smtp_from"].Read(d.smtp_from);
  o["smtp_smarthost"].Read(d.smtp_smarthost);
  o["smtp_hello"].Read(d.smtp_hello);
  o["smtp_auth_username"].Read(d.smtp_auth_username);
  o["smtp_auth_identity"].Read(d.smtp_auth_identity);
  o["smtp_require_tls"].Read(d.smtp_require_tls);
  o["smtp_force_implicit_tls"].Read(d.smtp_force_implicit_tls);
  ReadTls(o["smtp_tls_config"], d.smtp_tls);
  const auto pair = [&](std::string_view name, std::string_view file_name, Secret& secret,
                        std::string& file, bool url) {
    const Value value = o[name];
    if (url) {
      value.ReadUrl(secret);
    } else {
      value.Read(secret);
    }
    o[file_name].ReadPath(file);
    if (!secret.empty() && !file.empty()) {
      value.Fail(StrCat("cannot stand beside ", file_name, "; keep one of them"));
    }
  };
  pair("smtp_auth_password", "smtp_auth_password_file", d.smtp_auth_password,
       d.smtp_auth_password_file, false);
  pair("smtp_auth_secret", "smtp_auth_secret_file", d.smtp_auth_secret, d.smtp_auth_secret_file,
       false);
  pair("slack_api_url", "slack_api_url_file", d.slack_api_url, d.slack_api_url_file, true);
  pair("slack_app_token", "slack_app_token_file", d.slack_app_token, d.slack_app_token_file, false);
  pair("opsgenie_api_key", "opsgenie_api_key_file", d.opsgenie_api_key, d.opsgenie_api_key_file,
       false);
  pair("victorops_api_key", "victorops_api_key_file", d.victorops_api_key, d.victorops_api_key_file,
       false);
  pair("telegram_bot_token", "telegram_bot_token_file", d.telegram_bot_token,
       d.telegram_bot_token_file, false);
  pair("wechat_api_secret", "wechat_api_secret_file", d.wechat_api_secret, d.wechat_api_secret_file,
       false);
  pair("rocketchat_token", "rocketchat_token_file", d.rocketchat_token, d.rocketchat_token_file,
       false);
  pair("rocketchat_token_id", "rocketchat_token_id_file", d.rocketchat_token_id,
       d.rocketchat_token_id_file, false);
  pair("mattermost_webhook_url", "mattermost_webhook_url_file", d.mattermost_webhook_url,
       d.mattermost_webhook_url_file, true);
  o["slack_app_url"].ReadUrl(d.slack_app_url);
  o["pagerduty_url"].ReadUrl(d.pagerduty_url);
  o["opsgenie_api_url"].ReadUrl(d.opsgenie_api_url);
  o["victorops_api_url"].ReadUrl(d.victorops_api_url);
  o["jira_api_url"].ReadUrl(d.jira_api_url);
  o["telegram_api_url"].ReadUrl(d.telegram_api_url);
  o["wechat_api_url"].ReadUrl(d.wechat_api_url);
  o["wechat_api_corp_id"].Read(d.wechat_api_corp_id);
  o["webex_api_url"].ReadUrl(d.webex_api_url);
  o["rocketchat_api_url"].ReadUrl(d.rocketchat_api_url);
}

void ReadReceiver(const Value& item, const ReceiverDefaults& d, ReceiverConfig& out) {
  Object o(item);
  const Value name = o["name"];
  name.Read(out.name);
  if (out.name.empty()) name.Fail("is missing; a receiver needs a name");
  o["labels"].Read(out.labels);
  // Chats are not told of the end unless they ask; machines are.
  ReadIntegrations(o, "webhook_configs", d, true, out.webhook);
  ReadIntegrations(o, "email_configs", d, false, out.email);
  ReadIntegrations(o, "slack_configs", d, false, out.slack);
  ReadIntegrations(o, "pagerduty_configs", d, true, out.pagerduty);
  ReadIntegrations(o, "opsgenie_configs", d, true, out.opsgenie);
  ReadIntegrations(o, "victorops_configs", d, true, out.victorops);
  ReadIntegrations(o, "pushover_configs", d, true, out.pushover);
  ReadIntegrations(o, "telegram_configs", d, true, out.telegram);
  ReadIntegrations(o, "discord_configs", d, true, out.discord);
  ReadIntegrations(o, "msteams_configs", d, true, out.msteams);
  ReadIntegrations(o, "msteamsv2_configs", d, true, out.msteamsv2);
  ReadIntegrations(o, "webex_configs", d, true, out.webex);
  ReadIntegrations(o, "sns_configs", d, true, out.sns);
  ReadIntegrations(o, "wechat_configs", d, false, out.wechat);
  ReadIntegrations(o, "jira_configs", d, true, out.jira);
  ReadIntegrations(o, "rocketchat_configs", d, false, out.rocketchat);
  ReadIntegrations(o, "mattermost_configs", d, true, out.mattermost);
  ReadIntegrations(o, "incidentio_configs", d, true, out.incidentio);
  o.Finish();
}

}  // namespace vedette::config
