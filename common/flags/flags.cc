#include "common/flags/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/flags/flags_file.h"
#include "common/model/duration.h"

namespace vedette::flags {
namespace {

// Stands for an empty value while CLI11 has the words.
constexpr std::string_view kEmpty = "\x01";

// Largest first: FormatSize takes the first that divides.
constexpr std::array<std::pair<std::string_view, int64_t>, 7> kUnits = {{{"EB", int64_t(1) << 60},
                                                                         {"PB", int64_t(1) << 50},
                                                                         {"TB", int64_t(1) << 40},
                                                                         {"GB", int64_t(1) << 30},
                                                                         {"MB", int64_t(1) << 20},
                                                                         {"KB", int64_t(1) << 10},
                                                                         {"B", 1}}};

std::string FormatDuration(int64_t ms) {
  if (ms == 0) return "0s";
  constexpr std::array<std::pair<std::string_view, int64_t>, 5> kParts = {
      {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
  std::string out = ms < 0 ? "-" : "";
  ms = ms < 0 ? -ms : ms;
  for (const auto& [unit, size] : kParts) {
    if (ms >= size) StrAppend(out, ms / size, unit);
    ms %= size;
  }
  return out;
}

Result<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return InvalidArgument(StrCat("want true or false, not ", Quoted(text)));
}

template <typename T>
Result<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument(StrCat("not a number: ", Quoted(text)));
  }
  return value;
}

// How many letters must change to make one of the other.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t change = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<int64_t> ParseSize(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  Result<double> number = ParseNumber<double>(text.substr(0, digits));
  std::string unit(text.substr(digits));
  for (char& c : unit) c = char(c >= 'a' && c <= 'z' ? c - 32 : c);
  if (unit.size() == 3 && unit[1] == 'I') unit.erase(1, 1);  // MiB is MB here.
  if (unit.size() == 1 && unit != "B") unit.push_back('B');
  if (unit.empty()) unit = "B";
  for (const auto& [name, size] : kUnits) {
    if (name != unit || !number.ok()) continue;
    const double bytes = *number * double(size);
    if (!(bytes < 9.2e18)) return OutOfRange(StrCat("size too large: ", Quoted(text)));
    return int64_t(bytes);
  }
  return InvalidArgument(StrCat("not a size: ", Quoted(text), " (512MB, 10GB, 1024)"));
}

std::string FormatSize(int64_t bytes) {
  if (bytes == 0) return "0B";
  for (const auto& [name, size] : kUnits) {
    if (bytes % size == 0) return StrCat(bytes / size, name);
  }
  return StrCat(bytes, "B");
}

struct Flags::State {
  struct Flag {
    std::string name, help, group, metavar;
    bool is_bool = false;
    bool repeats = false;
    bool ignored = false;
    std::function<Status(const std::vector<std::string>&)> set;
    std::function<std::string()> get;
    bool given = false;
    std::vector<std::string> cli;
  };

  std::string program, description, version, group = "General";
  std::vector<std::unique_ptr<Flag>> flags;
  std::vector<std::string> ignored, arguments;
  bool takes_arguments = false;
  std::string arguments_name, arguments_help;
  std::string flags_file;
  bool help = false, show_version = false;

  Flag* Find(std::string_view name) const {
    for (const auto& flag : flags) {
      if (flag->name == name) return flag.get();
    }
    return nullptr;
  }

  Flag& New(std::string_view name, std::string_view help_text, std::string_view metavar) {
    if (Find(name) != nullptr) {
      fprintf(stderr, "flags: --%s is added twice\n", std::string(name).c_str());
      std::abort();
    }
    auto flag = std::make_unique<Flag>();
    flag->name = name;
    flag->help = help_text;
    flag->group = group;
    flag->metavar = metavar;
    flags.push_back(std::move(flag));
    return *flags.back();
  }

  template <typename T>
  void Bind(Flag& flag, T* value, std::function<Result<T>(const std::string&)> parse,
            std::function<std::string(const T&)> format) {
    flag.set = [value, parse = std::move(parse)](const std::vector<std::string>& texts) -> Status {
      VEDETTE_ASSIGN_OR_RETURN(*value, parse(texts.back()));
      return {};
    };
    flag.get = [value, format = std::move(format)] { return format(*value); };
  }

  std::string Nearest(std::string_view wrong) const {
    std::string best;
    size_t best_distance = std::max<size_t>(3, wrong.size() / 3) + 1;
    for (const auto& flag : flags) {
      if (flag->ignored) continue;
      for (const std::string& name : {flag->name, "no-" + flag->name}) {
        if (name.starts_with("no-") && !flag->is_bool) continue;
        const size_t distance = Distance(wrong, name);
        if (distance < best_distance) {
          best_distance = distance;
          best = name;
        }
      }
    }
    return best.empty() ? "see --help" : StrCat("did you mean --", best, "?");
  }

  static std::string EnvName(std::string_view name) {
    std::string out = "VEDETTE_";
    for (char c : name) {
      out.push_back(c == '.' || c == '-' ? '_' : char(c >= 'a' && c <= 'z' ? c - 32 : c));
    }
    return out;
  }

  Status Set(Flag& flag, const std::vector<std::string>& values, std::string_view where) {
    flag.given = true;
    if (flag.ignored) {
      ignored.push_back(flag.name);
      return {};
    }
    return flag.set(values).Annotate(where);
  }

  std::string Help() const;
};

std::string Flags::State::Help() const {
  std::string out = StrCat(program, " ", version, "\n", description, "\n\nUsage: ", program,
                           " [flags]", takes_arguments ? StrCat(" ", arguments_name) : "", "\n");
  if (takes_arguments) StrAppend(out, "  ", arguments_name, ": ", arguments_help, "\n");
  out +=
      "\nEvery flag may also come from the environment (--config.file is VEDETTE_CONFIG_FILE)\n"
      "or from the YAML file of --flags.file; the command line wins.\n";
  std::vector<std::string> groups;
  for (const auto& flag : flags) {
    if (!flag->ignored && std::find(groups.begin(), groups.end(), flag->group) == groups.end()) {
      groups.push_back(flag->group);
    }
  }
  for (const std::string& heading : groups) {
    StrAppend(out, "\n", heading, ":\n");
    for (const auto& flag : flags) {
      if (flag->ignored || flag->group != heading) continue;
      StrAppend(out, "  --", flag->is_bool ? "[no-]" : "", flag->name,
                flag->is_bool ? "" : StrCat("=", flag->metavar), flag->repeats ? " ..." : "", "\n");
      StrAppend(out, "        ", flag->help);
      const std::string value = flag->get();
      if (!value.empty()) StrAppend(out, " Default: ", value, ".");
      out += "\n";
    }
  }
  return out;
}

Flags::Flags(std::string_view program, std::string_view description, std::string_view version)
    : state_(std::make_unique<State>()) {
  state_->program = program;
  state_->description = description;
  state_->version = version;
  Add("help", &state_->help, "Shows this text.");
  Add("version", &state_->show_version, "Shows the version.");
  Add("flags.file", &state_->flags_file, "A YAML file with values for these flags.");
}
Flags::~Flags() = default;

void Flags::Group(std::string_view heading) { state_->group = heading; }

void Flags::Add(std::string_view name, std::string* value, std::string_view help) {
  state_->Bind<std::string>(
      state_->New(name, help, "TEXT"), value, [](const std::string& t) { return t; },
      [](const std::string& v) { return v; });
}

void Flags::Add(std::string_view name, bool* value, std::string_view help) {
  State::Flag& flag = state_->New(name, help, "");
  flag.is_bool = true;
  state_->Bind<bool>(
      flag, value, [](const std::string& t) { return ParseBool(t); },
      [](const bool& v) { return std::string(v ? "true" : "false"); });
}

void Flags::Add(std::string_view name, int64_t* value, std::string_view help) {
  state_->Bind<int64_t>(
      state_->New(name, help, "N"), value,
      [](const std::string& t) { return ParseNumber<int64_t>(t); },
      [](const int64_t& v) { return StrCat(v); });
}

void Flags::Add(std::string_view name, double* value, std::string_view help) {
  state_->Bind<double>(
      state_->New(name, help, "X"), value,
      [](const std::string& t) { return ParseNumber<double>(t); },
      [](const double& v) { return StrCat(v); });
}

void Flags::Add(std::string_view name, std::vector<std::string>* value, std::string_view help) {
  State::Flag& flag = state_->New(name, help, "TEXT");
  flag.repeats = true;
  flag.set = [value](const std::vector<std::string>& texts) -> Status {
    *value = texts;
    return {};
  };
  flag.get = [value] {
    std::string out;
    for (const std::string& v : *value) StrAppend(out, out.empty() ? "" : ",", v);
    return out;
  };
}

void Flags::AddDuration(std::string_view name, int64_t* value_ms, std::string_view help) {
  state_->Bind<int64_t>(
      state_->New(name, help, "DURATION"), value_ms,
      [](const std::string& t) { return ParseDuration(t); },
      [](const int64_t& v) { return FormatDuration(v); });
}

void Flags::AddSize(std::string_view name, int64_t* value_bytes, std::string_view help) {
  state_->Bind<int64_t>(
      state_->New(name, help, "SIZE"), value_bytes,
      [](const std::string& t) { return ParseSize(t); },
      [](const int64_t& v) { return FormatSize(v); });
}

void Flags::AddChoice(std::string_view name, std::string* value, std::vector<std::string> choices,
                      std::string_view help) {
  std::string all;
  for (const std::string& choice : choices) StrAppend(all, all.empty() ? "" : "|", choice);
  state_->Bind<std::string>(
      state_->New(name, help, all), value,
      [choices = std::move(choices), all](const std::string& t) -> Result<std::string> {
        if (std::find(choices.begin(), choices.end(), t) != choices.end()) return t;
        return InvalidArgument(StrCat("want one of ", all, ", not ", Quoted(t)));
      },
      [](const std::string& v) { return v; });
}

void Flags::AddIgnored(std::string_view name, bool takes_value) {
  State::Flag& flag = state_->New(name, "", "");
  flag.ignored = true;
  flag.is_bool = !takes_value;
  flag.repeats = true;
}

void Flags::AllowArguments(std::string_view name, std::string_view help) {
  state_->takes_arguments = true;
  state_->arguments_name = name;
  state_->arguments_help = help;
}

Result<Flags::Outcome> Flags::Parse(int argc, const char* const* argv) {
  State& s = *state_;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const auto& flag : s.flags) {
    const std::string name = StrCat("--", flag->name);
    if (flag->is_bool) {
      app.add_flag_function(StrCat(flag->name == "help" ? "-h," : "", name, ",!--no-", flag->name),
                            [f = flag.get()](int64_t n) { f->cli = {n > 0 ? "true" : "false"}; });
    } else {
      app.add_option(name, flag->cli)->allow_extra_args(false);
    }
  }
  // "--name=" gives an empty value; CLI11 would take the next word for it.
  std::vector<std::string> words(argv, argv + argc);
  for (size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
    if (words[i].starts_with("--") && words[i].find('=') == words[i].size() - 1) {
      words[i] += kEmpty;
    }
  }
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  try {
    app.parse(argc, pointers.data());
  } catch (const CLI::Error& e) {
    return InvalidArgument(e.what());
  }
  for (const auto& flag : s.flags) {
    std::ranges::replace(flag->cli, std::string(kEmpty), std::string());
  }
  for (const std::string& extra : app.remaining()) {
    if (extra.size() > 1 && extra[0] == '-' && extra != "--") {
      const std::string name = extra.substr(std::min(extra.find_first_not_of('-'), extra.size()));
      return InvalidArgument(StrCat("unknown flag ", Quoted(extra.substr(0, extra.find('='))), ": ",
                                    s.Nearest(name.substr(0, name.find('=')))));
    }
    if (extra != "--") s.arguments.push_back(extra);
  }
  State::Flag& file_flag = *s.Find("flags.file");
  if (const char* env = std::getenv("VEDETTE_FLAGS_FILE"); env != nullptr) s.flags_file = env;
  if (!file_flag.cli.empty()) s.flags_file = file_flag.cli.back();
  // Asked before anything that may be wrong with the rest.
  const auto asked = [&](std::string_view name) {
    const State::Flag& flag = *s.Find(name);
    return !flag.cli.empty() && flag.cli.back() == "true";
  };
  if (asked("help")) return Outcome{true, s.Help()};
  if (asked("version")) return Outcome{true, StrCat(s.program, ", version ", s.version, "\n")};
  if (!s.arguments.empty() && !s.takes_arguments) {
    return InvalidArgument(StrCat("unexpected argument ", Quoted(s.arguments[0])));
  }

  std::map<std::string, FileFlag> from_file;
  if (!s.flags_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(std::vector<FileFlag> read, ReadFlagsFile(s.flags_file));
    for (FileFlag& flag : read) {
      const State::Flag* known = s.Find(flag.name);
      if (known == nullptr || flag.name == "flags.file") {
        return InvalidArgument(
            StrCat(flag.where, ": unknown flag ", Quoted(flag.name), ": ", s.Nearest(flag.name)));
      }
      if (flag.values.size() != 1 && !known->repeats) {
        return InvalidArgument(StrCat(flag.where, ": ", flag.name, " takes one value"));
      }
      from_file.emplace(flag.name, std::move(flag));
    }
  }
  for (const auto& flag : s.flags) {
    const std::string env_name = State::EnvName(flag->name);
    if (!flag->cli.empty()) {
      VEDETTE_RETURN_IF_ERROR(s.Set(*flag, flag->cli, StrCat("--", flag->name)));
    } else if (const char* env = std::getenv(env_name.c_str()); env != nullptr) {
      VEDETTE_RETURN_IF_ERROR(s.Set(*flag, {env}, env_name));
    } else if (auto it = from_file.find(flag->name); it != from_file.end()) {
      VEDETTE_RETURN_IF_ERROR(
          s.Set(*flag, it->second.values, StrCat(it->second.where, ": ", flag->name)));
    }
  }
  return Outcome{};
}

const std::vector<std::string>& Flags::ignored() const { return state_->ignored; }
const std::vector<std::string>& Flags::arguments() const { return state_->arguments; }

bool Flags::Given(std::string_view name) const {
  const State::Flag* flag = state_->Find(name);
  return flag != nullptr && flag->given;
}

std::vector<std::pair<std::string, std::string>> Flags::All() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& flag : state_->flags) {
    if (flag->ignored || flag->name == "help" || flag->name == "version") continue;
    out.emplace_back(flag->name, flag->get());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace vedette::flags
