#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"

// Chunks and instants are read from a disk that lies: with the right checksum, so that more than it is
// seen. Whatever the bytes, reading ends, and instants that are believed ascend and are written and
// read as the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::tsdb;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  PutFixed(bytes, Checksum(bytes));
  std::vector<double> values;
  if (const auto header = DecodeChunk(bytes, values); header.ok()) {
    if (values.size() != header->count || values.size() > kMaxChunkValues) std::abort();
    // From a place on it is the same.
    std::vector<double> rest(values.size());
    if (!DecodeChunkValues(bytes, *header, rest, values.size() / 2).ok()) std::abort();
  }
  std::vector<int64_t> instants;
  if (!DecodeInstants(bytes, instants).ok()) return 0;
  for (size_t i = 1; i < instants.size(); ++i) {
    if (instants[i] <= instants[i - 1]) std::abort();
  }
  std::vector<int64_t> again;
  if (!DecodeInstants(EncodeInstants(instants), again).ok() || again != instants) std::abort();
  return 0;
}
