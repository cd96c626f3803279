#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/host/host.h"
#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::agent {

// HostFlags are node_exporter's flags of the host collectors, in its names of today and, hidden in
// nothing but --help's last group, in those of yesterday.
//
//   HostFlags host(&options.host);
//   host.Add(flags);
//   flags.Parse(...);
//   VEDETTE_RETURN_IF_ERROR(host.Finish(flags));
class HostFlags {
 public:
  explicit HostFlags(HostOptions* options) : host_(*options) {}

  void Add(flags::Flags& flags);
  // After Parse: takes over what old spellings said. INVALID_ARGUMENT where both spellings of one
  // flag were used.
  Status Finish(const flags::Flags& flags);

 private:
  struct Old {
    const char* name;
    const char* now;
    std::string* target;
    std::string value;
  };

  HostOptions& host_;
  std::vector<std::unique_ptr<Old>> old_;
};

// CollectorSwitches are --collector.NAME and --no-collector.NAME of every host and container
// collector: on or off by default as node_exporter has them.
class CollectorSwitches {
 public:
  CollectorSwitches();
  void Add(flags::Flags& flags);
  // After Parse: the collectors that are off, and those that were asked for by name.
  void Finish(const flags::Flags& flags, std::vector<std::string>& enabled,
              std::vector<std::string>& disabled) const;

 private:
  std::vector<std::string> names_;
  std::unique_ptr<bool[]> on_;
};

}  // namespace vedette::agent
