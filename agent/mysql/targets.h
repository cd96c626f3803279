#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/mysql/mysql.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"

namespace vedette::agent {

// MysqlTargets asks servers that whoever asks names, as mysqld_exporter's /probe does. The accounts
// are sections of a my.cnf, read anew each time: a changed password needs no restart.
//
//   MysqlTargets targets({.config_files = {"/etc/vedette/my.cnf"}, .base = options});
//   auto found = targets.Probe({.target = "db1:3306", .auth_module = "client.db1"});
//
// A section inherits what it does not say from those before its dots: [client.eu.db1] from
// [client.eu] and [client]. Connections are kept from one probe to the next; one that nobody asked
// for five minutes is closed. Two who ask the same of the same server come one after the other, so
// that a slow server is never asked twice at a time. Thread-safe.
class MysqlTargets {
 public:
  // Servers kept at one time; beyond them the one asked longest ago is closed.
  static constexpr size_t kMost = 256;
  static constexpr int64_t kIdleMs = 300'000;

  struct Options {
    std::vector<std::string> config_files;
    MysqlOptions base;  // What is not of one server: collectors, their options, the session's limits.
    const Clock* clock = &SystemClock();
  };
  struct Request {
    std::string target;  // host, host:port or unix:///path.sock.
    std::string auth_module = "client";
    std::vector<std::string> collectors;  // Of those that are on; empty: all of them.
    int64_t timeout_ms = 10'000;
  };
  struct Answer {
    std::vector<MetricFamily> families;
    BlankLabels blanks;
  };

  explicit MysqlTargets(Options options);
  ~MysqlTargets();
  MysqlTargets(const MysqlTargets&) = delete;
  MysqlTargets& operator=(const MysqlTargets&) = delete;

  // A server that cannot be asked is an answer, with mysql_up 0. INVALID_ARGUMENT for a request
  // that cannot be, NOT_FOUND for a file that cannot be read, DEADLINE_EXCEEDED if somebody else's
  // probe of the server took all of the time.
  Result<Answer> Probe(const Request& request) VEDETTE_EXCLUDES(mu_);

  size_t kept() const VEDETTE_EXCLUDES(mu_);

 private:
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;

  Result<MysqlOptions> OptionsOf(const Request& request) const;
  Result<EntryPtr> Find(const MysqlOptions& options) VEDETTE_EXCLUDES(mu_);

  const Options options_;
  mutable Mutex mu_;
  CondVar done_;
  std::vector<EntryPtr> entries_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::agent
