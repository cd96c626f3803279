#pragma once

#include <string>
#include <vector>

namespace vedette::config {

// A field that was read and accepted, but changes nothing in this build. The server logs each one
// at start and reload: no field is ignored in silence.
struct ConfigNotice {
  std::string file;
  int line = 0;
  std::string field;  // As written in error messages: scrape_configs[0].oauth2
  std::string reason;

  bool operator==(const ConfigNotice&) const = default;
};

using ConfigNotices = std::vector<ConfigNotice>;

}  // namespace vedette::config
