#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/mysql/mysql.h"
#include "common/base/status.h"

namespace vedette::agent {

// What a query answered. A NULL is no value.
struct MysqlRows {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;
};

// One connection to a server, over libmariadb. The only place that sees its header. Every wait has
// a timeout, rounded up to whole seconds because the library counts in those.
// Not thread-safe.
class MysqlConnection {
 public:
  // Beyond so many rows an answer is refused with RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxRows = 100'000;

  explicit MysqlConnection(MysqlOptions options);
  ~MysqlConnection();
  MysqlConnection(const MysqlConnection&) = delete;
  MysqlConnection& operator=(const MysqlConnection&) = delete;

  // Uses the connection that stands if it still answers, or makes a new one and sets the session's
  // limits. PERMISSION_DENIED, UNAVAILABLE, ... with the server's sentence.
  Status Connect();
  // No later query waits longer than this, nor longer than the options' timeout.
  void LimitWait(int64_t ms);
  // After a failure that took the connection with it, connected() is false.
  Result<MysqlRows> Query(std::string_view sql);
  bool connected() const;

  // Of the server; valid while connected.
  bool is_mariadb() const;
  // 101119 for 10.11.19.
  unsigned long version() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::agent
