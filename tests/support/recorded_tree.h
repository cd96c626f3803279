#pragma once

#include <string>

namespace vedette::testing {

// Writes a recorded /proc and /sys out below `root`. The archive is text: "== PATH" and the file's
// lines, or "-> PATH TARGET" for a symbolic link. So names may have colons, which Bazel's files may
// not, and a machine is one file to read. A missing archive is a test failure.
void UnpackTree(const std::string& archive, const std::string& root);

}  // namespace vedette::testing
