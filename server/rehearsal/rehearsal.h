#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/alertmanager.h"
#include "common/config/rules.h"
#include "common/model/labels.h"
#include "server/alerting/record.h"
#include "server/promql/engine.h"
#include "server/rehearsal/messages.h"
#include "server/storage/queryable.h"

namespace vedette::rehearsal {

// What is tried out, and over which time.
struct Plan {
  std::vector<config::RuleGroupConfig> groups;
  config::AlertmanagerConfig alertmanager;  // With a route: the loader refuses one without.
  std::vector<alerting::Silence> silences;
  int64_t from_ms = 0;
  int64_t to_ms = 0;
  int64_t evaluation_interval_ms = 60'000;
  Labels external_labels;
  std::string external_url;
  promql::EngineOptions query;
};

// One alert from its firing to its end.
struct Firing {
  Labels labels;
  Labels annotations;          // The last ones.
  int64_t fired_at_ms = 0;     // May be before Plan::from_ms: it fired already.
  int64_t resolved_at_ms = 0;  // 0: it still fires at the end.
};

struct RuleError {
  std::string rule;  // group/name
  std::string error;
};

struct Report {
  std::vector<Firing> firings;    // In order of firing.
  std::vector<Message> messages;  // In order of sending.
  std::vector<RuleError> errors;  // The last of each rule.
  uint64_t evaluations = 0;       // Of rules.
  uint64_t queries = 0;           // That it took.
};

// Runs rules, routes, inhibitions, silences and receivers over stored history, as they would have
// run then: the very code that serves, under a clock that is moved by hand, with nobody at the
// other end. Nothing is written to the storage. Rules start a while before `from`, so that what was
// pending or firing then is so here. kCancelled when `cancel` is set.
Result<Report> Rehearse(const Plan& plan, const storage::Queryable& history,
                        const promql::CancelFlag* cancel);

// What differs between two reports of the same history: firings and messages that only one has.
// Two firings are the same when labels and times agree; messages when all but the exact second
// does.
struct Difference {
  std::vector<Firing> firings_gone, firings_new;
  std::vector<Message> messages_gone, messages_new;
};
Difference Compare(const Report& before, const Report& after);

// JSON of POST /api/v1/rehearse.
std::string ReportJson(const Report& report);
std::string DifferenceJson(const Difference& difference);

}  // namespace vedette::rehearsal
