#include "agent/process/naming.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "common/config/yaml_node.h"

namespace vedette::agent {
namespace {

constexpr int64_t kRegexMemory = 8 << 20;

std::string_view Base(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string Exe(const ProcessIdentity& p) { return p.cmdline.empty() ? p.comm : p.cmdline[0]; }

// A piece of a template: text as it is, or a field.
struct Piece {
  bool field = false;
  std::string text;
};

Result<std::vector<Piece>> ParseTemplate(std::string_view text) {
  static constexpr std::string_view kFields[] = {"Comm", "ExeBase",   "ExeFull", "Username",
                                                 "PID",  "StartTime", "Cgroups"};
  std::vector<Piece> pieces;
  while (!text.empty()) {
    const size_t open = text.find("{{");
    if (open != 0) pieces.push_back({false, std::string(text.substr(0, open))});
    if (open == std::string_view::npos) break;
    const size_t close = text.find("}}", open);
    if (close == std::string_view::npos) return InvalidArgument("{{ without }}");
    const std::string_view inside = Trim(text.substr(open + 2, close - open - 2));
    const std::string_view name = inside.substr(inside.starts_with('.') ? 1 : 0);
    const bool known = std::ranges::find(kFields, name) != std::end(kFields) ||
                       (name.starts_with("Matches.") && name.size() > 8);
    if (!inside.starts_with('.') || !known) {
      return InvalidArgument(
          StrCat("{{", inside,
                 "}} is not known; use .Comm, .ExeBase, .ExeFull, .Username, .PID, .StartTime, "
                 ".Cgroups or .Matches.NAME"));
    }
    pieces.push_back({true, std::string(name)});
    text.remove_prefix(close + 2);
  }
  return pieces;
}

}  // namespace

struct ProcessNaming::Entry {
  std::vector<Piece> name;
  std::vector<std::string> comm, exe;
  std::vector<std::shared_ptr<const re2::RE2>> cmdline;

  bool Matches(const ProcessIdentity& p, std::map<std::string, std::string>& captured) const {
    if (!comm.empty() && std::ranges::find(comm, p.comm) == comm.end()) return false;
    if (!exe.empty()) {
      if (p.cmdline.empty()) return false;
      const bool found = std::ranges::any_of(exe, [&](const std::string& wanted) {
        return wanted.find('/') != std::string::npos ? wanted == p.cmdline[0]
                                                     : wanted == Base(p.cmdline[0]);
      });
      if (!found) return false;
    }
    if (cmdline.empty()) return true;
    if (p.cmdline.empty()) return false;
    std::string line;
    for (const std::string& argument : p.cmdline) {
      StrAppend(line, line.empty() ? "" : " ", argument);
    }
    for (const auto& regex : cmdline) {
      const int groups = regex->NumberOfCapturingGroups();
      std::vector<re2::StringPiece> found(static_cast<size_t>(groups) + 1);
      if (!regex->Match(line, 0, line.size(), re2::RE2::UNANCHORED, found.data(), groups + 1)) {
        return false;
      }
      for (const auto& [index, name] : regex->CapturingGroupNames()) {
        captured[name] = std::string(found[static_cast<size_t>(index)]);
      }
    }
    return true;
  }
};

ProcessNaming::ProcessNaming() = default;
ProcessNaming::~ProcessNaming() = default;
ProcessNaming::ProcessNaming(ProcessNaming&&) noexcept = default;
ProcessNaming& ProcessNaming::operator=(ProcessNaming&&) noexcept = default;

Result<ProcessNaming> ProcessNaming::Load(const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, config::ReadConfigFile(file));
  return Parse(text, file);
}

Result<ProcessNaming> ProcessNaming::Parse(std::string_view text, const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const config::YamlNode root, config::ParseYaml(text, file));
  config::DecodeContext context = config::DecodeContext::For(file);
  ProcessNaming naming;
  config::Object top(config::Value::Root(context, root));
  const config::Value list = top["process_names"];
  list.EachBlock([&](const config::Value& item) {
    Entry& entry = naming.entries_.emplace_back();
    config::Object o(item);
    std::string name = "{{.ExeBase}}";
    const config::Value given = o["name"];
    given.Read(name);
    Result<std::vector<Piece>> pieces = ParseTemplate(name);
    if (pieces.ok()) {
      entry.name = *std::move(pieces);
    } else {
      given.Fail(pieces.status().message());
    }
    o["comm"].Read(entry.comm);
    // /proc keeps 15 characters.
    for (std::string& comm : entry.comm) comm.resize(std::min<size_t>(comm.size(), 15));
    o["exe"].Read(entry.exe);
    const config::Value lines = o["cmdline"];
    std::vector<std::string> texts;
    lines.Read(texts);
    for (const std::string& one : texts) {
      re2::RE2::Options options(re2::RE2::Quiet);
      options.set_max_mem(kRegexMemory);
      auto regex = std::make_shared<re2::RE2>(one, options);
      if (!regex->ok()) lines.Fail(StrCat(Quoted(one), ": ", regex->error()));
      entry.cmdline.push_back(std::move(regex));
    }
    o.Finish();
    if (entry.comm.empty() && entry.exe.empty() && entry.cmdline.empty()) {
      item.Fail("no selector; give comm, exe or cmdline");
    }
  });
  if (!list.present()) list.Fail("is missing; name at least one group of processes");
  top.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return naming;
}

ProcessNaming ProcessNaming::ByComm(const std::vector<std::string>& names) {
  ProcessNaming naming;
  Entry& entry = naming.entries_.emplace_back();
  entry.name = {{true, "Comm"}};
  entry.comm = names;
  for (std::string& comm : entry.comm) comm.resize(std::min<size_t>(comm.size(), 15));
  return naming;
}

std::optional<std::string> ProcessNaming::GroupOf(const ProcessIdentity& p) const {
  for (const Entry& entry : entries_) {
    std::map<std::string, std::string> captured;
    if (!entry.Matches(p, captured)) continue;
    std::string name;
    for (const Piece& piece : entry.name) {
      const std::string_view text = piece.text;
      if (!piece.field) {
        name += text;
      } else if (text == "Comm") {
        name += p.comm;
      } else if (text == "ExeBase") {
        name += Base(Exe(p));
      } else if (text == "ExeFull") {
        name += Exe(p);
      } else if (text == "Username") {
        name += p.username;
      } else if (text == "PID") {
        StrAppend(name, p.pid);
      } else if (text == "StartTime") {
        StrAppend(name, static_cast<int64_t>(p.start_seconds));
      } else if (text == "Cgroups") {
        for (size_t i = 0; i < p.cgroups.size(); ++i) {
          StrAppend(name, i == 0 ? "" : ",", p.cgroups[i]);
        }
      } else if (const auto at = captured.find(std::string(text.substr(8)));
                 at != captured.end()) {
        name += at->second;
      }
    }
    return name;
  }
  return std::nullopt;
}

}  // namespace vedette::agent
