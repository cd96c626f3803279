#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::agent {

// What a process is known by when its group is looked for.
struct ProcessIdentity {
  int64_t pid = 0;
  std::string comm;                  // /proc/PID/stat: at most 15 characters.
  std::vector<std::string> cmdline;  // Empty: a kernel thread.
  std::string username;
  double start_seconds = 0;  // Since the Unix epoch.
  std::vector<std::string> cgroups;
};

// ProcessNaming puts processes into groups as process-exporter's configuration says:
//
//   process_names:
//     - name: "{{.ExeBase}}:{{.Matches.Port}}"
//       exe: [postgres, /usr/local/bin/app]
//       cmdline: ['--port=(?P<Port>\d+)']
//
// A process belongs to the first entry all of whose selectors match: comm and exe by one of their
// texts (exe with a slash: the whole path), cmdline by all of its regular expressions. Templates
// know Comm, ExeBase, ExeFull, Username, PID, StartTime, Cgroups and Matches.NAME. Immutable.
class ProcessNaming {
 public:
  ~ProcessNaming();
  ProcessNaming(ProcessNaming&&) noexcept;
  ProcessNaming& operator=(ProcessNaming&&) noexcept;

  // INVALID_ARGUMENT as "file:line:column: path: reason".
  static Result<ProcessNaming> Parse(std::string_view text, const std::string& file);
  static Result<ProcessNaming> Load(const std::string& file);
  // A group for each of these commands, called by its name; an empty list: every command is one.
  static ProcessNaming ByComm(const std::vector<std::string>& names);

  // The group's name, or nothing.
  std::optional<std::string> GroupOf(const ProcessIdentity& process) const;

 private:
  struct Entry;
  ProcessNaming();
  std::vector<Entry> entries_;
};

}  // namespace vedette::agent
