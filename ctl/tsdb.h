#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/output.h"

// vedettectl tsdb …: a look at a data directory, or a snapshot, without a server. Nothing in it is
// changed, not even mended.
namespace vedette::ctl {

struct TsdbStats {
  std::string directory;
  std::string by = "metric";  // metric, job or label: the table of costs.
  uint64_t limit = 20;
  Format format = Format::kTable;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct TsdbDump {
  std::string directory;
  std::vector<std::string> matchers;  // Selectors; none: everything.
  std::string min_time, max_time;
  std::string format = "promtool";  // Or openmetrics, which `import openmetrics` reads.
  Status Run(const Clock& clock, std::ostream& out, std::ostream& err) const;
};

// kDataLoss where something is damaged; what, is on `out`.
struct TsdbVerify {
  std::string directory;
  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
