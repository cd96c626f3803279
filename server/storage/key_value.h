#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::storage {

// KeyValue is durable state that is not samples: silences, the notification log, alert states,
// pushed groups, cursors. Each user owns a key prefix that ends in '/', such as "silence/".
// Thread-safe.
class KeyValue {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // Nothing: delete.
  };

  virtual ~KeyValue() = default;

  virtual Result<std::optional<std::string>> Get(std::string_view key) const = 0;

  // All changes or none. Durable against kill -9 when it returns; with `sync` against power loss
  // too.
  virtual Status Apply(std::span<const Change> changes, bool sync) = 0;

  // Every pair whose key starts with `prefix`, in order of keys, until `visit` returns false.
  virtual Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

}  // namespace vedette::storage
