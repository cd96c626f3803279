#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/connection.h"
#include "ctl/output.h"

// vedettectl query …: PromQL and what it is about. Warnings and hints of the server go to `err`.
namespace vedette::ctl {

struct QueryInstant {
  std::string expression;
  std::string time;
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

struct QueryRange {
  std::string expression;
  std::string start = "1h";
  std::string end = "now";
  std::string step = "1m";
  bool graph = false;  // A picture instead of a table.
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

struct QuerySeries {
  std::vector<std::string> matchers;
  std::string start = "1h";
  std::string end = "now";
  uint64_t limit = 0;
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

// Names of labels, or the values of one.
struct QueryLabels {
  std::string label;
  std::vector<std::string> matchers;
  std::string start = "1h";
  std::string end = "now";
  uint64_t limit = 0;
  Format format = Format::kTable;
  Status Run(const Connection& connection, const Clock& clock, std::ostream& out,
             std::ostream& err) const;
};

}  // namespace vedette::ctl
