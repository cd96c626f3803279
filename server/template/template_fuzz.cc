#include <cstdint>
#include <string_view>

#include "server/template/prometheus_functions.h"
#include "server/template/template.h"
#include "server/template/value.h"

// A template comes from a rule file or a person's browser. Whatever it says, reading and running it
// end, within the limits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::tmpl;
  static const auto functions = PrometheusFunctions(
      {.external_url = "http://x/y", .query = [](const std::string&) {
         return vedette::Result<std::vector<QuerySample>>(std::vector<QuerySample>(
             {{vedette::Labels::Of({{"a", "b"}}), 1, ""}, {vedette::Labels(), 2, ""}}));
       }});
  Template t(functions);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!t.Parse("fuzz", text).ok()) return 0;
  const Value input(Map{{"Labels", Value(Map{{"a", Value("b")}}, &StringMapType())},
                        {"Value", Value(7.5)},
                        {"List", Value(List{Value(1), Value("x")})}});
  (void)t.Execute("fuzz", input, {.max_output_bytes = 1 << 16, .max_steps = 20'000});
  return 0;
}
