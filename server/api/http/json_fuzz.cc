#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/base/strings.h"
#include "server/api/http/json.h"

// Law: whatever is written is JSON to another reader, text that is UTF-8 comes back as it was, and a
// float comes back as the very same number.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using nlohmann::json;
  double number = 0;
  int64_t whole = 0;
  if (size >= 16) {
    std::memcpy(&number, data, 8);
    std::memcpy(&whole, data + 8, 8);
    data += 16;
    size -= 16;
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string out;
  vedette::api::JsonWriter w(&out);
  w.BeginObject();
  w.Key(text).String(text);
  w.Key("n").Float(number).Key("plain").Number(number).Key("i").Int(whole).Key("t").Time(whole);
  w.Key("a").BeginArray().Bool(true).Null().BeginObject().EndObject().EndArray();
  w.EndObject();

  const json read = json::parse(out, nullptr, /*allow_exceptions=*/false);
  if (read.is_discarded() || !read.is_object()) std::abort();
  if (vedette::IsValidUtf8(text) && text != "n" && text != "plain" && text != "i" && text != "t" &&
      text != "a" && read.value(std::string(text), json()) != json(std::string(text))) {
    std::abort();
  }
  if (text == "n" || text == "plain" || text == "i") return 0;
  const std::string shown = read["n"].get<std::string>();
  if (std::isfinite(number)) {
    if (std::strtod(shown.c_str(), nullptr) != number) std::abort();
    if (read["plain"].get<double>() != number) std::abort();
  } else if (std::isnan(number) ? shown != "NaN" : shown != (number > 0 ? "+Inf" : "-Inf")) {
    std::abort();
  }
  if (read["i"].get<int64_t>() != whole) std::abort();
  return 0;
}
