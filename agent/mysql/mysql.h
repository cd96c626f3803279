#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/collector.h"
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
  bool log_slow_filter = false;     // Keeps our queries out of the slow query log (MariaDB).

  // Names as in mysqld_exporter's --collect.NAME. Empty: those that it runs by default.
  std::vector<std::string> collectors;
  int64_t processlist_min_time_s = 0;
};

// Reads ADDRESS[;option=value...]: ADDRESS is host, host:port or unix:///path.sock. Options: name,
// user, password-file, tls, ca-file, cert-file, key-file, insecure-skip-verify, timeout, collect
// (repeatable).
Status ParseMysqlAddress(std::string_view text, MysqlOptions& options);

// Takes what the section [client] (or `section`) of a my.cnf says: user, password, host, port,
// socket, ssl-ca, ssl-cert, ssl-key. Unknown keys are for other programs and are skipped.
Status ParseMyCnf(std::string_view text, std::string_view section, MysqlOptions& options);

// Every name that `collectors` may have, and whether it runs by default.
struct MysqlScraperName {
  std::string_view name;
  bool by_default;
};
std::vector<MysqlScraperName> MysqlScrapers();

// Watches one server over a connection that is kept. mysqld_exporter's families: mysql_up, then one
// scraper after the other, each with mysql_exporter_collector_success and _duration_seconds.
// Without a connection it yields mysql_up 0 and fails. A scraper that fails costs its own metrics,
// unless the connection went with it. Every wait has a timeout.
Result<std::unique_ptr<Collector>> MakeMysqlCollector(MysqlOptions options);

}  // namespace vedette::agent
