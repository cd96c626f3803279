#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/notify/mime.h"

// A mail is made of labels, which anyone who exposes a metric writes: whatever they hold, they add no
// header, end no line with a bare LF and make no line longer than SMTP allows.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::notify;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)ParseAddresses(text);
  const size_t third = text.size() / 3;
  MimeMessage message{.headers = {{"Subject", std::string(text.substr(0, third))}, {"X-Last", "x"}},
                      .boundary = "a-boundary-that-no-text-has"};
  if ((data[0] & 1) != 0) message.text = std::string(text.substr(third, third));
  if ((data[0] & 2) != 0) message.html = std::string(text.substr(2 * third));
  const std::string mail = WriteMime(message);
  constexpr size_t kLongestLine = 998;
  bool head = true;
  int headers = 0;
  for (size_t at = 0; at < mail.size();) {
    const size_t end = mail.find('\n', at);
    const std::string_view line = std::string_view(mail).substr(
        at, end == std::string::npos ? std::string::npos : end - at + 1);
    if (end != std::string::npos && !line.ends_with("\r\n")) __builtin_trap();
    if (line.size() > kLongestLine + 2) __builtin_trap();
    if (line == "\r\n") head = false;
    if (head && line[0] != ' ' && line[0] != '\t') {
      ++headers;
      if (line.starts_with("Subject") || line.starts_with("X-Last") ||
          line.starts_with("MIME-Version") || line.starts_with("Content-")) {
        --headers;
      }
    }
    at += line.size();
  }
  if (headers != 0) __builtin_trap();  // A header that nobody asked for.
  for (const char c : EncodeHeader(text)) {
    if (static_cast<unsigned char>(c) >= 0x80) __builtin_trap();
  }
  return 0;
}
