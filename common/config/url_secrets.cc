#include "common/config/url_secrets.h"

#include <algorithm>
#include <cstdint>
#include <functional>

#include "common/config/secret.h"
#include "common/log/log.h"

namespace vedette::config {
namespace {

constexpr std::string_view kHidden = "xxxxx";
// What ends a URL inside a sentence.
constexpr std::string_view kEnd = " \t\r\n\"'<>`|\\^{}";

// A URL as the value of a parameter (?target=http%3A%2F%2Fuser%3Apassword%40host), as a probe has it.
void InParameter(std::string_view text, size_t begin, size_t end,
                 const std::function<void(size_t, size_t)>& visit) {
  const auto find = [&](std::string_view small, std::string_view large, size_t from) {
    return std::min(text.find(small, from), text.find(large, from));
  };
  const size_t scheme = find("%3a%2f%2f", "%3A%2F%2F", begin);
  if (scheme >= end) return;
  const size_t user = scheme + 9;
  const size_t host = text.find("%40", user);
  const size_t colon = find("%3a", "%3A", user);
  if (host < end && colon + 3 < host) visit(colon + 3, host - colon - 3);
}

// Calls visit(begin, size) for every secret piece of every URL in `text`, from left to right.
void EachUrlSecret(std::string_view text, const std::function<void(size_t, size_t)>& visit) {
  for (size_t at = text.find("://"); at != std::string_view::npos; at = text.find("://", at)) {
    at += 3;
    const size_t end = std::min(text.find_first_of(kEnd, at), text.size());
    const size_t authority = std::min(text.find_first_of("/?#", at), end);
    const size_t host = text.substr(0, authority).rfind('@');
    if (host != std::string_view::npos && host >= at) {
      const size_t colon = text.find(':', at);
      if (colon < host && colon + 1 < host) visit(colon + 1, host - colon - 1);
    }
    size_t pair = text.find('?', authority);
    while (pair < end) {
      ++pair;
      const size_t next = std::min(text.find_first_of("&;#", pair), end);
      const size_t equals = text.find('=', pair);
      if (equals < next && equals + 1 < next) {
        if (LooksSecret(text.substr(pair, equals - pair))) {
          visit(equals + 1, next - equals - 1);
        } else {
          InParameter(text, equals + 1, next, visit);
        }
      }
      if (next == end || text[next] == '#') break;
      pair = next;
    }
  }
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::string HideUrlSecrets(std::string_view text) {
  std::string out;
  size_t done = 0;
  EachUrlSecret(text, [&](size_t begin, size_t size) {
    out += text.substr(done, begin - done);
    out += kHidden;
    done = begin + size;
  });
  out += text.substr(done);
  return out;
}

void RegisterUrlSecrets(std::string_view url) {
  EachUrlSecret(url, [&](size_t begin, size_t size) {
    const std::string_view secret = url.substr(begin, size);
    log::RegisterSecret(secret);
    const std::string plain = Unescaped(secret);
    log::RegisterSecret(plain);
    if (begin == 0 || url[begin - 1] != ':') return;
    const std::string_view before = url.substr(0, begin - 1);
    RegisterPassword(Unescaped(before.substr(before.rfind('/') + 1)), plain);
  });
}

void RegisterPassword(std::string_view username, std::string_view password) {
  if (password.empty()) return;
  log::RegisterSecret(password);
  log::RegisterSecret(Base64(std::string(username) + ":" + std::string(password)));
}

}  // namespace vedette::config
