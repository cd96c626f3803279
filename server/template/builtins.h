#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "server/template/template.h"
#include "server/template/value.h"

namespace vedette::tmpl {

// What every Go template has: not, len, index, slice, print*, html, js, urlquery and the
// comparisons. (and, or are in the executor: they may leave arguments unevaluated.)
const FunctionMap& Builtins();

// .Format, .Unix, .Seconds and the like on times and durations.
Result<Value> CallTimeMethod(const Value& self, std::string_view name, std::span<const Value> args);

// For writers of functions: the checks that Go makes of the arguments' number and types.
Status CheckArgCount(const Call& call, size_t least, size_t most);
Result<std::string> StringArg(const Call& call, size_t i);
Result<int64_t> IntArg(const Call& call, size_t i);

// Percent-encoding of everything but letters, digits, '-', '_', '.', '~'; a space becomes '+'.
std::string QueryEscape(std::string_view text);
std::string HtmlEscape(std::string_view text);

}  // namespace vedette::tmpl
