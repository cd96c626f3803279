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

constexpr std::string_view kTime = " FROM performance_schema.";

Status EventsStatements(MysqlConnection& connection, const MysqlOptions& options,
                        MetricSink& sink) {
  std::string excluded;
  for (const std::string_view schema : Split(options.statements_exclude_schemas, ',')) {
    StrAppend(excluded, excluded.empty() ? "" : ", ", "'", NamePart(Trim(schema), false), "'");
  }
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat("SELECT * FROM performance_schema.events_statements_summary_by_digest "
                              "WHERE schema_name NOT IN (", excluded,
                              ") AND last_seen > NOW() - INTERVAL ", options.statements_timelimit_s,
                              " SECOND ORDER BY sum_timer_wait DESC LIMIT ",
                              options.statements_limit)));
  struct Value {
    const char* column;
    const char* family;
    const char* help;
    double divisor = 1;
  };
  static constexpr Value kValues[] = {
      {"count_star", "total", "Executions."},
      {"sum_timer_wait", "seconds_total", "Time.", kPicoseconds},
      {"sum_lock_time", "lock_time_seconds_total", "Time waiting for locks.", kPicoseconds},
      {"sum_cpu_time", "cpu_time_seconds_total", "Time on a CPU.", kPicoseconds},
      {"sum_errors", "errors_total", "Errors."},
      {"sum_warnings", "warnings_total", "Warnings."},
      {"sum_rows_affected", "rows_affected_total", "Rows affected."},
      {"sum_rows_sent", "rows_sent_total", "Rows sent."},
      {"sum_rows_examined", "rows_examined_total", "Rows examined."},
      {"sum_created_tmp_tables", "tmp_tables_total", "Temporary tables."},
      {"sum_created_tmp_disk_tables", "tmp_disk_tables_total", "Temporary tables on disk."},
      {"sum_sort_merge_passes", "sort_merge_passes_total", "Merge passes."},
      {"sum_sort_rows", "sort_rows_total", "Rows sorted."},
      {"sum_no_index_used", "no_index_used_total", "Executions without an index."},
  };
  static constexpr std::pair<const char*, const char*> kQuantiles[] = {
      {"quantile_95", "0.95"}, {"quantile_99", "0.99"}, {"quantile_999", "0.999"}};
  const auto limit = static_cast<size_t>(options.statements_digest_text_limit);
  for (const Row& row : rows.rows) {
    const std::string& schema = Cell(rows, row, "schema_name");
    const std::string& digest = Cell(rows, row, "digest");
    std::string text = Cell(rows, row, "digest_text");
    if (text.size() > limit) {
      text.resize(limit);
      // Not in the middle of a character.
      while (!text.empty() && !IsValidUtf8(text)) text.pop_back();
    }
    const auto labels = {std::pair<std::string_view, std::string_view>{"schema", schema},
                         {"digest", digest},
                         {"digest_text", text}};
    for (const Value& v : kValues) {
      if (ColumnOf(rows, v.column) < 0) continue;
      sink.Family(StrCat("mysql_perf_schema_events_statements_", v.family), kC, v.help);
      sink.Add(labels, Number(Cell(rows, row, v.column)).value_or(0) / v.divisor);
    }
    if (ColumnOf(rows, "quantile_95") < 0) continue;
    sink.Family("mysql_perf_schema_events_statements_latency", MetricType::kSummary,
                "How long statements took.");
    for (const auto& [column, quantile] : kQuantiles) {
      sink.AddPart("", {{"schema", schema},
                        {"digest", digest},
                        {"digest_text", text},
                        {"quantile", quantile}},
                   Number(Cell(rows, row, column)).value_or(0) / kPicoseconds);
    }
    sink.AddPart("_sum", labels, Number(Cell(rows, row, "sum_timer_wait")).value_or(0) /
                                     kPicoseconds);
    sink.AddPart("_count", labels, Number(Cell(rows, row, "count_star")).value_or(0));
  }
  return {};
}

Status EventsStatementsSum(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  struct Sum {
    const char* column;
    const char* family;
    double divisor = 1;
  };
  static constexpr Sum kSums[] = {{"count_star", "total"},
                                  {"sum_created_tmp_disk_tables", "created_tmp_disk_tables"},
                                  {"sum_created_tmp_tables", "created_tmp_tables"},
                                  {"sum_errors", "errors"},
                                  {"sum_lock_time", "lock_time"},
                                  {"sum_no_good_index_used", "no_good_index_used"},
                                  {"sum_no_index_used", "no_index_used"},
                                  {"sum_rows_affected", "rows_affected"},
                                  {"sum_rows_examined", "rows_examined"},
                                  {"sum_rows_sent", "rows_sent"},
                                  {"sum_select_full_join", "select_full_join"},
                                  {"sum_select_full_range_join", "select_full_range_join"},
                                  {"sum_select_range", "select_range"},
                                  {"sum_select_range_check", "select_range_check"},
                                  {"sum_select_scan", "select_scan"},
                                  {"sum_sort_merge_passes", "sort_merge_passes"},
                                  {"sum_sort_range", "sort_range"},
                                  {"sum_sort_rows", "sort_rows"},
                                  {"sum_sort_scan", "sort_scan"},
                                  {"sum_timer_wait", "timer_wait", kPicoseconds},
                                  {"sum_warnings", "warnings"}};
  std::string sql;
  for (const Sum& s : kSums) {
    StrAppend(sql, sql.empty() ? "SELECT " : ", ", "SUM(", s.column, ") AS ", s.column);
  }
  sql += " FROM performance_schema.events_statements_summary_by_digest";
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query(sql));
  for (const Row& row : rows.rows) {
    for (const Sum& s : kSums) {
      sink.Counter(StrCat("mysql_perf_schema_events_statements_sum_", s.family),
                   StrCat("Sum of ", s.column, " over all statements."),
                   Number(Cell(rows, row, s.column)).value_or(0) / s.divisor);
    }
  }
  return {};
}

Status EventsWaits(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  return ScrapeFields(
      connection,
      StrCat("SELECT event_name, count_star, sum_timer_wait", kTime,
             "events_waits_summary_global_by_event_name"),
      {{"event_name", "event_name"}},
      {{"count_star", "mysql_perf_schema_events_waits_total", kC, "Waits, by event."},
       {"sum_timer_wait", "mysql_perf_schema_events_waits_seconds_total", kC, "Time waited.",
        kPicoseconds}},
      sink);
}

Status FileEvents(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  constexpr const char* kCount = "mysql_perf_schema_file_events_total";
  constexpr const char* kSeconds = "mysql_perf_schema_file_events_seconds_total";
  constexpr const char* kBytes = "mysql_perf_schema_file_events_bytes_total";
  return ScrapeFields(
      connection,
      StrCat("SELECT event_name, count_read, sum_timer_read, sum_number_of_bytes_read, count_write, "
             "sum_timer_write, sum_number_of_bytes_write, count_misc, sum_timer_misc",
             kTime, "file_summary_by_event_name"),
      {{"event_name", "event_name"}},
      {{"count_read", kCount, kC, "File operations.", 1, "mode", "read"},
       {"count_write", kCount, kC, "", 1, "mode", "write"},
       {"count_misc", kCount, kC, "", 1, "mode", "misc"},
       {"sum_timer_read", kSeconds, kC, "Time of file operations.", kPicoseconds, "mode", "read"},
       {"sum_timer_write", kSeconds, kC, "", kPicoseconds, "mode", "write"},
       {"sum_timer_misc", kSeconds, kC, "", kPicoseconds, "mode", "misc"},
       {"sum_number_of_bytes_read", kBytes, kC, "Bytes read and written.", 1, "mode", "read"},
       {"sum_number_of_bytes_write", kBytes, kC, "", 1, "mode", "write"}},
      sink);
}

std::string Quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

Status FileInstances(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  constexpr const char* kCount = "mysql_perf_schema_file_instances_total";
  constexpr const char* kBytes = "mysql_perf_schema_file_instances_bytes";
  // The prefix is cut off where it is one.
  const std::string prefix = Quote(options.file_instances_remove_prefix);
  return ScrapeFields(
      connection,
      StrCat("SELECT IF(LEFT(file_name, CHAR_LENGTH(", prefix, ")) = ", prefix,
             ", SUBSTRING(file_name, CHAR_LENGTH(", prefix,
             ") + 1), file_name) AS file_name, event_name, count_read, count_write, "
             "sum_number_of_bytes_read, sum_number_of_bytes_write",
             kTime, "file_summary_by_instance WHERE file_name REGEXP ",
             Quote(options.file_instances_filter)),
      {{"file_name", "file_name"}, {"event_name", "event_name"}},
      {{"count_read", kCount, kC, "Operations on each file.", 1, "mode", "read"},
       {"count_write", kCount, kC, "", 1, "mode", "write"},
       {"sum_number_of_bytes_read", kBytes, kC, "Bytes of each file.", 1, "mode", "read"},
       {"sum_number_of_bytes_write", kBytes, kC, "", 1, "mode", "write"}},
      sink);
}

Status TableIoWaits(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  constexpr const char* kCount = "mysql_perf_schema_table_io_waits_total";
  constexpr const char* kSeconds = "mysql_perf_schema_table_io_waits_seconds_total";
  return ScrapeFields(
      connection,
      StrCat("SELECT object_schema, object_name, count_fetch, count_insert, count_update, "
             "count_delete, sum_timer_fetch, sum_timer_insert, sum_timer_update, sum_timer_delete",
             kTime,
             "table_io_waits_summary_by_table WHERE object_schema NOT IN ('mysql', "
             "'performance_schema')"),
      {{"schema", "object_schema"}, {"name", "object_name"}},
      {{"count_fetch", kCount, kC, "Operations on each table.", 1, "operation", "fetch"},
       {"count_insert", kCount, kC, "", 1, "operation", "insert"},
       {"count_update", kCount, kC, "", 1, "operation", "update"},
       {"count_delete", kCount, kC, "", 1, "operation", "delete"},
       {"sum_timer_fetch", kSeconds, kC, "Time of operations on each table.", kPicoseconds,
        "operation", "fetch"},
       {"sum_timer_insert", kSeconds, kC, "", kPicoseconds, "operation", "insert"},
       {"sum_timer_update", kSeconds, kC, "", kPicoseconds, "operation", "update"},
       {"sum_timer_delete", kSeconds, kC, "", kPicoseconds, "operation", "delete"}},
      sink);
}

Status IndexIoWaits(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  constexpr const char* kCount = "mysql_perf_schema_index_io_waits_total";
  constexpr const char* kSeconds = "mysql_perf_schema_index_io_waits_seconds_total";
  // Rows are inserted through no index: NULL elsewhere gives no sample.
  return ScrapeFields(
      connection,
      StrCat("SELECT object_schema, object_name, COALESCE(index_name, 'NONE') AS index_name, "
             "count_fetch, IF(index_name IS NULL, count_insert, NULL) AS count_insert, count_update, "
             "count_delete, sum_timer_fetch, IF(index_name IS NULL, sum_timer_insert, NULL) AS "
             "sum_timer_insert, sum_timer_update, sum_timer_delete",
             kTime,
             "table_io_waits_summary_by_index_usage WHERE object_schema NOT IN ('mysql', "
             "'performance_schema')"),
      {{"schema", "object_schema"}, {"name", "object_name"}, {"index", "index_name"}},
      {{"count_fetch", kCount, kC, "Operations on each index.", 1, "operation", "fetch"},
       {"count_insert", kCount, kC, "", 1, "operation", "insert"},
       {"count_update", kCount, kC, "", 1, "operation", "update"},
       {"count_delete", kCount, kC, "", 1, "operation", "delete"},
       {"sum_timer_fetch", kSeconds, kC, "Time of operations on each index.", kPicoseconds,
        "operation", "fetch"},
       {"sum_timer_insert", kSeconds, kC, "", kPicoseconds, "operation", "insert"},
       {"sum_timer_update", kSeconds, kC, "", kPicoseconds, "operation", "update"},
       {"sum_timer_delete", kSeconds, kC, "", kPicoseconds, "operation", "delete"}},
      sink);
}

Status TableLocks(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  static constexpr const char* kSql[] = {
      "read_normal",       "read_with_shared_locks",  "read_high_priority", "read_no_insert",
      "write_allow_write", "write_concurrent_insert", "write_low_priority", "write_normal"};
  static constexpr std::pair<const char*, const char*> kExternal[] = {
      {"read_external", "read"}, {"write_external", "write"}};
  VEDETTE_ASSIGN_OR_RETURN(
      const MysqlRows rows,
      connection.Query(StrCat("SELECT *", kTime,
                              "table_lock_waits_summary_by_table WHERE object_schema NOT IN "
                              "('mysql', 'performance_schema', 'information_schema')")));
  const auto add = [&](const Row& row, const char* kind, std::string_view column,
                       std::string_view operation) {
    const std::string& schema = Cell(rows, row, "object_schema");
    const std::string& name = Cell(rows, row, "object_name");
    if (ColumnOf(rows, StrCat("count_", column)) < 0) return;
    sink.Family(StrCat("mysql_perf_schema_", kind, "_lock_waits_total"), kC,
                "Waits for locks of each table.");
    sink.Add({{"schema", schema}, {"name", name}, {"operation", operation}},
             Number(Cell(rows, row, StrCat("count_", column))).value_or(0));
    sink.Family(StrCat("mysql_perf_schema_", kind, "_lock_waits_seconds_total"), kC,
                "Time waited for locks of each table.");
    sink.Add({{"schema", schema}, {"name", name}, {"operation", operation}},
             Number(Cell(rows, row, StrCat("sum_timer_", column))).value_or(0) / kPicoseconds);
  };
  for (const Row& row : rows.rows) {
    for (const char* column : kSql) add(row, "sql", column, column);
    for (const auto& [column, operation] : kExternal) add(row, "external", column, operation);
  }
  return {};
}

Status MemoryEvents(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink) {
  const std::string prefix = Quote(options.memory_events_remove_prefix);
  return ScrapeFields(
      connection,
      StrCat("SELECT IF(LEFT(event_name, CHAR_LENGTH(", prefix, ")) = ", prefix,
             ", SUBSTRING(event_name, CHAR_LENGTH(", prefix,
             ") + 1), event_name) AS event_name, sum_number_of_bytes_alloc, "
             "sum_number_of_bytes_free, current_number_of_bytes_used",
             kTime, "memory_summary_global_by_event_name WHERE count_alloc > 0"),
      {{"event_name", "event_name"}},
      {{"sum_number_of_bytes_alloc", "mysql_perf_schema_memory_events_alloc_bytes_total", kC,
        "Bytes allocated, by event."},
       {"sum_number_of_bytes_free", "mysql_perf_schema_memory_events_free_bytes_total", kC,
        "Bytes freed, by event."},
       {"current_number_of_bytes_used", "mysql_perf_schema_memory_events_used_bytes", kG,
        "Bytes in use, by event."}},
      sink);
}

// MySQL's group replication. A server without it has no such table.
Status GroupMembers(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows = connection.Query("SELECT * FROM performance_schema.replication_group_members");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};
  if (!rows.ok()) return rows.status();
  sink.Family("mysql_perf_schema_replication_group_member_info", kG,
              "Members of the replication group.");
  for (const Row& row : rows->rows) {
    std::vector<Label> labels;
    std::vector<std::string> names;
    names.reserve(rows->columns.size());
    for (size_t i = 0; i < rows->columns.size(); ++i) {
      names.push_back(NamePart(rows->columns[i]));
      labels.push_back({names.back(), Text(row[i])});
    }
    sink.Add(labels, 1);
  }
  return {};
}

Status GroupMemberStats(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows = connection.Query(
      "SELECT * FROM performance_schema.replication_group_member_stats WHERE member_id = "
      "@@server_uuid");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};
  if (!rows.ok()) return rows.status();
  struct Value {
    const char* column;
    const char* family;
    MetricType type;
  };
  static constexpr Value kValues[] = {
      {"count_transactions_in_queue", "transactions_in_queue", kG},
      {"count_transactions_checked", "transactions_checked_total", kC},
      {"count_conflicts_detected", "conflicts_detected_total", kC},
      {"count_transactions_rows_validating", "transactions_rows_validating_total", kC},
      {"count_transactions_remote_in_applier_queue", "transactions_remote_in_applier_queue", kG},
      {"count_transactions_remote_applied", "transactions_remote_applied_total", kC},
      {"count_transactions_local_proposed", "transactions_local_proposed_total", kC},
      {"count_transactions_local_rollback", "transactions_local_rollback_total", kC}};
  for (const Row& row : rows->rows) {
    for (const Value& v : kValues) {
      if (ColumnOf(*rows, v.column) < 0) continue;
      sink.Family(StrCat("mysql_perf_schema_", v.family), v.type,
                  StrCat("Column ", v.column, " of replication_group_member_stats."));
      sink.Add({}, Number(Cell(*rows, row, v.column)).value_or(0));
    }
  }
  return {};
}

// When the workers of a replica applied what; a transaction that never was has the date 0.
Status ApplierStatus(MysqlConnection& connection, const MysqlOptions&, MetricSink& sink) {
  auto rows =
      connection.Query("SELECT * FROM performance_schema.replication_applier_status_by_worker");
  if (!rows.ok() && rows.status().code() == StatusCode::kNotFound) return {};
  if (!rows.ok()) return rows.status();
  for (size_t i = 0; i < rows->columns.size(); ++i) {
    const std::string column = Lower(rows->columns[i]);
    if (!column.ends_with("_timestamp")) continue;
    sink.Family(StrCat("mysql_perf_schema_", column, "_seconds"), kG,
                StrCat("Column ", column, " of replication_applier_status_by_worker."));
    for (const Row& row : rows->rows) {
      // "2026-01-05 10:00:00.123456"
      const std::string& text = Text(row[i]);
      const size_t point = text.find('.');
      const auto seconds = text.starts_with("0000") ? std::optional<double>(0)
                                                    : StatusValue(text.substr(0, point));
      if (!seconds) continue;
      const double fraction =
          point == std::string::npos ? 0 : Number("0" + text.substr(point)).value_or(0);
      sink.Add({{"channel_name", Cell(*rows, row, "channel_name")},
                {"member_id", Cell(*rows, row, "worker_id")}},
               *seconds + fraction);
    }
  }
  return {};
}

}  // namespace

std::span<const MysqlScraper> PerfSchemaScrapers() {
  static constexpr MysqlScraper kScrapers[] = {
      {"perf_schema.eventsstatements", false, EventsStatements},
      {"perf_schema.eventsstatementssum", false, EventsStatementsSum},
      {"perf_schema.eventswaits", false, EventsWaits},
      {"perf_schema.file_events", false, FileEvents},
      {"perf_schema.file_instances", false, FileInstances},
      {"perf_schema.indexiowaits", false, IndexIoWaits},
      {"perf_schema.memory_events", false, MemoryEvents},
      {"perf_schema.replication_applier_status_by_worker", false, ApplierStatus},
      {"perf_schema.replication_group_member_stats", false, GroupMemberStats},
      {"perf_schema.replication_group_members", false, GroupMembers},
      {"perf_schema.tableiowaits", false, TableIoWaits},
      {"perf_schema.tablelocks", false, TableLocks},
  };
  return kScrapers;
}

}  // namespace vedette::agent
