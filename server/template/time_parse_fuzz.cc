#include <cstdint>
#include <string_view>

#include "server/template/time_format.h"
#include "server/template/time_parse.h"

// The first line is a layout, the rest a text. Reading it ends; what was read can be written.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::tmpl;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  if (line == input.npos) return 0;
  const auto t = ParseTime(input.substr(0, line), input.substr(line + 1));
  if (t.ok()) (void)FormatTime(*t, input.substr(0, line));
  return 0;
}
