#include "server/discovery/target_group_text.h"

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "common/config/yaml_node.h"

namespace vedette::discovery {

Result<std::vector<TargetGroup>> ParseTargetGroups(std::string_view text, const std::string& name,
                                                   std::string_view meta_label) {
  VEDETTE_ASSIGN_OR_RETURN(const config::YamlNode root, config::ParseYaml(text, name));
  config::DecodeContext context;
  context.file = name;
  std::vector<TargetGroup> groups;
  config::Value::Root(context, root).EachBlock([&](const config::Value& item) {
    TargetGroup& group = groups.emplace_back();
    group.source = StrCat(name, ":", groups.size() - 1);
    config::Object o(item);
    o["targets"].EachItem([&](const config::Value& target) {
      std::string address;
      target.Read(address);
      if (address.empty()) target.Fail("an empty target");
      group.targets.push_back(Labels::Of({{"__address__", address}}));
    });
    LabelsBuilder labels;
    o["labels"].EachEntry([&](const std::string& label, const config::Value& value) {
      std::string given;
      value.Read(given);
      if (label.empty() || !IsValidUtf8(label)) value.Fail("not a label name");
      labels.Set(label, given);
    });
    labels.Set(meta_label, name);
    group.labels = labels.Build();
    o.Finish();
  });
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return groups;
}

}  // namespace vedette::discovery
