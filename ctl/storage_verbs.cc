#include "ctl/storage_verbs.h"

#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/model/duration.h"
#include "ctl/cost.h"
#include "ctl/http_api.h"
#include "ctl/http_flags.h"
#include "ctl/output.h"
#include "ctl/snapshot.h"
#include "ctl/tsdb.h"
#include "ctl/verb.h"

namespace vedette::ctl {

struct StorageVerbs::Options {
  std::function<Status()>& verb;

  HttpApi api;
  std::string timeout = "2m";
  std::string format_text = "table";
  Cost cost;
  TsdbStats stats;
  TsdbDump dump;
  TsdbVerify verify;
  SnapshotCreate create;
  SnapshotRestore restore;

  CLI::App* HttpVerb(CLI::App& parent, const char* name, const char* help,
                     std::function<Status()> run) {
    CLI::App* to = AddVerb(verb, parent, name, help, [this, run = std::move(run)] {
      const Result<int64_t> timeout_ms = ParseDuration(timeout);
      if (!timeout_ms.ok()) return timeout_ms.status().Annotate("--timeout");
      api.timeout_ms = *timeout_ms;
      api.FillDefaults();
      return run();
    });
    AddHttpFlags(to, api);
    to->add_option("--timeout", timeout, "Give up after so long")->capture_default_str();
    return to;
  }

  void AddFormat(CLI::App* to) {
    to->add_option("-o,--output", format_text, "table, json or csv")->capture_default_str();
  }

  void AddCost(CLI::App& app) {
    CLI::App* to =
        HttpVerb(app, "cost", "Bytes on disk, in memory and on the wire: who spends them", [this] {
          VEDETTE_ASSIGN_OR_RETURN(cost.format, ParseFormat(format_text));
          return cost.Run(api, std::cout);
        });
    to->footer(
        "Examples:\n"
        "  vedettectl cost\n"
        "  vedettectl cost --by job --limit 0 -o csv\n"
        "  vedettectl cost --by label\n"
        "  vedettectl cost --by label --label namespace\n"
        "The rows, with (rest) and (shared), add up to the total, and that is what the data "
        "directory has. By label a row is what the label itself costs: its text and its place in "
        "the index; series_disk and series_memory are of the series that carry it. Bytes on the "
        "wire count from the start of the server.");
    to->add_option("--by", cost.by, "metric, job or label")->capture_default_str();
    to->add_option("--label", cost.label, "With --by label: one row for each of its values");
    to->add_option("--limit", cost.limit, "At most so many rows; 0: all")->capture_default_str();
    AddFormat(to);
  }

  void AddTsdb(CLI::App& app) {
    CLI::App* tsdb = app.add_subcommand("tsdb", "A look at a data directory, without a server");
    tsdb->require_subcommand(1);
    tsdb->footer(
        "Examples:\n"
        "  vedettectl tsdb stats /var/lib/vedette\n"
        "  vedettectl tsdb dump /var/lib/vedette --match 'up{job=\"node\"}' --min-time 1h\n"
        "  vedettectl tsdb verify /var/lib/vedette/snapshots/20270301T120000Z-1a2b\n"
        "Nothing in the directory is changed. stats and dump may be used beside a running server; "
        "verify wants it stopped, or a snapshot.");
    CLI::App* a = AddVerb(verb, *tsdb, "stats", "Series, time range, and what costs how much", [this] {
      VEDETTE_ASSIGN_OR_RETURN(stats.format, ParseFormat(format_text));
      return stats.Run(SystemClock(), std::cout);
    });
    a->add_option("directory", stats.directory, "Data directory or snapshot")->required();
    a->add_option("--by", stats.by, "Costs by metric, job or label")->capture_default_str();
    a->add_option("--limit", stats.limit, "At most so many rows; 0: all")->capture_default_str();
    AddFormat(a);
    CLI::App* b = AddVerb(verb, *tsdb, "dump", "Samples as text", [this] {
      return dump.Run(SystemClock(), std::cout, std::cerr);
    });
    b->add_option("directory", dump.directory, "Data directory or snapshot")->required();
    b->add_option("--match", dump.matchers, "Only series of this selector; repeat for more");
    b->add_option("--min-time", dump.min_time, "Not before: a time, or an age such as 2h");
    b->add_option("--max-time", dump.max_time, "Not after");
    b->add_option("--format", dump.format,
                  "promtool: {labels} value milliseconds; openmetrics: what 'import openmetrics' "
                  "reads")
        ->capture_default_str();
    CLI::App* c = AddVerb(verb, *tsdb, "verify", "Read everything, compare every checksum",
                       [this] { return verify.Run(SystemClock(), std::cout); });
    c->footer("The exit code is 0 where everything is whole, 1 where something is damaged.");
    c->add_option("directory", verify.directory, "Data directory or snapshot")->required();
  }

  void AddSnapshot(CLI::App& app) {
    CLI::App* snapshot = app.add_subcommand("snapshot", "Copies of the data: make one, restore one");
    snapshot->require_subcommand(1);
    snapshot->footer(
        "Examples:\n"
        "  vedettectl snapshot create --url http://hub:9090\n"
        "  vedettectl snapshot restore /backup/20270301T120000Z-1a2b /var/lib/vedette\n"
        "A snapshot lies below snapshots/ of the server's data directory, made of hard links: copy "
        "it elsewhere to have a backup. The server needs --web.enable-admin-api for create, and is "
        "stopped for restore.");
    HttpVerb(*snapshot, "create", "Make a snapshot of a running server; prints its name",
             [this] { return create.Run(api, std::cout); });
    CLI::App* b = AddVerb(verb, *snapshot, "restore", "Put a snapshot into a data directory",
                       [this] { return restore.Run(SystemClock(), std::cout); });
    b->add_option("snapshot", restore.snapshot, "The snapshot's directory")->required();
    b->add_option("directory", restore.directory, "The server's data directory")->required();
    b->add_flag("--replace", restore.replace,
                "The directory has a storage: keep it in before-restore-… beside the new one");
    b->add_flag("--accept-damaged", restore.accept_damaged,
                "Restore a snapshot of which a part is damaged");
  }
};

StorageVerbs::StorageVerbs(CLI::App& app, std::function<Status()>& verb)
    : options_(new Options{.verb = verb}) {
  options_->AddCost(app);
  options_->AddTsdb(app);
  options_->AddSnapshot(app);
}
StorageVerbs::~StorageVerbs() = default;

}  // namespace vedette::ctl
