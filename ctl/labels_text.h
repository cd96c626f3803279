#pragma once

#include <google/protobuf/map.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "ctl/output.h"

// Label sets out of answers. Only for the .cc files of verbs that talk protobuf.
namespace vedette::ctl {

using LabelMap = google::protobuf::Map<std::string, std::string>;

inline std::vector<std::pair<std::string, std::string>> Sorted(const LabelMap& labels) {
  std::vector<std::pair<std::string, std::string>> out(labels.begin(), labels.end());
  std::ranges::sort(out);
  return out;
}

// up{instance="a", job="b"}, as people write a series.
inline std::string SeriesText(const LabelMap& labels) {
  std::string name, inside;
  for (const auto& [key, value] : Sorted(labels)) {
    if (key == "__name__") {
      name = value;
    } else {
      StrAppend(inside, inside.empty() ? "" : ", ", key, "=", Quoted(value));
    }
  }
  return inside.empty() && !name.empty() ? name : StrCat(name, "{", inside, "}");
}

inline std::string LabelsJson(const LabelMap& labels) {
  std::string out = "{";
  for (const auto& [key, value] : Sorted(labels)) {
    StrAppend(out, out.size() == 1 ? "" : ", ", JsonString(key), ": ", JsonString(value));
  }
  return out + "}";
}

}  // namespace vedette::ctl
