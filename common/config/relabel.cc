#include "common/config/relabel.h"

#include "common/config/shared_loaders.h"
#include "common/model/matcher.h"

namespace vedette::config {
namespace {

constexpr auto& kActions = kRelabelActionNames;

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void ReadRelabel(const Value& value, RelabelConfig& out) {
  using A = RelabelAction;
  out.line = value.line();
  Object o(value);
  const Value sources = o["source_labels"];
  sources.Read(out.source_labels);
  for (const std::string& name : out.source_labels) {
    if (name.empty()) sources.Fail("an empty label name");
  }
  const Value separator = o["separator"];
  separator.Read(out.separator);
  const Value regex = o["regex"];
  regex.Read(out.regex);
  const Value modulus = o["modulus"];
  modulus.Read(out.modulus);
  const Value target = o["target_label"];
  target.Read(out.target_label);
  const Value replacement = o["replacement"];
  replacement.Read(out.replacement);
  const Value action = o["action"];
  std::string name = "replace";
  action.Read(name);
  name = Lower(name);
  o.Finish();

  size_t index = 0;
  while (index < kActions.size() && kActions[index] != name) ++index;
  if (index == kActions.size()) {
    action.Fail(StrCat("unknown relabel action ", Quoted(name),
                       "; one of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, "
                       "labeldrop, labelkeep, lowercase, uppercase"));
    return;
  }
  out.action = static_cast<A>(index);
  if (Result<Regex> compiled = Regex::Compile(out.regex); !compiled.ok()) {
    regex.Fail(compiled.status().message());
  }

  const A a = out.action;
  const bool equal = a == A::kKeepEqual || a == A::kDropEqual;
  const bool letter_case = a == A::kLowercase || a == A::kUppercase;
  if ((a == A::kReplace || a == A::kHashMod || equal || letter_case) && out.target_label.empty()) {
    target.Fail(StrCat("is missing; the action ", name, " needs it"));
  }
  if (a == A::kHashMod && out.modulus == 0) {
    modulus.Fail("must be a number above zero; the action hashmod needs it");
  }
  if (a == A::kLabelMap && out.replacement.empty()) {
    replacement.Fail("is empty; the action labelmap would make labels without a name");
  }
  const RelabelConfig unset;
  if ((letter_case || equal) && out.replacement != unset.replacement) {
    replacement.Fail(StrCat("cannot be set for the action ", name, "; remove it"));
  }
  if (equal && (out.regex != unset.regex || out.modulus != 0 || out.separator != unset.separator)) {
    value.Fail(StrCat("the action ", name, " uses source_labels and target_label only"));
  }
  if ((a == A::kLabelDrop || a == A::kLabelKeep) &&
      (!out.source_labels.empty() || !out.target_label.empty() || out.modulus != 0 ||
       out.separator != unset.separator || out.replacement != unset.replacement)) {
    value.Fail(StrCat("the action ", name, " uses regex only"));
  }
}

}  // namespace

void ReadRelabels(const Value& value, std::vector<RelabelConfig>& out) {
  value.EachBlock([&](const Value& item) { ReadRelabel(item, out.emplace_back()); });
}

}  // namespace vedette::config
