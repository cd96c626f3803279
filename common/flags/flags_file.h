#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"

namespace vedette::flags {

// One flag as a YAML file of flags gives it.
struct FileFlag {
  std::string name;  // Dotted, however deeply it was nested.
  std::vector<std::string> values;
  std::string where;  // "path:line:column".
};

// Reads `path`. A flag given twice, an anchor loop or anything but text, lists and maps is refused.
Result<std::vector<FileFlag>> ReadFlagsFile(const std::string& path);

}  // namespace vedette::flags
