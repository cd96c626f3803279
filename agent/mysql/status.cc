#include "agent/mysql/scraper_groups.h"

#include <algorithm>
#include <array>
#include <charconv>
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

Status GlobalStatus(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query("SHOW GLOBAL STATUS"));
  struct Group {
    std::string_view prefix, family, label, help;
  };
  static constexpr Group kGroups[] = {
      {"com_", "mysql_global_status_commands_total", "command", "Commands executed."},
      {"handler_", "mysql_global_status_handlers_total", "handler", "Handler calls executed."},
      {"connection_errors_", "mysql_global_status_connection_errors_total", "error",
       "Connections that failed."},
      {"innodb_rows_", "mysql_global_status_innodb_row_ops_total", "operation",
       "InnoDB row operations."},
      {"performance_schema_", "mysql_global_status_performance_schema_lost_total",
       "instrumentation", "Instrumentation that could not be kept for lack of memory."},
  };
  constexpr std::string_view kPages = "innodb_buffer_pool_pages_";
  std::map<std::string, std::string> texts;
  for (const Row& row : rows.rows) {
    if (row.size() < 2 || !row[0]) continue;
    const std::string name = NamePart(*row[0]);
    if (row[1]) texts[name] = *row[1];
    const auto v = StatusValue(row[1]);
    if (!v) continue;
    const auto* group =
        std::ranges::find_if(kGroups, [&](const Group& g) { return name.starts_with(g.prefix); });
    if (group != std::end(kGroups)) {
      sink.Family(group->family, kC, group->help);
      sink.Add({{group->label, std::string_view(name).substr(group->prefix.size())}}, *v);
    } else if (name.starts_with(kPages)) {
      const std::string state = name.substr(kPages.size());
      if (state == "data" || state == "free" || state == "misc" || state == "old") {
        sink.Family("mysql_global_status_buffer_pool_pages", kG, "Pages of the buffer pool.");
        sink.Add({{"state", state}}, *v);
      } else if (state == "dirty") {
        sink.Gauge("mysql_global_status_buffer_pool_dirty_pages", "Dirty pages.", *v);
      } else if (state != "total") {
        sink.Family("mysql_global_status_buffer_pool_page_changes_total", kC,
                    "Changes of the buffer pool's pages.");
        sink.Add({{"operation", state}}, *v);
      }
    } else {
      sink.Family(StrCat("mysql_global_status_", name), kU, "A value of SHOW GLOBAL STATUS.");
      sink.Add({}, *v);
    }
  }
  if (!texts["wsrep_local_state_uuid"].empty()) {
    sink.Family("mysql_galera_status_info", kG, "The Galera cluster this server is in.");
    sink.Add({{"wsrep_local_state_uuid", texts["wsrep_local_state_uuid"]},
              {"wsrep_cluster_state_uuid", texts["wsrep_cluster_state_uuid"]},
              {"wsrep_provider_version", texts["wsrep_provider_version"]}},
             1);
  }
  return {};
}

Status GlobalVariables(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query("SHOW GLOBAL VARIABLES"));
  std::map<std::string, std::string> texts;
  for (const Row& row : rows.rows) {
    if (row.size() < 2 || !row[0]) continue;
    const std::string name = NamePart(*row[0]);
    texts[name] = Text(row[1]);
    const auto v = StatusValue(row[1]);
    if (v) {
      sink.Gauge(StrCat("mysql_global_variables_", name), "A value of SHOW GLOBAL VARIABLES.", *v);
    }
  }
  sink.Family("mysql_version_info", kG, "Version of the server.");
  sink.Add({{"version", texts["version"]},
            {"innodb_version", texts["innodb_version"]},
            {"version_comment", texts["version_comment"]}},
           1);
  // MySQL 8 has the name that MariaDB learns with 11.1.
  const std::string& isolation = texts.contains("transaction_isolation")
                                     ? texts["transaction_isolation"]
                                     : texts["tx_isolation"];
  if (!isolation.empty()) {
    sink.Family("mysql_transaction_isolation", kG, "The isolation level of new transactions.");
    sink.Add({{"level", isolation}}, 1);
  }
  if (texts.contains("wsrep_cluster_name")) {
    sink.Family("mysql_galera_variables_info", kG, "The Galera cluster this server is in.");
    sink.Add({{"wsrep_cluster_name", texts["wsrep_cluster_name"]}}, 1);
  }
  return {};
}

Status SlaveStatus(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  const char* sql = connection.is_mariadb()          ? "SHOW ALL SLAVES STATUS"
                    : connection.version() >= 80'022 ? "SHOW REPLICA STATUS"
                                                     : "SHOW SLAVE STATUS";
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query(sql));
  const auto text = [&](const Row& row, std::string_view old_name, std::string_view new_name) {
    return Cell(rows, row, ColumnOf(rows, old_name) < 0 ? new_name : old_name);
  };
  for (const Row& row : rows.rows) {
    const std::string host = text(row, "master_host", "source_host");
    const std::string uuid = text(row, "master_uuid", "source_uuid");
    const std::string channel = text(row, "channel_name", "channel_name");
    const std::string connection_name = text(row, "connection_name", "connection_name");
    for (size_t i = 0; i < rows.columns.size(); ++i) {
      const auto v = StatusValue(row[i]);
      if (!v) continue;
      sink.Family(StrCat("mysql_slave_status_", NamePart(rows.columns[i])), kU,
                  "A column of the replica's status.");
      sink.Add({{"master_host", host},
                {"master_uuid", uuid},
                {"channel_name", channel},
                {"connection_name", connection_name}},
               *v);
    }
  }
  return {};
}

Status BinlogSize(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows on, connection.Query("SELECT @@log_bin"));
  if (on.rows.empty() || NumberOr0(on.rows[0][0]) == 0) return {};
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query("SHOW BINARY LOGS"));
  double bytes = 0, last = 0;
  for (const Row& row : rows.rows) {
    bytes += NumberOr0(row[1]);
    const std::string& name = Text(row[0]);
    last = Number(std::string_view(name).substr(name.rfind('.') + 1)).value_or(0);
  }
  sink.Gauge("mysql_binlog_size_bytes", "Size of all binary logs together.", bytes);
  sink.Gauge("mysql_binlog_files", "Binary logs.", static_cast<double>(rows.rows.size()));
  sink.Gauge("mysql_binlog_file_number", "Number of the last binary log.", last);
  return {};
}

Status SlaveHosts(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(!connection.is_mariadb() && connection.version() >= 80'022
                           ? "SHOW REPLICAS"
                           : "SHOW SLAVE HOSTS"));
  const auto text = [&](const Row& row, std::string_view a, std::string_view b) {
    return Cell(rows, row, ColumnOf(rows, a) < 0 ? b : a);
  };
  for (const Row& row : rows.rows) {
    sink.Family("mysql_heartbeat_mysql_slave_hosts_info", kG, "Replicas that are attached.");
    sink.Add({{"server_id", text(row, "server_id", "server_id")},
              {"slave_host", text(row, "host", "host")},
              {"port", text(row, "port", "port")},
              {"master_id", text(row, "master_id", "source_id")},
              {"slave_uuid", text(row, "slave_uuid", "replica_uuid")}},
             1);
  }
  return {};
}

// The first number in a line of the report before `what`: "0 queries inside InnoDB, 0 queries in
// queue".
std::optional<double> NumberBefore(std::string_view report, std::string_view what) {
  const size_t at = report.find(what);
  if (at == std::string_view::npos) return std::nullopt;
  size_t begin = at;
  while (begin > 0 && report[begin - 1] >= '0' && report[begin - 1] <= '9') --begin;
  return Number(report.substr(begin, at - begin));
}

Status EngineInnodb(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query("SHOW ENGINE INNODB STATUS"));
  for (const Row& row : rows.rows) {
    const std::string& report = Cell(rows, row, "status");
    if (const auto n = NumberBefore(report, " queries inside InnoDB")) {
      sink.Gauge("mysql_engine_innodb_queries_inside_innodb", "Queries inside InnoDB.", *n);
    }
    if (const auto n = NumberBefore(report, " queries in queue")) {
      sink.Gauge("mysql_engine_innodb_queries_in_queue", "Queries in queue.", *n);
    }
    if (const auto n = NumberBefore(report, " read views open inside InnoDB")) {
      sink.Gauge("mysql_engine_innodb_read_views_open_inside_innodb",
                 "Read views open inside InnoDB.", *n);
    }
  }
  return {};
}

Status EngineTokudb(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows = connection.Query("SHOW ENGINE TOKUDB STATUS");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};  // No TokuDB.
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) {
    const auto value = StatusValue(Cell(*rows, row, "status"));
    if (!value) continue;
    sink.Family(StrCat("mysql_engine_tokudb_", NamePart(Cell(*rows, row, "name"))), kU,
                "A value of SHOW ENGINE TOKUDB STATUS.");
    sink.Add({}, *value);
  }
  return {};
}

std::string Identifier(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    out += c;
    if (c == '`') out += c;
  }
  return out + "`";
}

// pt-heartbeat's table: the primary writes the time into it, so that a replica's row says how far
// behind it is.
Status Heartbeat(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  return ScrapeFields(
      connection,
      StrCat("SELECT UNIX_TIMESTAMP(ts) AS stored, UNIX_TIMESTAMP(",
             options.heartbeat_utc ? "UTC_TIMESTAMP(6)" : "NOW(6)", ") AS now, server_id FROM ",
             Identifier(options.heartbeat_database), ".", Identifier(options.heartbeat_table)),
      {{"server_id", "server_id"}},
      {{"now", "mysql_heartbeat_now_timestamp_seconds", kG, "Time of the server."},
       {"stored", "mysql_heartbeat_stored_timestamp_seconds", kG,
        "Time in the heartbeat table."}},
      sink);
}

}  // namespace

std::span<const MysqlScraper> StatusScrapers() {
  static constexpr MysqlScraper kScrapers[] = {
      {"global_status", true, GlobalStatus},
      {"global_variables", true, GlobalVariables},
      {"slave_status", true, SlaveStatus},
      {"binlog_size", false, BinlogSize},
      {"engine_innodb_status", false, EngineInnodb},
      {"engine_tokudb_status", false, EngineTokudb},
      {"heartbeat", false, Heartbeat},
      {"slave_hosts", false, SlaveHosts},
  };
  return kScrapers;
}

}  // namespace vedette::agent
