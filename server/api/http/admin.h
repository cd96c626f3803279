#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/matcher.h"
#include "server/api/http/call.h"
#include "server/api/http/series.h"

namespace vedette::api {

struct AdminChange {
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  uint64_t series = 0;
  uint64_t samples = 0;
};

struct AdminBackends {
  bool enabled = false;  // --web.enable-admin-api
  std::function<Result<AdminChange>(const std::vector<std::vector<Matcher>>&, int64_t start_ms,
                                    int64_t end_ms)>
      remove;
  std::function<Result<AdminChange>()> clean_tombstones;
  std::function<Result<AdminChange>()> compact;
  std::function<Result<std::string>()> snapshot;  // Its name.
  ParseSelector parse;
};

// /api/v1/admin/tsdb/*. Thread-safe.
class AdminDoor {
 public:
  explicit AdminDoor(AdminBackends backends) : b_(std::move(backends)) {}

  Reply DeleteSeries(const Call& call) const;
  Reply CleanTombstones(const Call& call) const;
  Reply Compact(const Call& call) const;
  Reply Snapshot(const Call& call) const;

 private:
  const AdminBackends b_;
};

}  // namespace vedette::api
