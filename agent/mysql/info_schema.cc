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

Status InnodbCmp(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return ScrapeFields(
      connection,
      "SELECT page_size, compress_ops, compress_ops_ok, compress_time, uncompress_ops, "
      "uncompress_time FROM information_schema.innodb_cmp",
      {{"page_size", "page_size"}},
      {{"compress_ops", "mysql_info_schema_innodb_cmp_compress_ops_total", kC, "Pages compressed."},
       {"compress_ops_ok", "mysql_info_schema_innodb_cmp_compress_ops_ok_total", kC,
        "Pages compressed well enough."},
       {"compress_time", "mysql_info_schema_innodb_cmp_compress_time_seconds_total", kC,
        "Time spent compressing."},
       {"uncompress_ops", "mysql_info_schema_innodb_cmp_uncompress_ops_total", kC,
        "Pages decompressed."},
       {"uncompress_time", "mysql_info_schema_innodb_cmp_uncompress_time_seconds_total", kC,
        "Time spent decompressing."}},
      sink);
}

Status InnodbCmpmem(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return ScrapeFields(
      connection,
      "SELECT page_size, buffer_pool_instance, pages_used, pages_free, relocation_ops, "
      "relocation_time FROM information_schema.innodb_cmpmem",
      {{"page_size", "page_size"}, {"buffer_pool", "buffer_pool_instance"}},
      {{"pages_used", "mysql_info_schema_innodb_cmpmem_pages_used_total", kC, "Blocks in use."},
       {"pages_free", "mysql_info_schema_innodb_cmpmem_pages_free_total", kC,
        "Blocks that are free."},
       {"relocation_ops", "mysql_info_schema_innodb_cmpmem_relocation_ops_total", kC,
        "Blocks that were moved."},
       {"relocation_time", "mysql_info_schema_innodb_cmpmem_relocation_time_seconds_total", kC,
        "Time spent moving blocks.", 1000}},
      sink);
}

// A bound as Prometheus' exporters write it: 0.0001 and 100000, and from a million on 1e+06.
std::string Bound(double v) {
  char buffer[64];
  const bool plain = v == 0 || (v >= 1e-4 && v < 1e6);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  return {buffer, end};
}

// "Master has sent all binlog to slave; waiting" without its punctuation, as a word.
std::string ThreadState(std::string_view text) {
  std::string out;
  for (const char c : Lower(text)) {
    if (c == ' ' || c == '-') {
      out += '_';
    } else if (std::string_view(";,:.()").find(c) == std::string_view::npos) {
      out += c;
    }
  }
  return out.empty() ? "unknown" : out;
}

Status QueryResponseTime(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto on = connection.Query("SELECT @@query_response_time_stats");
  // Without the plugin there is nothing to say.
  if (!on.ok() && on.status().code() == StatusCode::kNotFound) return {};
  if (!on.ok()) return on.status();
  if (on->rows.empty() || NumberOr0(on->rows[0][0]) == 0) return {};
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query("SELECT TIME, COUNT, TOTAL FROM information_schema.query_response_time"));
  sink.Family("mysql_info_schema_query_response_time_seconds", MetricType::kHistogram,
              "How long queries took.");
  double count = 0, sum = 0;
  for (const Row& row : rows.rows) {
    count += NumberOr0(row[1]);
    sum += NumberOr0(row[2]);
    // The last line is "TOO LONG".
    const auto bound = Number(Text(row[0]));
    if (bound) sink.AddPart("_bucket", {{"le", Bound(*bound)}}, count);
  }
  sink.AddPart("_bucket", {{"le", "+Inf"}}, count);
  sink.AddPart("_sum", {}, sum);
  sink.AddPart("_count", {}, count);
  return {};
}

Status InnodbMetrics(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  const bool by_number = connection.is_mariadb() && connection.version() >= 100'500;
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat("SELECT name, subsystem, type, comment, count FROM "
                              "information_schema.innodb_metrics WHERE ",
                              by_number ? "enabled = 1" : "status = 'enabled'")));
  for (const Row& row : rows.rows) {
    const std::string& name = Text(row[0]);
    const double v = NumberOr0(row[4]);
    const auto rest_of = [&](std::string_view prefix) { return name.substr(prefix.size()); };
    if (name.starts_with("buffer_page_read_") || name.starts_with("buffer_page_written_")) {
      const bool read = name.starts_with("buffer_page_read_");
      sink.Family(read ? "mysql_info_schema_innodb_metrics_buffer_page_read_total"
                       : "mysql_info_schema_innodb_metrics_buffer_page_written_total",
                  kC, read ? "Pages read, by type." : "Pages written, by type.");
      sink.Add({{"type", rest_of(read ? "buffer_page_read_" : "buffer_page_written_")}}, v);
      continue;
    }
    if (name.starts_with("buffer_pool_pages_")) {
      const std::string state = rest_of("buffer_pool_pages_");
      if (state == "total") continue;
      if (state == "dirty") {
        sink.Gauge("mysql_info_schema_innodb_metrics_buffer_pool_dirty_pages", "Dirty pages.", v);
      } else {
        sink.Family("mysql_info_schema_innodb_metrics_buffer_pool_pages", kG,
                    "Pages of the buffer pool.");
        sink.Add({{"state", state}}, v);
      }
      continue;
    }
    const bool counter = Text(row[2]) == "counter" || Text(row[2]) == "status_counter";
    const std::string family = StrCat("mysql_info_schema_innodb_metrics_",
                                      NamePart(Text(row[1]), false), "_", NamePart(name, false));
    if (counter) {
      sink.Counter(family + "_total", Text(row[3]), v);
    } else {
      sink.Gauge(family, Text(row[3]), v);
    }
  }
  return {};
}

Status Processlist(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat(
          "SELECT user, SUBSTRING_INDEX(host, ':', 1), COALESCE(command, ''), COALESCE(state, ''), "
          "COUNT(*), COALESCE(SUM(time), 0) FROM information_schema.processlist WHERE id != "
          "connection_id() AND time >= ",
          options.processlist_min_time_s, " GROUP BY 1, 2, 3, 4")));
  std::map<std::pair<std::string, std::string>, std::pair<double, double>> by_state;
  std::map<std::string, double> by_user, by_host;
  for (const Row& row : rows.rows) {
    const double count = NumberOr0(row[4]);
    auto& [threads, seconds] = by_state[{ThreadState(Text(row[2])), ThreadState(Text(row[3]))}];
    threads += count;
    seconds += NumberOr0(row[5]);
    by_user[Text(row[0])] += count;
    by_host[Text(row[1]).empty() ? "unknown" : Text(row[1])] += count;
  }
  sink.Family("mysql_info_schema_processlist_threads", kG, "Threads, by what they do.");
  for (const auto& [key, v] : by_state) {
    sink.Add({{"command", key.first}, {"state", key.second}}, v.first);
  }
  sink.Family("mysql_info_schema_processlist_seconds", kG, "Seconds in it so far, together.");
  for (const auto& [key, v] : by_state) {
    sink.Add({{"command", key.first}, {"state", key.second}}, v.second);
  }
  if (options.processlist_by_user) {
    sink.Family("mysql_info_schema_processlist_processes_by_user", kG, "Threads, by user.");
    for (const auto& [user, v] : by_user) sink.Add({{"mysql_user", user}}, v);
  }
  if (options.processlist_by_host) {
    sink.Family("mysql_info_schema_processlist_processes_by_host", kG, "Threads, by client host.");
    for (const auto& [host, v] : by_host) sink.Add({{"client_host", host}}, v);
  }
  return {};
}

constexpr std::string_view kNotSystem =
    " NOT IN ('mysql', 'performance_schema', 'information_schema')";

// "shop, crm" as a condition; "*" and nothing mean every database but the server's own.
std::string DatabaseCondition(const std::string& databases) {
  if (databases.empty() || databases == "*") return std::string(kNotSystem);
  std::string out;
  for (const std::string_view name : Split(databases, ',')) {
    std::string quoted;
    for (const char c : Trim(name)) {
      if (c == '\'' || c == '\\') quoted += '\\';
      quoted += c;
    }
    StrAppend(out, out.empty() ? " IN (" : ", ", "'", quoted, "'");
  }
  return out + ")";
}

Status Tables(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat(
          "SELECT table_schema, table_name, table_type, COALESCE(engine, 'NONE'), "
          "COALESCE(version, 0), COALESCE(row_format, 'NONE'), COALESCE(table_rows, 0), "
          "COALESCE(data_length, 0), COALESCE(index_length, 0), COALESCE(data_free, 0), "
          "COALESCE(create_options, 'NONE') FROM information_schema.tables WHERE table_schema",
          DatabaseCondition(options.tables_databases))));
  for (const Row& row : rows.rows) {
    const std::string &schema = Text(row[0]), &table = Text(row[1]);
    sink.Family("mysql_info_schema_table_version", kG, "Version of the table's format.");
    sink.Add({{"schema", schema},
              {"table", table},
              {"type", Text(row[2])},
              {"engine", Text(row[3])},
              {"row_format", Text(row[5])},
              {"create_options", Text(row[10])}},
             NumberOr0(row[4]));
    sink.Family("mysql_info_schema_table_rows", kG, "Rows, as the engine estimates them.");
    sink.Add({{"schema", schema}, {"table", table}}, NumberOr0(row[6]));
    sink.Family("mysql_info_schema_table_size", kG, "Size in bytes, by component.");
    const char* components[] = {"data_length", "index_length", "data_free"};
    for (size_t i = 0; i < 3; ++i) {
      sink.Add({{"schema", schema}, {"table", table}, {"component", components[i]}},
               NumberOr0(row[7 + i]));
    }
  }
  return {};
}

Status AutoIncrement(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return ScrapeFields(
      connection,
      "SELECT c.table_schema, c.table_name, c.column_name, t.auto_increment, "
      "POW(2, CASE c.data_type WHEN 'tinyint' THEN 7 WHEN 'smallint' THEN 15 WHEN 'mediumint' THEN "
      "23 WHEN 'int' THEN 31 WHEN 'bigint' THEN 63 END + (c.column_type LIKE '% unsigned%')) - 1 "
      "AS most FROM information_schema.columns c JOIN information_schema.tables t "
      "ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
      "WHERE c.extra = 'auto_increment' AND t.auto_increment IS NOT NULL",
      {{"schema", "table_schema"}, {"table", "table_name"}, {"column", "column_name"}},
      {{"auto_increment", "mysql_info_schema_auto_increment_column", kG,
        "Next value of an AUTO_INCREMENT column."},
       {"most", "mysql_info_schema_auto_increment_column_max", kG,
        "The most that the column can hold."}},
      sink);
}

// MariaDB and Percona count by user, client, table and schema if userstat is on; a server without
// it has nothing to say.
Result<bool> UserstatOn(MysqlConnection& connection) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('userstat', "
                       "'userstat_running')"));
  return !rows.rows.empty() && StatusValue(rows.rows[0][1]).value_or(0) == 1;
}

// The columns of USER_STATISTICS and CLIENT_STATISTICS, however many this server has.
Status Statistics(MysqlConnection& connection, std::string_view table, std::string_view key,
                  MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const bool on, UserstatOn(connection));
  if (!on) return {};
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat("SELECT * FROM information_schema.", key, "_statistics")));
  for (size_t i = 0; i < rows.columns.size(); ++i) {
    const std::string column = Lower(rows.columns[i]);
    if (column == key) continue;
    MetricType type = kC;
    std::string name = column + "_total";
    if (column == "concurrent_connections") {
      type = kG;
      name = column;
    } else if (column == "total_connections") {
      name = column;
    } else if (column == "busy_time") {
      name = "busy_seconds_total";
    } else if (column == "connected_time" || column == "cpu_time") {
      name = column + "_seconds_total";
    } else if (column == "max_statement_time_exceeded" && key == "user") {
      // So the exporter has it, of users only.
      type = kU;
      name = column;
    }
    sink.Family(StrCat("mysql_info_schema_", table, "_", name), type,
                StrCat("Column ", column, " of information_schema.", key, "_statistics."));
    for (const Row& row : rows.rows) {
      const auto value = StatusValue(row[i]);
      if (value) sink.Add({{key, Cell(rows, row, key)}}, *value);
    }
  }
  return {};
}

Status UserStats(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return Statistics(connection, "user_statistics", "user", sink);
}

Status ClientStats(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return Statistics(connection, "client_statistics", "client", sink);
}

Status TableStats(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const bool on, UserstatOn(connection));
  if (!on) return {};
  return ScrapeFields(
      connection,
      "SELECT table_schema, table_name, rows_read, rows_changed, rows_changed_x_indexes FROM "
      "information_schema.table_statistics",
      {{"schema", "table_schema"}, {"table", "table_name"}},
      {{"rows_read", "mysql_info_schema_table_statistics_rows_read_total", kC, "Rows read."},
       {"rows_changed", "mysql_info_schema_table_statistics_rows_changed_total", kC,
        "Rows changed."},
       {"rows_changed_x_indexes",
        "mysql_info_schema_table_statistics_rows_changed_x_indexes_total", kC,
        "Rows changed, times the number of indexes."}},
      sink);
}

Status SchemaStats(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const bool on, UserstatOn(connection));
  if (!on) return {};
  return ScrapeFields(
      connection,
      "SELECT table_schema, SUM(rows_read) AS rows_read, SUM(rows_changed) AS rows_changed, "
      "SUM(rows_changed_x_indexes) AS rows_changed_x_indexes FROM "
      "information_schema.table_statistics GROUP BY table_schema",
      {{"schema", "table_schema"}},
      {{"rows_read", "mysql_info_schema_schema_statistics_rows_read_total", kC, "Rows read."},
       {"rows_changed", "mysql_info_schema_schema_statistics_rows_changed_total", kC,
        "Rows changed."},
       {"rows_changed_x_indexes",
        "mysql_info_schema_schema_statistics_rows_changed_x_indexes_total", kC,
        "Rows changed, times the number of indexes."}},
      sink);
}

// The table's name and columns differ by server and version; what is there is shown.
Status InnodbTablespaces(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows tables,
      connection.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = "
                       "'information_schema' AND table_name IN ('INNODB_SYS_TABLESPACES', "
                       "'INNODB_TABLESPACES')"));
  if (tables.rows.empty()) return NotFound("this server has no list of InnoDB tablespaces");
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat("SELECT * FROM information_schema.", Text(tables.rows[0][0]))));
  for (const Row& row : rows.rows) {
    const std::string& name = Cell(rows, row, "name");
    sink.Family("mysql_info_schema_innodb_tablespace_space_info", kG,
                "The tablespace's id, and its formats as labels.");
    sink.Add({{"tablespace_name", name},
              {"file_format", Cell(rows, row, "file_format")},
              {"row_format", Cell(rows, row, "row_format")},
              {"space_type", Cell(rows, row, "space_type")}},
             Number(Cell(rows, row, "space")).value_or(0));
    sink.Family("mysql_info_schema_innodb_tablespace_file_size_bytes", kG,
                "Apparent size of the file.");
    sink.Add({{"tablespace_name", name}}, Number(Cell(rows, row, "file_size")).value_or(0));
    sink.Family("mysql_info_schema_innodb_tablespace_allocated_size_bytes", kG,
                "What the file takes on the disk.");
    sink.Add({{"tablespace_name", name}}, Number(Cell(rows, row, "allocated_size")).value_or(0));
  }
  return {};
}

// Amazon Aurora's view of its replicas.
Status ReplicaHost(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows = connection.Query(
      "SELECT server_id, IF(session_id = 'MASTER_SESSION_ID', 'writer', 'reader') AS role, cpu, "
      "master_slave_latency_in_microseconds, replica_lag_in_milliseconds, log_stream_speed_in_kib_"
      "per_second, current_replay_latency_in_microseconds FROM "
      "information_schema.replica_host_status");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};  // No Aurora.
  if (!rows.ok()) return rows.status();
  struct Value {
    const char* column;
    const char* family;
    double divisor;
  };
  static constexpr Value kValues[] = {
      {"cpu", "cpu_percent", 1},
      {"master_slave_latency_in_microseconds", "slave_latency_seconds", 1e6},
      {"replica_lag_in_milliseconds", "lag_seconds", 1e3},
      {"log_stream_speed_in_kib_per_second", "log_stream_speed", 1},
      {"current_replay_latency_in_microseconds", "replay_latency_seconds", 1e6}};
  for (const Value& v : kValues) {
    sink.Family(StrCat("mysql_info_schema_replica_host_", v.family), kG,
                StrCat("Column ", v.column, " of Aurora's replica_host_status."));
    for (const Row& row : rows->rows) {
      sink.Add({{"server_id", Cell(*rows, row, "server_id")}, {"role", Cell(*rows, row, "role")}},
               Number(Cell(*rows, row, v.column)).value_or(0) / v.divisor);
    }
  }
  return {};
}

Status RocksdbPerfContext(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows = connection.Query(
      "SELECT table_schema, table_name, COALESCE(partition_name, '') AS part, stat_type, value "
      "FROM information_schema.rocksdb_perf_context");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};  // No MyRocks.
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) {
    sink.Family(StrCat("mysql_info_schema_rocksdb_perf_context_",
                       NamePart(Cell(*rows, row, "stat_type"))),
                kC, "A counter of RocksDB's perf context.");
    sink.Add({{"schema", Cell(*rows, row, "table_schema")},
              {"table", Cell(*rows, row, "table_name")},
              {"part", Cell(*rows, row, "part")}},
             Number(Cell(*rows, row, "value")).value_or(0));
  }
  return {};
}

}  // namespace

std::span<const MysqlScraper> InfoSchemaScrapers() {
  static constexpr MysqlScraper kScrapers[] = {
      {"auto_increment.columns", false, AutoIncrement},
      {"info_schema.clientstats", false, ClientStats},
      {"info_schema.innodb_cmp", true, InnodbCmp},
      {"info_schema.innodb_cmpmem", true, InnodbCmpmem},
      {"info_schema.innodb_metrics", false, InnodbMetrics},
      {"info_schema.innodb_tablespaces", false, InnodbTablespaces},
      {"info_schema.processlist", false, Processlist},
      {"info_schema.query_response_time", true, QueryResponseTime},
      {"info_schema.replica_host", false, ReplicaHost},
      {"info_schema.rocksdb_perf_context", false, RocksdbPerfContext},
      {"info_schema.schemastats", false, SchemaStats},
      {"info_schema.tables", false, Tables},
      {"info_schema.tablestats", false, TableStats},
      {"info_schema.userstats", false, UserStats},
  };
  return kScrapers;
}

}  // namespace vedette::agent
