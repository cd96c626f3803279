#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/target_group.h"

namespace vedette::discovery {

// Reads the list that file_sd and http_sd share, YAML or JSON:
//
//   [{"targets": ["db:9104"], "labels": {"env": "prod"}}]
//
// `name` is a path or URL: errors begin with it, and sources are name:0, name:1 ...
// `meta_label` with the name as its value is put on every group (__meta_filepath, __meta_url).
Result<std::vector<TargetGroup>> ParseTargetGroups(std::string_view text, const std::string& name,
                                                   std::string_view meta_label);

}  // namespace vedette::discovery
