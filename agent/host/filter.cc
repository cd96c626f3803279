#include "agent/host/filter.h"

#include <re2/re2.h>

#include "common/base/strings.h"

namespace vedette::agent {

struct Filter::Compiled {
  std::unique_ptr<RE2> include;
  std::unique_ptr<RE2> exclude;
};

Filter::Filter() = default;
Filter::~Filter() = default;
Filter::Filter(const Filter&) = default;
Filter& Filter::operator=(const Filter&) = default;

Result<Filter> Filter::Make(std::string_view flag, const std::string& include,
                            const std::string& exclude) {
  auto compiled = std::make_shared<Compiled>();
  const auto compile = [&](const std::string& text, std::string_view which,
                           std::unique_ptr<RE2>& out) -> Status {
    if (text.empty()) return {};
    out = std::make_unique<RE2>(text, RE2::Quiet);
    if (out->ok()) return {};
    return InvalidArgument(StrCat(flag, "-", which, "=", Quoted(text), ": ", out->error()));
  };
  VEDETTE_RETURN_IF_ERROR(compile(include, "include", compiled->include));
  VEDETTE_RETURN_IF_ERROR(compile(exclude, "exclude", compiled->exclude));
  Filter filter;
  filter.compiled_ = std::move(compiled);
  return filter;
}

bool Filter::Passes(std::string_view name) const {
  if (compiled_ == nullptr) return true;
  const re2::StringPiece text(name.data(), name.size());
  if (compiled_->include && !RE2::PartialMatch(text, *compiled_->include)) return false;
  return !compiled_->exclude || !RE2::PartialMatch(text, *compiled_->exclude);
}

}  // namespace vedette::agent
