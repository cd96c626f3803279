#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/api/http/call.h"
#include "server/api/http/dashboard_text.h"

namespace vedette::api {

// Limits of what a directory of dashboards may hold.
inline constexpr size_t kMaxDashboards = 2000;
inline constexpr int64_t kMaxDashboardBytes = 16 << 20;

// Grafana's dashboards, read from a directory of their JSON files (and its subdirectories) and
// never rewritten: a file that is put there, changed or removed shows at the next request.
//
//   GET /api/search?query=&tag=&limit=         what there is
//   GET /api/dashboards/uid/:uid               {"meta":{...},"dashboard":{...}}, Grafana's shape
//   GET /api/dashboards/uid/:uid/raw           the file, byte for byte
//   POST /api/dashboards/db                    {"dashboard":{..},"overwrite":true}: a file of those
//   bytes
//   PUT /api/dashboards/uid/:uid               the dashboard itself, new or in place of the old one
//   DELETE /api/dashboards/uid/:uid            removes the file
//
// A dashboard without a uid has its file's name as one. Files are parsed once and again when their
// size or time changes, so a search costs a stat per file. Thread-safe.
class DashboardsDoor {
 public:
  // An empty directory name: there are no dashboards, and nothing fails.
  explicit DashboardsDoor(std::string directory);
  ~DashboardsDoor();

  Reply Search(const Call& call) const;
  Reply ByUid(const Call& call) const;
  Reply Raw(const Call& call) const;
  Reply Save(const Call& call) const;
  Reply Put(const Call& call) const;
  Reply Delete(const Call& call) const;

 private:
  struct Dashboard;
  using List = std::vector<std::shared_ptr<const Dashboard>>;

  // By title; `problems` are files that could not be read as dashboards, with their reason.
  Result<List> Scan(std::vector<std::string>* problems) const VEDETTE_EXCLUDES(mu_);
  Reply Keep(const DashboardUpload& upload) const;
  Result<std::shared_ptr<const Dashboard>> Find(const std::string& uid) const;

  const std::string directory_;
  mutable Mutex mu_;
  mutable std::map<std::string, std::shared_ptr<const Dashboard>> cache_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::api
