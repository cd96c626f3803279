#include "server/discovery/file_provider.h"

#include <sys/stat.h>

#include <set>

#include "common/config/decoder.h"
#include "server/discovery/target_group_text.h"

namespace vedette::discovery {

Result<std::vector<TargetGroup>> FileProvider::Refresh(Status& problem) {
  std::set<std::string> paths;
  for (const std::string& pattern : config_.files) {
    for (std::string& path : config::GlobFiles(pattern)) paths.insert(std::move(path));
  }
  std::erase_if(last_good_, [&](const auto& entry) { return !paths.contains(entry.first); });

  std::vector<TargetGroup> all;
  for (const std::string& path : paths) {
    struct stat info{};
    if (events_.file_read && stat(path.c_str(), &info) == 0) {
      events_.file_read(path, static_cast<double>(info.st_mtim.tv_sec) +
                                  static_cast<double>(info.st_mtim.tv_nsec) / 1e9);
    }
    Result<std::string> text = config::ReadConfigFile(path);
    Result<std::vector<TargetGroup>> groups =
        text.ok() ? ParseTargetGroups(*text, path, "__meta_filepath") : text.status();
    if (groups.ok()) {
      last_good_[path] = *std::move(groups);
    } else if (problem.ok()) {
      problem = groups.status();
    }
    auto known = last_good_.find(path);
    if (known == last_good_.end()) continue;
    all.insert(all.end(), known->second.begin(), known->second.end());
  }
  return all;
}

std::vector<std::string> FileProvider::watched_directories() const {
  std::set<std::string> directories;
  for (const std::string& pattern : config_.files) directories.insert(config::DirectoryOf(pattern));
  return {directories.begin(), directories.end()};
}

}  // namespace vedette::discovery
