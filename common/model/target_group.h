#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/model/labels.h"

namespace vedette {

// A set of targets that were found together: one entry of a file, one page of an API. Targets are
// raw, as discovery saw them (__address__ and __meta_* labels); relabelling comes later.
struct TargetGroup {
  std::string source;  // Unique within a job, stable from one look to the next: "targets.yml:0".
  Labels labels;       // Given to every target, unless the target has a label of that name itself.
  std::vector<Labels> targets;

  bool operator==(const TargetGroup&) const = default;
};

// Everything known at one moment: job name to groups. Published whole, never changed.
using TargetGroups = std::map<std::string, std::vector<TargetGroup>>;
using TargetGroupsSnapshot = std::shared_ptr<const TargetGroups>;

}  // namespace vedette
