#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/model/metric_family.h"

namespace vedette::scrape {

using MetadataMap = std::map<std::string, Metadata>;  // By name of the family.

// The metadata of a fleet's targets is the same for all of them: one map for those that are equal.
// Given up when the last target has let go of it. Thread-safe.
std::shared_ptr<const MetadataMap> SharedMetadata(std::shared_ptr<const MetadataMap> map);

}  // namespace vedette::scrape
