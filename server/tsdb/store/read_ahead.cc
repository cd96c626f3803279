#include "server/tsdb/store/read_ahead.h"

#include <fcntl.h>
#include <rocksdb/metadata.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "common/base/strings.h"
#include "server/tsdb/store/setup.h"

namespace vedette::tsdb {
namespace {

void WillRead(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
  close(file);
}

}  // namespace

void WillReadLog(const std::string& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().extension() == ".log") WillRead(entry.path().string());
  }
}

void WillReadTables(const std::string& path, rocksdb::DB& db) {
  std::vector<rocksdb::LiveFileMetaData> live;
  db.GetLiveFilesMetaData(&live);
  for (const Family family : {Family::kMeta, Family::kSeries, Family::kHead}) {
    for (const rocksdb::LiveFileMetaData& f : live) {
      if (f.column_family_name == kFamilyNames[static_cast<size_t>(family)]) {
        WillRead(StrCat(path, "/", f.relative_filename));
      }
    }
  }
}

}  // namespace vedette::tsdb
