#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/mysql/mysql.h"
#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::agent {

// MysqlFlags say which servers to watch and how: the agent's own --mysql.*, and mysqld_exporter's
// --config.my-cnf, --mysqld.*, --exporter.* and --collect.* as they are.
//
//   MysqlFlags mysql;
//   mysql.Add(flags);
//   flags.Parse(...);
//   VEDETTE_ASSIGN_OR_RETURN(options.mysql, mysql.Finish(flags));
//   options.mysql_probe_files = mysql.probe_files();
//   options.mysql_probe = mysql.probe_options();
class MysqlFlags {
 public:
  MysqlFlags();

  void Add(flags::Flags& flags);
  // After Parse: the servers, each with all that was said. Names the flag that is wrong.
  Result<std::vector<MysqlOptions>> Finish(const flags::Flags& flags);

  // After Finish: what /probe?target=&auth_module= uses. No files: there are no such probes.
  const std::vector<std::string>& probe_files() const { return probe_files_; }
  const MysqlOptions& probe_options() const { return base_; }

 private:
  void AddCollect(flags::Flags& flags);
  Status ReadServers(const flags::Flags& flags, std::vector<MysqlOptions>& found) const;

  MysqlOptions base_;
  std::vector<std::string> addresses_, config_files_, collect_, probe_files_;
  std::string config_section_ = "client";
  // mysqld_exporter's way to say the same of one server.
  std::string exporter_config_, exporter_address_, exporter_user_;
  bool exporter_skip_verify_ = false;
  // --collect.NAME, true by default where the exporter has it so.
  std::vector<std::string> names_;
  std::unique_ptr<bool[]> on_;
};

}  // namespace vedette::agent
