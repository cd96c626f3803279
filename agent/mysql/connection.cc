#include "agent/mysql/connection.h"

#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <mutex>
#include <utility>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// Server errors that mean: not allowed. From the server's list of error numbers, which never
// change.
constexpr unsigned kAccessDenied[] = {1044, 1045, 1142, 1143, 1227, 1370, 1698};

StatusCode CodeOf(unsigned number) {
  for (const unsigned denied : kAccessDenied) {
    if (number == denied) return StatusCode::kPermissionDenied;
  }
  switch (number) {
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
    case CR_SSL_CONNECTION_ERROR:
      return StatusCode::kUnavailable;
    case 1193:  // Unknown system variable.
    case 1109:  // Unknown table in information_schema.
    case 1146:  // No such table.
    case 1286:  // Unknown storage engine.
      return StatusCode::kNotFound;
    default:
      return StatusCode::kInternal;
  }
}

unsigned Seconds(int64_t ms) { return static_cast<unsigned>(ms <= 1000 ? 1 : (ms + 999) / 1000); }

}  // namespace

struct MysqlConnection::State {
  explicit State(MysqlOptions o) : options(std::move(o)) {}
  ~State() { Close(); }

  void Close() {
    if (mysql != nullptr) mysql_close(mysql);
    mysql = nullptr;
  }

  Status Failure(std::string_view doing) {
    const unsigned number = mysql_errno(mysql);
    Status status(CodeOf(number), StrCat(doing, ": ", mysql_error(mysql), " (", number, ")"));
    // Whatever was lost, hung or out of step is not to be used again.
    if (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) Close();
    return status;
  }

  const MysqlOptions options;
  int64_t wait_ms = options.query_timeout_ms;
  MYSQL* mysql = nullptr;
};

MysqlConnection::MysqlConnection(MysqlOptions options)
    : state_(std::make_unique<State>(std::move(options))) {
  static std::once_flag once;
  std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
}
MysqlConnection::~MysqlConnection() = default;

bool MysqlConnection::connected() const { return state_->mysql != nullptr; }

bool MysqlConnection::is_mariadb() const {
  return std::string_view(mysql_get_server_info(state_->mysql)).find("MariaDB") !=
         std::string_view::npos;
}

unsigned long MysqlConnection::version() const { return mysql_get_server_version(state_->mysql); }

void MysqlConnection::LimitWait(int64_t ms) {
  state_->wait_ms = std::min(ms, state_->options.query_timeout_ms);
  if (state_->mysql == nullptr) return;
  const unsigned seconds = Seconds(state_->wait_ms);
  mysql_options(state_->mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
  mysql_options(state_->mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
}

Status MysqlConnection::Connect() {
  State& s = *state_;
  const MysqlOptions& o = s.options;
  if (s.mysql != nullptr) {
    if (mysql_ping(s.mysql) == 0) return {};
    s.Close();
  }
  std::string password = o.password;
  if (!o.password_file.empty()) {
    std::ifstream file(o.password_file);
    if (!file) return PermissionDenied(StrCat("cannot read ", Quoted(o.password_file)));
    password.assign(std::istreambuf_iterator<char>(file), {});
    password = Trim(password);
  }
  s.mysql = mysql_init(nullptr);
  if (s.mysql == nullptr) return ResourceExhausted("no memory for a MySQL connection");
  const unsigned connect = Seconds(std::min(o.connect_timeout_ms, s.wait_ms)),
                 query = Seconds(std::min(o.query_timeout_ms, s.wait_ms));
  mysql_options(s.mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
  mysql_options(s.mysql, MYSQL_OPT_READ_TIMEOUT, &query);
  mysql_options(s.mysql, MYSQL_OPT_WRITE_TIMEOUT, &query);
  // A server that is not to be trusted must not ask for our files.
  const unsigned no_infile = 0;
  mysql_options(s.mysql, MYSQL_OPT_LOCAL_INFILE, &no_infile);
  mysql_options(s.mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_optionsv(s.mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "vedette-agent");
  if (o.tls) {
    const my_bool yes = 1, verify = o.tls_insecure_skip_verify ? 0 : 1;
    mysql_options(s.mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(s.mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (!o.tls_ca.empty()) mysql_options(s.mysql, MYSQL_OPT_SSL_CA, o.tls_ca.c_str());
    if (!o.tls_cert.empty()) mysql_options(s.mysql, MYSQL_OPT_SSL_CERT, o.tls_cert.c_str());
    if (!o.tls_key.empty()) mysql_options(s.mysql, MYSQL_OPT_SSL_KEY, o.tls_key.c_str());
  }
  const bool local = !o.unix_socket.empty();
  if (mysql_real_connect(s.mysql, local ? nullptr : o.host.c_str(), o.user.c_str(),
                         password.c_str(), nullptr, local ? 0 : static_cast<unsigned>(o.port),
                         local ? o.unix_socket.c_str() : nullptr, 0) == nullptr) {
    Status status = s.Failure(local ? o.unix_socket : StrCat(o.host, ":", o.port));
    s.Close();
    return status;
  }
  std::vector<std::string> session;
  if (o.lock_wait_timeout_s > 0) {
    session.push_back(StrCat("SET SESSION lock_wait_timeout=", o.lock_wait_timeout_s));
  }
  if (o.idle_close_s > 0) {
    session.push_back(StrCat("SET SESSION wait_timeout=", o.idle_close_s));
  }
  if (is_mariadb()) {
    // Ends a query on the server too, where our own timeout would leave it running.
    session.push_back(StrCat("SET SESSION max_statement_time=", Seconds(o.query_timeout_ms)));
    if (o.log_slow_filter) session.push_back("SET SESSION log_slow_filter='tmp_table_on_disk'");
  } else if (version() >= 50'708) {
    session.push_back(StrCat("SET SESSION max_execution_time=", o.query_timeout_ms));
  }
  for (const std::string& sql : session) {
    auto set = Query(sql);
    if (!set.ok()) return set.status().Annotate(sql);
  }
  return {};
}

Result<MysqlRows> MysqlConnection::Query(std::string_view sql) {
  State& s = *state_;
  if (s.mysql == nullptr) return Unavailable("not connected");
  const auto what = [&] { return Quoted(sql.substr(0, 80)); };
  if (mysql_real_query(s.mysql, sql.data(), sql.size()) != 0) return s.Failure(what());
  MysqlRows out;
  MYSQL_RES* result = mysql_use_result(s.mysql);
  if (result == nullptr) {
    if (mysql_field_count(s.mysql) != 0) return s.Failure(what());
    return out;  // A statement without rows.
  }
  const unsigned columns = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  for (unsigned i = 0; i < columns; ++i) out.columns.emplace_back(fields[i].name);
  bool too_many = false;
  while (const MYSQL_ROW row = mysql_fetch_row(result)) {
    if (out.rows.size() >= kMaxRows) {
      too_many = true;  // The rest is read and dropped, so that the connection stays in step.
      continue;
    }
    const unsigned long* lengths = mysql_fetch_lengths(result);
    auto& values = out.rows.emplace_back(columns);
    for (unsigned i = 0; i < columns; ++i) {
      if (row[i] != nullptr) values[i] = std::string(row[i], lengths[i]);
    }
  }
  const bool failed = mysql_errno(s.mysql) != 0;
  mysql_free_result(result);
  if (failed) return s.Failure(what());
  if (too_many) {
    return ResourceExhausted(StrCat(what(), ": more than the limit of ", kMaxRows, " rows"));
  }
  return out;
}

}  // namespace vedette::agent
