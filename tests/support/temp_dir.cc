#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace vedette::testing {

TempDir::TempDir() {
  const char* base = std::getenv("TEST_TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/vedette.XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TempDir::~TempDir() {
  std::error_code ignored;  // Best effort: the runner removes TEST_TMPDIR anyway.
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace vedette::testing
