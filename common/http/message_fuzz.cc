#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/http/message.h"

// What ParseForm takes must survive being written and read again; UrlEncode is undone by UrlDecode.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::http;
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const auto decoded = UrlDecode(UrlEncode(in), true);
  if (!decoded.ok() || *decoded != in) std::abort();
  const int quality = QualityOf(in, "gzip", 0);
  if (quality < 0 || quality > 1000) std::abort();
  Params params;
  if (!ParseForm(in, params).ok()) return 0;
  Params again;
  if (!ParseForm(params.Encode(), again).ok() || again.Encode() != params.Encode()) std::abort();
  return 0;
}
