#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/collector.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace vedette::agent {

// One MySQL or MariaDB server to watch.
struct MysqlOptions {
  std::string name = "mysql";  // Of the source; several servers: "mysql/NAME".
  std::string host = "localhost";
  int port = 3306;
  std::string unix_socket;  // Instead of host and port.
  std::string user;
  std::string password;
  std::string password_file;  // Read at each connect, so that a rotated password needs no restart.

  bool tls = false;
  std::string tls_ca, tls_cert, tls_key;
  bool tls_insecure_skip_verify = false;

  int64_t connect_timeout_ms = 2'000;
  int64_t query_timeout_ms = 4'000;
  int64_t lock_wait_timeout_s = 2;  // 0: the server's.
  // What one collection may take; scrapers that do not fit any more fail at once.
  int64_t budget_ms = 4'500;
  // How long the last good answer of a scraper is shown while it fails, beside
  // vedette_mysql_collector_age_seconds; 0: never.
  int64_t keep_last_ms = 60'000;
  bool log_slow_filter = false;     // Keeps our queries out of the slow query log (MariaDB).

  // Names as in mysqld_exporter's --collect.NAME. Empty: those that it runs by default.
  std::vector<std::string> collectors;

  // What single scrapers may be told, as mysqld_exporter's --collect.NAME.OPTION.
  int64_t processlist_min_time_s = 0;
  bool processlist_by_user = true, processlist_by_host = true;
  std::string tables_databases = "*";
  std::string heartbeat_database = "heartbeat", heartbeat_table = "heartbeat";
  bool heartbeat_utc = false;
  bool user_privileges = false;
  int64_t statements_limit = 250, statements_timelimit_s = 86400;
  int64_t statements_digest_text_limit = 120;
  std::string statements_exclude_schemas = "mysql,performance_schema,information_schema";
  std::string file_instances_filter = ".*";
  std::string file_instances_remove_prefix = "/var/lib/mysql/";
  std::string memory_events_remove_prefix = "memory/";

  // After so many seconds without a query the server closes the connection; 0: the server's own
  // wait_timeout.
  int64_t idle_close_s = 0;

  bool operator==(const MysqlOptions&) const = default;
};

// Reads ADDRESS[;option=value...]: ADDRESS is host, host:port or unix:///path.sock. Options: name,
// user, password-file, tls, ca-file, cert-file, key-file, insecure-skip-verify, timeout, collect
// (repeatable).
Status ParseMysqlAddress(std::string_view text, MysqlOptions& options);

// The ADDRESS alone.
Status ParseMysqlTarget(std::string_view address, MysqlOptions& options);

// Takes what the section [client] (or `section`) of a my.cnf says: user, password, host, port,
// socket, ssl-ca, ssl-cert, ssl-key. Unknown keys are for other programs and are skipped. A value
// ${NAME} is the environment's.
Status ParseMyCnf(std::string_view text, std::string_view section, MysqlOptions& options);

// Every name that `collectors` may have, and whether it runs by default.
struct MysqlScraperName {
  std::string_view name;
  bool by_default;
};
std::vector<MysqlScraperName> MysqlScrapers();

// Watches one server over a connection that is kept. mysqld_exporter's families: mysql_up, then one
// scraper after the other, each with mysql_exporter_collector_success and _duration_seconds.
// Without a connection it yields mysql_up 0 and fails. A scraper that fails shows its last good
// answer for a while, with its age; it costs nobody else's, unless the connection went with it.
// Every wait has a timeout, and all of them together the budget.
Result<std::unique_ptr<Collector>> MakeMysqlCollector(MysqlOptions options,
                                                      const Clock& clock = SystemClock());

}  // namespace vedette::agent
