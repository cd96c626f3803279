#include "ctl/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/base/strings.h"

namespace vedette::ctl {

Result<std::unique_ptr<tsdb::Tsdb>> ReadStorage(const std::string& directory, const Clock& clock) {
  tsdb::TsdbOptions options;
  options.path = directory;
  options.retention_ms = 0;
  options.maintenance_interval_ms = 0;
  options.read_only = true;
  return tsdb::Tsdb::Open(options, clock);
}

Status NotInUse(const std::string& directory, const std::string& remedy) {
  // RocksDB holds a lock of fcntl's kind on this file for as long as it is open.
  const int file = ::open((directory + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = ::fcntl(file, F_GETLK, &lock) == 0;
  ::close(file);
  if (!asked || lock.l_type == F_UNLCK) return {};
  return FailedPrecondition(StrCat(Quoted(directory), " is in use by process ", lock.l_pid,
                                   ": stop it first, or ", remedy));
}

}  // namespace vedette::ctl
