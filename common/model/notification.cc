#include "common/model/notification.h"

#include <charconv>

namespace vedette {

uint64_t AlertFingerprint(const Labels& labels) {
  uint64_t h = 14695981039346656037u;
  auto add = [&](std::string_view s) {
    for (unsigned char c : s) h = (h ^ c) * 1099511628211u;
    h = (h ^ 0xff) * 1099511628211u;
  };
  for (const Label& l : labels) {
    add(l.name);
    add(l.value);
  }
  return h;
}

std::string AlertFingerprintText(const Labels& labels) {
  char buffer[17];
  char* end = std::to_chars(buffer, buffer + sizeof buffer, AlertFingerprint(labels), 16).ptr;
  const size_t n = static_cast<size_t>(end - buffer);
  return std::string(16 - n, '0') + std::string(buffer, n);
}

}  // namespace vedette
