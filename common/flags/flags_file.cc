#include "common/flags/flags_file.h"

#include <yaml-cpp/yaml.h>

#include <set>
#include <utility>

#include "common/base/strings.h"

namespace vedette::flags {
namespace {

constexpr int kMaxDepth = 32;

std::string Where(const std::string& path, const YAML::Mark& mark) {
  return StrCat(path, ":", mark.line + 1, ":", mark.column + 1);
}

Status Walk(const std::string& path, const std::string& prefix, const YAML::Node& node, int depth,
            std::set<std::string>& seen, std::vector<FileFlag>& out) {
  if (depth > kMaxDepth) return InvalidArgument(StrCat(path, ": nested too deeply"));
  for (const auto& entry : node) {
    const std::string where = Where(path, entry.first.Mark());
    if (!entry.first.IsScalar()) return InvalidArgument(StrCat(where, ": not a flag's name"));
    const std::string name =
        prefix.empty() ? entry.first.Scalar() : StrCat(prefix, ".", entry.first.Scalar());
    const YAML::Node& value = entry.second;
    if (value.IsMap()) {
      VEDETTE_RETURN_IF_ERROR(Walk(path, name, value, depth + 1, seen, out));
      continue;
    }
    if (!seen.insert(name).second) {
      return InvalidArgument(StrCat(where, ": ", name, " is given twice"));
    }
    FileFlag flag{.name = name, .values = {}, .where = where};
    if (value.IsScalar()) {
      flag.values.push_back(value.Scalar());
    } else if (value.IsSequence()) {
      for (const auto& item : value) {
        if (!item.IsScalar()) {
          return InvalidArgument(
              StrCat(Where(path, item.Mark()), ": ", name, ": want text in the list"));
        }
        flag.values.push_back(item.Scalar());
      }
    } else {
      return InvalidArgument(StrCat(where, ": ", name, " has no value"));
    }
    out.push_back(std::move(flag));
  }
  return {};
}

}  // namespace

Result<std::vector<FileFlag>> ReadFlagsFile(const std::string& path) {
  std::vector<FileFlag> out;
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (root.IsNull()) return out;
    if (!root.IsMap()) return InvalidArgument(StrCat(path, ": want a map of flags"));
    std::set<std::string> seen;
    VEDETTE_RETURN_IF_ERROR(Walk(path, "", root, 0, seen, out));
  } catch (const YAML::BadFile&) {
    return InvalidArgument(StrCat("cannot read ", Quoted(path)));
  } catch (const YAML::Exception& e) {
    return InvalidArgument(StrCat(Where(path, e.mark), ": ", e.msg));
  }
  return out;
}

}  // namespace vedette::flags
