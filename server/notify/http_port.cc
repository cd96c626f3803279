#include "server/notify/http_port.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include "common/base/strings.h"

namespace vedette::notify {
namespace {

constexpr int64_t kMaxRetryAfterMs = 3'600'000;
constexpr size_t kMaxSecretBytes = 1 << 20;
constexpr size_t kMaxQuotedReplyBytes = 256;

int64_t DaysFromCivil(int64_t y, int m, int d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

template <typename T>
bool ReadInt(std::string_view s, T& v) {
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  return error == std::errc() && end == s.data() + s.size();
}

}  // namespace

int64_t ParseRetryAfter(std::string_view value, int64_t now_ms) {
  value = Trim(value);
  if (value.empty()) return 0;
  int64_t seconds = 0;
  if (ReadInt(value, seconds)) {
    return std::clamp<int64_t>(seconds, 0, kMaxRetryAfterMs / 1000) * 1000;
  }
  // "Wed, 21 Oct 2015 07:28:00 GMT"
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (value.size() != 29 || !value.ends_with(" GMT")) return 0;
  const auto month = std::find(kMonths.begin(), kMonths.end(), value.substr(8, 3));
  int day = 0, hour = 0, minute = 0, second = 0;
  int64_t year = 0;
  if (month == kMonths.end() || !ReadInt(value.substr(5, 2), day) ||
      !ReadInt(value.substr(12, 4), year) || !ReadInt(value.substr(17, 2), hour) ||
      !ReadInt(value.substr(20, 2), minute) || !ReadInt(value.substr(23, 2), second)) {
    return 0;
  }
  const int64_t at_ms =
      ((DaysFromCivil(year, static_cast<int>(month - kMonths.begin()) + 1, day) * 24 + hour) * 60 +
       minute) *
          60'000 +
      second * 1000;
  return std::clamp<int64_t>(at_ms - now_ms, 0, kMaxRetryAfterMs);
}

SendOutcome PostAndJudge(const HttpClient& client, const HttpPost& post, const std::string& what,
                         int64_t now_ms, HttpReply* out) {
  Result<HttpReply> reply = client(post);
  if (!reply.ok()) {
    const bool ours = reply.status().code() == StatusCode::kInvalidArgument;
    return {reply.status().Annotate(what), !ours, 0};
  }
  if (out != nullptr) *out = *reply;
  if (reply->status / 100 == 2) return {};
  const bool retry = reply->status / 100 == 5 || reply->status == 429 || reply->status == 408;
  std::string text(Trim(std::string_view(reply->body).substr(0, kMaxQuotedReplyBytes)));
  const Status status(reply->status == 429 ? StatusCode::kResourceExhausted
                      : retry              ? StatusCode::kUnavailable
                      : reply->status == 401 || reply->status == 403 ? StatusCode::kPermissionDenied
                                                                     : StatusCode::kInvalidArgument,
                      StrCat(what, ": answered ", reply->status, text.empty() ? "" : ": ", text));
  return {status, retry, retry ? ParseRetryAfter(reply->retry_after, now_ms) : 0};
}

Result<std::string> SecretOrFile(const config::Secret& secret, const std::string& file) {
  if (file.empty()) return secret.Reveal();
  std::ifstream in(file, std::ios::binary);
  if (!in) return NotFound(StrCat("cannot read the secret file ", Quoted(file)));
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (text.size() > kMaxSecretBytes) {
    return InvalidArgument(
        StrCat("the secret file ", Quoted(file), " is over ", kMaxSecretBytes, " bytes"));
  }
  return std::string(Trim(text));
}

}  // namespace vedette::notify
