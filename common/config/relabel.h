#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::config {

enum class RelabelAction : uint8_t {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};

inline constexpr std::array<std::string_view, 11> kRelabelActionNames = {
    "replace",  "keep",      "drop",      "keepequal", "dropequal", "hashmod",
    "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"};

// The name as written in a file: "labelmap".
inline std::string_view RelabelActionName(RelabelAction action) {
  return kRelabelActionNames[static_cast<size_t>(action)];
}

// One relabelling rule, as Prometheus names its parts. server/relabel compiles a list of them.
struct RelabelConfig {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";  // RE2, anchored at both ends when compiled. Checked by the loader.
  uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::kReplace;
  int line = 0;  // Where the rule begins in its file; 0 when built in code.

  bool operator==(const RelabelConfig&) const = default;
};

}  // namespace vedette::config
