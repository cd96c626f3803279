#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/histogram.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/store/keys.h"

// The log of a timeline is read from a disk that lies: pieces of the input, each a byte for the kind, a
// byte for the slot, a byte for the length, then the record. With the right checksums, so that more
// than they are seen. Whatever comes, reading ends, instants ascend, and nobody has more values than
// the layout has series. The whole input is read as a native histogram too.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::tsdb;
  std::string_view in(reinterpret_cast<const char*>(data), size);
  (void)DecodeHistogram(in);
  LogReplay replay;
  while (in.size() >= 3) {
    const auto kind = static_cast<HeadKind>(static_cast<uint8_t>(in[0]) % 5);
    const uint32_t slot = static_cast<uint8_t>(in[1]);
    const size_t length = static_cast<uint8_t>(in[2]);
    in.remove_prefix(3);
    std::string record(in.substr(0, length));
    in.remove_prefix(record.size());
    PutFixed(record, Checksum(record));
    (void)replay.Add(kind, slot, record);
  }
  const LogReplay::Restored restored = replay.Finish();
  std::vector<double> column;
  for (const auto& block : restored.view->blocks) {
    column.resize(block->instants().size());
    for (size_t p = 0; p < block->positions() + 1; ++p) (void)block->Decode(p, column);
  }
  for (size_t i = 1; i < restored.view->rows.size(); ++i) {
    if (restored.view->rows[i]->t_ms < restored.view->rows[i - 1]->t_ms) std::abort();
  }
  return 0;
}
