#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/rules.h"

namespace vedette::rehearsal {

// What a server says when it loads these groups: expressions and templates, with file, line and
// column. Groups of one name in one file too.
Status CheckRules(const std::vector<config::RuleGroupConfig>& groups);

// Rules that are there twice, with the same name and labels: seldom meant. "group/name{labels}".
std::vector<std::string> DuplicateRules(const std::vector<config::RuleGroupConfig>& groups);

// alertmanager.yml with its template files: what a server says when it loads it.
Status CheckAlertmanager(const std::string& file);

}  // namespace vedette::rehearsal
