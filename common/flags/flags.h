#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace vedette::flags {

// Flags is a program's command line: dotted names as Prometheus writes them, bound to plain
// variables whose value at the time of the call is the default.
//
//   Flags flags("vedette-server", "Scrapes, stores, answers and alerts.", "0.1.0");
//   flags.Group("Storage");
//   flags.Add("storage.tsdb.path", &path, "Where blocks and the log live.");
//   flags.AddDuration("storage.tsdb.retention.time", &retention_ms, "How long samples are kept.");
//   Result<Outcome> outcome = flags.Parse(argc, argv);
//   if (!outcome.ok()) { complain; return 2; }   // One sentence for stderr.
//   if (outcome->exit) { print outcome->text; return 0; }  // --help or --version.
//
// Where a value comes from, strongest first: the command line (--name=value or --name value), the
// environment (VEDETTE_STORAGE_TSDB_PATH), the YAML file of --flags.file (nested or dotted keys,
// lists for repeatable flags), the default. A bool is said --name or --no-name.
//
// The variables must outlive Parse. Not thread-safe; after Parse, All() may be read by anyone.
class Flags {
 public:
  Flags(std::string_view program, std::string_view description, std::string_view version);
  ~Flags();
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;

  // The heading in --help for the flags that follow.
  void Group(std::string_view heading);

  void Add(std::string_view name, std::string* value, std::string_view help);
  void Add(std::string_view name, bool* value, std::string_view help);
  void Add(std::string_view name, int64_t* value, std::string_view help);
  void Add(std::string_view name, double* value, std::string_view help);
  // Repeatable: each use adds one; what is given replaces the default.
  void Add(std::string_view name, std::vector<std::string>* value, std::string_view help);
  // "15s", "1h30m", as PromQL writes durations.
  void AddDuration(std::string_view name, int64_t* value_ms, std::string_view help);
  // "512MB", "10GiB", "1024": units are powers of 1024, as Prometheus reads them.
  void AddSize(std::string_view name, int64_t* value_bytes, std::string_view help);
  // One of `choices`.
  void AddChoice(std::string_view name, std::string* value, std::vector<std::string> choices,
                 std::string_view help);
  // Known from elsewhere, hidden from --help, without effect here: its use is reported in
  // ignored().
  void AddIgnored(std::string_view name, bool takes_value);

  struct Outcome {
    bool exit = false;  // --help or --version was asked for: print text, exit with 0.
    std::string text;
  };
  // INVALID_ARGUMENT carries the sentence for stderr; a mistyped flag names its nearest neighbour.
  Result<Outcome> Parse(int argc, const char* const* argv);

  // After Parse: flags given that are accepted and ignored; log a line for each.
  const std::vector<std::string>& ignored() const;
  // Arguments that are no flags, if AllowArguments was called; otherwise they are refused.
  void AllowArguments(std::string_view name, std::string_view help);
  const std::vector<std::string>& arguments() const;
  // After Parse: was the flag set by anything but its default?
  bool Given(std::string_view name) const;

  // Every visible flag with its current value as text, by name: /api/v1/status/flags.
  std::vector<std::pair<std::string, std::string>> All() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "512MB", "10GiB", "1024" to bytes, and back in the largest unit that divides it.
Result<int64_t> ParseSize(std::string_view text);
std::string FormatSize(int64_t bytes);

}  // namespace vedette::flags
