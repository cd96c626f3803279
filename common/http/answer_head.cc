#include "common/http/answer_head.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "common/base/strings.h"
#include "common/http/message.h"

namespace vedette::http {
namespace {

std::string HttpDate() {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  gmtime_r(&now, &tm);
  char text[96];
  snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[tm.tm_wday], tm.tm_mday,
           kMonths[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  return text;
}

}  // namespace

bool CompressibleType(std::string_view type) {
  type = type.substr(0, type.find(';'));
  for (std::string_view word : {"json", "javascript", "xml", "x-ndjson", "openmetrics", "yaml"}) {
    if (type.find(word) != std::string_view::npos) return true;
  }
  return type.starts_with("text/") && type != "text/event-stream";
}

compress::Encoding ChooseEncoding(const Request& request) {
  const std::string_view accept = request.headers.Get("Accept-Encoding");
  const int zstd = QualityOf(accept, "zstd", 0);
  const int gzip = QualityOf(accept, "gzip", 0);
  const int deflate = QualityOf(accept, "deflate", 0);
  const int identity = QualityOf(accept, "identity", 1);
  const int least = std::max(identity, 1);
  if (zstd >= std::max({gzip, deflate, least})) return compress::Encoding::kZstd;
  if (gzip >= std::max(deflate, least)) return compress::Encoding::kGzip;
  if (deflate >= least) return compress::Encoding::kDeflate;
  return compress::Encoding::kIdentity;
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

std::string Head(const Response& response, bool keep_alive) {
  std::string out =
      StrCat("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status), "\r\n");
  for (const auto& [name, value] : response.headers) {
    StrAppend(out, name, ": ");
    // A line break in a value would begin a header of the attacker's choice.
    for (char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
    out += "\r\n";
  }
  StrAppend(out, "Date: ", HttpDate(), "\r\nConnection: ", keep_alive ? "keep-alive" : "close",
            "\r\n");
  return out;
}

}  // namespace vedette::http
