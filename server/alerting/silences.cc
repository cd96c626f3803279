// Silences: what must not be told for a while.
#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "server/alerting/alerting.h"
#include "server/alerting/keys.h"

namespace vedette::alerting {
namespace {

// The one interval of a silence that recurs has no name of its own.
constexpr const char* kWindow = "";
constexpr size_t kMaxSilenceBytes = 64 << 10;

}  // namespace

std::string_view SilenceStateName(SilenceState state) {
  switch (state) {
    case SilenceState::kPending:
      return "pending";
    case SilenceState::kActive:
      return "active";
    case SilenceState::kExpired:
      return "expired";
  }
  return "expired";
}

SilenceState Alerting::HeldSilence::StateAt(int64_t now_ms) const {
  if (now_ms >= silence.ends_at_ms) return SilenceState::kExpired;
  if (now_ms < silence.starts_at_ms) return SilenceState::kPending;
  if (windows != nullptr && !windows->Active(kWindow, now_ms)) return SilenceState::kPending;
  return SilenceState::kActive;
}

Result<Alerting::HeldSilence> Alerting::Hold(Silence silence) {
  HeldSilence held;
  if (silence.recurrence) {
    const config::NamedTimeInterval named[] = {{kWindow, {*silence.recurrence}}};
    VEDETTE_ASSIGN_OR_RETURN(Intervals windows, Intervals::Make(named));
    held.windows = std::make_shared<const Intervals>(std::move(windows));
  }
  held.silence = std::move(silence);
  return held;
}

Result<std::string> Alerting::SetSilence(Silence s) {
  const int64_t now_ms = clock_.NowMs();
  if (s.matchers.empty()) return InvalidArgument("invalid silence: at least one matcher required");
  if (std::all_of(s.matchers.begin(), s.matchers.end(),
                  [](const Matcher& m) { return m.MatchesEmpty(); })) {
    return InvalidArgument("invalid silence: at least one matcher must not match the empty string");
  }
  if (s.ends_at_ms <= s.starts_at_ms) {
    return InvalidArgument("invalid silence: end time must be after start time");
  }
  if (s.ends_at_ms <= now_ms) {
    return InvalidArgument("invalid silence: end time can't be in the past");
  }
  if (Encode(s).size() > kMaxSilenceBytes) {
    return InvalidArgument(
        StrCat("invalid silence: over the limit of ", kMaxSilenceBytes, " bytes"));
  }
  MutexLock lock(mu_);
  std::vector<storage::KeyValue::Change> changes;
  std::optional<HeldSilence> expired;
  if (!s.id.empty()) {
    auto it = silences_.find(s.id);
    if (it == silences_.end()) return NotFound(StrCat("silence ", Quoted(s.id), " not found"));
    const Silence& older = it->second.silence;
    const SilenceState state = it->second.StateAt(now_ms);
    const bool begun = older.starts_at_ms <= now_ms;
    const bool in_place = older.matchers == s.matchers && state != SilenceState::kExpired &&
                          (!begun || older.starts_at_ms == s.starts_at_ms);
    if (!in_place) {
      if (state != SilenceState::kExpired) {
        expired = it->second;
        expired->silence.ends_at_ms = now_ms;
        if (!begun) expired->silence.starts_at_ms = now_ms;
        expired->silence.updated_at_ms = now_ms;
        changes.push_back({StrCat(kSilencePrefix, expired->silence.id), Encode(expired->silence)});
      }
      s.id.clear();
    }
  }
  if (s.id.empty()) {
    if (silences_.size() >= options_.max_silences) {
      return ResourceExhausted(StrCat("over the limit of ", options_.max_silences, " silences"));
    }
    s.id = options_.new_id();
    s.starts_at_ms = std::max(s.starts_at_ms, now_ms);  // Nothing is silenced in the past.
  }
  s.updated_at_ms = now_ms;
  const std::string id = s.id;
  Result<HeldSilence> held = Hold(std::move(s));
  if (!held.ok()) return held.status().Annotate("invalid silence");
  changes.push_back({StrCat(kSilencePrefix, id), Encode(held->silence)});
  VEDETTE_RETURN_IF_ERROR(store_.Apply(changes, /*sync=*/true));
  if (expired) silences_.insert_or_assign(expired->silence.id, *expired);
  silences_.insert_or_assign(id, *std::move(held));
  return id;
}

Status Alerting::ExpireSilence(std::string_view id) {
  const int64_t now_ms = clock_.NowMs();
  MutexLock lock(mu_);
  auto it = silences_.find(id);
  if (it == silences_.end()) return NotFound(StrCat("silence ", Quoted(id), " not found"));
  Silence s = it->second.silence;
  if (it->second.StateAt(now_ms) == SilenceState::kExpired) {
    return FailedPrecondition(StrCat("silence ", id, " already expired"));
  }
  s.starts_at_ms = std::min(s.starts_at_ms, now_ms);
  s.ends_at_ms = now_ms;
  s.updated_at_ms = now_ms;
  const storage::KeyValue::Change change[] = {{StrCat(kSilencePrefix, id), Encode(s)}};
  VEDETTE_RETURN_IF_ERROR(store_.Apply(change, /*sync=*/true));
  it->second.silence = std::move(s);
  return Status();
}

std::vector<SilenceView> Alerting::Silences() const {
  const int64_t now_ms = clock_.NowMs();
  MutexLock lock(mu_);
  std::vector<SilenceView> out;
  for (const auto& [id, s] : silences_) out.push_back({s.silence, s.StateAt(now_ms)});
  return out;
}

std::optional<SilenceView> Alerting::FindSilence(std::string_view id) const {
  const int64_t now_ms = clock_.NowMs();
  MutexLock lock(mu_);
  auto it = silences_.find(id);
  if (it == silences_.end()) return std::nullopt;
  return SilenceView{it->second.silence, it->second.StateAt(now_ms)};
}

std::vector<std::string> Alerting::SilencedBy(const Labels& alert, int64_t now_ms) const {
  std::vector<std::string> out;
  for (const auto& [id, s] : silences_) {
    if (AllMatch(s.silence.matchers, alert) && s.StateAt(now_ms) == SilenceState::kActive) {
      out.push_back(id);
    }
  }
  return out;
}

// An alert like any other, so that it takes the routes its readers chose.
std::vector<Alert> Alerting::DueReminders(int64_t now_ms) {
  std::vector<Alert> out;
  for (const auto& [id, held] : silences_) {
    const Silence& s = held.silence;
    if (s.remind_before_ms <= 0 || now_ms < s.starts_at_ms || now_ms >= s.ends_at_ms ||
        now_ms < s.ends_at_ms - s.remind_before_ms) {
      continue;
    }
    std::string what;
    for (const Matcher& m : s.matchers) StrAppend(what, what.empty() ? "" : ", ", m.ToString());
    const auto silenced = std::count_if(alerts_.begin(), alerts_.end(), [&](const auto& entry) {
      return !entry.second.alert.resolved_at(now_ms) && AllMatch(s.matchers, entry.first);
    });
    out.push_back({.labels = Labels::Of({{"alertname", "SilenceExpiring"},
                                         {"silence_id", id},
                                         {"created_by", s.created_by},
                                         {"severity", "info"}}),
                   .annotations = Labels::Of(
                       {{"summary", StrCat("The silence of {", what, "} ends soon")},
                        {"description", StrCat("It holds back ", silenced, " alerts now. Comment: ",
                                               s.comment, ". Extend it, or let it end.")}}),
                   .starts_at_ms = s.ends_at_ms - s.remind_before_ms,
                   .ends_at_ms = s.ends_at_ms});
  }
  return out;
}

}  // namespace vedette::alerting
