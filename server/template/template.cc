#include "server/template/template.h"

#include <optional>

#include "common/base/strings.h"
#include "server/template/builtins.h"
#include "server/template/format.h"
#include "server/template/parse.h"

namespace vedette::tmpl {
namespace {

bool IsBuiltin(std::string_view name) {
  return name == "and" || name == "or" || Builtins().contains(name);
}

}  // namespace

// One execution. Errors carry the place of the node that was running.
class Executor {
 public:
  Executor(const Template& set, const Limits& limits) : set_(set), limits_(limits) {}

  Status Run(std::string_view name, const Node& body, const Value& dot,
             std::vector<std::pair<std::string, Value>> variables, std::string& out) {
    if (++depth_ > limits_.max_depth) {
      return InvalidArgument(StrCat("template: ", name, ": exceeded maximum template depth (",
                                    limits_.max_depth, ")"));
    }
    const std::string_view outer_name = std::exchange(name_, name);
    auto outer_variables = std::exchange(variables_, std::move(variables));
    std::string* outer_out = std::exchange(out_, &out);
    Flow flow = Flow::kNext;
    Status status = Walk(dot, body, flow);
    out_ = outer_out;
    variables_ = std::move(outer_variables);
    name_ = outer_name;
    --depth_;
    return status;
  }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  class CallImpl final : public Call {
   public:
    CallImpl(Executor& executor, std::span<const Value> args) : executor_(executor), args_(args) {}
    std::span<const Value> args() const override { return args_; }
    Result<std::string> RunTemplate(std::string_view name, const Value& data) const override {
      std::string out;
      VEDETTE_RETURN_IF_ERROR(executor_.RunNamed(name, data, out));
      return out;
    }

   private:
    Executor& executor_;
    std::span<const Value> args_;
  };

  Status RunNamed(std::string_view name, const Value& data, std::string& out) {
    auto it = set_.nodes_.find(name);
    if (it == set_.nodes_.end()) {
      return InvalidArgument(StrCat("template ", Quoted(name), " not defined"));
    }
    return Run(it->first, *it->second, data, {{"$", data}}, out);
  }

  Status Fail(const Node& at, std::string_view what) const {
    std::string where = at.source.empty() ? "" : StrCat(" at <", at.source, ">");
    return InvalidArgument(StrCat("template: ", name_, ":", at.line, ":", at.column, ": executing ",
                                  Quoted(name_), where, ": ", what));
  }
  // Failures that already say where they happened pass through.
  Status FailCalling(const Node& at, const Status& status) const {
    if (status.message().starts_with("template: ")) return status;
    return Fail(at, StrCat("error calling ", at.text.empty() ? at.source : at.text, ": ",
                           status.message()));
  }

  Status Emit(const Node& at, std::string_view text) {
    if (out_->size() + text.size() > limits_.max_output_bytes) {
      return Fail(at, StrCat("output is over the limit of ", limits_.max_output_bytes, " bytes"));
    }
    out_->append(text);
    return Status();
  }

  Status Step(const Node& at) {
    if (++steps_ > limits_.max_steps) {
      return Fail(at, StrCat("execution is over the limit of ", limits_.max_steps, " steps"));
    }
    return Status();
  }

  Status Walk(const Value& dot, const Node& node, Flow& flow) {
    VEDETTE_RETURN_IF_ERROR(Step(node));
    switch (node.kind) {
      case Node::Kind::kList:
        for (const auto& child : node.children) {
          VEDETTE_RETURN_IF_ERROR(Walk(dot, *child, flow));
          if (flow != Flow::kNext) return Status();
        }
        return Status();
      case Node::Kind::kText:
        return Emit(node, node.text);
      case Node::Kind::kAction: {
        VEDETTE_ASSIGN_OR_RETURN(Value v, Pipeline(dot, *node.children[0]));
        if (!node.children[0]->names.empty()) return Status();
        return Emit(node, v.is(Value::Kind::kString) ? v.string() : FormatValue(v));
      }
      case Node::Kind::kIf:
      case Node::Kind::kWith: {
        const size_t mark = variables_.size();
        VEDETTE_ASSIGN_OR_RETURN(Value v, Pipeline(dot, *node.children[0]));
        if (v.truth()) {
          const Value inner = node.kind == Node::Kind::kWith ? v : dot;
          VEDETTE_RETURN_IF_ERROR(Walk(inner, *node.children[1], flow));
        } else if (node.children.size() > 2) {
          VEDETTE_RETURN_IF_ERROR(Walk(dot, *node.children[2], flow));
        }
        variables_.resize(mark);
        return Status();
      }
      case Node::Kind::kRange:
        return Range(dot, node, flow);
      case Node::Kind::kTemplate: {
        Value data;
        if (!node.children.empty()) {
          VEDETTE_ASSIGN_OR_RETURN(data, Pipeline(dot, *node.children[0]));
        }
        auto it = set_.nodes_.find(node.text);
        if (it == set_.nodes_.end()) {
          return Fail(node, StrCat("template ", Quoted(node.text), " not defined"));
        }
        return Run(it->first, *it->second, data, {{"$", data}}, *out_);
      }
      case Node::Kind::kBreak:
        flow = Flow::kBreak;
        return Status();
      case Node::Kind::kContinue:
        flow = Flow::kContinue;
        return Status();
      default:
        return Fail(node, "unexpected node");
    }
  }

  Status Range(const Value& dot, const Node& node, Flow& flow) {
    const Node& pipe = *node.children[0];
    const size_t mark = variables_.size();
    VEDETTE_ASSIGN_OR_RETURN(Value v, Pipeline(dot, pipe, /*bind=*/false));
    bool any = false;
    Status failure;
    auto round = [&](const Value& key, const Value& element) -> Result<bool> {
      any = true;
      const size_t inner = variables_.size();
      // One variable is the element, two are the key and the element.
      for (size_t i = 0; i < pipe.names.size(); ++i) {
        const Value& bound = pipe.names.size() == 1 || i == 1 ? element : key;
        if (pipe.assigns) {
          VEDETTE_RETURN_IF_ERROR(Assign(pipe, pipe.names[i], bound));
        } else {
          variables_.emplace_back(pipe.names[i], bound);
        }
      }
      Flow inside = Flow::kNext;
      VEDETTE_RETURN_IF_ERROR(Walk(element, *node.children[1], inside));
      variables_.resize(inner);
      return inside != Flow::kBreak;
    };
    switch (v.kind()) {
      case Value::Kind::kList:
        for (size_t i = 0; i < v.list().size(); ++i) {
          VEDETTE_ASSIGN_OR_RETURN(bool go_on, round(Value(static_cast<int64_t>(i)), v.list()[i]));
          if (!go_on) break;
        }
        break;
      case Value::Kind::kMap:
        for (const auto& [key, element] : v.map()) {
          VEDETTE_ASSIGN_OR_RETURN(bool go_on, round(Value(key), element));
          if (!go_on) break;
        }
        break;
      case Value::Kind::kInt:
        for (int64_t i = 0; i < v.integer(); ++i) {
          VEDETTE_ASSIGN_OR_RETURN(bool go_on, round(Value(i), Value(i)));
          if (!go_on) break;
        }
        break;
      case Value::Kind::kNil:
        break;
      default:
        return Fail(node, StrCat("range can't iterate over ", FormatValue(v)));
    }
    variables_.resize(mark);
    if (!any && node.children.size() > 2) {
      VEDETTE_RETURN_IF_ERROR(Walk(dot, *node.children[2], flow));
      variables_.resize(mark);
    }
    return Status();
  }

  Status Assign(const Node& at, const std::string& name, const Value& v) {
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->first == name) {
        it->second = v;
        return Status();
      }
    }
    return Fail(at, StrCat("undefined variable ", Quoted(name)));
  }

  Result<Value> Pipeline(const Value& dot, const Node& pipe, bool bind = true) {
    VEDETTE_RETURN_IF_ERROR(Step(pipe));
    std::optional<Value> value;
    for (const auto& command : pipe.children) {
      VEDETTE_ASSIGN_OR_RETURN(Value v, Command(dot, *command, value));
      value = std::move(v);
    }
    if (bind) {
      for (const std::string& name : pipe.names) {
        if (pipe.assigns) {
          VEDETTE_RETURN_IF_ERROR(Assign(pipe, name, *value));
        } else {
          variables_.emplace_back(name, *value);
        }
      }
    }
    return *value;
  }

  Result<Value> Command(const Value& dot, const Node& command, const std::optional<Value>& final) {
    VEDETTE_RETURN_IF_ERROR(Step(command));
    const Node& first = *command.children[0];
    switch (first.kind) {
      case Node::Kind::kIdentifier:
        return CallFunction(dot, first, command, final);
      case Node::Kind::kField: {
        VEDETTE_ASSIGN_OR_RETURN(std::vector<Value> args, Arguments(dot, command, final));
        return Fields(first, dot, args);
      }
      case Node::Kind::kVariable: {
        VEDETTE_ASSIGN_OR_RETURN(std::vector<Value> args, Arguments(dot, command, final));
        VEDETTE_ASSIGN_OR_RETURN(Value v, Variable(first));
        return Fields(first, v, args);
      }
      case Node::Kind::kChain: {
        VEDETTE_ASSIGN_OR_RETURN(std::vector<Value> args, Arguments(dot, command, final));
        VEDETTE_ASSIGN_OR_RETURN(Value v, Pipeline(dot, *first.children[0]));
        return Fields(first, v, args);
      }
      default:
        break;
    }
    if (command.children.size() > 1 || final.has_value()) {
      return Fail(first, StrCat("can't give argument to non-function ", first.source));
    }
    return Operand(dot, first);
  }

  Result<std::vector<Value>> Arguments(const Value& dot, const Node& command,
                                       const std::optional<Value>& final) {
    std::vector<Value> args;
    args.reserve(command.children.size());
    for (size_t i = 1; i < command.children.size(); ++i) {
      VEDETTE_ASSIGN_OR_RETURN(Value v, Operand(dot, *command.children[i]));
      args.push_back(std::move(v));
    }
    if (final) args.push_back(*final);
    return args;
  }

  Result<Value> Operand(const Value& dot, const Node& node) {
    VEDETTE_RETURN_IF_ERROR(Step(node));
    switch (node.kind) {
      case Node::Kind::kDot:
        return dot;
      case Node::Kind::kNil:
        return Value();
      case Node::Kind::kConstant:
        return node.constant;
      case Node::Kind::kField:
        return Fields(node, dot, {});
      case Node::Kind::kVariable: {
        VEDETTE_ASSIGN_OR_RETURN(Value v, Variable(node));
        return Fields(node, v, {});
      }
      case Node::Kind::kPipeline:
        return Pipeline(dot, node);
      case Node::Kind::kChain: {
        VEDETTE_ASSIGN_OR_RETURN(Value v, Pipeline(dot, *node.children[0]));
        return Fields(node, v, {});
      }
      case Node::Kind::kIdentifier:
        return CallByName(node, {});
      default:
        return Fail(node, "unexpected operand");
    }
  }

  Result<Value> Variable(const Node& node) const {
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->first == node.text) return it->second;
    }
    return Fail(node, StrCat("undefined variable ", Quoted(node.text)));
  }

  // Follows .A.B.C; the arguments belong to the last one, which then must be a method.
  Result<Value> Fields(const Node& node, const Value& from, std::span<const Value> args) {
    Value v = from;
    for (size_t i = 0; i < node.names.size(); ++i) {
      const bool last = i + 1 == node.names.size();
      VEDETTE_ASSIGN_OR_RETURN(
          v, Field(node, v, node.names[i], last ? args : std::span<const Value>()));
    }
    if (node.names.empty() && !args.empty()) {
      return Fail(node, StrCat("can't give argument to non-function ", node.source));
    }
    return v;
  }

  Result<Value> Field(const Node& node, const Value& v, const std::string& name,
                      std::span<const Value> args) {
    if (v.type() != nullptr) {
      if (auto it = v.type()->methods.find(name); it != v.type()->methods.end()) {
        Result<Value> result = it->second(v, args);
        if (!result.ok())
          return Fail(node, StrCat("error calling ", name, ": ", result.status().message()));
        return result;
      }
    }
    if (v.is(Value::Kind::kTime) || v.is(Value::Kind::kDuration)) {
      Result<Value> result = CallTimeMethod(v, name, args);
      if (!result.ok()) return Fail(node, result.status().message());
      return result;
    }
    if (!args.empty() && v.is(Value::Kind::kMap)) {
      return Fail(node, StrCat(name, " is not a method but has arguments"));
    }
    if (v.is(Value::Kind::kMap)) {
      if (auto it = v.map().find(name); it != v.map().end()) return it->second;
      if (v.type() != nullptr) {
        if (v.type()->absent == TypeInfo::Absent::kEmptyString) return Value("");
        if (v.type()->absent == TypeInfo::Absent::kError) {
          return Fail(node, StrCat("can't evaluate field ", name, " in type ", v.type_name()));
        }
      }
      return Value();
    }
    if (v.is(Value::Kind::kNil)) {
      return Fail(node, StrCat("nil data; no entry for key ", Quoted(name)));
    }
    return Fail(node, StrCat("can't evaluate field ", name, " in type ", v.type_name()));
  }

  Result<Value> CallFunction(const Value& dot, const Node& function, const Node& command,
                             const std::optional<Value>& final) {
    if (function.text == "and" || function.text == "or") {
      // They stop at the first argument that decides.
      const bool stop_at = function.text == "or";
      std::optional<Value> v;
      for (size_t i = 1; i < command.children.size(); ++i) {
        VEDETTE_ASSIGN_OR_RETURN(Value next, Operand(dot, *command.children[i]));
        v = std::move(next);
        if (v->truth() == stop_at) return *v;
      }
      if (final) v = *final;
      if (!v) return Fail(function, StrCat("wrong number of args for ", function.text));
      return *v;
    }
    VEDETTE_ASSIGN_OR_RETURN(std::vector<Value> args, Arguments(dot, command, final));
    return CallByName(function, args);
  }

  Result<Value> CallByName(const Node& function, std::span<const Value> args) {
    const Function* f = nullptr;
    if (auto it = set_.functions_->find(function.text); it != set_.functions_->end()) {
      f = &it->second;
    } else if (auto b = Builtins().find(function.text); b != Builtins().end()) {
      f = &b->second;
    } else {
      return Fail(function, StrCat("wrong number of args for ", function.text));
    }
    Result<Value> result = (*f)(CallImpl(*this, args));
    if (!result.ok()) return FailCalling(function, result.status());
    // A function can make text much faster than the output sees it.
    if (result->is(Value::Kind::kString) && result->string().size() > limits_.max_output_bytes) {
      return Fail(function,
                  StrCat("a text is over the limit of ", limits_.max_output_bytes, " bytes"));
    }
    return result;
  }

  const Template& set_;
  const Limits& limits_;
  std::string_view name_;
  std::string* out_ = nullptr;
  std::vector<std::pair<std::string, Value>> variables_;
  uint64_t steps_ = 0;
  int depth_ = 0;
};

Template::Template(std::shared_ptr<const FunctionMap> functions)
    : functions_(std::move(functions)) {}

Status Template::Parse(std::string_view name, std::string_view text,
                       std::span<const std::string> variables) {
  auto known = [&](std::string_view f) { return functions_->contains(f) || IsBuiltin(f); };
  VEDETTE_ASSIGN_OR_RETURN(NamedNodes found, ParseTemplate(name, text, variables, known));
  for (auto& [key, node] : found) nodes_[key] = std::move(node);
  variable_names_[std::string(name)].assign(variables.begin(), variables.end());
  return Status();
}

Result<std::string> Template::Execute(std::string_view name, const Value& data,
                                      const Limits& limits,
                                      std::span<const Value> variables) const {
  auto it = nodes_.find(name);
  if (it == nodes_.end()) {
    return InvalidArgument(StrCat("template ", Quoted(name), " not defined"));
  }
  std::vector<std::pair<std::string, Value>> scope = {{"$", data}};
  const auto names = variable_names_.find(name);
  if (names != variable_names_.end()) {
    for (size_t i = 0; i < names->second.size(); ++i) {
      scope.emplace_back(names->second[i], i < variables.size() ? variables[i] : Value());
    }
  }
  std::string out;
  VEDETTE_RETURN_IF_ERROR(
      Executor(*this, limits).Run(it->first, *it->second, data, std::move(scope), out));
  return out;
}

}  // namespace vedette::tmpl
