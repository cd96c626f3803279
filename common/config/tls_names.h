#pragma once

#include <string>

#include "common/config/http_client.h"

namespace vedette::config {

// "TLS12", as the file writes it; `otherwise` where it says nothing.
inline std::string TlsVersionName(TlsVersion version, const char* otherwise = "") {
  if (version == TlsVersion::kUnset) return otherwise;
  return "TLS1" + std::to_string(static_cast<int>(version) - 1);
}

}  // namespace vedette::config
