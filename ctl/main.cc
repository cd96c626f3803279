// vedettectl: everything an operator types. This file knows the flags and nothing else; what a verb
// does is in its own file, so that the next one is a struct, a file and a few lines here.
#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/model/duration.h"
#include "ctl/agent.h"
#include "ctl/alerting_verbs.h"
#include "ctl/ca.h"
#include "ctl/connection.h"
#include "ctl/doctor.h"
#include "ctl/import.h"
#include "ctl/join.h"
#include "ctl/output.h"
#include "ctl/password.h"
#include "ctl/query.h"
#include "ctl/running.h"
#include "ctl/storage_verbs.h"
#include "ctl/token.h"
#include "ctl/verb.h"
#include "ctl/views.h"
#include "ctl/watch.h"

namespace vedette::ctl {
namespace {

// Every verb's options, and the verb that was typed. Lives as long as the parse.
struct Program {
  CLI::App app{"vedettectl: query a Vedette server, look at agents, keep the certificates",
               "vedettectl"};
  std::function<Status()> verb;

  Connection connection;
  std::string timeout = "30s";
  std::string format_text = "table";
  Format format = Format::kTable;

  CaInit ca_init;
  CaIssue ca_issue;
  CaList ca_list;
  CaRevoke ca_revoke;
  CaRotate ca_rotate;
  Doctor doctor;
  HashPassword hash_password;
  ImportOpenMetrics import_openmetrics;
  ImportPrometheus import_prometheus;
  TokenCreate token_create;
  TokenAdd token_add;
  TokenList token_list;
  TokenRemove token_remove;
  Join join;
  Renew renew;
  QueryInstant instant;
  QueryRange range;
  QuerySeries series;
  QueryLabels labels;
  QueryPs ps;
  QueryKill kill;
  QueryExplain explain;
  QueryWatch watch;
  QueryAnalyze analyze;
  bool explained = false;
  Targets targets;
  Rules rules;
  Alerts alerts;
  Watch host_watch;
  AgentDescribe describe;
  AgentCollect collect;
  std::string agent_address;

  void AddFormat(CLI::App* to) {
    to->add_option("-o,--output", format_text, "table, json or csv")->capture_default_str();
  }

  // The flags of a verb that talks to somebody; `run` is called once they are complete.
  CLI::App* RemoteVerb(CLI::App& parent, const char* name, const char* help, bool to_agent,
                       std::function<Status()> run) {
    CLI::App* to = AddVerb(verb, parent, name, help, [this, run = std::move(run)] {
      VEDETTE_ASSIGN_OR_RETURN(format, ParseFormat(format_text));
      const Result<int64_t> timeout_ms = ParseDuration(timeout);
      if (!timeout_ms.ok()) return timeout_ms.status().Annotate("--timeout");
      connection.timeout_ms = *timeout_ms;
      if (!agent_address.empty()) connection.address = agent_address;
      VEDETTE_RETURN_IF_ERROR(connection.FillDefaults());
      return run();
    });
    if (to_agent) {
      to->add_option("address", agent_address, "HOST:PORT of the agent")->required();
    } else {
      to->add_option("--server", connection.address,
                     "HOST:PORT of the server (VEDETTE_SERVER; default localhost:9466)");
    }
    to->add_option("--ca", connection.ca_file,
                   "CA certificate (VEDETTE_CA; ~/.config/vedette/ca.crt)");
    to->add_option("--cert", connection.cert_file,
                   "Your certificate (VEDETTE_CERT; ~/.config/vedette)");
    to->add_option("--key", connection.key_file, "Its key (VEDETTE_KEY; ~/.config/vedette)");
    to->add_option("--server-name", connection.server_name,
                   "The name its certificate must carry, if it is not the host of the address");
    to->add_flag("--insecure", connection.insecure, "Plain text: no encryption, no certificates");
    to->add_option("--timeout", timeout, "Give up after so long")->capture_default_str();
    AddFormat(to);
    return to;
  }

  void AddCa();
  void AddDoctor();
  void AddImport();
  void AddPassword();
  void AddToken();
  void AddJoin();
  void AddQuery();
  void AddViews();
  void AddAgent();
};

void Program::AddCa() {
  CLI::App* ca = app.add_subcommand("ca", "The built-in certificate authority");
  ca->require_subcommand(1);
  ca->footer(
      "Examples:\n"
      "  vedettectl ca init --dir pki\n"
      "  vedettectl ca issue --dir pki --role server --name hub --san hub.example.com --out "
      "hub-files\n"
      "  vedettectl ca issue --dir pki --role agent --name db1 --san 10.0.0.7 --out db1-files\n"
      "  vedettectl ca issue --dir pki --role operator --name olga --out ~/.config/vedette\n"
      "  vedettectl ca revoke db1 --dir pki");
  const auto dir = [](CLI::App* to, std::string& field) {
    to->add_option("--dir", field, "The CA's directory")->required();
  };
  CLI::App* init = AddVerb(verb, *ca, "init", "Make a CA: ca.crt, ca.key and ca.crl in a directory",
                        [this] { return ca_init.Run(SystemClock(), std::cout); });
  dir(init, ca_init.dir);
  init->add_option("--name", ca_init.name, "Its common name")->capture_default_str();
  init->add_option("--days", ca_init.days, "How long it holds")->capture_default_str();

  CLI::App* issue = AddVerb(verb, *ca, "issue", "Make a key and a certificate: NAME.key and NAME.crt",
                         [this] { return ca_issue.Run(SystemClock(), std::cout); });
  dir(issue, ca_issue.dir);
  issue->add_option("--role", ca_issue.role, "server, agent, operator or viewer")->required();
  issue->add_option("--name", ca_issue.name, "The node's or person's name")->required();
  issue->add_option("--san", ca_issue.sans,
                    "A host name or address it answers under; repeat for more");
  issue->add_option("--days", ca_issue.days, "How long it holds")->capture_default_str();
  issue->add_option("--out", ca_issue.out_dir,
                    "Where the files go, with ca.crt and ca.crl (default: --dir)");
  issue->add_flag("--replace", ca_issue.replace, "Overwrite files that are there");

  CLI::App* list = AddVerb(verb, *ca, "list", "What was issued, and its state", [this] {
    VEDETTE_ASSIGN_OR_RETURN(ca_list.format, ParseFormat(format_text));
    return ca_list.Run(SystemClock(), std::cout);
  });
  dir(list, ca_list.dir);
  AddFormat(list);

  CLI::App* rotate = AddVerb(verb, *ca, "rotate", "Replace the CA in three steps, without a refused call",
                          [this] { return ca_rotate.Run(SystemClock(), std::cout); });
  dir(rotate, ca_rotate.dir);
  rotate
      ->add_option(
          "--step", ca_rotate.step,
          "prepare: make the new CA, believed beside the old one; switch: it signs; finish: "
          "forget the old one")
      ->required()
      ->check(CLI::IsMember({"prepare", "switch", "finish"}));
  rotate->add_option("--name", ca_rotate.name, "Name of the new CA")->capture_default_str();
  rotate->add_option("--days", ca_rotate.days, "How long it holds")->capture_default_str();
  rotate->add_flag("--force", ca_rotate.force,
                   "Finish although certificates of the old CA still hold");

  CLI::App* revoke = AddVerb(verb, *ca, "revoke", "Revoke one certificate by serial, or all of a name",
                          [this] { return ca_revoke.Run(SystemClock(), std::cout); });
  dir(revoke, ca_revoke.dir);
  revoke->add_option("certificate", ca_revoke.serial_or_name, "SERIAL or NAME")->required();
}

void Program::AddDoctor() {
  CLI::App* to = AddVerb(verb, app, "doctor", "Check the whole stack, and say what to do",
                      [this] { return doctor.Run(SystemClock(), std::cout); });
  to->footer(
      "Example, on the server:\n"
      "  vedettectl doctor --url http://localhost:9090 --certificate "
      "/var/lib/vedette-server/pki/server.crt --data /var/lib/vedette-server\n"
      "Ends with 0 when nothing is wrong, with 1 otherwise.");
  to->add_option("--url", doctor.url, "The server's HTTP door")->capture_default_str();
  to->add_option("--username", doctor.username, "Its user, where it asks for one");
  to->add_option("--password-file", doctor.password_file, "File with the user's password");
  to->add_option("--ca", doctor.ca_file, "CA of the door's certificate");
  to->add_option("--cert", doctor.cert_file, "Client certificate, where the door wants one");
  to->add_option("--key", doctor.key_file, "Its key");
  to->add_option("--certificate", doctor.certificates,
                 "A certificate on this machine whose end is looked at; repeat for more");
  to->add_option("--data", doctor.data_dir, "The server's data, for the room on its disk");
  to->add_option("--days", doctor.days, "Certificates with fewer days left are reported")
      ->capture_default_str();
}

void Program::AddImport() {
  CLI::App* import = app.add_subcommand("import", "Take over what another system has");
  import->require_subcommand(1);
  import->footer(
      "Examples:\n"
      "  vedettectl import openmetrics old.om\n"
      "  vedettectl import prometheus --config.file prometheus.yml --alertmanager.config.file "
      "alertmanager.yml\n"
      "  vedettectl import prometheus --data /var/lib/prometheus\n"
      "Samples go to the server's remote write door: start it with "
      "--web.enable-remote-write-receiver, and with storage.tsdb.out_of_order_time_window as long "
      "as the oldest of them is old.");
  const auto target = [](CLI::App* to, ImportTarget& t) {
    to->add_option("--url", t.url, "The server's HTTP door")->capture_default_str();
    to->add_option("--username", t.username, "Its user, where it asks for one");
    to->add_option("--password-file", t.password_file, "File with the user's password");
    to->add_option("--ca", t.ca_file, "CA of the door's certificate");
  };
  CLI::App* text = AddVerb(verb, *import, "openmetrics", "Samples with times, as OpenMetrics text",
                        [this] { return import_openmetrics.Run(std::cout); });
  text->add_option("file", import_openmetrics.file, "FILE, or - for standard input")->required();
  target(text, import_openmetrics.target);
  CLI::App* prometheus =
      AddVerb(verb, *import, "prometheus", "Configuration (a report of what differs) and blocks of samples",
           [this] { return import_prometheus.Run(std::cout); });
  prometheus->add_option("--config.file", import_prometheus.config_file, "prometheus.yml");
  prometheus->add_option("--alertmanager.config.file", import_prometheus.alertmanager_file,
                         "alertmanager.yml");
  prometheus->add_option("--data", import_prometheus.data,
                         "Its data directory, or a snapshot of it: every block is sent");
  target(prometheus, import_prometheus.target);
}

void Program::AddPassword() {
  CLI::App* hash = AddVerb(verb, app, "hash-password",
                        "A bcrypt hash of the password on standard input, for basic_auth_users",
                        [this] { return hash_password.Run(std::cin, std::cout); });
  hash->add_option("--cost", hash_password.cost, "4 to 15; each step doubles the work")
      ->capture_default_str();
}

void Program::AddToken() {
  CLI::App* token =
      app.add_subcommand("token", "Join tokens: a first certificate over the network");
  token->require_subcommand(1);
  token->footer(
      "Examples:\n"
      "  vedettectl token create --dir pki --role agent --name db1 >db1.token\n"
      "  vedettectl token add --dir pki --role agent --name db1 --ttl 1h --secret-file db1.token\n"
      "  vedettectl token list --dir pki\n"
      "Then, on the node: vedettectl join --server hub:9467 --token-file db1.token --name db1 "
      "--out /etc/vedette/tls");
  const auto grant = [](CLI::App* to, TokenFlags& flags) {
    to->add_option("--dir", flags.dir, "The CA's directory")->required();
    to->add_option("--role", flags.role, "server, agent, operator or viewer")->required();
    to->add_option("--name", flags.name,
                   "The one name that it may take (default: any without dots that is free)");
    to->add_option("--san", flags.sans,
                   "A host name or address that the node may answer under, beside its name and the "
                   "address it calls from; repeat for more");
    to->add_option("--ttl", flags.ttl, "How long the token holds")->capture_default_str();
    to->add_option("--uses", flags.uses, "How many nodes may join with it")->capture_default_str();
    to->add_option("--days", flags.days, "How long the certificates hold")->capture_default_str();
  };
  CLI::App* create = AddVerb(verb, *token, "create", "Make a token and print it",
                          [this] { return token_create.Run(SystemClock(), std::cout, std::cerr); });
  grant(create, token_create.flags);
  CLI::App* add = AddVerb(verb, *token, "add", "Take a secret that was chosen beforehand",
                       [this] { return token_add.Run(SystemClock(), std::cout); });
  grant(add, token_add.flags);
  add->add_option("--secret-file", token_add.secret_file,
                  "24 to 128 letters, digits, '_' and '-'; - is standard input")
      ->required();
  CLI::App* list = AddVerb(verb, *token, "list", "Tokens that wait, were used or have expired", [this] {
    VEDETTE_ASSIGN_OR_RETURN(token_list.format, ParseFormat(format_text));
    return token_list.Run(SystemClock(), std::cout);
  });
  list->add_option("--dir", token_list.dir, "The CA's directory")->required();
  AddFormat(list);
  CLI::App* remove = AddVerb(verb, *token, "remove", "Forget a token",
                          [this] { return token_remove.Run(SystemClock(), std::cout); });
  remove->add_option("--dir", token_remove.dir, "The CA's directory")->required();
  remove->add_option("id", token_remove.id, "As 'token list' shows it")->required();
}

void Program::AddJoin() {
  CLI::App* a = AddVerb(verb, app, "join", "Get this node's first certificate with a join token",
                     [this] { return join.Run(SystemClock(), std::cout, std::cerr); });
  a->footer(
      "Does nothing if --out has a good certificate already.\n"
      "Example:\n"
      "  vedettectl join --server hub:9467 --token-file db1.token --name db1 --san 10.0.0.7 --out "
      "/etc/vedette/tls");
  a->add_option("--server", join.server, "HOST:PORT of the enrolment door (port 9467)")->required();
  a->add_option("--token-file", join.token_file, "File with the join token; - is standard input")
      ->required();
  a->add_option("--name", join.name, "This node's name")->required();
  a->add_option("--san", join.sans, "A host name or address it answers under; repeat for more");
  a->add_option("--out", join.out_dir, "Where NAME.key, NAME.crt, ca.crt and ca.crl go")
      ->required();
  a->add_option("--deadline", join.deadline, "Try again for so long while the server is not there")
      ->capture_default_str();

  CLI::App* b = AddVerb(verb, app, "renew", "Renew what 'join' got, once two thirds of its life are over",
                     [this] { return renew.Run(SystemClock(), std::cout); });
  b->footer("For a timer; both programs take up new files by themselves.");
  b->add_option("--dir", renew.dir, "The --out of 'join'")->required();
  b->add_option("--server", renew.server, "HOST:PORT of the enrolment door (default: as joined)");
  b->add_option("--server-name", renew.server_name,
                "The name its certificate must carry (default: as joined)");
  b->add_flag("--force", renew.force, "Now, whatever its age");
}

void Program::AddQuery() {
  CLI::App* query = app.add_subcommand("query", "PromQL, series and labels");
  query->require_subcommand(1);
  query->footer(
      "Examples:\n"
      "  vedettectl query instant 'up == 0'\n"
      "  vedettectl query range 'rate(node_cpu_seconds_total[1m])' --start 30m --step 15s -o csv\n"
      "  vedettectl query range 'up' --graph\n"
      "  vedettectl query instant 'sum by (job) (rate(http_requests_total[5m]))' --analyze\n"
      "  vedettectl query series 'up{job=\"node\"}'\n"
      "  vedettectl query labels job\n"
      "  vedettectl query ps");
  const auto plans = [this](CLI::App* to) {
    to->add_flag("--explain", explained, "Show how it would run, and do not run it");
    to->add_flag("--analyze", explain.analyze, "Run it and show what every operator cost");
  };
  const auto times = [](CLI::App* to, std::string& start, std::string& end) {
    to->add_option("--start", start, "From: an age (1h), a time (RFC 3339) or seconds")
        ->capture_default_str();
    to->add_option("--end", end, "To, likewise")->capture_default_str();
  };
  CLI::App* a = RemoteVerb(*query, "instant", "An expression at one instant", false, [this] {
    if (explained || explain.analyze) {
      explain.format = format;
      explain.expression = instant.expression;
      explain.time = instant.time;
      return explain.Run(connection, SystemClock(), std::cout, std::cerr);
    }
    instant.format = format;
    return instant.Run(connection, SystemClock(), std::cout, std::cerr);
  });
  a->add_option("expression", instant.expression, "PromQL")->required();
  a->add_option("--time", instant.time,
                "When: an age (5m), a time (RFC 3339) or seconds; default now");
  plans(a);

  CLI::App* b = RemoteVerb(*query, "range", "An expression over a range", false, [this] {
    if (explained || explain.analyze) {
      explain.format = format;
      explain.expression = range.expression;
      explain.start = range.start;
      explain.end = range.end;
      explain.step = range.step;
      return explain.Run(connection, SystemClock(), std::cout, std::cerr);
    }
    range.format = format;
    return range.Run(connection, SystemClock(), std::cout, std::cerr);
  });
  b->add_option("expression", range.expression, "PromQL")->required();
  times(b, range.start, range.end);
  b->add_option("--step", range.step, "Distance of two points")->capture_default_str();
  b->add_flag("--graph", range.graph, "Draw the lines instead of listing the points");
  plans(b);

  CLI::App* c = RemoteVerb(*query, "series", "Series that match a selector", false, [this] {
    series.format = format;
    return series.Run(connection, SystemClock(), std::cout, std::cerr);
  });
  c->add_option("selector", series.matchers, "up{job=\"node\"}; one or more")->required();
  times(c, series.start, series.end);
  c->add_option("--limit", series.limit, "At most so many; 0: all")->capture_default_str();

  CLI::App* d =
      RemoteVerb(*query, "labels", "Names of labels, or the values of one", false, [this] {
        labels.format = format;
        return labels.Run(connection, SystemClock(), std::cout, std::cerr);
      });
  d->add_option("label", labels.label, "A label, for its values");
  d->add_option("--match", labels.matchers, "Only of series that match; repeat for more");
  times(d, labels.start, labels.end);
  d->add_option("--limit", labels.limit, "At most so many; 0: all")->capture_default_str();

  RemoteVerb(*query, "ps", "Queries that wait or run", false, [this] {
    ps.format = format;
    return ps.Run(connection, SystemClock(), std::cout);
  });
  RemoteVerb(*query, "kill", "End running queries", false, [this] {
    return kill.Run(connection, std::cout);
  })->add_option("id", kill.ids, "As 'query ps' shows it; one or more")->required();

  CLI::App* e = RemoteVerb(*query, "watch", "An expression's changes as they happen", false, [this] {
    watch.format = format;
    return watch.Run(connection, std::cout, std::cerr);
  });
  e->add_option("expression", watch.expression, "PromQL: a vector or a scalar")->required();
  e->add_option("--interval", watch.interval, "Between two evaluations")->capture_default_str();
  e->add_option("--changes", watch.changes, "End after so many answers; 0: never")
      ->capture_default_str();

  CLI::App* f = RemoteVerb(*query, "analyze", "How well histograms use their buckets", false, [this] {
    analyze.format = format;
    return analyze.Run(connection, SystemClock(), std::cout, std::cerr);
  });
  f->footer("Example:\n  vedettectl query analyze --match 'http_request_duration_seconds_bucket' --duration 1h");
  f->add_option("--type", analyze.type, "What to look at: histogram")->capture_default_str();
  f->add_option("--match", analyze.matchers,
                "Native histograms, or the _bucket series of classic ones; repeat for more")
      ->required();
  f->add_option("--duration", analyze.duration, "How far back")->capture_default_str();
  f->add_option("--time", analyze.time, "Up to when; default now");
}

void Program::AddViews() {
  CLI::App* a = RemoteVerb(app, "targets", "Scrape targets and their health", false, [this] {
    targets.format = format;
    return targets.Run(connection, std::cout);
  });
  a->add_option("--job", targets.job, "Only this job");
  a->add_flag("--dropped", targets.dropped, "Also those that relabelling dropped");
  CLI::App* b = RemoteVerb(app, "rules", "Rules and their state", false, [this] {
    rules.format = format;
    return rules.Run(connection, std::cout);
  });
  b->add_option("group", rules.groups, "Only these groups");
  CLI::App* c = RemoteVerb(app, "watch", "Scrape one host more often for a while", false,
                           [this] { return host_watch.Run(connection, std::cout); });
  c->footer(
      "Needs the role operator. At least 100ms, at most 10m, 16 targets at one time.\n"
      "Example:\n"
      "  vedettectl watch db1 --interval 100ms --for 60s");
  c->add_option("host", host_watch.host, "Its address, with or without port, or its instance label")
      ->required();
  c->add_option("--interval", host_watch.interval, "How often")->capture_default_str();
  c->add_option("--for", host_watch.duration, "For how long")->capture_default_str();
  c->add_flag("--stop", host_watch.stop, "End a watch now");
  RemoteVerb(app, "alerts", "Alerts that are pending or firing", false, [this] {
    alerts.format = format;
    return alerts.Run(connection, std::cout);
  });
}

void Program::AddAgent() {
  CLI::App* agent = app.add_subcommand("agent", "Ask one agent directly");
  agent->require_subcommand(1);
  agent->footer(
      "Examples:\n"
      "  vedettectl agent describe db1:9465\n"
      "  vedettectl agent collect db1:9465 --collector loadavg --name 'node_load.*'");
  RemoteVerb(*agent, "describe", "Who it is, its sources and collectors", true, [this] {
    describe.format = format;
    return describe.Run(connection, std::cout);
  });
  CLI::App* b = RemoteVerb(*agent, "collect", "One collection, now", true, [this] {
    collect.format = format;
    return collect.Run(connection, std::cout);
  });
  b->add_option("--source", collect.sources, "Only these sources: host, container, mysql, …");
  b->add_option("--collector", collect.collectors, "Only these collectors");
  b->add_option("--name", collect.name_regex, "Only families whose whole name matches (RE2)");
}

int Main(int argc, char** argv) {
  constexpr int kUsage = 2;
  Program program;
  program.app.require_subcommand(1);
  program.app.footer("'vedettectl VERB --help' explains each, with examples.");
  program.AddQuery();
  program.AddViews();
  program.AddAgent();
  program.AddCa();
  program.AddDoctor();
  program.AddImport();
  program.AddPassword();
  program.AddToken();
  program.AddJoin();
  const AlertingVerbs alerting(program.app, program.verb);
  const StorageVerbs storage(program.app, program.verb);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11's way to say usage, and --help.
    return program.app.exit(error) == 0 ? 0 : kUsage;
  }
  const Status status = program.verb();
  if (status.ok()) return 0;
  // A mistake in a configuration may quote an address with a password.
  std::cerr << "vedettectl: " << config::HideUrlSecrets(status.message()) << '\n';
  return status.code() == StatusCode::kInvalidArgument ? kUsage : 1;
}

}  // namespace
}  // namespace vedette::ctl

int main(int argc, char** argv) { return vedette::ctl::Main(argc, argv); }
