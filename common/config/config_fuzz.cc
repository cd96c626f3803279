#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/config/alertmanager.h"
#include "common/config/prometheus.h"
#include "common/config/rules.h"
#include "common/config/web.h"

// Whatever the bytes, a loader answers with a configuration or a sentence; the first byte chooses
// the loader, and what loads can also be shown.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::config;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      auto config = ParsePrometheusConfig(text, "/nowhere/p.yml");
      if (config.ok()) (void)ToYaml(*config);
      break;
    }
    case 1: {
      auto config = ParseAlertmanagerConfig(text, "/nowhere/am.yml");
      if (config.ok()) (void)ShownYaml(*config);
      break;
    }
    case 2:
      (void)ParseRuleFile(text, "/nowhere/r.yml");
      break;
    case 3:
      (void)ParseWebConfig(text, "/nowhere/w.yml");
      (void)ParseAlertMatchers(text);
      break;
  }
  return 0;
}
