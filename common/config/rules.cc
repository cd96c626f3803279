#include "common/config/rules.h"

#include <set>

#include "common/config/decoder.h"
#include "common/model/labels.h"

namespace vedette::config {
namespace {

void ReadLabels(const Value& value, std::map<std::string, std::string>& out) {
  value.Read(out);
  for (const auto& [name, text] : out) {
    if (name.empty() || !IsValidUtf8(name) || name == kMetricNameLabel) {
      value.Fail(StrCat("invalid label name ", Quoted(name)));
    }
    if (!IsValidUtf8(text)) value.Fail(StrCat("the value of ", Quoted(name), " is not UTF-8"));
  }
}

void ReadRule(const Value& item, RuleConfig& out) {
  out.line = item.line();
  Object o(item);
  const Value record = o["record"];
  record.Read(out.record);
  const Value alert = o["alert"];
  alert.Read(out.alert);
  const Value expr = o["expr"];
  expr.Read(out.expr);
  if (expr.present()) {
    out.expr_line = expr.node()->line;
    out.expr_column = expr.node()->column;
  }
  const Value hold = o["for"];
  hold.ReadDuration(out.for_ms);
  const Value keep = o["keep_firing_for"];
  keep.ReadDuration(out.keep_firing_for_ms);
  const Value labels = o["labels"];
  ReadLabels(labels, out.labels);
  const Value annotations = o["annotations"];
  annotations.Read(out.annotations);
  o.Finish();

  if (!out.record.empty() && !out.alert.empty()) {
    alert.Fail("only one of 'record' and 'alert' must be set");
  }
  if (out.record.empty() && out.alert.empty()) {
    item.Fail("one of 'record' or 'alert' must be set");
  }
  if (Trim(out.expr).empty()) expr.Fail("field 'expr' must be set in rule");
  if (!out.record.empty()) {
    if (!out.annotations.empty()) annotations.Fail("invalid field 'annotations' in recording rule");
    if (hold.present() && out.for_ms != 0) hold.Fail("invalid field 'for' in recording rule");
    if (keep.present() && out.keep_firing_for_ms != 0) {
      keep.Fail("invalid field 'keep_firing_for' in recording rule");
    }
    if (!IsValidUtf8(out.record)) record.Fail("invalid recording rule name");
    // Braces mean that somebody wrote a selector where a name belongs.
    if (out.record.find_first_of("{}") != std::string::npos) {
      record.Fail(StrCat("braces present in the recording rule name ", Quoted(out.record),
                         "; should it be in expr?"));
    }
  }
  for (const auto& [name, text] : out.annotations) {
    if (name.empty() || !IsValidUtf8(name)) {
      annotations.Fail(StrCat("invalid annotation name ", Quoted(name)));
    }
  }
}

void ReadGroup(const Value& item, RuleGroupConfig& out) {
  out.file = item.context().file;
  out.line = item.line();
  Object o(item);
  const Value name = o["name"];
  name.Read(out.name);
  const Value interval = o["interval"];
  interval.ReadDuration(out.interval_ms);
  if (out.interval_ms == 0) out.interval_ms.reset();
  o["query_offset"].ReadDuration(out.query_offset_ms);
  const Value limit = o["limit"];
  limit.Read(out.limit);
  if (out.limit < 0) limit.Fail("must not be below zero; 0 means no limit");
  ReadLabels(o["labels"], out.labels);
  o["rules"].EachBlock([&](const Value& rule) { ReadRule(rule, out.rules.emplace_back()); });
  o.Finish();
  if (out.name.empty()) name.Fail("groupname must not be empty");
}

}  // namespace

Result<RuleFileConfig> ParseRuleFile(std::string_view text, const std::string& file,
                                     RuleLoadOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  context.ignore_unknown_fields = options.ignore_unknown_fields;
  RuleFileConfig out;
  out.file = file;
  Object o(Value::Root(context, root));
  std::set<std::string> names;
  o["groups"].EachBlock([&](const Value& item) {
    RuleGroupConfig& group = out.groups.emplace_back();
    ReadGroup(item, group);
    if (!names.insert(group.name).second) {
      item.Fail(StrCat("groupname ", Quoted(group.name), " is repeated in the same file"));
    }
  });
  o.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  out.notices = std::move(context.notices);
  return out;
}

Result<RuleFileConfig> LoadRuleFile(const std::string& path, RuleLoadOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseRuleFile(text, path, options);
}

}  // namespace vedette::config
