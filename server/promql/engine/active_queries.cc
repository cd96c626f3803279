#include "server/promql/engine/active_queries.h"

#include "common/base/strings.h"

namespace vedette::promql {
namespace {

// The list is for people: a query of a megabyte is cut.
constexpr size_t kShownBytes = 2048;

std::string Shown(const std::string& text) {
  if (text.size() <= kShownBytes) return text;
  return StrCat(std::string_view(text).substr(0, kShownBytes), "... (", text.size(), " bytes)");
}

}  // namespace

ActiveQuery RunningQuery::Describe() const {
  ActiveQuery out;
  out.id = id_;
  out.text = Shown(query_.text);
  out.origin = query_.origin;
  out.began_ms = began_ms_;
  out.start_ms = query_.start_ms;
  out.end_ms = query_.end_ms;
  out.step_ms = query_.step_ms;
  out.waiting = !running_.load(std::memory_order_relaxed);
  out.series = series_.load(std::memory_order_relaxed);
  out.samples = samples_.load(std::memory_order_relaxed);
  out.held_bytes = bytes_.load(std::memory_order_relaxed);
  return out;
}

std::shared_ptr<RunningQuery> ActiveQueries::Add(const Query& query, int64_t now_ms) {
  MutexLock lock(mu_);
  auto running = std::make_shared<RunningQuery>(next_++, query, now_ms);
  queries_[running->id()] = running;
  return running;
}

void ActiveQueries::Remove(uint64_t id) {
  MutexLock lock(mu_);
  queries_.erase(id);
}

std::vector<ActiveQuery> ActiveQueries::List() const {
  MutexLock lock(mu_);
  std::vector<ActiveQuery> out;
  for (const auto& [id, q] : queries_) out.push_back(q->Describe());
  return out;
}

Status ActiveQueries::Kill(uint64_t id) {
  MutexLock lock(mu_);
  const auto it = queries_.find(id);
  if (it == queries_.end()) return NotFound(StrCat("no query with id ", id, " is running"));
  it->second->Kill();
  return {};
}

size_t ActiveQueries::size() const {
  MutexLock lock(mu_);
  return queries_.size();
}

}  // namespace vedette::promql
