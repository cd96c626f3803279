#include "agent/host/filter.h"

#include <re2/re2.h>

#include <functional>
#include <string>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// More names than a machine has at one time; those of containers' devices come and go for ever.
constexpr size_t kMostNames = 4'096;

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

}  // namespace

struct Filter::Compiled {
  std::unique_ptr<RE2> include;
  std::unique_ptr<RE2> exclude;

  mutable Mutex mu;
  mutable std::unordered_map<std::string, bool, NameHash, std::equal_to<>> said
      VEDETTE_GUARDED_BY(mu);
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
  const Compiled& c = *compiled_;
  if (c.include == nullptr && c.exclude == nullptr) return true;
  {
    MutexLock lock(c.mu);
    if (const auto at = c.said.find(name); at != c.said.end()) return at->second;
  }
  const re2::StringPiece text(name.data(), name.size());
  const bool passes = (!c.include || RE2::PartialMatch(text, *c.include)) &&
                      (!c.exclude || !RE2::PartialMatch(text, *c.exclude));
  MutexLock lock(c.mu);
  if (c.said.size() >= kMostNames) c.said.clear();
  c.said.emplace(name, passes);
  return passes;
}

}  // namespace vedette::agent
