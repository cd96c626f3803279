#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "common/model/labels.h"
#include "server/api/http/call.h"
#include "server/storage/queryable.h"

namespace vedette::api {

// /api/v1/read: remote read, snappy already undone, as samples or as streamed chunks. Thread-safe;
// the storage outlives it.
class ReadDoor {
 public:
  ReadDoor(const storage::Queryable& queryable, std::function<Labels()> external_labels,
           uint64_t sample_limit)
      : queryable_(queryable),
        external_labels_(std::move(external_labels)),
        sample_limit_(sample_limit) {}

  Reply Read(const Call& call) const;

 private:
  const storage::Queryable& queryable_;
  const std::function<Labels()> external_labels_;
  const uint64_t sample_limit_;  // 0: none.
};

}  // namespace vedette::api
