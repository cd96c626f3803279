#include "ctl/doctor.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/http/client.h"
#include "common/http/client_options.h"
#include "common/tls/trust.h"
#include "ctl/doctor_probes.h"
#include "ctl/output.h"

namespace vedette::ctl {
namespace {

using Json = nlohmann::json;

constexpr int64_t kTimeoutMs = 20'000;
constexpr int64_t kMostClockMs = 5'000;
constexpr double kDayMs = 86'400'000;
constexpr double kLeastFreeShare = 0.1;
constexpr double kMostFilesShare = 0.8;
// Of a long list only so many are shown.
constexpr size_t kShown = 10;
constexpr size_t kShownOfDashboard = 3;
constexpr int64_t kReachMs = 3'000;

std::string Listed(const std::vector<std::string>& all) {
  std::string out;
  for (size_t i = 0; i < std::min(all.size(), kShown); ++i) {
    StrAppend(out, i == 0 ? "" : "; ", all[i]);
  }
  if (all.size() > kShown) StrAppend(out, "; and ", all.size() - kShown, " more");
  return out;
}

// A string member, or "".
std::string Text(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string EscapeQuery(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_') {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      StrAppend(out, '%', kHex[byte >> 4], kHex[byte & 15]);
    }
  }
  return out;
}

// Names of metrics that an expression selects, from the parser's tree.
void MetricNames(const Json& tree, std::set<std::string>* names) {
  if (tree.is_object()) {
    const std::string type = Text(tree, "type");
    if (type == "vectorSelector" || type == "matrixSelector") {
      if (const std::string name = Text(tree, "name"); !name.empty()) names->insert(name);
    }
  }
  if (tree.is_structured()) {
    for (const Json& child : tree) MetricNames(child, names);
  }
}

// One visit: the client, and the lines written so far.
class Visit {
 public:
  Visit(const Doctor& doctor, const Clock& clock, std::ostream& out)
      : doctor_(doctor), clock_(clock), out_(out), client_(Options(doctor)) {
    base_ = doctor.url;
    while (base_.ends_with('/')) base_.pop_back();
  }

  Status Run() {
    if (Server()) {
      Configuration();
      Clocks();
      Targets();
      RulesAndNames();
      Receivers();
      FilesAndStorage();
      AgentCertificates();
    }
    LocalCertificates();
    DiskRoom();
    out_ << "\n"
         << checks_ << " checks, " << failures_ << " failed, " << warnings_ << " warnings\n";
    if (failures_ == 0) return {};
    return FailedPrecondition(
        StrCat(failures_, " of ", checks_, " checks failed; what to do is beside each"));
  }

 private:
  static http::ClientOptions Options(const Doctor& d) {
    http::ClientOptions o;
    o.timeout_ms = kTimeoutMs;
    o.username = d.username;
    o.password_file = d.password_file;
    o.tls.ca_file = d.ca_file;
    o.tls.cert_file = d.cert_file;
    o.tls.key_file = d.key_file;
    return o;
  }

  void Ok(std::string_view what, std::string_view found) { Line("ok  ", what, found, ""); }
  void Warn(std::string_view what, std::string_view found, std::string_view remedy) {
    ++warnings_;
    Line("warn", what, found, remedy);
  }
  void Fail(std::string_view what, std::string_view found, std::string_view remedy) {
    ++failures_;
    Line("FAIL", what, found, remedy);
  }
  void Line(const char* mark, std::string_view what, std::string_view found,
            std::string_view remedy) {
    ++checks_;
    out_ << mark << "  " << what << ": " << found << "\n";
    if (!remedy.empty()) out_ << "      -> " << remedy << "\n";
  }

  Result<http::ClientResponse> Get(const std::string& path) {
    return client_.Do({.url = base_ + path});
  }

  // "data" of an answer of /api/v1.
  Result<Json> Api(const std::string& path) {
    VEDETTE_ASSIGN_OR_RETURN(const http::ClientResponse answer, Get("/api/v1" + path));
    Json json = Json::parse(answer.body, nullptr, false);
    if (!json.is_object()) return Unavailable(StrCat(path, ": status ", answer.status));
    if (Text(json, "status") != "success")
      return Unavailable(StrCat(path, ": ", Text(json, "error")));
    return json.value("data", Json());
  }

  // Value by the named label of each element of a query's answer.
  std::map<std::string, double> Query(const std::string& expression, const char* label) {
    std::map<std::string, double> out;
    const Result<Json> data = Api("/query?query=" + EscapeQuery(expression));
    if (!data.ok()) return out;
    for (const Json& element : data->value("result", Json::array())) {
      if (!element.is_object() || !element.contains("value")) continue;
      const Json& value = element["value"];
      if (!value.is_array() || value.size() != 2 || !value[1].is_string()) continue;
      out[Text(element.value("metric", Json::object()), label)] =
          std::strtod(value[1].get<std::string>().c_str(), nullptr);
    }
    return out;
  }

  bool Server() {
    const Result<http::ClientResponse> healthy = Get("/-/healthy");
    if (!healthy.ok()) {
      const bool untrusted = healthy.status().code() == StatusCode::kUnauthenticated;
      Fail("server", healthy.status().message(),
           untrusted ? "is its certificate from a CA of your own? then --ca FILE; and --url must "
                       "name it as its certificate does"
                     : "is it running (systemctl status vedette-server), and is --url its address? "
                       "With TLS at the door that begins with https://");
      return false;
    }
    // Whether it is healthy is everybody's to ask; the rest may be for users.
    const Result<http::ClientResponse> known = Get("/api/v1/status/buildinfo");
    if (known.ok() && (known->status == 401 || known->status == 403)) {
      const bool named = !doctor_.username.empty();
      Fail("server", named ? "it refuses this user" : "it asks for a user",
           named ? "is the password in --password-file the one of web.yml?"
                 : "give --username and --password-file");
      return false;
    }
    if (healthy->status != 200) {
      Fail("server", StrCat("/-/healthy says ", healthy->status, ": ", Trim(healthy->body)),
           "look at its log: journalctl -u vedette-server");
    } else {
      Ok("server", "healthy");
    }
    const Result<http::ClientResponse> ready = Get("/-/ready");
    if (ready.ok() && ready->status == 200) {
      Ok("server", "ready");
    } else {
      Fail("server", "not ready", "it is still starting, or stopping; look at its log");
    }
    return true;
  }

  void Configuration() {
    const Result<Json> runtime = Api("/status/runtimeinfo");
    if (!runtime.ok()) return Fail("configuration", runtime.status().message(), "");
    if (runtime->value("reloadConfigSuccess", false)) {
      Ok("configuration", "the last reload took effect");
    } else {
      Fail("configuration", "the last reload was refused; the one before is in effect",
           "the log names file, line and reason; mend it and reload");
    }
    if (const int64_t damaged = runtime->value("corruptionCount", int64_t{0}); damaged > 0) {
      Fail("storage", StrCat(damaged, " damaged chunks"),
           "restore a snapshot, or live without those samples; check the disk");
    }
  }

  void Clocks() {
    // The query's own time is the server's clock.
    const int64_t before_ms = clock_.NowMs();
    const std::map<std::string, double> now = Query("time()", "");
    const Result<Json> scalar = Api("/query?query=time()");
    const int64_t after_ms = clock_.NowMs();
    if (scalar.ok() && scalar->contains("result") && (*scalar)["result"].is_array() &&
        (*scalar)["result"].size() == 2 && (*scalar)["result"][0].is_number()) {
      const double server_ms = (*scalar)["result"][0].get<double>() * 1000;
      const double off = server_ms - static_cast<double>(before_ms + after_ms) / 2;
      const double slack = static_cast<double>(after_ms - before_ms) / 2 + kMostClockMs;
      if (std::abs(off) <= slack) {
        Ok("clock", "the server's and this machine's agree");
      } else {
        Fail("clock",
             StrCat("the server's is ", static_cast<int64_t>(off), " ms off this machine's"),
             "run a time service (systemd-timesyncd, chrony) on both");
      }
    }
    std::vector<std::string> off;
    for (const auto& [instance, seconds] :
         Query("abs(node_time_seconds - timestamp(node_time_seconds))", "instance")) {
      if (seconds * 1000 > kMostClockMs) {
        off.push_back(StrCat(instance, " by ", std::round(seconds), " s"));
      }
    }
    if (!off.empty()) {
      Fail("clock", StrCat("nodes whose clock is off: ", Listed(off)),
           "run a time service on them; certificates and alerts depend on it");
    }
  }

  void Targets() {
    const Result<Json> targets = Api("/targets?state=active");
    if (!targets.ok()) return Fail("targets", targets.status().message(), "");
    std::vector<std::string> down;
    size_t count = 0;
    for (const Json& t : targets->value("activeTargets", Json::array())) {
      ++count;
      if (Text(t, "health") != "down") continue;
      down.push_back(StrCat(Text(t, "scrapePool"), " ", Text(t, "scrapeUrl"), " (",
                            Text(t, "lastError"), ")"));
    }
    if (count == 0) {
      Warn("targets", "there are none", "name some in scrape_configs of prometheus.yml");
    } else if (down.empty()) {
      Ok("targets", StrCat(count, " up"));
    } else {
      Fail("targets", StrCat(down.size(), " of ", count, " down: ", Listed(down)),
           "the reason is beside each: a port that is closed, a certificate, a name");
    }
  }

  void RulesAndNames() {
    const Result<Json> rules = Api("/rules");
    const Result<Json> names = Api("/label/__name__/values");
    if (!rules.ok() || !names.ok()) {
      return Fail("rules", (rules.ok() ? names.status() : rules.status()).message(), "");
    }
    std::set<std::string> known;
    for (const Json& n : *names) {
      if (n.is_string()) known.insert(n.get<std::string>());
    }
    std::vector<std::string> broken;
    std::map<std::string, std::string> unknown;  // Metric: the first user of it.
    std::set<std::string> recorded;
    std::vector<std::pair<std::string, std::string>> expressions;  // Rule, expression.
    for (const Json& group : rules->value("groups", Json::array())) {
      for (const Json& rule : group.value("rules", Json::array())) {
        if (Text(rule, "health") == "err") {
          broken.push_back(StrCat(Text(rule, "name"), ": ", Text(rule, "lastError")));
        }
        if (Text(rule, "type") == "recording") recorded.insert(Text(rule, "name"));
        expressions.emplace_back(Text(rule, "name"), Text(rule, "query"));
      }
    }
    known.insert({"ALERTS", "ALERTS_FOR_STATE"});
    known.merge(recorded);
    for (const auto& [rule, expression] : expressions) Unknown(expression, rule, known, &unknown);
    if (broken.empty()) {
      Ok("rules", StrCat(expressions.size(), " rules, none fails"));
    } else {
      Fail("rules", StrCat(broken.size(), " fail: ", Listed(broken)), "mend the expressions");
    }
    if (unknown.empty()) {
      Ok("metric names", "every one that a rule uses exists");
    } else {
      std::vector<std::string> lines;
      for (const auto& [metric, rule] : unknown) lines.push_back(StrCat(metric, " (", rule, ")"));
      Warn("metric names", StrCat("used in rules, and nobody sends them: ", Listed(lines)),
           "a rule over a name that does not exist never fires: is it misspelt, or is that exporter "
           "not scraped?");
    }
    Dashboards(known);
  }

  // Notes the metrics of an expression that nobody sends.
  void Unknown(const std::string& expression, const std::string& user,
               const std::set<std::string>& known, std::map<std::string, std::string>* unknown) {
    const Result<Json> tree = Api("/parse_query?query=" + EscapeQuery(expression));
    if (!tree.ok()) return;
    std::set<std::string> used;
    MetricNames(*tree, &used);
    for (const std::string& metric : used) {
      if (!known.contains(metric)) unknown->try_emplace(metric, user);
    }
  }

  void Dashboards(const std::set<std::string>& known) {
    const Result<http::ClientResponse> answer = Get("/api/search");
    const Json list = answer.ok() && answer->status == 200
                          ? Json::parse(answer->body, nullptr, false)
                          : Json();
    if (!list.is_array()) return;
    std::vector<std::string> lines;
    for (const Json& d : list) {
      const Result<http::ClientResponse> dashboard = Get("/api/dashboards/uid/" + Text(d, "uid"));
      if (!dashboard.ok() || dashboard->status != 200) continue;
      std::map<std::string, std::string> unknown;
      for (const std::string& expression : DashboardExpressions(dashboard->body)) {
        Unknown(expression, "", known, &unknown);
      }
      if (unknown.empty()) continue;
      std::vector<std::string> names;
      for (const auto& [metric, user] : unknown) names.push_back(metric);
      const size_t count = names.size();
      names.resize(std::min(count, kShownOfDashboard));
      lines.push_back(StrCat(Text(d, "title"), ": ", count, " (", Listed(names),
                             count > names.size() ? " ..." : "", ")"));
    }
    if (lines.empty()) return Ok("dashboards", StrCat(list.size(), ", all they ask for exists"));
    Warn("dashboards", StrCat("ask for metrics that nobody sends: ", Listed(lines)),
         "fine where that thing is not watched here; else the name is misspelt or its exporter is "
         "not scraped");
  }

  void Receivers() {
    std::vector<std::string> failing;
    for (const auto& [integration, failed] :
         Own("alertmanager_notifications_failed_total", "integration")) {
      if (failed > 0) failing.push_back(StrCat(integration, ": ", failed));
    }
    if (failing.empty()) {
      Ok("receivers", "no notification has failed since the start");
    } else {
      Fail("receivers", StrCat("notifications failed: ", Listed(failing)),
           "the log has the receiver's answer; check its URL, token and the way out of this "
           "network");
    }
    const Result<http::ClientResponse> answer = Get("/api/v2/status");
    const Json status =
        answer.ok() ? Json::parse(answer->body, nullptr, false) : Json();
    if (!status.is_object() || !status.contains("config")) return;
    std::vector<std::string> away;
    const std::set<std::string> addresses = ReceiverAddresses(Text(status["config"], "original"));
    for (const std::string& address : addresses) {
      if (const Status s = Reach(address, kReachMs); !s.ok()) away.emplace_back(s.message());
    }
    if (away.empty()) {
      if (!addresses.empty()) Ok("receivers", StrCat(addresses.size(), " reached from here"));
    } else {
      Warn("receivers", StrCat("not reached from here: ", Listed(away)),
           "run this on the server's machine; then look at its firewall, proxy and name service");
    }
  }

  // Samples of one metric of the server's own, summed by a label.
  std::map<std::string, double> Own(std::string_view metric, std::string_view label) {
    if (!own_) {
      const Result<http::ClientResponse> answer = Get("/metrics");
      own_ = answer.ok() ? answer->body : std::string();
    }
    std::map<std::string, double> out;
    for (const std::string_view line : Split(*own_, '\n')) {
      if (!line.starts_with(metric)) continue;
      const std::string_view rest = line.substr(metric.size());
      if (rest.empty() || (rest[0] != '{' && rest[0] != ' ')) continue;
      std::string key;
      const std::string want = StrCat(label, "=\"");
      if (const size_t at = rest.find(want); !label.empty() && at != std::string_view::npos) {
        const std::string_view value = rest.substr(at + want.size());
        key = std::string(value.substr(0, value.find('"')));
      }
      out[key] += std::strtod(std::string(rest.substr(rest.rfind(' ') + 1)).c_str(), nullptr);
    }
    return out;
  }
  std::optional<double> OwnValue(std::string_view metric) {
    const std::map<std::string, double> all = Own(metric, "");
    if (all.empty()) return std::nullopt;
    return all.begin()->second;
  }

  void FilesAndStorage() {
    const auto open = OwnValue("process_open_fds"), most = OwnValue("process_max_fds");
    if (open && most && *most > 0) {
      const std::string found = StrCat(*open, " of ", *most, " open");
      if (*open < kMostFilesShare * *most) {
        Ok("file descriptors", found);
      } else {
        Fail("file descriptors", found, "raise LimitNOFILE in the unit");
      }
    }
    if (OwnValue("vedette_grpc_insecure").value_or(0) > 0) {
      Fail("gRPC", "open to everybody: --grpc.insecure",
           "give it certificates (vedettectl ca init)");
    }
    const auto queued = OwnValue("vedette_remote_storage_queue_entries");
    const auto newest = OwnValue("prometheus_remote_storage_highest_timestamp_in_seconds");
    for (const auto& [name, sent] :
         Own("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "remote_name")) {
      const double behind = newest.value_or(0) - sent;
      if (sent > 0 && behind < 120) {
        Ok("remote write", StrCat(name, ": ", std::round(std::max(0.0, behind)), " s behind"));
      } else if (newest.value_or(0) > 0) {
        Fail("remote write", StrCat(name, " lags behind, ", queued.value_or(0), " commits wait"),
             "is the receiver reachable? The log has its answers");
      }
    }
  }

  void End(const std::string& what, double not_after_ms) {
    const double left = (not_after_ms - static_cast<double>(clock_.NowMs())) / kDayMs;
    const std::string found = StrCat(what, " ends ", FormatTime(static_cast<int64_t>(not_after_ms)),
                                     ", ", std::floor(left), " days left");
    if (left < 0) {
      Fail("certificate", found, "vedettectl renew, or ca issue --replace; it is refused already");
    } else if (left < doctor_.days) {
      Warn("certificate", found, "vedettectl renew; is vedette-renew.timer enabled there?");
    } else {
      Ok("certificate", found);
    }
  }

  void AgentCertificates() {
    for (const auto& [instance, seconds] :
         Query("vedette_agent_certificate_expiry_timestamp_seconds", "instance")) {
      End(instance, seconds * 1000);
    }
  }

  void LocalCertificates() {
    for (const std::string& path : doctor_.certificates) {
      const int64_t not_after_ms = tls::CertificateEnd(path).NotAfterMs();
      if (not_after_ms == 0) {
        Fail("certificate", StrCat(path, " cannot be read"),
             "is the path right, and may you read it?");
      } else {
        End(path, static_cast<double>(not_after_ms));
      }
    }
  }

  void DiskRoom() {
    if (doctor_.data_dir.empty()) return;
    struct statvfs fs{};
    if (statvfs(doctor_.data_dir.c_str(), &fs) != 0 || fs.f_blocks == 0) {
      return Fail("disk", StrCat(doctor_.data_dir, " cannot be looked at"), "is --data right?");
    }
    const double free = static_cast<double>(fs.f_bavail) / static_cast<double>(fs.f_blocks);
    const std::string found = StrCat(std::round(free * 100), " % free under ", doctor_.data_dir);
    if (free >= kLeastFreeShare) {
      Ok("disk", found);
    } else {
      Fail("disk", found,
           "a larger volume, or less to keep: --storage.tsdb.retention.time or .size");
    }
  }

  const Doctor& doctor_;
  const Clock& clock_;
  std::ostream& out_;
  http::Client client_;
  std::string base_;
  std::optional<std::string> own_;  // The server's /metrics.
  int checks_ = 0;
  int failures_ = 0;
  int warnings_ = 0;
};

}  // namespace

Status Doctor::Run(const Clock& clock, std::ostream& out) const {
  return Visit(*this, clock, out).Run();
}

}  // namespace vedette::ctl
