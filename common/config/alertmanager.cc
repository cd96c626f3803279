#include "common/config/alertmanager.h"

#include <algorithm>
#include <set>

#include "common/config/receiver_loaders.h"
#include "common/config/time_interval_loader.h"

namespace vedette::config {
namespace {

void ReadMatchers(Object& o, std::string_view equal, std::string_view regex, std::string_view list,
                  std::vector<Matcher>& out) {
  const auto add = [&](const Value& where, Result<Matcher> matcher) {
    if (matcher.ok()) {
      out.push_back(*std::move(matcher));
    } else {
      where.Fail(matcher.status().message());
    }
  };
  const auto old_form = [&](std::string_view field, Matcher::Op op) {
    o[field].EachEntry([&](const std::string& name, const Value& value) {
      std::string text;
      value.Read(text);
      if (name.empty()) value.Fail("the label name is missing");
      // As Alertmanager keeps the old form: its group keys show the anchors.
      if (op == Matcher::Op::kRegex) text = StrCat("^(?:", text, ")$");
      add(value, Matcher::Make(op, name, text));
    });
  };
  old_form(equal, Matcher::Op::kEqual);
  old_form(regex, Matcher::Op::kRegex);
  o[list].EachItem([&](const Value& item) {
    std::string text;
    item.Read(text);
    Result<std::vector<Matcher>> matchers = ParseAlertMatchers(text);
    if (!matchers.ok()) {
      item.Fail(matchers.status().message());
      return;
    }
    out.insert(out.end(), matchers->begin(), matchers->end());
  });
}

void ReadRoute(const Value& item, const RouteConfig* parent, RouteConfig& out) {
  out.line = item.line();
  if (parent != nullptr) {
    out.receiver = parent->receiver;
    out.group_by = parent->group_by;
    out.group_by_all = parent->group_by_all;
    out.labels = parent->labels;
    out.group_wait_ms = parent->group_wait_ms;
    out.group_interval_ms = parent->group_interval_ms;
    out.repeat_interval_ms = parent->repeat_interval_ms;
  }
  Object o(item);
  o["receiver"].Read(out.receiver);
  const Value group_by = o["group_by"];
  if (group_by.present()) {
    out.group_by_all = false;
    group_by.Read(out.group_by);
    std::sort(out.group_by.begin(), out.group_by.end());
    if (std::adjacent_find(out.group_by.begin(), out.group_by.end()) != out.group_by.end()) {
      group_by.Fail("a label is given twice");
    }
    for (const std::string& name : out.group_by) {
      if (name == "...") out.group_by_all = true;
      if (name.empty()) group_by.Fail("an empty label name");
    }
    if (out.group_by_all && out.group_by.size() > 1) {
      group_by.Fail("'...' means every label and must stand alone");
    }
    if (out.group_by_all) out.group_by.clear();
  }
  o["continue"].Read(out.continue_matching);
  ReadMatchers(o, "match", "match_re", "matchers", out.matchers);
  o["labels"].EachEntry(
      [&](const std::string& name, const Value& value) { value.Read(out.labels[name]); });
  o["group_wait"].ReadDuration(out.group_wait_ms);
  const Value group_interval = o["group_interval"];
  group_interval.ReadDuration(out.group_interval_ms);
  if (out.group_interval_ms == 0) group_interval.Fail("must be above zero");
  const Value repeat = o["repeat_interval"];
  repeat.ReadDuration(out.repeat_interval_ms);
  if (out.repeat_interval_ms == 0) repeat.Fail("must be above zero");
  o["mute_time_intervals"].Read(out.mute_time_intervals);
  o["active_time_intervals"].Read(out.active_time_intervals);
  o["routes"].EachBlock([&](const Value& child) {
    RouteConfig route;
    ReadRoute(child, &out, route);
    out.routes.push_back(std::move(route));
  });
  o.Finish();
}

// What needs the whole file: that names lead somewhere.
void CheckRoute(const Value& where, const RouteConfig& route,
                const std::set<std::string>& receivers, const std::set<std::string>& intervals) {
  if (!receivers.contains(route.receiver)) {
    where.Fail(StrCat("receiver ", Quoted(route.receiver), " is not defined under receivers"));
  }
  for (const auto* names : {&route.mute_time_intervals, &route.active_time_intervals}) {
    for (const std::string& name : *names) {
      if (!intervals.contains(name)) {
        where.Fail(StrCat("time interval ", Quoted(name), " is not defined under time_intervals"));
      }
    }
  }
  Object o(where);
  size_t i = 0;
  o["routes"].EachItem(
      [&](const Value& child) { CheckRoute(child, route.routes[i++], receivers, intervals); });
}

void ReadTimeIntervals(const Value& value, std::vector<NamedTimeInterval>& out) {
  value.EachBlock([&](const Value& item) {
    NamedTimeInterval named;
    Object o(item);
    const Value name = o["name"];
    name.Read(named.name);
    o["time_intervals"].EachBlock(
        [&](const Value& interval) { ReadTimeInterval(interval, named.intervals.emplace_back()); });
    o.Finish();
    if (named.name.empty()) name.Fail("is missing; a time interval needs a name");
    for (const NamedTimeInterval& other : out) {
      if (other.name == named.name) {
        name.Fail(StrCat("time interval ", Quoted(named.name), " is defined twice"));
      }
    }
    out.push_back(std::move(named));
  });
}

// What masking changed.
void CollectChanged(const YamlNode& plain, const YamlNode& masked, std::vector<std::string>& out) {
  if (plain.kind == YamlNode::Kind::kScalar && plain.scalar != masked.scalar) {
    if (!plain.scalar.empty()) out.push_back(plain.scalar);
    return;
  }
  for (size_t i = 0; i < plain.items.size() && i < masked.items.size(); ++i) {
    CollectChanged(plain.items[i], masked.items[i], out);
  }
}

}  // namespace

const ReceiverConfig* AlertmanagerConfig::FindReceiver(std::string_view name) const {
  for (const ReceiverConfig& receiver : receivers) {
    if (receiver.name == name) return &receiver;
  }
  return nullptr;
}

Result<AlertmanagerConfig> ParseAlertmanagerConfig(std::string_view text, const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  AlertmanagerConfig out;
  out.file = file;
  out.text = std::string(text);

  Object o(Value::Root(context, root));
  ReceiverDefaults defaults;
  Object global(o["global"]);
  global["resolve_timeout"].ReadDuration(out.resolve_timeout_ms);
  ReadReceiverDefaults(global, defaults);
  global.Finish();
  o["templates"].EachItem([&](const Value& item) {
    std::string pattern;
    item.ReadPath(pattern);
    for (std::string& found : GlobFiles(pattern)) out.template_files.push_back(std::move(found));
    out.template_globs.push_back(std::move(pattern));
  });

  std::set<std::string> receivers;
  o["receivers"].EachBlock([&](const Value& item) {
    ReceiverConfig& receiver = out.receivers.emplace_back();
    ReadReceiver(item, defaults, receiver);
    if (!receivers.insert(receiver.name).second) {
      item.Fail(StrCat("receiver ", Quoted(receiver.name), " is defined twice"));
    }
  });
  ReadTimeIntervals(o["mute_time_intervals"], out.time_intervals);
  ReadTimeIntervals(o["time_intervals"], out.time_intervals);
  std::set<std::string> intervals;
  for (const NamedTimeInterval& named : out.time_intervals) intervals.insert(named.name);

  const Value route = o["route"];
  if (!route.present()) {
    route.Fail("is missing; a configuration needs a route");
  } else {
    ReadRoute(route, nullptr, out.route);
    if (out.route.receiver.empty()) route.Fail("the root route must name a receiver");
    if (!out.route.matchers.empty()) route.Fail("the root route must not have any matchers");
    if (!out.route.mute_time_intervals.empty() || !out.route.active_time_intervals.empty()) {
      route.Fail("the root route must not have mute or active time intervals");
    }
    if (out.route.continue_matching) route.Fail("the root route cannot have continue: true");
    if (context.failure.ok()) CheckRoute(route, out.route, receivers, intervals);
  }

  o["inhibit_rules"].EachBlock([&](const Value& item) {
    InhibitRuleConfig& rule = out.inhibit_rules.emplace_back();
    Object r(item);
    r["name"].Read(rule.name);
    ReadMatchers(r, "source_match", "source_match_re", "source_matchers", rule.source_matchers);
    ReadMatchers(r, "target_match", "target_match_re", "target_matchers", rule.target_matchers);
    r["equal"].Read(rule.equal);
    std::sort(rule.equal.begin(), rule.equal.end());
    r.Finish();
  });
  for (std::string_view unused : {"event_recorder", "tracing"}) {
    o[unused].Notice("this build does not have it");
  }
  o.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  out.notices = std::move(context.notices);
  return out;
}

Result<AlertmanagerConfig> LoadAlertmanagerConfig(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseAlertmanagerConfig(text, path);
}

std::vector<std::string> SecretValues(const AlertmanagerConfig& config) {
  std::vector<std::string> out;
  const Result<YamlNode> root = ParseYaml(config.text, config.file);
  if (!root.ok()) return out;
  YamlNode masked = *root;
  MaskSecrets(masked);
  CollectChanged(*root, masked, out);
  std::sort(out.begin(), out.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return out;
}

std::string ShownYaml(const AlertmanagerConfig& config) {
  Result<YamlNode> root = ParseYaml(config.text, config.file);
  if (!root.ok()) return "";
  MaskSecrets(*root);
  return EmitYaml(*root);
}

}  // namespace vedette::config
