#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/alert.h"
#include "common/model/matcher.h"
#include "server/alerting/alerting.h"
#include "server/api/http/json.h"

// The JSON of Alertmanager's API v2, both ways.
namespace vedette::api {

// 2026-11-21T02:51:10.123Z: always with milliseconds, as Alertmanager writes times.
std::string FormatMillis(int64_t t_ms);

void WriteGettableAlert(JsonWriter& json, const alerting::AlertView& view);
void WriteGettableSilence(JsonWriter& json, const alerting::SilenceView& view);

// A list of postable alerts. kInvalidArgument names the field.
Result<std::vector<Alert>> ReadPostableAlerts(std::string_view body);
Result<alerting::Silence> ReadPostableSilence(std::string_view body);

// Of silences: every matcher must agree with the silence's own matcher of that name.
bool SilenceFits(const std::vector<Matcher>& filter, const alerting::Silence& silence);

}  // namespace vedette::api
