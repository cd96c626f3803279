#include "tests/support/recorded_tree.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace vedette::testing {

void UnpackTree(const std::string& archive, const std::string& root) {
  std::ifstream in(archive);
  if (!in.good()) ADD_FAILURE() << "no recorded tree at " << archive;
  std::ofstream out;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("== ")) {
      const std::filesystem::path path = root + "/" + line.substr(3);
      std::filesystem::create_directories(path.parent_path());
      out = std::ofstream(path);
    } else if (line.starts_with("-> ")) {
      const size_t blank = line.find(' ', 3);
      const std::filesystem::path path = root + "/" + line.substr(3, blank - 3);
      std::filesystem::create_directories(path.parent_path());
      std::filesystem::create_symlink(line.substr(blank + 1), path);
    } else {
      out << line << "\n";
    }
  }
}

}  // namespace vedette::testing
