#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "common/base/status.h"
#include "ctl/http_api.h"
#include "ctl/output.h"

namespace vedette::ctl {

// vedettectl cost: what metrics, jobs and labels cost a running server.
struct Cost {
  std::string by = "metric";  // metric, job or label.
  std::string label;          // With by=label: the values of this one.
  uint64_t limit = 20;        // Rows; 0: all.
  Format format = Format::kTable;
  Status Run(const HttpApi& api, std::ostream& out) const;
};

}  // namespace vedette::ctl
