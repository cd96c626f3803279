#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "server/template/value.h"

namespace vedette::tmpl {

struct Node;  // The parsed form, in parse.h.

// What a template may cost. Every limit has an error message that names it.
struct Limits {
  uint64_t max_output_bytes = 1 << 20;
  uint64_t max_steps = 2'000'000;  // Nodes executed, loop rounds included.
  int max_depth = 100;             // Templates that call templates.
};

// What a function is called with.
class Call {
 public:
  virtual ~Call() = default;
  virtual std::span<const Value> args() const = 0;
  // Runs another template of the set; what `tmpl` does.
  virtual Result<std::string> RunTemplate(std::string_view name, const Value& data) const = 0;
};
using Function = std::function<Result<Value>(const Call&)>;
using FunctionMap = std::map<std::string, Function, std::less<>>;

// Template is a set of named templates in the language of Go's text/template, as users of
// Prometheus and Alertmanager write it.
//
//   Template t(functions);
//   VEDETTE_RETURN_IF_ERROR(t.Parse("title", "{{ .Status | toUpper }}"));
//   Result<std::string> text = t.Execute("title", data);
//
// Functions must be known when a text is parsed. Go's own (and, or, not, len, index, slice, print,
// printf, println, html, js, urlquery, eq, ne, lt, le, gt, ge) are always there.
// A missing key of a map of strings is ""; of any other map it is nil, which prints "<no value>".
//
// Copying is cheap (parsed templates are shared): a set with the users' definitions is copied, and
// one more text parsed into the copy. Thread-compatible: Execute may run on many threads.
class Template {
 public:
  explicit Template(std::shared_ptr<const FunctionMap> functions);

  // Reads one text. Its body becomes the template `name`; each define and block in it becomes a
  // template of its own and replaces one of the same name. `variables` are names ("$labels") that
  // the body, but no define in it, may use: Execute gives their values in the same order.
  Status Parse(std::string_view name, std::string_view text,
               std::span<const std::string> variables = {});

  bool Has(std::string_view name) const { return nodes_.find(name) != nodes_.end(); }

  // kInvalidArgument, with the template's name, line and column, when the execution fails.
  Result<std::string> Execute(std::string_view name, const Value& data, const Limits& limits = {},
                              std::span<const Value> variables = {}) const;

 private:
  friend class Executor;
  std::shared_ptr<const FunctionMap> functions_;
  std::map<std::string, std::shared_ptr<const Node>, std::less<>> nodes_;
  std::map<std::string, std::vector<std::string>, std::less<>> variable_names_;
};

}  // namespace vedette::tmpl
