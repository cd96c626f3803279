#pragma once

#include <string>

#include "common/base/status.h"
#include "common/config/receivers.h"
#include "server/notify/message.h"

namespace vedette::notify {

// JSON of a configured value whose strings are templates: a webhook's payload, PagerDuty's details.
// A text that expands to a JSON object or list by `toJson` stands as that, not as a string.
std::string ExpandTree(const config::TemplateTree& tree, Expander& expand);

Status CheckTree(const config::TemplateTree& tree, const MessageTemplates& templates);

}  // namespace vedette::notify
