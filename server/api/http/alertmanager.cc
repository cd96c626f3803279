#include "server/api/http/alertmanager.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/config/url_secrets.h"
#include "common/model/notification.h"
#include "server/api/http/alertmanager_json.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

using alerting::AlertActivity;
using alerting::AlertView;
using alerting::SilenceState;
using alerting::SilenceView;

constexpr uint64_t kDefaultHistory = 1000;
constexpr int64_t kDayMs = 86'400'000;

// A JSON string and nothing else: Alertmanager's errors.
Reply Refuse(int status, std::string_view message) {
  Reply reply{.status = status};
  JsonWriter(&reply.body).String(message);
  return reply;
}

template <typename Write>
Reply Answer(Write write) {
  Reply reply;
  JsonWriter json(&reply.body);
  write(json);
  return reply;
}

Result<bool> FlagOf(const Call& call, std::string_view name, bool otherwise) {
  const auto text = call.Get(name);
  if (!text || text->empty()) return otherwise;
  if (*text == "true" || *text == "1") return true;
  if (*text == "false" || *text == "0") return false;
  return InvalidArgument(StrCat(name, " in query must be of type boolean: ", Quoted(*text)));
}

Result<std::vector<Matcher>> FilterOf(const Call& call, std::string_view name = "filter") {
  std::vector<Matcher> out;
  const std::string listed = StrCat(name, "[]");
  for (const std::string_view n : {name, std::string_view(listed)}) {
    for (const std::string_view text : call.All(n)) {
      Result<std::vector<Matcher>> matchers = config::ParseAlertMatchers(text);
      if (!matchers.ok()) return matchers.status().Annotate("bad matcher format");
      out.insert(out.end(), matchers->begin(), matchers->end());
    }
  }
  return out;
}

bool Fits(const std::vector<Matcher>& matchers, const Labels& labels) {
  return std::ranges::all_of(matchers,
                             [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); });
}

// The query of /alerts and /alerts/groups.
struct AlertQuery {
  bool active = true, silenced = true, inhibited = true, unprocessed = true, muted = true;
  std::vector<Matcher> filter;
  std::optional<Regex> receiver;

  static Result<AlertQuery> Of(const Call& call) {
    AlertQuery q;
    VEDETTE_ASSIGN_OR_RETURN(q.active, FlagOf(call, "active", true));
    VEDETTE_ASSIGN_OR_RETURN(q.silenced, FlagOf(call, "silenced", true));
    VEDETTE_ASSIGN_OR_RETURN(q.inhibited, FlagOf(call, "inhibited", true));
    VEDETTE_ASSIGN_OR_RETURN(q.unprocessed, FlagOf(call, "unprocessed", true));
    VEDETTE_ASSIGN_OR_RETURN(q.muted, FlagOf(call, "muted", true));
    VEDETTE_ASSIGN_OR_RETURN(q.filter, FilterOf(call));
    if (const auto text = call.Get("receiver"); text && !text->empty()) {
      Result<Regex> compiled = Regex::Compile(*text);
      if (!compiled.ok()) return compiled.status().Annotate("failed to parse receiver param");
      q.receiver = *std::move(compiled);
    }
    return q;
  }

  bool ReceiverFits(std::string_view name) const { return !receiver || receiver->Matches(name); }
  bool Wants(const AlertView& v) const {
    if (!active && v.activity == AlertActivity::kActive) return false;
    if (!unprocessed && v.activity == AlertActivity::kUnprocessed) return false;
    if (!silenced && !v.silenced_by.empty()) return false;
    if (!inhibited && !v.inhibited_by.empty()) return false;
    if (!muted && !v.muted_by.empty()) return false;
    return Fits(filter, v.alert.labels);
  }
};

void SortByFingerprint(std::vector<AlertView>& alerts) {
  std::ranges::sort(alerts, {},
                    [](const AlertView& v) { return AlertFingerprint(v.alert.labels); });
}

// The range and size of a look into history: the last day, the newest last.
struct HistoryQuery {
  int64_t from_ms = 0, to_ms = 0;
  uint64_t limit = kDefaultHistory;

  static Result<HistoryQuery> Of(const Call& call, int64_t now_ms) {
    HistoryQuery q;
    VEDETTE_ASSIGN_OR_RETURN(const TimeRange range, RangeOf(call));
    q.to_ms = range.end_ms == kMaxTimeMs ? now_ms + 1 : range.end_ms + 1;
    q.from_ms = range.start_ms == kMinTimeMs ? q.to_ms - kDayMs : range.start_ms;
    VEDETTE_ASSIGN_OR_RETURN(const uint64_t limit, LimitOf(call));
    if (limit > 0) q.limit = limit;
    return q;
  }
};

}  // namespace

Reply AlertmanagerDoor::Status(const Call&) const {
  const auto config = alerting_.config();
  return Answer([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("cluster").BeginObject();
    json.Key("name").String("");
    json.Key("peers").BeginArray().EndArray();
    json.Key("status").String("disabled");
    json.EndObject();
    json.Key("config").BeginObject();
    json.Key("original").String(config == nullptr ? "" : config::HideUrlSecrets(config::ShownYaml(*config)));
    json.EndObject();
    json.Key("uptime").String(FormatMillis(info_.start_time_ms));
    json.Key("versionInfo").BeginObject();
    for (const char* unknown : {"branch", "buildDate", "buildUser", "goVersion", "revision"}) {
      json.Key(unknown).String("");
    }
    json.Key("version").String(info_.version);
    json.EndObject();
    json.EndObject();
  });
}

Reply AlertmanagerDoor::Receivers(const Call& call) const {
  const auto config = alerting_.config();
  const auto filter = FilterOf(call, "receiver_matchers");
  if (!filter.ok()) return Refuse(400, filter.status().message());
  return Answer([&](JsonWriter& json) {
    json.BeginArray();
    if (config != nullptr) {
      for (const config::ReceiverConfig& r : config->receivers) {
        LabelsBuilder labels;
        for (const auto& [name, value] : r.labels) labels.Set(name, value);
        labels.Set("name", r.name);
        if (!Fits(*filter, labels.Build())) continue;
        json.BeginObject().Key("name").String(r.name);
        if (!r.labels.empty()) {
          json.Key("labels").BeginObject();
          for (const auto& [name, value] : r.labels) json.Key(name).String(value);
          json.EndObject();
        }
        json.EndObject();
      }
    }
    json.EndArray();
  });
}

Reply AlertmanagerDoor::Alerts(const Call& call) const {
  const auto query = AlertQuery::Of(call);
  if (!query.ok()) return Refuse(400, query.status().message());
  std::vector<AlertView> alerts = alerting_.Alerts();
  std::erase_if(alerts, [&](const AlertView& v) {
    return !query->Wants(v) || std::ranges::none_of(v.receivers, [&](const std::string& name) {
      return query->ReceiverFits(name);
    });
  });
  SortByFingerprint(alerts);
  return Answer([&](JsonWriter& json) {
    json.BeginArray();
    for (const AlertView& v : alerts) WriteGettableAlert(json, v);
    json.EndArray();
  });
}

Reply AlertmanagerDoor::Groups(const Call& call) const {
  const auto query = AlertQuery::Of(call);
  if (!query.ok()) return Refuse(400, query.status().message());
  std::vector<alerting::GroupView> groups = alerting_.Groups();
  std::erase_if(groups, [&](alerting::GroupView& g) {
    if (!query->ReceiverFits(g.receiver)) return true;
    std::erase_if(g.alerts, [&](const AlertView& v) { return !query->Wants(v); });
    SortByFingerprint(g.alerts);
    return g.alerts.empty();
  });
  std::ranges::stable_sort(groups, [](const auto& a, const auto& b) {
    return std::tie(a.labels, a.receiver) < std::tie(b.labels, b.receiver);
  });
  return Answer([&](JsonWriter& json) {
    json.BeginArray();
    for (const alerting::GroupView& g : groups) {
      json.BeginObject();
      json.Key("alerts").BeginArray();
      for (const AlertView& v : g.alerts) WriteGettableAlert(json, v);
      json.EndArray();
      json.Key("labels").Object(g.labels);
      json.Key("receiver").BeginObject().Key("name").String(g.receiver).EndObject();
      json.EndObject();
    }
    json.EndArray();
  });
}

Reply AlertmanagerDoor::PostAlerts(const Call& call) {
  Result<std::vector<Alert>> alerts = ReadPostableAlerts(call.body);
  if (!alerts.ok()) return Refuse(400, alerts.status().message());
  const vedette::Status taken = alerting_.Put(*std::move(alerts));
  if (taken.ok()) return Reply{.body = ""};
  return Refuse(taken.code() == StatusCode::kInvalidArgument     ? 400
                : taken.code() == StatusCode::kResourceExhausted ? 429
                                                                 : 503,
                taken.message());
}

Reply AlertmanagerDoor::Silences(const Call& call) const {
  const auto filter = FilterOf(call);
  if (!filter.ok()) return Refuse(400, filter.status().message());
  const auto active = FlagOf(call, "active", true);
  const auto pending = FlagOf(call, "pending", true);
  const auto expired = FlagOf(call, "expired", true);
  for (const auto* flag : {&active, &pending, &expired}) {
    if (!flag->ok()) return Refuse(400, flag->status().message());
  }
  std::vector<SilenceView> silences = alerting_.Silences();
  std::erase_if(silences, [&](const SilenceView& v) {
    const bool wanted = v.state == SilenceState::kActive    ? *active
                        : v.state == SilenceState::kPending ? *pending
                                                            : *expired;
    return !wanted || !SilenceFits(*filter, v.silence);
  });
  // Those that hold first, soonest to end first; then those to come; then the latest to have ended.
  const auto key = [](const SilenceView& v) {
    const alerting::Silence& s = v.silence;
    return v.state == SilenceState::kActive    ? std::pair(0, s.ends_at_ms)
           : v.state == SilenceState::kPending ? std::pair(1, s.starts_at_ms)
                                               : std::pair(2, -s.ends_at_ms);
  };
  std::ranges::stable_sort(silences, {}, key);
  return Answer([&](JsonWriter& json) {
    json.BeginArray();
    for (const SilenceView& v : silences) WriteGettableSilence(json, v);
    json.EndArray();
  });
}

Reply AlertmanagerDoor::PostSilence(const Call& call) {
  Result<alerting::Silence> silence = ReadPostableSilence(call.body);
  if (!silence.ok()) return Refuse(400, silence.status().message());
  if (silence->ends_at_ms <= silence->starts_at_ms) {
    return Refuse(400, "failed to create silence: start time must be before end time");
  }
  if (silence->ends_at_ms <= clock_.NowMs()) {
    return Refuse(400, "failed to create silence: end time can't be in the past");
  }
  const Result<std::string> id = alerting_.SetSilence(*std::move(silence));
  if (id.ok()) {
    return Answer(
        [&](JsonWriter& json) { json.BeginObject().Key("silenceID").String(*id).EndObject(); });
  }
  const StatusCode code = id.status().code();
  return Refuse(code == StatusCode::kNotFound ? 404
                : code == StatusCode::kInvalidArgument || code == StatusCode::kResourceExhausted
                    ? 400
                    : 500,
                id.status().message());
}

Reply AlertmanagerDoor::PreviewSilence(const Call& call) const {
  const Result<alerting::Silence> silence = ReadPostableSilence(call.body);
  if (!silence.ok()) return Refuse(400, silence.status().message());
  std::vector<AlertView> alerts = alerting_.Alerts();
  std::erase_if(alerts,
                [&](const AlertView& v) { return !Fits(silence->matchers, v.alert.labels); });
  SortByFingerprint(alerts);
  return Answer([&](JsonWriter& json) {
    json.BeginArray();
    for (const AlertView& v : alerts) WriteGettableAlert(json, v);
    json.EndArray();
  });
}

Reply AlertmanagerDoor::Silence(const Call& call) const {
  const auto found = alerting_.FindSilence(call.PathParam("id"));
  if (!found) return Reply{.status = 404, .body = ""};
  return Answer([&](JsonWriter& json) { WriteGettableSilence(json, *found); });
}

Reply AlertmanagerDoor::ExpireSilence(const Call& call) {
  const vedette::Status done = alerting_.ExpireSilence(call.PathParam("id"));
  if (done.ok()) return Reply{.body = ""};
  if (done.code() == StatusCode::kNotFound) return Reply{.status = 404, .body = ""};
  return Refuse(500, done.message());
}

Reply AlertmanagerDoor::AlertHistory(const Call& call) const {
  const auto query = HistoryQuery::Of(call, clock_.NowMs());
  if (!query.ok()) return Failure(query.status());
  const auto filter = FilterOf(call);
  if (!filter.ok()) return Failure(filter.status());
  const auto events =
      alerting_.AlertHistory(query->from_ms, query->to_ms, query->limit,
                             [&](const auto& e) { return Fits(*filter, e.alert.labels); });
  if (!events.ok()) return Failure(events.status());
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const alerting::AlertEvent& e : *events) {
      json.BeginObject();
      json.Key("time").String(FormatMillis(e.t_ms));
      json.Key("state").String(e.resolved ? "resolved" : "firing");
      json.Key("labels").Object(e.alert.labels);
      json.Key("annotations").Object(e.alert.annotations);
      json.Key("fingerprint").String(AlertFingerprintText(e.alert.labels));
      json.Key("startsAt").String(FormatMillis(e.alert.starts_at_ms));
      if (e.resolved) json.Key("endsAt").String(FormatMillis(e.alert.ends_at_ms));
      json.Key("generatorURL").String(e.alert.generator_url);
      json.EndObject();
    }
    json.EndArray();
  });
}

Reply AlertmanagerDoor::NotificationHistory(const Call& call) const {
  const auto query = HistoryQuery::Of(call, clock_.NowMs());
  if (!query.ok()) return Failure(query.status());
  const std::string_view receiver = call.Get("receiver").value_or("");
  const auto events =
      alerting_.History(query->from_ms, query->to_ms, query->limit, [&](const auto& e) {
        return receiver.empty() || e.receiver == receiver;
      });
  if (!events.ok()) return Failure(events.status());
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const alerting::NotificationEvent& e : *events) {
      json.BeginObject();
      json.Key("time").String(FormatMillis(e.t_ms));
      json.Key("receiver").String(e.receiver);
      json.Key("integration").String(e.integration);
      json.Key("groupKey").String(e.group_key);
      json.Key("outcome").String(e.outcome);
      if (!e.error.empty()) json.Key("error").String(e.error);
      json.Key("firing").Uint(e.firing);
      json.Key("resolved").Uint(e.resolved);
      json.Key("attempts").Uint(e.attempts);
      json.EndObject();
    }
    json.EndArray();
  });
}

}  // namespace vedette::api
