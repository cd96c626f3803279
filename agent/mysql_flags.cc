#include "agent/mysql_flags.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::agent {

MysqlFlags::MysqlFlags() {
  const auto scrapers = MysqlScrapers();
  on_ = std::make_unique<bool[]>(scrapers.size());
  for (size_t i = 0; i < scrapers.size(); ++i) {
    names_.emplace_back(scrapers[i].name);
    on_[i] = scrapers[i].by_default;
  }
}

void MysqlFlags::Add(flags::Flags& flags) {
  flags.Group("MySQL");
  flags.Add("mysql.address", &addresses_,
            "HOST:PORT or unix:///SOCKET[;name=N][;user=U][;password-file=F][;tls][;ca-file=F]"
            "[;cert-file=F][;key-file=F][;insecure-skip-verify][;timeout=T][;collect=C]: a server "
            "to watch; may be given several times.");
  flags.Add("mysql.user", &base_.user, "User, where the address names none.");
  flags.Add("mysql.password", &base_.password,
            "Its password; better in a file or in VEDETTE_MYSQL_PASSWORD.");
  flags.Add("mysql.password-file", &base_.password_file, "File that holds the password.");
  flags.Add("mysql.config-file", &config_files_,
            "A my.cnf with user, password, host, port, socket and ssl-*; may be given several "
            "times, for a server each.");
  flags.Add("mysql.config-section", &config_section_, "Its section.");
  flags.Add("mysql.probe-config-file", &probe_files_,
            "A my.cnf whose sections are the accounts of /probe?target=HOST:PORT&auth_module=SECTION, "
            "which asks any server for a real Prometheus, as mysqld_exporter's does; read at each "
            "probe. Without it: the files of --config.my-cnf and --mysql.config-file. May be given "
            "several times.");
  flags.Add("mysql.collect", &collect_,
            "Collectors to run instead of the default ones, as in mysqld_exporter's --collect.NAME; "
            "\"all\" for all of them; may be given several times.");
  flags.AddDuration("mysql.timeout", &base_.query_timeout_ms, "How long a query may take.");
  flags.AddDuration("mysql.keep-last", &base_.keep_last_ms,
                    "How long the last good answer of a collector is shown, with its age, while "
                    "the server lets it fail; 0: not at all.");
  flags.Add("mysql.lock-wait-timeout", &base_.lock_wait_timeout_s,
            "lock_wait_timeout of the session, in seconds; 0: the server's.");
  flags.Add("mysql.log-slow-filter", &base_.log_slow_filter,
            "Keep the agent's queries out of MariaDB's slow query log.");
  flags.Add("mysql.processlist.min-time", &base_.processlist_min_time_s,
            "Seconds a thread must have been busy to be counted.");

  flags.Group("MySQL, in mysqld_exporter's words");
  flags.Add("config.my-cnf", &exporter_config_, "As --mysql.config-file.");
  flags.Add("mysqld.address", &exporter_address_, "As --mysql.address.");
  flags.Add("mysqld.username", &exporter_user_,
            "As --mysql.user; the password is in MYSQLD_EXPORTER_PASSWORD.");
  flags.Add("tls.insecure-skip-verify", &exporter_skip_verify_,
            "Believe any certificate of the server.");
  flags.Add("exporter.lock_wait_timeout", &base_.lock_wait_timeout_s,
            "As --mysql.lock-wait-timeout.");
  flags.Add("exporter.log_slow_filter", &base_.log_slow_filter, "As --mysql.log-slow-filter.");
  AddCollect(flags);
  // One connection is kept, whatever is asked for; a query has a timeout always.
  flags.AddIgnored("exporter.max_open_connections", true);
  flags.AddIgnored("exporter.query_timeout", true);
  flags.AddIgnored("exporter.enable_lock_wait_timeout", false);
}

void MysqlFlags::AddCollect(flags::Flags& flags) {
  for (size_t i = 0; i < names_.size(); ++i) {
    flags.Add(StrCat("collect.", names_[i]), &on_[i], StrCat("Run the collector ", names_[i], "."));
  }
  MysqlOptions& b = base_;
  flags.Add("collect.heartbeat.database", &b.heartbeat_database, "Where the heartbeat table is.");
  flags.Add("collect.heartbeat.table", &b.heartbeat_table, "Its name.");
  flags.Add("collect.heartbeat.utc", &b.heartbeat_utc, "The heartbeat is in UTC.");
  flags.Add("collect.info_schema.processlist.min_time", &b.processlist_min_time_s,
            "As --mysql.processlist.min-time.");
  flags.Add("collect.info_schema.processlist.processes_by_user", &b.processlist_by_user,
            "Show threads by user.");
  flags.Add("collect.info_schema.processlist.processes_by_host", &b.processlist_by_host,
            "Show threads by client host.");
  flags.Add("collect.info_schema.tables.databases", &b.tables_databases,
            "Databases whose tables are shown, with commas between; * for all.");
  flags.Add("collect.mysql.user.privileges", &b.user_privileges, "Show what accounts may do.");
  flags.Add("collect.perf_schema.eventsstatements.limit", &b.statements_limit,
            "How many digests are shown, those that took longest first.");
  flags.Add("collect.perf_schema.eventsstatements.timelimit", &b.statements_timelimit_s,
            "Digests not seen for so many seconds are left out.");
  flags.Add("collect.perf_schema.eventsstatements.digest_text_limit",
            &b.statements_digest_text_limit, "Bytes of a digest's text that are shown.");
  flags.Add("collect.perf_schema.eventsstatements.exclude_schemas", &b.statements_exclude_schemas,
            "Databases whose statements are left out, with commas between.");
  flags.Add("collect.perf_schema.file_instances.filter", &b.file_instances_filter,
            "Expression for files, as MySQL's REGEXP.");
  flags.Add("collect.perf_schema.file_instances.remove_prefix", &b.file_instances_remove_prefix,
            "What is cut off the names of files.");
  flags.Add("collect.perf_schema.memory_events.remove_prefix", &b.memory_events_remove_prefix,
            "What is cut off the names of memory events.");
}

Status MysqlFlags::ReadServers(const flags::Flags& flags, std::vector<MysqlOptions>& found) const {
  std::vector<std::string> files = config_files_;
  std::vector<std::string> addresses = addresses_;
  if (!exporter_config_.empty()) files.push_back(exporter_config_);
  if (!exporter_address_.empty()) addresses.push_back(exporter_address_);
  for (const std::string& path : files) {
    const char* flag = path == exporter_config_ ? "--config.my-cnf=" : "--mysql.config-file=";
    std::ifstream file(path);
    if (!file) return NotFound(StrCat(flag, path, ": cannot be read"));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    MysqlOptions one = base_;
    if (Status s = ParseMyCnf(text, config_section_, one); !s.ok()) {
      // mysqld_exporter's file may hold the accounts of /probe alone.
      const bool only_probes = s.code() == StatusCode::kNotFound && path == exporter_config_ &&
                               exporter_address_.empty() && text.find("[client.") != text.npos;
      if (only_probes) continue;
      return s.Annotate(StrCat(flag, path));
    }
    found.push_back(std::move(one));
  }
  for (size_t i = 0; i < addresses.size(); ++i) {
    // One file and one address speak of the same server.
    const bool same = i == 0 && found.size() == 1;
    MysqlOptions one = same ? found[0] : base_;
    VEDETTE_RETURN_IF_ERROR(ParseMysqlAddress(addresses[i], one));
    if (same) {
      found[0] = std::move(one);
    } else {
      found.push_back(std::move(one));
    }
  }
  return {};
}

Result<std::vector<MysqlOptions>> MysqlFlags::Finish(const flags::Flags& flags) {
  if (base_.statements_limit < 1 || base_.statements_digest_text_limit < 1 ||
      base_.statements_timelimit_s < 1) {
    return InvalidArgument(
        "--collect.perf_schema.eventsstatements.limit, .timelimit and .digest_text_limit are at "
        "least 1");
  }
  if (!exporter_user_.empty()) base_.user = exporter_user_;
  if (const char* password = std::getenv("MYSQLD_EXPORTER_PASSWORD");
      password != nullptr && base_.password.empty()) {
    base_.password = password;
  }
  base_.tls_insecure_skip_verify = exporter_skip_verify_;
  bool switched = false;
  for (const std::string& name : names_) switched |= flags.Given(StrCat("collect.", name));
  if (collect_.size() == 1 && collect_[0] == "all") {
    base_.collectors = names_;
  } else if (!collect_.empty()) {
    base_.collectors = collect_;
  } else if (switched) {
    for (size_t i = 0; i < names_.size(); ++i) {
      if (on_[i]) base_.collectors.push_back(names_[i]);
    }
  }
  if (probe_files_.empty()) {
    probe_files_ = config_files_;
    if (!exporter_config_.empty()) probe_files_.push_back(exporter_config_);
  }
  std::vector<MysqlOptions> found;
  VEDETTE_RETURN_IF_ERROR(ReadServers(flags, found));
  // Servers beyond the first need a name; their address is one.
  for (size_t i = 1; i < found.size(); ++i) {
    MysqlOptions& o = found[i];
    if (o.name != "mysql") continue;
    o.name = StrCat("mysql/", o.unix_socket.empty() ? StrCat(o.host, ":", o.port) : o.unix_socket);
  }
  for (const MysqlOptions& o : found) log::RegisterSecret(o.password);
  return found;
}

}  // namespace vedette::agent
