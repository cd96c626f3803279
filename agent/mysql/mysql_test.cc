#include "agent/mysql/mysql.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "agent/collector/collector.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "tests/support/temp_dir.h"

extern char** environ;

namespace vedette::agent {
namespace {

std::optional<double> Value(const std::vector<MetricFamily>& families, std::string_view name,
                            std::string_view label = "", std::string_view value = "") {
  for (const MetricFamily& f : families) {
    if (f.name != name) continue;
    for (const FamilySample& s : f.samples) {
      if (label.empty() || s.labels.Get(label) == value) return s.value;
    }
  }
  return std::nullopt;
}

// Runs a program to its end; its output is dropped.
int Run(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  if (posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ) != 0) return -1;
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A MariaDB of our own in a temporary directory, on a socket only.
class MariaDb {
 public:
  static bool Installed() { return access("/usr/sbin/mariadbd", X_OK) == 0; }

  MariaDb() {
    // A socket's path has 107 bytes, fewer than a test's own directory may have.
    char folder[] = "/tmp/vedette-mysql-XXXXXX";
    if (mkdtemp(folder) == nullptr) return;
    socket_dir_ = folder;
    socket_ = socket_dir_ + "/s";
    const std::string data = "--datadir=" + dir_.path() + "/data";
    const std::string user = std::string("--user=") + (getuid() == 0 ? "root" : "mysql");
    if (Run({"mariadb-install-db", "--no-defaults", data, user, "--skip-test-db",
             "--auth-root-authentication-method=normal"}) != 0) {
      return;
    }
    const std::vector<std::string> arguments = {"/usr/sbin/mariadbd",
                                                "--no-defaults",
                                                data,
                                                user,
                                                "--skip-networking",
                                                "--socket=" + socket_,
                                                "--pid-file=" + dir_.path() + "/pid",
                                                "--innodb-buffer-pool-size=16M",
                                                "--log-bin=" + dir_.path() + "/bin",
                                                "--server-id=1",
                                                "--performance-schema=ON"};
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid_, argv[0], &files, nullptr, argv.data(), environ) != 0) pid_ = 0;
    posix_spawn_file_actions_destroy(&files);
    // The server says nothing when it is ready: its socket does.
    for (int i = 0; i < 600 && pid_ != 0; ++i) {
      if (Sql("SELECT 1")) {
        ready_ = true;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  ~MariaDb() {
    if (pid_ != 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, nullptr, 0);
    }
    if (!socket_dir_.empty()) rmdir(socket_dir_.c_str());
  }

  bool ready() const { return ready_; }
  bool Sql(const std::string& sql) const {
    return Run({"mariadb", "--no-defaults", "--user=root", "--socket=" + socket_, "-e", sql}) == 0;
  }
  MysqlOptions Options(const std::string& user, const std::string& password) const {
    MysqlOptions o;
    o.unix_socket = socket_;
    o.user = user;
    o.password = password;
    return o;
  }
  // Waits until every thread stands still: one that is still on its way answers one more question.
  void Freeze() const {
    kill(pid_, SIGSTOP);
    waitpid(pid_, nullptr, WUNTRACED);
  }
  void Thaw() const { kill(pid_, SIGCONT); }

 private:
  testing::TempDir dir_;
  std::string socket_dir_, socket_;
  pid_t pid_ = 0;
  bool ready_ = false;
};

TEST(MysqlLive, ShowsWhatARealServerSays) {
  if (!MariaDb::Installed()) GTEST_SKIP() << "mariadb-server is not installed";
  MariaDb server;
  ASSERT_TRUE(server.ready()) << "MariaDB did not start";
  ASSERT_TRUE(
      server.Sql("CREATE USER w@localhost IDENTIFIED BY 'right'; "
                 "GRANT PROCESS, REPLICATION CLIENT, BINLOG MONITOR, SLAVE MONITOR, SELECT "
                 "ON *.* TO w@localhost; "
                 "CREATE USER poor@localhost IDENTIFIED BY 'right'; "
                 "CREATE DATABASE shop; CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY "
                 "KEY, x INT); INSERT INTO shop.t (x) VALUES (1), (2), (3); "
                 "CREATE DATABASE heartbeat; CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT "
                 "NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY); "
                 "INSERT INTO heartbeat.heartbeat VALUES ('2026-01-05T10:00:00.5', 7)"));
  const bool response_times = server.Sql("INSTALL SONAME 'query_response_time'") &&
                              server.Sql("SET GLOBAL query_response_time_stats = 1");
  {
    SCOPED_TRACE("every collector");
    MysqlOptions options = server.Options("w", "right");
    for (const auto& s : MysqlScrapers()) {
      if (s.name != "slave_hosts") options.collectors.emplace_back(s.name);
    }
    auto collector = MakeMysqlCollector(options);
    ASSERT_TRUE(collector.ok()) << collector.status().ToString();
    MetricSink sink;
    const Status status = (*collector)->Collect(sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    const auto families = sink.Take();
    EXPECT_EQ(Value(families, "mysql_up"), 1);
    EXPECT_GT(Value(families, "mysql_global_status_uptime").value_or(-1), -1);
    EXPECT_EQ(Value(families, "mysql_global_status_threads_connected"), 1);
    EXPECT_GE(Value(families, "mysql_global_status_commands_total", "command", "insert"), 1);
    EXPECT_TRUE(Value(families, "mysql_global_status_handlers_total", "handler", "write"));
    EXPECT_TRUE(Value(families, "mysql_global_status_buffer_pool_pages", "state", "data"));
    EXPECT_EQ(Value(families, "mysql_global_variables_innodb_buffer_pool_size"), 16 << 20);
    EXPECT_EQ(Value(families, "mysql_global_variables_log_bin"), 1);  // ON.
    EXPECT_EQ(Value(families, "mysql_version_info"), 1);
    EXPECT_EQ(Value(families, "mysql_info_schema_auto_increment_column", "table", "t"), 4);
    EXPECT_EQ(Value(families, "mysql_info_schema_auto_increment_column_max", "table", "t"),
              2147483647);
    EXPECT_EQ(Value(families, "mysql_info_schema_table_rows", "table", "t"), 3);
    EXPECT_EQ(Value(families, "mysql_binlog_files"), 1);
    EXPECT_EQ(Value(families, "mysql_binlog_file_number"), 1);
    EXPECT_TRUE(
        Value(families, "mysql_info_schema_innodb_cmp_compress_ops_total", "page_size", "1024"));
    EXPECT_TRUE(
        Value(families, "mysql_info_schema_innodb_metrics_buffer_pool_pages", "state", "data"));
    EXPECT_EQ(
        Value(families, "mysql_exporter_collector_success", "collector", "collect.global_status"),
        1);
    EXPECT_GT(families.size(), 700u);
    if (response_times) {
      // Bounds as the exporter writes them.
      for (const char* le : {"1e-06", "0.0001", "100000", "1e+06", "+Inf"}) {
        EXPECT_TRUE(Value(families, "mysql_info_schema_query_response_time_seconds", "le", le)) << le;
      }
    }
    EXPECT_GT(Value(families, "mysql_heartbeat_now_timestamp_seconds", "server_id", "7"), 1e9);
    EXPECT_EQ(Value(families, "vedette_mysql_collector_age_seconds", "collector",
                    "collect.global_status"),
              0);

    // The connection is kept: the server counts one.
    MetricSink again;
    ASSERT_TRUE((*collector)->Collect(again).ok());
    const auto second = again.Take();
    EXPECT_EQ(Value(second, "mysql_global_status_connections"),
              Value(families, "mysql_global_status_connections"));
  }
  {
    SCOPED_TRACE("wrong password");
    auto collector = MakeMysqlCollector(server.Options("w", "wrong-secret"));
    MetricSink sink;
    const Status status = (*collector)->Collect(sink);
    EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status.ToString();
    EXPECT_EQ(status.message().find("wrong-secret"), std::string_view::npos);
    EXPECT_EQ(Value(sink.Take(), "mysql_up"), 0);
  }
  {
    SCOPED_TRACE("missing grant");
    auto collector = MakeMysqlCollector(server.Options("poor", "right"));
    MetricSink sink;
    EXPECT_EQ((*collector)->Collect(sink).code(), StatusCode::kPermissionDenied);
    const auto families = sink.Take();
    EXPECT_EQ(Value(families, "mysql_up"), 1);
    EXPECT_TRUE(Value(families, "mysql_global_status_uptime"));
    EXPECT_EQ(
        Value(families, "mysql_exporter_collector_success", "collector", "collect.global_status"),
        1);
    EXPECT_EQ(
        Value(families, "mysql_exporter_collector_success", "collector", "collect.slave_status"),
        0);
  }
  {
    SCOPED_TRACE("a server that hangs, and comes back");
    MysqlOptions options = server.Options("w", "right");
    options.query_timeout_ms = options.connect_timeout_ms = 1'000;
    auto collector = MakeMysqlCollector(options);
    MetricSink before, during, after;
    ASSERT_TRUE((*collector)->Collect(before).ok());
    server.Freeze();
    EXPECT_FALSE((*collector)->Collect(during).ok());
    EXPECT_EQ(Value(during.Take(), "mysql_up"), 0);
    server.Thaw();
    EXPECT_TRUE((*collector)->Collect(after).ok());
    EXPECT_EQ(Value(after.Take(), "mysql_up"), 1);
  }
}

TEST(Mysql, AServerThatIsNotThereIsDown) {
  MysqlOptions options;
  options.unix_socket = "/nonexistent/socket";
  auto collector = MakeMysqlCollector(options);
  ASSERT_TRUE(collector.ok());
  MetricSink sink;
  const Status status = (*collector)->Collect(sink);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.ToString();
  EXPECT_NE(status.message().find("/nonexistent/socket"), std::string_view::npos);
  const auto families = sink.Take();
  EXPECT_EQ(Value(families, "mysql_up"), 0);
  EXPECT_EQ(Value(families, "mysql_exporter_collector_success", "collector", "connection"), 0);
}

TEST(Mysql, ReadsAddresses) {
  MysqlOptions o;
  ASSERT_TRUE(ParseMysqlAddress("db1:3307;name=db1;user=w;password-file=/p;ca-file=/ca;"
                                "collect=global_status;collect=binlog_size;timeout=3s",
                                o)
                  .ok());
  EXPECT_EQ(o.host, "db1");
  EXPECT_EQ(o.port, 3307);
  EXPECT_EQ(o.name, "mysql/db1");
  EXPECT_EQ(o.user, "w");
  EXPECT_TRUE(o.tls);
  EXPECT_EQ(o.collectors, (std::vector<std::string>{"global_status", "binlog_size"}));
  EXPECT_EQ(o.query_timeout_ms, 3'000);
  MysqlOptions v6;
  ASSERT_TRUE(ParseMysqlAddress("[::1]:3308", v6).ok());
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.port, 3308);
  MysqlOptions local;
  ASSERT_TRUE(ParseMysqlAddress("unix:///run/m.sock", local).ok());
  EXPECT_EQ(local.unix_socket, "/run/m.sock");
  for (const char* bad : {"", "h:0", "h:x", "h;colour=red", "h;user=", "h;timeout=2"}) {
    SCOPED_TRACE(bad);
    MysqlOptions ignored;
    EXPECT_EQ(ParseMysqlAddress(bad, ignored).code(), StatusCode::kInvalidArgument);
  }
}

TEST(Mysql, ReadsMyCnf) {
  MysqlOptions o;
  const Status status = ParseMyCnf(
      "# comment\n[mysqld]\nport=1\n[client]\nuser = w # who\npassword=\"a # b\"\nhost=h\n"
      "port=3309\nssl_ca=/ca\nquick\n[client.other]\nuser=x\n",
      "client", o);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(o.user, "w");
  EXPECT_EQ(o.password, "a # b");
  EXPECT_EQ(o.host, "h");
  EXPECT_EQ(o.port, 3309);
  EXPECT_EQ(o.tls_ca, "/ca");
  MysqlOptions other;
  ASSERT_TRUE(ParseMyCnf("[client.other]\nuser=x\n", "client.other", other).ok());
  EXPECT_EQ(other.user, "x");
  EXPECT_EQ(ParseMyCnf("user=x\n", "client", other).code(), StatusCode::kNotFound);
  EXPECT_FALSE(ParseMyCnf("[client]\nport=x\n", "client", other).ok());
}

TEST(Mysql, AnUnknownCollectorIsRefused) {
  MysqlOptions o;
  o.collectors = {"nosuch"};
  auto collector = MakeMysqlCollector(o);
  ASSERT_FALSE(collector.ok());
  EXPECT_NE(collector.status().message().find("\"nosuch\""), std::string_view::npos);
}

}  // namespace
}  // namespace vedette::agent
