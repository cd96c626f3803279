#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/storage/queryable.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/rollup.h"

// A roll-up is read from a disk that lies. Whatever the bytes, reading ends; what it takes for whole is
// in order and is written and read as the same. With the right checksum, so that more than it is seen.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  tsdb::PutFixed(bytes, tsdb::Checksum(bytes));
  std::vector<storage::RolledUp> stretches;
  if (!tsdb::DecodeRollup(bytes, stretches).ok()) return 0;
  for (size_t i = 0; i < stretches.size(); ++i) {
    if (stretches[i].last_ms < stretches[i].first_ms || stretches[i].count == 0) std::abort();
    if (i > 0 && stretches[i].first_ms <= stretches[i - 1].last_ms) std::abort();
  }
  std::vector<storage::RolledUp> again;
  if (!tsdb::DecodeRollup(tsdb::EncodeRollup(stretches), again).ok()) std::abort();
  if (again.size() != stretches.size()) std::abort();
  return 0;
}
