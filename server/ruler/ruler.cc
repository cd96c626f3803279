#include "server/ruler/ruler.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/base/strings.h"

namespace vedette::ruler {
namespace {

// How long a thread sleeps at most: a wall clock that was set forward is noticed after this.
constexpr int64_t kMaxSleepMs = 500;
// Instants of the past that a group evaluates again between two of its own.
constexpr int kRefillAtOnce = 100;
// A window of rate() that reaches into the gap ends after it.
constexpr int64_t kRefillBeyondMs = 5 * 60'000;

}  // namespace

Ruler::Ruler(RulerOptions options, promql::Engine& engine, storage::Appender& appender,
             const storage::Queryable& queryable, const Clock& clock, AlertSink sink)
    : options_([&] {
        while (options.external_url.ends_with('/')) options.external_url.pop_back();
        return std::move(options);
      }()),
      engine_(engine),
      appender_(appender),
      queryable_(queryable),
      clock_(clock),
      sink_(std::move(sink)) {}

Ruler::~Ruler() {
  Stop();
  MutexLock lock(mu_);
  slots_.clear();  // Before the context they refer to.
}

Status Ruler::CheckExpressions(const RulerConfig& config) const {
  if (!options_.check_expression) return Status();
  for (const config::RuleGroupConfig& group : config.groups) {
    for (const config::RuleConfig& rule : group.rules) {
      if (Status s = options_.check_expression(rule.expr); !s.ok()) {
        return s.Annotate(StrCat(group.file, ":", rule.expr_line, ":", rule.expr_column, ": group ",
                                 Quoted(group.name), ", rule ", Quoted(rule.name())));
      }
    }
  }
  return Status();
}

GroupOptions Ruler::OptionsFor(const config::RuleGroupConfig& group, const RulerConfig& config,
                               bool should_restore) const {
  return {.interval_ms = group.interval_ms.value_or(config.evaluation_interval_ms),
          .query_offset_ms = group.query_offset_ms.value_or(config.rule_query_offset_ms),
          .resend_delay_ms = options_.resend_delay_ms,
          .restore = {.outage_tolerance_ms = options_.for_outage_tolerance_ms,
                      .grace_period_ms = options_.for_grace_period_ms},
          .should_restore = should_restore};
}

Status Ruler::Check(const RulerConfig& config) const {
  VEDETTE_RETURN_IF_ERROR(CheckExpressions(config));
  const RuleContext context{engine_,
                            appender_,
                            queryable_,
                            clock_,
                            nullptr,
                            options_.external_url,
                            config.external_labels,
                            options_.condition,
                            {}};
  for (const config::RuleGroupConfig& group : config.groups) {
    Result<std::unique_ptr<RuleGroup>> made =
        RuleGroup::Make(context, group, OptionsFor(group, config, false));
    if (!made.ok()) return made.status();
  }
  return Status();
}

Status Ruler::Update(RulerConfig config) {
  VEDETTE_RETURN_IF_ERROR(CheckExpressions(config));
  std::shared_ptr<const RuleContext> context = std::make_shared<const RuleContext>(
      RuleContext{engine_, appender_, queryable_, clock_, &cancel_, options_.external_url,
                  config.external_labels, options_.condition, options_.events});
  bool should_restore = false;
  {
    MutexLock lock(mu_);
    should_restore = !loaded_once_;
    if (context_ != nullptr && context_->external_labels == config.external_labels) {
      context = context_;
    }
  }
  // Made whole before anything is touched, so that a mistake in one group changes none.
  std::vector<std::unique_ptr<Slot>> fresh;
  std::set<std::string> keys;
  for (config::RuleGroupConfig& group : config.groups) {
    const GroupOptions options = OptionsFor(group, config, should_restore);
    const std::string file = group.file;
    Result<std::unique_ptr<RuleGroup>> made = RuleGroup::Make(*context, std::move(group), options);
    if (!made.ok()) return made.status();
    if (!keys.insert((*made)->Key()).second) {
      return InvalidArgument(
          StrCat(file, ": group ", Quoted((*made)->config().name), " is there twice"));
    }
    fresh.push_back(std::make_unique<Slot>());
    fresh.back()->group = *std::move(made);
  }
  std::sort(fresh.begin(), fresh.end(),
            [](const auto& a, const auto& b) { return a->group->Key() < b->group->Key(); });

  std::shared_ptr<const RuleContext> older_context;  // Outlives the groups in `before`.
  std::map<std::string, std::unique_ptr<Slot>> before;
  const int64_t now_ms = clock_.NowMs();
  {
    MutexLock lock(mu_);
    // No group starts while this waits for those that run.
    updating_ = true;
    while (std::any_of(slots_.begin(), slots_.end(), [](const auto& s) { return s->running; })) {
      changed_.Wait(mu_);
    }
    for (auto& slot : slots_) before.emplace(slot->group->Key(), std::move(slot));
    for (auto& slot : fresh) {
      auto it = before.find(slot->group->Key());
      if (it == before.end()) {
        slot->next_t_ms = slot->group->SlotBefore(now_ms);
        // Something new begins at once only when its instant is fresh; else at the next.
        if (slot->next_t_ms < now_ms) slot->next_t_ms += slot->group->options().interval_ms;
        continue;
      }
      RuleGroup& older = *it->second->group;
      const bool same_context = context == context_;
      if (same_context && older.config() == slot->group->config() &&
          older.options().interval_ms == slot->group->options().interval_ms &&
          older.options().query_offset_ms == slot->group->options().query_offset_ms) {
        slot = std::move(it->second);
      } else {
        slot->group->TakeStateFrom(older);
        slot->next_t_ms = std::max(it->second->next_t_ms, slot->group->SlotBefore(now_ms));
        if (slot->group->options().interval_ms != older.options().interval_ms) {
          slot->next_t_ms = slot->group->SlotBefore(now_ms) + slot->group->options().interval_ms;
        }
      }
      before.erase(it);
    }
    slots_ = std::move(fresh);
    older_context = std::exchange(context_, std::move(context));
    loaded_once_ = true;
    updating_ = false;
    changed_.NotifyAll();
  }
  for (auto& [key, slot] : before) {
    slot->group->End(now_ms - slot->group->options().query_offset_ms);
  }
  return Status();
}

Ruler::Slot* Ruler::TakeDue(int64_t now_ms, int64_t& wait_ms) {
  Slot* best = nullptr;
  wait_ms = kMaxSleepMs;
  if (updating_) return nullptr;
  for (const auto& slot : slots_) {
    if (slot->running) continue;
    wait_ms = std::clamp<int64_t>(slot->next_t_ms - now_ms, 1, wait_ms);
    if (slot->next_t_ms <= now_ms && (best == nullptr || slot->next_t_ms < best->next_t_ms)) {
      best = slot.get();
    }
  }
  if (best != nullptr) best->running = true;
  return best;
}

void Ruler::FilledIn(int64_t t_ms) {
  MutexLock lock(mu_);
  filled_in_ns_ = clock_.MonotonicNs();
  for (const auto& slot : slots_) {
    const bool none = slot->refill_from_ms > slot->refill_to_ms;
    slot->refill_from_ms = none ? t_ms : std::min(slot->refill_from_ms, t_ms);
    slot->refill_to_ms = std::max(slot->refill_to_ms, t_ms + kRefillBeyondMs);
  }
}

void Ruler::RefillSlot(Slot& slot) {
  int64_t from_ms = 0, to_ms = 0;
  {
    MutexLock lock(mu_);
    const int64_t quiet_ns = clock_.MonotonicNs() - filled_in_ns_;
    if (slot.refill_from_ms > slot.refill_to_ms ||
        quiet_ns < options_.refill_quiet_ms * 1'000'000) {
      return;
    }
    from_ms = std::exchange(slot.refill_from_ms, 0);
    to_ms = std::exchange(slot.refill_to_ms, -1);
  }
  const int64_t next_ms = slot.group->Refill(from_ms, to_ms, kRefillAtOnce);
  if (next_ms > to_ms) return;
  MutexLock lock(mu_);
  const bool none = slot.refill_from_ms > slot.refill_to_ms;
  slot.refill_from_ms = none ? next_ms : std::min(slot.refill_from_ms, next_ms);
  slot.refill_to_ms = std::max(slot.refill_to_ms, to_ms);
}

void Ruler::RunSlot(Slot& slot, int64_t now_ms) {
  // `running` keeps the slot alive and everyone else's hands off it.
  const int64_t interval_ms = slot.group->options().interval_ms;
  uint64_t missed = 0;
  int64_t t_ms = 0;
  {
    MutexLock lock(mu_);
    t_ms = slot.next_t_ms;
  }
  if (now_ms - t_ms >= interval_ms) {
    missed = static_cast<uint64_t>((now_ms - t_ms) / interval_ms);
    t_ms += static_cast<int64_t>(missed) * interval_ms;
  }
  slot.group->Evaluate(t_ms, missed, sink_);
  RefillSlot(slot);
  MutexLock lock(mu_);
  slot.next_t_ms = t_ms + interval_ms;
  // A wall clock that was set back must not stop the rules until it has caught up.
  const int64_t back_at_ms = clock_.NowMs();
  if (slot.next_t_ms > back_at_ms + 2 * interval_ms) {
    slot.next_t_ms = slot.group->SlotBefore(back_at_ms) + interval_ms;
  }
  slot.running = false;
  changed_.NotifyAll();
}

void Ruler::Work() {
  while (true) {
    Slot* slot = nullptr;
    int64_t now_ms = 0;
    {
      MutexLock lock(mu_);
      while (!stopping_ && slot == nullptr) {
        now_ms = clock_.NowMs();
        int64_t wait_ms = 0;
        slot = TakeDue(now_ms, wait_ms);
        if (slot == nullptr) changed_.WaitFor(mu_, wait_ms);
      }
      if (stopping_) {
        if (slot != nullptr) slot->running = false;
        changed_.NotifyAll();
        return;
      }
    }
    RunSlot(*slot, now_ms);
  }
}

void Ruler::Start() {
  for (int i = 0; i < std::max(1, options_.max_concurrent_evals); ++i) {
    threads_.emplace_back([this] { Work(); });
    (void)pthread_setname_np(threads_.back().native_handle(), StrCat("rules ", i).c_str());
  }
}

void Ruler::Stop() {
  cancel_.Cancel();
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

void Ruler::EvaluateAt(int64_t t_ms) {
  std::vector<Slot*> all;
  {
    MutexLock lock(mu_);
    while (updating_ ||
           std::any_of(slots_.begin(), slots_.end(), [](const auto& s) { return s->running; })) {
      changed_.Wait(mu_);
    }
    for (const auto& slot : slots_) {
      slot->running = true;
      all.push_back(slot.get());
    }
  }
  for (Slot* slot : all) slot->group->Evaluate(t_ms, 0, sink_);
  MutexLock lock(mu_);
  for (Slot* slot : all) slot->running = false;
  changed_.NotifyAll();
}

void Ruler::EvaluateDue() {
  while (true) {
    const int64_t now_ms = clock_.NowMs();
    Slot* slot = nullptr;
    {
      MutexLock lock(mu_);
      int64_t wait_ms = 0;
      slot = TakeDue(now_ms, wait_ms);
    }
    if (slot == nullptr) return;
    RunSlot(*slot, now_ms);
  }
}

int64_t Ruler::NextDueMs() const {
  MutexLock lock(mu_);
  int64_t next_ms = INT64_MAX;
  for (const auto& slot : slots_) next_ms = std::min(next_ms, slot->next_t_ms);
  return next_ms;
}

std::vector<std::shared_ptr<const RuleGroupStatus>> Ruler::Groups() const {
  std::vector<std::shared_ptr<const RuleGroupStatus>> out;
  MutexLock lock(mu_);
  for (const auto& slot : slots_) out.push_back(slot->group->status());
  return out;
}

std::vector<config::RuleGroupConfig> Ruler::Configs() const {
  std::vector<config::RuleGroupConfig> out;
  MutexLock lock(mu_);
  for (const auto& slot : slots_) out.push_back(slot->group->config());
  return out;
}

std::vector<ActiveAlert> Ruler::Alerts() const {
  std::vector<ActiveAlert> out;
  for (const auto& group : Groups()) {
    for (const RuleStatus& rule : group->rules) {
      out.insert(out.end(), rule.alerts.begin(), rule.alerts.end());
    }
  }
  return out;
}

}  // namespace vedette::ruler
