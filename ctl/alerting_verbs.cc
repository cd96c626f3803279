#include "ctl/alerting_verbs.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "ctl/check.h"
#include "ctl/http_api.h"
#include "ctl/http_flags.h"
#include "ctl/rehearse.h"
#include "ctl/routes.h"
#include "ctl/silences.h"
#include "ctl/verb.h"

namespace vedette::ctl {
namespace {

std::string Me() {
  const char* user = std::getenv("USER");
  return user == nullptr ? "" : user;
}

}  // namespace

struct AlertingVerbs::Options {
  std::function<Status()>& verb;

  HttpApi api;
  CheckRules check_rules;
  CheckConfig check_config;
  CheckAlertmanager check_alertmanager;
  TestRules test_rules;
  RoutesShow routes_show;
  RoutesTest routes_test;
  AlertQuery alert_query;
  AlertAdd alert_add;
  SilenceAdd silence_add;
  SilenceQuery silence_query;
  SilenceExpire silence_expire;
  SilenceUpdate silence_update;
  SilenceImport silence_import;
  Rehearse rehearse;

  // A verb that talks to a server over HTTP.
  CLI::App* HttpVerb(CLI::App& parent, const char* name, const char* help,
                     std::function<Status()> run) {
    CLI::App* to = AddVerb(verb, parent, name, help, [this, run = std::move(run)] {
      api.FillDefaults();
      return run();
    });
    AddHttpFlags(to, api);
    return to;
  }

  void AddChecks(CLI::App& app) {
    CLI::App* check = app.add_subcommand("check", "Read configuration files as a server would");
    check->require_subcommand(1);
    check->footer(
        "Examples:\n"
        "  vedettectl check config /etc/vedette/prometheus.yml\n"
        "  vedettectl check rules rules/*.yml\n"
        "  vedettectl check alertmanager /etc/vedette/alertmanager.yml\n"
        "A mistake is told as file:line:column: reason, and the exit code is 1.");
    CLI::App* rules = AddVerb(verb, *check, "rules", "Rule files: fields, PromQL and templates",
                           [this] { return check_rules.Run(std::cout); });
    rules->add_option("file", check_rules.files, "Rule files")->required();
    rules->add_flag("--lint-fatal", check_rules.lint_fatal, "Fail where a rule is there twice");
    CLI::App* config = AddVerb(verb, *check, "config", "prometheus.yml, and the rule files that it names",
                            [this] { return check_config.Run(std::cout); });
    config->add_option("file", check_config.files, "Configuration files")->required();
    CLI::App* alertmanager = AddVerb(verb, *check, "alertmanager", "alertmanager.yml, and its templates",
                                  [this] { return check_alertmanager.Run(std::cout); });
    alertmanager->add_option("file", check_alertmanager.files, "Configuration files")->required();

    CLI::App* test = app.add_subcommand("test", "Unit tests");
    test->require_subcommand(1);
    CLI::App* t = AddVerb(verb, *test, "rules", "Unit tests of rules, in promtool's format",
                       [this] { return test_rules.Run(std::cout); });
    t->footer(
        "Example:\n"
        "  vedettectl test rules --junit out.xml rules/tests/*.yml");
    t->add_option("file", test_rules.files, "Files of tests")->required();
    t->add_option("--run", test_rules.run, "Only tests whose whole name matches (RE2); repeat");
    t->add_option("--junit", test_rules.junit_file, "Also write the outcome as JUnit XML");
  }

  void AddRoutes(CLI::App& app) {
    CLI::App* routes = app.add_subcommand("routes", "The routing tree of alertmanager.yml");
    routes->require_subcommand(1);
    routes->footer(
        "Examples:\n"
        "  vedettectl routes show --config.file alertmanager.yml\n"
        "  vedettectl routes test --config.file alertmanager.yml severity=page team=db\n"
        "Without --config.file the running server is asked.");
    CLI::App* show = HttpVerb(*routes, "show", "Draw the tree",
                              [this] { return routes_show.Run(api, std::cout); });
    show->add_option("--config.file", routes_show.config_file, "alertmanager.yml");
    CLI::App* t = HttpVerb(*routes, "test", "Which receivers an alert would reach",
                           [this] { return routes_test.Run(api, std::cout); });
    t->add_option("--config.file", routes_test.config_file, "alertmanager.yml");
    t->add_option("label", routes_test.labels, "name=value of the alert");
    t->add_option("--verify.receivers", routes_test.verify_receivers,
                  "Fail unless these are the receivers, in this order")
        ->delimiter(',');
    t->add_flag("--tree", routes_test.tree, "Draw the way too");
  }

  void AddAlerts(CLI::App& app) {
    CLI::App* alert = app.add_subcommand("alert", "Alerts as the routing sees them");
    alert->require_subcommand(1);
    alert->footer(
        "Examples:\n"
        "  vedettectl alert query severity=page\n"
        "  vedettectl alert add alertname=Drill severity=page --annotation summary='only a test'");
    CLI::App* query = HttpVerb(*alert, "query", "Show alerts",
                               [this] { return alert_query.Run(api, std::cout); });
    query->add_option("matcher", alert_query.matchers,
                      "name=value, name=~regex, ...; a bare word is an alertname");
    query->add_flag("-a,--active", alert_query.active, "Active ones");
    query->add_flag("-s,--silenced", alert_query.silenced, "Silenced ones");
    query->add_flag("-i,--inhibited", alert_query.inhibited, "Inhibited ones");
    query->add_flag("-u,--unprocessed", alert_query.unprocessed, "Ones not yet looked at");
    query->add_option("-r,--receiver", alert_query.receiver, "Only for receivers that match (RE2)");
    query->add_option("-o,--output", alert_query.format, "simple, extended or json")
        ->capture_default_str();
    CLI::App* add = HttpVerb(*alert, "add", "Post an alert",
                             [this] { return alert_add.Run(api, SystemClock()); });
    add->add_option("label", alert_add.labels, "name=value; a bare word is the alertname")
        ->required();
    add->add_option("--annotation", alert_add.annotations, "name=value; repeat for more");
    add->add_option("--start", alert_add.start, "When it began (RFC 3339); default now");
    add->add_option("--end", alert_add.end, "When it ended or will end");
    add->add_option("--generator-url", alert_add.generator_url, "Where it comes from");
  }

  void AddSilences(CLI::App& app) {
    CLI::App* silence = app.add_subcommand("silence", "Silences");
    silence->require_subcommand(1);
    silence->footer(
        "Examples:\n"
        "  vedettectl silence add alertname=HostDown instance=db1 -d 2h -c 'new disk'\n"
        "  vedettectl silence add --preview job=~'web.*'\n"
        "  vedettectl silence add job=backup -d 30d -c 'weekly dump' --recurrence '{weekdays: "
        "[sunday], times: [{start_time: \"02:00\", end_time: \"04:00\"}], location: "
        "Europe/Berlin}'\n"
        "  vedettectl silence expire $(vedettectl silence query -q job=backup)");
    CLI::App* add = HttpVerb(*silence, "add", "Make a silence and print its id",
                             [this] { return silence_add.Run(api, SystemClock(), std::cout); });
    add->add_option("matcher", silence_add.matchers, "What it silences; all must match")
        ->required();
    silence_add.author = Me();
    add->add_option("-a,--author", silence_add.author, "Who made it")->capture_default_str();
    add->add_option("-c,--comment", silence_add.comment, "Why");
    add->add_flag("--require-comment,!--no-require-comment", silence_add.require_comment,
                  "Refuse a silence without a comment (the default)");
    add->add_option("-d,--duration", silence_add.duration, "How long")->capture_default_str();
    add->add_option("--start", silence_add.start, "From; default now");
    add->add_option("--end", silence_add.end, "Until; instead of --duration");
    add->add_option("--annotation", silence_add.annotations, "name=value; repeat for more");
    add->add_option("--recurrence", silence_add.recurrence,
                    "Only in these hours: an entry of time_intervals, in YAML or JSON");
    add->add_option("--remind-before", silence_add.remind_before,
                    "Raise the alert SilenceExpiring so long before the end");
    add->add_flag("--preview", silence_add.preview,
                  "Make none; show the alerts that it would hold back");
    CLI::App* query = HttpVerb(*silence, "query", "Show silences",
                               [this] { return silence_query.Run(api, SystemClock(), std::cout); });
    query->add_option("matcher", silence_query.matchers, "Only those that have these matchers");
    query->add_flag("--expired", silence_query.expired, "Those that are over");
    query->add_flag("-q,--quiet", silence_query.quiet, "Ids alone");
    query->add_option("--created-by", silence_query.created_by, "Only of this person");
    query->add_option("--id", silence_query.id, "Only this one");
    query->add_option("--within", silence_query.within, "Only those that end (or ended) so near");
    query->add_option("-o,--output", silence_query.format, "simple, extended or json")
        ->capture_default_str();
    CLI::App* expire = HttpVerb(*silence, "expire", "End silences now",
                                [this] { return silence_expire.Run(api); });
    expire->add_option("id", silence_expire.ids, "Ids")->required();
    CLI::App* update = HttpVerb(*silence, "update", "Change silences", [this] {
      return silence_update.Run(api, SystemClock(), std::cout);
    });
    update->add_option("id", silence_update.ids, "Ids")->required();
    update->add_option("-d,--duration", silence_update.duration, "New length, from its start");
    update->add_option("--start", silence_update.start, "New start");
    update->add_option("--end", silence_update.end, "New end");
    update->add_option("-c,--comment", silence_update.comment, "New comment");
    update->add_option("-o,--output", silence_update.format, "simple, extended or json")
        ->capture_default_str();
    CLI::App* import = HttpVerb(*silence, "import", "Make silences from 'query -o json'",
                                [this] { return silence_import.Run(api, std::cout); });
    import->add_option("file", silence_import.file, "The file; - is standard input")
        ->capture_default_str();
    import->add_flag("-f,--force", silence_import.force, "As new ones, whatever their ids");
  }

  void AddRehearsal(CLI::App& app) {
    CLI::App* to =
        HttpVerb(app, "rehearse", "What rules and routes would have done over stored history",
                 [this] { return rehearse.Run(api, SystemClock(), std::cout); });
    to->footer(
        "Examples:\n"
        "  vedettectl rehearse --rules new.yml --from 7d\n"
        "  vedettectl rehearse --rules old.yml --compare-rules new.yml --from 7d --no-bodies\n"
        "  vedettectl rehearse --alertmanager-config a.yml --compare-alertmanager-config b.yml\n"
        "Nothing is sent and nothing is stored. What is not given is what the server runs.");
    to->add_option("--rules", rehearse.rules, "Rule files; repeat for more");
    to->add_option("--alertmanager-config", rehearse.alertmanager_config, "alertmanager.yml");
    to->add_option("--compare-rules", rehearse.compare_rules, "The rules after a change");
    to->add_option("--compare-alertmanager-config", rehearse.compare_alertmanager_config,
                   "The alertmanager.yml after a change");
    to->add_option("--from", rehearse.from, "An age (7d), a time (RFC 3339) or seconds")
        ->capture_default_str();
    to->add_option("--to", rehearse.to, "Likewise")->capture_default_str();
    to->add_flag("--no-silences", rehearse.without_silences, "As if nobody had set a silence");
    to->add_flag("!--no-bodies", rehearse.bodies, "Only when and to whom, not the messages");
    to->add_option("-o,--output", rehearse.format, "text or json")->capture_default_str();
  }
};

AlertingVerbs::AlertingVerbs(CLI::App& app, std::function<Status()>& verb)
    : options_(new Options{.verb = verb}) {
  options_->AddChecks(app);
  options_->AddRoutes(app);
  options_->AddAlerts(app);
  options_->AddSilences(app);
  options_->AddRehearsal(app);
}

AlertingVerbs::~AlertingVerbs() = default;

}  // namespace vedette::ctl
