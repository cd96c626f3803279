#include "agent/mysql/scraper_groups.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/mysql/values.h"
#include "common/base/strings.h"
#include "common/model/labels.h"

namespace vedette::agent {
namespace {

// What accounts may use and, if asked for, what they may do.
Status Accounts(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  static constexpr const char* kPrivileges[] = {
      "alter_priv",          "alter_routine_priv",  "create_priv",      "create_routine_priv",
      "create_tablespace_priv", "create_tmp_table_priv", "create_user_priv", "create_view_priv",
      "delete_priv",         "drop_priv",           "event_priv",       "execute_priv",
      "file_priv",           "grant_priv",          "index_priv",       "insert_priv",
      "lock_tables_priv",    "process_priv",        "references_priv",  "reload_priv",
      "repl_client_priv",    "repl_slave_priv",     "select_priv",      "show_db_priv",
      "show_view_priv",      "shutdown_priv",       "super_priv",       "trigger_priv",
      "update_priv"};
  static constexpr const char* kLimits[] = {"max_questions", "max_updates", "max_connections",
                                            "max_user_connections"};
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query("SELECT * FROM mysql.user"));
  for (const Row& row : rows.rows) {
    const std::string& user = Cell(rows, row, "user");
    const std::string& host = Cell(rows, row, "host");
    for (const char* column : kLimits) {
      if (ColumnOf(rows, column) < 0) continue;
      sink.Family(StrCat("mysql_mysql_", column), kG, StrCat("The account's ", column, "."));
      sink.Add({{"mysql_user", user}, {"hostmask", host}},
               Number(Cell(rows, row, column)).value_or(0));
    }
    if (!options.user_privileges) continue;
    for (const char* column : kPrivileges) {
      if (ColumnOf(rows, column) < 0) continue;
      sink.Family(StrCat("mysql_mysql_", column), kG, StrCat("1 if the account has ", column, "."));
      sink.Add({{"mysql_user", user}, {"hostmask", host}},
               Cell(rows, row, column) == "Y" ? 1 : 0);
    }
  }
  return {};
}

Status UserSummary(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return ScrapeFields(
      connection, "SELECT * FROM sys.`x$user_summary`", {{"user", "user"}},
      {{"statements", "mysql_sys_statements_total", kC, "Statements of each user."},
       {"statement_latency", "mysql_sys_statement_latency", kG, "Time of each user's statements.",
        kPicoseconds},
       {"table_scans", "mysql_sys_table_scans_total", kC, "Table scans of each user."},
       {"file_ios", "mysql_sys_file_ios_total", kC, "File operations of each user."},
       {"file_io_latency", "mysql_sys_file_io_seconds_total", kC,
        "Time of each user's file operations.", kPicoseconds},
       {"current_connections", "mysql_sys_current_connections", kG,
        "Connections of each user now."},
       {"total_connections", "mysql_sys_connections_total", kC, "Connections of each user."},
       {"unique_hosts", "mysql_sys_unique_hosts_total", kC, "Hosts that each user came from."},
       {"current_memory", "mysql_sys_current_memory_bytes", kG, "Memory of each user now."},
       {"total_memory_allocated", "mysql_sys_memory_allocated_bytes_total", kC,
        "Memory allocated for each user."}},
      sink);
}

}  // namespace

std::span<const MysqlScraper> AccountScrapers() {
  static constexpr MysqlScraper kScrapers[] = {
      {"mysql.user", false, Accounts},
      {"sys.user_summary", false, UserSummary},
  };
  return kScrapers;
}

}  // namespace vedette::agent
