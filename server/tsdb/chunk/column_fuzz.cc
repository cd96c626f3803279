#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/tsdb/chunk/column.h"

// A column is read from a disk that lies. Whatever the bytes, reading ends, and touches nothing
// else; and what was read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t n = static_cast<size_t>(data[0]) + (static_cast<size_t>(data[1] & 3) << 8);
  std::vector<double> values(n);
  vedette::tsdb::ByteReader in(std::string_view(reinterpret_cast<const char*>(data) + 2, size - 2));
  if (!vedette::tsdb::DecodeColumn(in, values)) return 0;
  std::string bytes;
  vedette::tsdb::EncodeColumn(values, bytes);
  std::vector<double> again(n);
  vedette::tsdb::ByteReader second(bytes);
  if (!vedette::tsdb::DecodeColumn(second, again) || !second.done()) std::abort();
  return 0;
}
