#include "server/ruler/rule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <variant>

#include "common/base/strings.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/template/text_functions.h"
#include "server/template/time_format.h"

namespace vedette::ruler {
namespace {

constexpr std::string_view kAlertNameLabel = "alertname";
constexpr std::string_view kAlertStateLabel = "alertstate";
constexpr std::string_view kAlerts = "ALERTS";
constexpr std::string_view kAlertsForState = "ALERTS_FOR_STATE";

// How long a resolved alert is still told, so that a lost message does not leave it firing.
constexpr int64_t kResolvedRetentionMs = 15 * 60 * 1000;
// After the storage has refused samples: until every target has been scraped again.
constexpr int64_t kStandstillMs = 2 * 60 * 1000;

const std::vector<std::string>& TemplateVariables() {
  static const std::vector<std::string> kVariables = {"$labels", "$externalLabels", "$externalURL",
                                                      "$value"};
  return kVariables;
}

// A rule's expression gives a vector, or a scalar that becomes one sample without labels.
Result<promql::Vector> AsVector(promql::Value value, int64_t t_ms) {
  if (auto* vector = std::get_if<promql::Vector>(&value)) return std::move(*vector);
  if (auto* scalar = std::get_if<promql::Scalar>(&value)) {
    promql::Vector one(1);
    one[0].point = {.t_ms = t_ms, .value = scalar->value};
    return one;
  }
  return InvalidArgument("rule result is not a vector or scalar");
}

Labels LabelsOf(const std::map<std::string, std::string>& map) {
  LabelsBuilder b;
  for (const auto& [name, value] : map) b.Set(name, value);
  return b.Build();
}

}  // namespace

std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kInactive:
      return "inactive";
    case AlertState::kPending:
      return "pending";
    case AlertState::kFiring:
      return "firing";
  }
  return "unknown";
}

std::string_view RuleHealthName(RuleHealth health) {
  switch (health) {
    case RuleHealth::kUnknown:
      return "unknown";
    case RuleHealth::kOk:
      return "ok";
    case RuleHealth::kErr:
      return "err";
  }
  return "unknown";
}

Rule::Rule(const RuleContext& context, config::RuleConfig config, Labels labels,
           const std::string& group)
    : context_(context),
      config_(std::move(config)),
      labels_(std::move(labels)),
      origin_(StrCat(kRuleOrigin, config_.name(), " of ", group)),
      output_(context.appender, group) {}

Status Rule::Evaluate(int64_t t_ms, int64_t limit) {
  const int64_t started_ns = context_.clock.MonotonicNs();
  last_evaluation_ms_ = context_.clock.NowMs();
  samples_written_ = 0;
  const Status outcome = [&]() -> Status {
    VEDETTE_ASSIGN_OR_RETURN(
        promql::QueryAnswer answer,
        context_.engine.Run({.text = config_.expr,
                             .start_ms = t_ms,
                             .end_ms = t_ms,
                             .origin = origin_,
                             .urgent = true},
                            context_.cancel));
    VEDETTE_ASSIGN_OR_RETURN(promql::Vector vector, AsVector(std::move(answer.value), t_ms));
    VEDETTE_ASSIGN_OR_RETURN(std::vector<OutputSample> samples,
                             Interpret(t_ms, limit, std::move(vector)));
    const Result<uint64_t> written = output_.Write(t_ms, samples);
    if (written.status().code() == StatusCode::kUnavailable) refused_t_ms_ = t_ms;
    if (written.ok()) samples_written_ = *written;
    return written.status();
  }();
  evaluation_seconds_ = static_cast<double>(context_.clock.MonotonicNs() - started_ns) / 1e9;
  if (context_.events.rule_ran) context_.events.rule_ran(evaluation_seconds_);
  health_ = outcome.ok() ? RuleHealth::kOk : RuleHealth::kErr;
  last_error_ = std::string(outcome.message());
  return outcome.Annotate(StrCat("rule ", Quoted(config_.name())));
}

std::string Rule::Identity() const {
  return StrCat(config_.record.empty() ? "alert " : "record ", config_.name(), labels_.ToString());
}

void Rule::TakeStateFrom(Rule& older) {
  // The layout goes along, so what the new form of the rule no longer gives becomes stale.
  std::swap(output_, older.output_);
  health_ = older.health_;
  last_error_ = older.last_error_;
  evaluation_seconds_ = older.evaluation_seconds_;
  last_evaluation_ms_ = older.last_evaluation_ms_;
  refused_t_ms_ = older.refused_t_ms_;
}

RuleStatus Rule::BaseStatus() const {
  return {.name = config_.name(),
          .query = config_.expr,
          .labels = labels_,
          .annotations = LabelsOf(config_.annotations),
          .for_ms = config_.for_ms,
          .keep_firing_for_ms = config_.keep_firing_for_ms,
          .health = health_,
          .last_error = last_error_,
          .evaluation_seconds = evaluation_seconds_,
          .last_evaluation_ms = last_evaluation_ms_};
}

RuleStatus RecordingRule::status() const { return BaseStatus(); }

Result<std::vector<OutputSample>> RecordingRule::Interpret(int64_t t_ms, int64_t limit,
                                                           promql::Vector answer) {
  std::vector<OutputSample> out;
  out.reserve(answer.size());
  for (promql::VectorSample& s : answer) {
    LabelsBuilder b(s.metric);
    b.Set(kMetricNameLabel, config_.record);
    for (const auto& [name, value] : config_.labels) b.Set(name, value);
    out.push_back({b.Build(), s.point.value, std::move(s.point.histogram)});
  }
  std::sort(out.begin(), out.end(),
            [](const OutputSample& a, const OutputSample& b) { return a.labels < b.labels; });
  for (size_t i = 1; i < out.size(); ++i) {
    if (out[i].labels == out[i - 1].labels) {
      return FailedPrecondition(
          StrCat("vector contains metrics with the same labelset after applying rule labels: ",
                 out[i].labels.ToString()));
    }
  }
  if (limit > 0 && static_cast<int64_t>(out.size()) > limit) {
    return ResourceExhausted(StrCat("exceeded limit of ", limit, " with ", out.size(), " series"));
  }
  return out;
}

Result<uint64_t> RecordingRule::Refill(int64_t t_ms, int64_t limit) {
  const auto ask = [&](const std::string& text, std::optional<int64_t> lookback_ms) {
    return context_.engine.Run(
        {.text = text, .start_ms = t_ms, .end_ms = t_ms, .lookback_ms = lookback_ms},
        context_.cancel);
  };
  VEDETTE_ASSIGN_OR_RETURN(promql::QueryAnswer answer, ask(config_.expr, std::nullopt));
  VEDETTE_ASSIGN_OR_RETURN(promql::Vector vector, AsVector(std::move(answer.value), t_ms));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<OutputSample> samples,
                           Interpret(t_ms, limit, std::move(vector)));
  if (samples.empty()) return 0;
  // A lookback of a millisecond: what stands at this very instant.
  VEDETTE_ASSIGN_OR_RETURN(promql::QueryAnswer there,
                           ask(StrCat("{__name__=", Quoted(config_.record), "}"), int64_t{1}));
  if (const auto* stored = std::get_if<promql::Vector>(&there.value)) {
    std::set<Labels> has;
    for (const promql::VectorSample& s : *stored) has.insert(s.metric);
    std::erase_if(samples, [&](const OutputSample& s) { return has.contains(s.labels); });
  }
  if (samples.empty()) return 0;
  if (filler_ == nullptr) filler_ = context_.appender.OpenTimeline(config_.record);
  for (const OutputSample& s : samples) {
    if (filler_places_.contains(s.labels)) continue;
    VEDETTE_ASSIGN_OR_RETURN(filler_places_[s.labels], filler_->AddSeries(s.labels));
  }
  std::vector<double> values(filler_places_.size(), kAbsent);
  std::vector<storage::HistogramAt> histograms;
  for (const OutputSample& s : samples) {
    const uint32_t place = filler_places_[s.labels];
    if (s.histogram != nullptr) {
      histograms.push_back({place, s.histogram});
    } else {
      values[place] = s.value;
    }
  }
  VEDETTE_RETURN_IF_ERROR(
      filler_->Commit({.t_ms = t_ms, .values = values, .histograms = histograms, .backfill = true})
          .status());
  return samples.size();
}

void RecordingRule::EndRefill() {
  filler_.reset();
  filler_places_.clear();
}

AlertingRule::AlertingRule(const RuleContext& context, config::RuleConfig config, Labels labels,
                           const std::string& group, bool restored)
    : Rule(context, std::move(config), std::move(labels), group), restored_(restored) {}

Result<std::unique_ptr<AlertingRule>> AlertingRule::Make(const RuleContext& context,
                                                         config::RuleConfig config, Labels labels,
                                                         const std::string& group, bool restored) {
  std::unique_ptr<AlertingRule> rule(
      new AlertingRule(context, std::move(config), std::move(labels), group, restored));
  VEDETTE_RETURN_IF_ERROR(rule->PrepareTemplates());
  if (context.condition) rule->condition_ = context.condition(rule->config_.expr);
  return rule;
}

Status AlertingRule::PrepareTemplates() {
  functions_ = tmpl::PrometheusFunctions(
      {.external_url = context_.external_url,
       .query = [this](const std::string& query) { return TemplateQuery(query); },
       .clock = &context_.clock});
  external_labels_value_ = tmpl::LabelsValue(context_.external_labels);
  const std::string name = StrCat("__alert_", config_.alert);
  auto prepare = [&](const auto& texts, std::string_view what, TemplateList& list) -> Status {
    for (const auto& [key, text] : texts) {
      tmpl::Template t(functions_);
      if (Status s = t.Parse(name, text, TemplateVariables()); !s.ok()) {
        return s.Annotate(StrCat(what, " ", Quoted(key)));
      }
      list.emplace_back(key, std::move(t));
    }
    return Status();
  };
  VEDETTE_RETURN_IF_ERROR(prepare(config_.labels, "label", label_templates_));
  return prepare(config_.annotations, "annotation", annotation_templates_);
}

Result<std::vector<tmpl::QuerySample>> AlertingRule::TemplateQuery(const std::string& query) const {
  VEDETTE_ASSIGN_OR_RETURN(
      promql::QueryAnswer answer,
      context_.engine.Run({.text = query, .start_ms = now_ms_, .end_ms = now_ms_, .origin = "template", .urgent = true},
                          context_.cancel));
  std::vector<tmpl::QuerySample> out;
  if (auto* vector = std::get_if<promql::Vector>(&answer.value)) {
    for (promql::VectorSample& s : *vector) {
      out.push_back({std::move(s.metric), s.point.value, ""});
    }
  } else if (auto* scalar = std::get_if<promql::Scalar>(&answer.value)) {
    out.push_back({Labels(), scalar->value, ""});
  } else if (auto* text = std::get_if<promql::String>(&answer.value)) {
    out.push_back({Labels(), 0, text->value});
  } else {
    return InvalidArgument("a range vector cannot be used in a template");
  }
  return out;
}

Labels AlertingRule::ForStateLabels(const Labels& alert) const {
  LabelsBuilder b(alert);
  b.Set(kMetricNameLabel, kAlertsForState);
  b.Set(kAlertNameLabel, config_.alert);
  return b.Build();
}

Result<std::vector<OutputSample>> AlertingRule::Interpret(int64_t t_ms, int64_t limit,
                                                          promql::Vector answer) {
  now_ms_ = t_ms;
  std::map<Labels, ActiveEntry> found;
  const std::string template_name = StrCat("__alert_", config_.alert);
  for (const promql::VectorSample& s : answer) {
    const tmpl::Value labels = tmpl::LabelsValue(s.metric);
    const tmpl::Value value(s.point.value);
    const tmpl::Value data(tmpl::Map{{"Labels", labels},
                                     {"ExternalLabels", external_labels_value_},
                                     {"ExternalURL", tmpl::Value(context_.external_url)},
                                     {"Value", value}});
    const std::vector<tmpl::Value> variables = {labels, external_labels_value_,
                                                tmpl::Value(context_.external_url), value};
    auto expand = [&](const tmpl::Template& t) {
      Result<std::string> text = t.Execute(template_name, data, {}, variables);
      if (context_.events.template_expanded) context_.events.template_expanded(text.ok());
      if (text.ok()) return *std::move(text);
      // The mistake shows where people will look; the alert is told all the same.
      return StrCat("<error expanding template: error executing template ", template_name, ": ",
                    text.status().message(), ">");
    };
    LabelsBuilder b(s.metric);
    b.Delete(kMetricNameLabel);
    for (const auto& [name, t] : label_templates_) b.Set(name, expand(t));
    b.Set(kAlertNameLabel, config_.alert);
    LabelsBuilder annotations;
    for (const auto& [name, t] : annotation_templates_) annotations.Set(name, expand(t));
    ActiveEntry entry{.labels = b.Build(),
                      .annotations = annotations.Build(),
                      .source = s.metric.WithoutName(),
                      .value = s.point.value,
                      .active_at_ms = t_ms};
    const Labels key = entry.labels;
    if (!found.emplace(key, std::move(entry)).second) {
      return FailedPrecondition(
          StrCat("vector contains metrics with the same labelset after applying alert labels: ",
                 key.ToString()));
    }
  }

  ++round_;
  for (auto& [key, entry] : found) {
    auto it = active_.find(key);
    if (it != active_.end() && it->second.state != AlertState::kInactive) {
      it->second.value = entry.value;
      it->second.annotations = std::move(entry.annotations);
      it->second.source = std::move(entry.source);
      it->second.round = round_;
    } else {
      entry.round = round_;
      active_.insert_or_assign(key, std::move(entry));
    }
  }

  std::vector<OutputSample> out;
  std::vector<ActiveEntry*> ended;
  int64_t live = 0;
  const bool standstill = refused_t_ms_ != kNever && t_ms - refused_t_ms_ < kStandstillMs;
  for (auto it = active_.begin(); it != active_.end();) {
    ActiveEntry& a = it->second;
    if (a.round != round_) {
      bool keep = a.state == AlertState::kFiring && standstill;
      if (a.state == AlertState::kFiring && config_.keep_firing_for_ms > 0) {
        if (a.keep_firing_since_ms == 0) a.keep_firing_since_ms = t_ms;
        keep = keep || t_ms - a.keep_firing_since_ms < config_.keep_firing_for_ms;
      }
      if (a.state == AlertState::kPending ||
          (a.resolved_at_ms != 0 && t_ms - a.resolved_at_ms > kResolvedRetentionMs)) {
        it = active_.erase(it);
        continue;
      }
      if (!keep) {
        if (a.state != AlertState::kInactive) {
          a.state = AlertState::kInactive;
          a.resolved_at_ms = t_ms;
          ended.push_back(&a);
        }
        ++it;
        continue;
      }
    } else {
      a.keep_firing_since_ms = 0;
    }
    ++live;
    if (a.state == AlertState::kPending && t_ms - a.active_at_ms >= config_.for_ms) {
      a.state = AlertState::kFiring;
      a.fired_at_ms = t_ms;
      a.evidence = {
          .at_fire = a.value, .worst = a.value, .worst_at_ms = t_ms, .graph_url = GraphUrl(t_ms)};
    }
    const bool lower = condition_ && condition_->lower_is_worse;
    if (a.state == AlertState::kFiring &&
        (lower ? a.value < a.evidence.worst : a.value > a.evidence.worst)) {
      a.evidence.worst = a.value;
      a.evidence.worst_at_ms = t_ms;
    }
    if (restored_) {
      LabelsBuilder b(a.labels);
      b.Set(kMetricNameLabel, kAlerts);
      b.Set(kAlertStateLabel, AlertStateName(a.state));
      out.push_back({b.Build(), 1});
      out.push_back(
          {ForStateLabels(a.labels), std::floor(static_cast<double>(a.active_at_ms) / 1000)});
    }
    ++it;
  }
  if (!ended.empty()) MeasureEnds(t_ms, ended);
  if (limit > 0 && live > limit) {
    active_.clear();
    return ResourceExhausted(StrCat("exceeded limit of ", limit, " with ", live, " alerts"));
  }
  return out;
}

void AlertingRule::MeasureEnds(int64_t t_ms, const std::vector<ActiveEntry*>& ended) {
  if (!condition_) return;
  const Result<promql::QueryAnswer> answer = context_.engine.Run(
      {.text = condition_->measured, .start_ms = t_ms, .end_ms = t_ms}, context_.cancel);
  // Evidence is a courtesy: without it the end is told all the same.
  if (!answer.ok()) return;
  const auto* vector = std::get_if<promql::Vector>(&answer->value);
  if (vector == nullptr) return;
  std::map<Labels, double> values;
  for (const promql::VectorSample& s : *vector) values[s.metric.WithoutName()] = s.point.value;
  for (ActiveEntry* a : ended) {
    if (const auto found = values.find(a->source); found != values.end()) {
      a->evidence.at_resolve = found->second;
    }
  }
}

// An hour of the measured expression, the time of firing in its middle.
std::string AlertingRule::GraphUrl(int64_t t_ms) const {
  constexpr int64_t kHalfMs = 30 * 60 * 1000;
  const std::string end = tmpl::FormatRfc3339((t_ms + kHalfMs) / 1000 * 1000);
  std::string time;
  for (const char c : end.substr(11, 8)) time += c == ':' ? std::string("%3A") : std::string(1, c);
  return StrCat(context_.external_url,
                tmpl::GraphLink(condition_ ? condition_->measured : config_.expr),
                "&g0.range_input=1h&g0.end_input=", end.substr(0, 10), "%20", time);
}

RuleStatus AlertingRule::status() const {
  RuleStatus s = BaseStatus();
  s.alerting = true;
  for (const auto& [key, a] : active_) {
    if (a.state == AlertState::kInactive) continue;
    s.state = std::max(s.state, a.state);
    s.alerts.push_back({.labels = a.labels,
                        .annotations = a.annotations,
                        .state = a.state,
                        .active_at_ms = a.active_at_ms,
                        .keep_firing_since_ms = a.keep_firing_since_ms,
                        .value = a.value});
  }
  return s;
}

void AlertingRule::TakeStateFrom(Rule& older) {
  Rule::TakeStateFrom(older);
  if (auto* alerting = dynamic_cast<AlertingRule*>(&older)) {
    active_ = std::move(alerting->active_);
    for (auto& [key, a] : active_) a.round = 0;
    restored_ = alerting->restored_;
  }
}

Status AlertingRule::Restore(int64_t t_ms, const RestoreOptions& options) {
  if (restored_) return Status();
  restored_ = true;
  // With a `for` shorter than the grace period an alert fires sooner by starting over.
  if (config_.for_ms < options.grace_period_ms || active_.empty()) return Status();
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<storage::Querier> querier,
                           context_.queryable.Open(t_ms - options.outage_tolerance_ms, t_ms));
  const Matcher matchers[] = {Matcher::Equal(kMetricNameLabel, kAlertsForState),
                              Matcher::Equal(kAlertNameLabel, config_.alert)};
  std::unique_ptr<storage::SeriesSet> set =
      querier->Select({.start_ms = t_ms - options.outage_tolerance_ms, .end_ms = t_ms}, matchers);
  std::map<Labels, Sample> last;
  while (set->Next()) {
    const storage::SeriesColumns& series = set->at();
    if (series.t_ms.empty()) continue;
    last[series.labels] = {series.t_ms.back(), series.values[series.t_ms.size() - 1]};
  }
  VEDETTE_RETURN_IF_ERROR(set->status());
  for (auto& [key, a] : active_) {
    auto it = last.find(ForStateLabels(a.labels));
    // A stale marker: it was over before the outage.
    if (it == last.end() || std::isnan(it->second.value)) continue;
    const int64_t down_at_ms = it->second.t_ms;
    int64_t active_at_ms = static_cast<int64_t>(it->second.value) * 1000;
    const int64_t remaining_ms = config_.for_ms - (down_at_ms - active_at_ms);
    if (remaining_ms > 0 && remaining_ms < options.grace_period_ms) {
      // It was about to fire: give what is down with us the grace period to come back.
      active_at_ms = t_ms + options.grace_period_ms - config_.for_ms;
    } else if (remaining_ms > 0) {
      active_at_ms += t_ms - down_at_ms;  // The outage does not count as time pending.
    }
    a.active_at_ms = active_at_ms;
  }
  return Status();
}

std::vector<Alert> AlertingRule::TakeDue(int64_t t_ms, int64_t resend_delay_ms,
                                         int64_t interval_ms) {
  std::vector<Alert> due;
  for (auto& [key, a] : active_) {
    if (a.state == AlertState::kPending || a.fired_at_ms == 0) continue;
    const bool resolved = a.resolved_at_ms != 0;
    const bool news = a.last_sent_ms == 0 || (resolved && a.resolved_at_ms > a.last_sent_ms);
    if (!news && a.last_sent_ms + resend_delay_ms >= t_ms) continue;
    a.last_sent_ms = t_ms;
    // External labels say which server it was; what the alert itself says wins.
    LabelsBuilder b(context_.external_labels);
    for (const Label& l : a.labels) b.Set(l.name, l.value);
    due.push_back({.labels = b.Build(),
                   .annotations = a.annotations,
                   .starts_at_ms = a.fired_at_ms,
                   .ends_at_ms = resolved ? a.resolved_at_ms
                                          : t_ms + 4 * std::max(interval_ms, resend_delay_ms),
                   .generator_url = context_.external_url + tmpl::TableLink(config_.expr),
                   .evidence = a.evidence});
  }
  return due;
}

}  // namespace vedette::ruler
