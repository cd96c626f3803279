#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/template/template.h"

namespace vedette::tmpl {

// The functions of Alertmanager's message templates: toUpper toLower title trimSpace join match
// safeHtml safeUrl urlUnescape reReplaceAll stringSlice date tz now since humanizeDuration toDate
// mustToDate toJson base64encode base64decode list append dict. The clock outlives the map.
std::shared_ptr<const FunctionMap> AlertmanagerFunctions(const Clock& clock);

// The definitions that every message template may use and replace: __subject, __text_alert_list,
// slack.default.title, email.default.html and so on, under Alertmanager's names.
Status ParseDefaultTemplates(Template& templates);

}  // namespace vedette::tmpl
