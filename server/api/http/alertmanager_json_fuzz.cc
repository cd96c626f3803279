#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/api/http/alertmanager_json.h"

// Bodies of Alertmanager's API v2, from whoever reaches the door: the first byte chooses alerts or a
// silence. What was read of a silence and written out again is read again as the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    const auto alerts = api::ReadPostableAlerts(body);
    if (!alerts.ok()) return 0;
    std::string text;
    api::JsonWriter json(&text);
    for (const Alert& alert : *alerts) {
      alerting::AlertView view;
      view.alert = alert;
      api::WriteGettableAlert(json, view);
    }
    return 0;
  }
  const auto silence = api::ReadPostableSilence(body);
  if (!silence.ok()) return 0;
  alerting::SilenceView view;
  view.silence = *silence;
  std::string text;
  api::JsonWriter json(&text);
  api::WriteGettableSilence(json, view);
  const auto again = api::ReadPostableSilence(text);
  if (!again.ok() || again->matchers.size() != silence->matchers.size() ||
      again->comment != silence->comment || again->ends_at_ms != silence->ends_at_ms) {
    __builtin_trap();
  }
  return 0;
}
