#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "common/http/response_reader.h"

// An answer comes from whoever listens on the port, in pieces of any size. Whatever it is, reading
// ends, the body keeps its limit, and how it was cut makes no difference.
namespace {

struct Outcome {
  bool ok = false;
  bool done = false;
  std::string body;
};

Outcome Read(std::string_view bytes, size_t piece) {
  constexpr size_t kLimit = 1 << 16;
  vedette::http::ResponseReader reader;
  reader.Start(kLimit, "left over");
  Outcome outcome;
  while (!reader.done()) {
    vedette::Status status;
    if (bytes.empty()) {
      status = reader.Closed();
    } else {
      const std::span<char> space = reader.Space();
      if (space.empty()) std::abort();
      const size_t n = std::min({space.size(), bytes.size(), piece});
      std::memcpy(space.data(), bytes.data(), n);
      bytes.remove_prefix(n);
      status = reader.Filled(n);
    }
    if (!status.ok()) return outcome;
  }
  outcome.ok = outcome.done = true;
  outcome.body = reader.TakeBody();
  if (outcome.body.size() > kLimit) std::abort();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = Read(bytes, size + 1);
  const Outcome slow = Read(bytes, 1);
  if (whole.ok != slow.ok || whole.body != slow.body) std::abort();
  return 0;
}
