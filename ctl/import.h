#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "common/base/status.h"

namespace vedette::ctl {

// Where an import goes: a server's remote write door (--web.enable-remote-write-receiver). Old
// samples are taken as far back as storage.tsdb.out_of_order_time_window of its prometheus.yml
// says.
struct ImportTarget {
  std::string url = "http://localhost:9090";
  std::string username;
  std::string password_file;
  std::string ca_file;
};

// vedettectl import openmetrics FILE: samples with times of their own, in OpenMetrics text. "-" is
// standard input.
struct ImportOpenMetrics {
  ImportTarget target;
  std::string file;
  Status Run(std::ostream& out) const;
};

// vedettectl import prometheus: reports what of Prometheus' and Alertmanager's files means the same
// here and what does not, and sends the samples of the blocks in its data directory. Each part is
// optional; without `data` nothing is sent.
struct ImportPrometheus {
  ImportTarget target;
  std::string config_file;
  std::string alertmanager_file;
  std::string data;
  Status Run(std::ostream& out) const;
};

}  // namespace vedette::ctl
