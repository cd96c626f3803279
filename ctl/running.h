#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/connection.h"
#include "ctl/output.h"

// vedettectl query ps, kill, watch and analyze, and --explain of instant and range: what queries do.
namespace vedette::ctl {

struct QueryPs {
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out) const;
};

struct QueryKill {
  std::vector<uint64_t> ids;
  Status Run(const Connection& connection, std::ostream& out) const;
};

// The plan of a query as a tree, and with `analyze` what every node cost.
struct QueryExplain {
  std::string expression;
  std::string time;   // Instant.
  std::string start;  // Range: set together with end and step.
  std::string end;
  std::string step;
  bool analyze = false;
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

// A line for every change of an expression's answer, until the connection ends.
struct QueryWatch {
  std::string expression;
  std::string interval = "15s";
  uint64_t changes = 0;  // End after so many answers; 0: never.
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out, std::ostream& err) const;
};

// How well histograms use their buckets: as promtool's query analyze.
struct QueryAnalyze {
  std::string type = "histogram";
  std::vector<std::string> matchers;
  std::string duration = "1h";
  std::string time;
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

}  // namespace vedette::ctl
