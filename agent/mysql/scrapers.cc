#include "agent/mysql/scrapers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

constexpr MetricType kC = MetricType::kCounter;
constexpr MetricType kG = MetricType::kGauge;
constexpr MetricType kU = MetricType::kUnknown;

using Row = std::vector<std::optional<std::string>>;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What a metric name may not have becomes an underscore.
std::string NamePart(std::string_view text, bool lower = true) {
  std::string out = lower ? Lower(text) : std::string(text);
  for (char& c : out) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) c = '_';
  }
  return out;
}

std::optional<double> Number(std::string_view text) {
  text = Trim(text);
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(v)) {
    return std::nullopt;
  }
  return v;
}

// A status or variable as a number; words that mean yes and no are 1 and 0.
std::optional<double> StatusValue(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const std::string word = Lower(Trim(*text));
  if (word == "yes" || word == "on" || word == "primary") return 1;
  if (word == "no" || word == "off" || word == "disabled" || word == "connecting" ||
      word == "non-primary" || word == "disconnected") {
    return 0;
  }
  return Number(word);
}

double NumberOr0(const std::optional<std::string>& text) {
  return text ? Number(*text).value_or(0) : 0;
}

const std::string& Text(const std::optional<std::string>& text) {
  static const std::string empty;
  return text ? *text : empty;
}

int ColumnOf(const MysqlRows& rows, std::string_view name) {
  for (size_t i = 0; i < rows.columns.size(); ++i) {
    if (Lower(rows.columns[i]) == name) return static_cast<int>(i);
  }
  return -1;
}

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
    int at = ColumnOf(rows, old_name);
    if (at < 0) at = ColumnOf(rows, new_name);
    return at < 0 ? std::string() : Text(row[static_cast<size_t>(at)]);
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

// A query whose columns are first labels, then values: most of information_schema.
struct Table {
  struct Value {
    const char* family;
    MetricType type;
    const char* help;
    double scale = 1;
  };
  std::vector<const char*> labels;
  std::vector<Value> values;
};

Status ScrapeTable(MysqlConnection& connection, std::string_view sql, const Table& table,
                   MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query(sql));
  for (size_t v = 0; v < table.values.size(); ++v) {
    const Table::Value& value = table.values[v];
    for (const Row& row : rows.rows) {
      const auto number = StatusValue(row[table.labels.size() + v]);
      if (!number) continue;
      std::vector<Label> labels;
      for (size_t l = 0; l < table.labels.size(); ++l) {
        labels.push_back({table.labels[l], Text(row[l])});
      }
      sink.Family(value.family, value.type, value.help);
      sink.Add(labels, *number / value.scale);
    }
  }
  return {};
}

Status InnodbCmp(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  static const Table kTable{
      {"page_size"},
      {{"mysql_info_schema_innodb_cmp_compress_ops_total", kC, "Pages compressed."},
       {"mysql_info_schema_innodb_cmp_compress_ops_ok_total", kC, "Pages compressed well enough."},
       {"mysql_info_schema_innodb_cmp_compress_time_seconds_total", kC, "Time spent compressing."},
       {"mysql_info_schema_innodb_cmp_uncompress_ops_total", kC, "Pages decompressed."},
       {"mysql_info_schema_innodb_cmp_uncompress_time_seconds_total", kC,
        "Time spent decompressing."}}};
  return ScrapeTable(connection,
                     "SELECT page_size, compress_ops, compress_ops_ok, compress_time, "
                     "uncompress_ops, uncompress_time FROM information_schema.innodb_cmp",
                     kTable, sink);
}

Status InnodbCmpmem(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  static const Table kTable{
      {"page_size", "buffer_pool"},
      {{"mysql_info_schema_innodb_cmpmem_pages_used_total", kC, "Blocks in use."},
       {"mysql_info_schema_innodb_cmpmem_pages_free_total", kC, "Blocks that are free."},
       {"mysql_info_schema_innodb_cmpmem_relocation_ops_total", kC, "Blocks that were moved."},
       {"mysql_info_schema_innodb_cmpmem_relocation_time_seconds_total", kC,
        "Time spent moving blocks.", 1000}}};
  return ScrapeTable(connection,
                     "SELECT page_size, buffer_pool_instance, pages_used, pages_free, "
                     "relocation_ops, relocation_time FROM information_schema.innodb_cmpmem",
                     kTable, sink);
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
    if (bound) sink.AddPart("_bucket", {{"le", StrCat(*bound)}}, count);
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
    auto& [threads, seconds] = by_state[{NamePart(Text(row[2])), NamePart(Text(row[3]))}];
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
  sink.Family("mysql_info_schema_processlist_processes_by_user", kG, "Threads, by user.");
  for (const auto& [user, v] : by_user) sink.Add({{"mysql_user", user}}, v);
  sink.Family("mysql_info_schema_processlist_processes_by_host", kG, "Threads, by client host.");
  for (const auto& [host, v] : by_host) sink.Add({{"client_host", host}}, v);
  return {};
}

constexpr std::string_view kNotSystem =
    " NOT IN ('mysql', 'performance_schema', 'information_schema', 'sys')";

Status Tables(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat(
          "SELECT table_schema, table_name, table_type, COALESCE(engine, 'NONE'), "
          "COALESCE(version, 0), COALESCE(row_format, 'NONE'), COALESCE(table_rows, 0), "
          "COALESCE(data_length, 0), COALESCE(index_length, 0), COALESCE(data_free, 0), "
          "COALESCE(create_options, 'NONE') FROM information_schema.tables WHERE table_schema",
          kNotSystem)));
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
  static const Table kTable{
      {"schema", "table", "column"},
      {{"mysql_info_schema_auto_increment_column", kG, "Next value of an AUTO_INCREMENT column."},
       {"mysql_info_schema_auto_increment_column_max", kG, "The most that the column can hold."}}};
  return ScrapeTable(
      connection,
      "SELECT c.table_schema, c.table_name, c.column_name, t.auto_increment, "
      "POW(2, CASE c.data_type WHEN 'tinyint' THEN 7 WHEN 'smallint' THEN 15 WHEN 'mediumint' THEN "
      "23 WHEN 'int' THEN 31 WHEN 'bigint' THEN 63 END + (c.column_type LIKE '% unsigned%')) - 1 "
      "FROM information_schema.columns c JOIN information_schema.tables t "
      "ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
      "WHERE c.extra = 'auto_increment' AND t.auto_increment IS NOT NULL",
      kTable, sink);
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
    int at = ColumnOf(rows, a);
    if (at < 0) at = ColumnOf(rows, b);
    return at < 0 ? std::string() : Text(row[static_cast<size_t>(at)]);
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

Status EventsStatements(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  static constexpr double kPicoseconds = 1e12;
  static const Table kTable{
      {"schema", "digest", "digest_text"},
      {{"mysql_perf_schema_events_statements_total", kC, "Executions."},
       {"mysql_perf_schema_events_statements_seconds_total", kC, "Time.", kPicoseconds},
       {"mysql_perf_schema_events_statements_errors_total", kC, "Errors."},
       {"mysql_perf_schema_events_statements_warnings_total", kC, "Warnings."},
       {"mysql_perf_schema_events_statements_rows_affected_total", kC, "Rows affected."},
       {"mysql_perf_schema_events_statements_rows_sent_total", kC, "Rows sent."},
       {"mysql_perf_schema_events_statements_rows_examined_total", kC, "Rows examined."},
       {"mysql_perf_schema_events_statements_tmp_tables_total", kC, "Temporary tables."},
       {"mysql_perf_schema_events_statements_tmp_disk_tables_total", kC,
        "Temporary tables on disk."},
       {"mysql_perf_schema_events_statements_sort_merge_passes_total", kC, "Merge passes."},
       {"mysql_perf_schema_events_statements_sort_rows_total", kC, "Rows sorted."},
       {"mysql_perf_schema_events_statements_no_index_used_total", kC,
        "Executions without an index."}}};
  return ScrapeTable(
      connection,
      "SELECT COALESCE(schema_name, 'NONE'), digest, LEFT(digest_text, 120), count_star, "
      "sum_timer_wait, sum_errors, sum_warnings, sum_rows_affected, sum_rows_sent, "
      "sum_rows_examined, sum_created_tmp_tables, sum_created_tmp_disk_tables, "
      "sum_sort_merge_passes, sum_sort_rows, sum_no_index_used FROM "
      "performance_schema.events_statements_summary_by_digest WHERE digest IS NOT NULL AND "
      "COALESCE(schema_name, '') NOT IN ('mysql', 'performance_schema', 'information_schema') AND "
      "last_seen > NOW() - INTERVAL 86400 SECOND ORDER BY sum_timer_wait DESC LIMIT 250",
      kTable, sink);
}

constexpr std::array<MysqlScraper, 13> kScrapers = {{
    {"global_status", true, GlobalStatus},
    {"global_variables", true, GlobalVariables},
    {"slave_status", true, SlaveStatus},
    {"info_schema.innodb_cmp", true, InnodbCmp},
    {"info_schema.innodb_cmpmem", true, InnodbCmpmem},
    {"info_schema.query_response_time", true, QueryResponseTime},
    {"info_schema.innodb_metrics", false, InnodbMetrics},
    {"info_schema.processlist", false, Processlist},
    {"info_schema.tables", false, Tables},
    {"auto_increment.columns", false, AutoIncrement},
    {"binlog_size", false, BinlogSize},
    {"slave_hosts", false, SlaveHosts},
    {"perf_schema.eventsstatements", false, EventsStatements},
}};

}  // namespace

std::span<const MysqlScraper> AllMysqlScrapers() { return kScrapers; }

}  // namespace vedette::agent
