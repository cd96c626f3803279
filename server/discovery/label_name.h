#pragma once

#include <string>
#include <string_view>

namespace vedette::discovery {

// What is in names that somebody else chose becomes a label name as Prometheus makes one: every
// character but letters, digits and _ is an underscore.
inline std::string SanitizeLabelName(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!fits) c = '_';
  }
  return out;
}

// "10.0.0.7:80", "[fe80::1]:80".
inline std::string JoinHostPort(std::string_view host, std::string_view port) {
  std::string out;
  if (host.find(':') != std::string_view::npos) {
    out.append("[").append(host).append("]");
  } else {
    out.append(host);
  }
  return out.append(":").append(port);
}

}  // namespace vedette::discovery
