#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::agent {

// Filter is a pair of --collector.X.include and --collector.X.exclude: a name passes when it
// matches the first (where given) and not the second. The expressions are searched for, not
// anchored, as node_exporter does. Copies share the compiled expressions, and what they said of each
// name: devices and fields are the same at every scrape. Thread-safe.
class Filter {
 public:
  Filter();
  ~Filter();
  Filter(const Filter&);
  Filter& operator=(const Filter&);

  // `flag` is the flags' common part, such as "--collector.netdev.device", for the error.
  static Result<Filter> Make(std::string_view flag, const std::string& include,
                             const std::string& exclude);

  bool Passes(std::string_view name) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace vedette::agent
