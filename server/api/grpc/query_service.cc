#include "server/api/grpc/query_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/mutex.h"
#include "common/rpc/grpc_status.h"
#include "proto/vedette/v1/query.grpc.pb.h"

namespace vedette::api {
namespace {

// How often a running query looks whether its client is still there.
constexpr int64_t kCancelPollMs = 100;
// Points in one message of a range answer: well under every client's limit of 4 MiB.
constexpr int kPointsPerMessage = 50'000;

// Watches a call while its query runs, on a thread of its own, because the synchronous API tells of
// a cancellation only when asked.
class CancelWatch {
 public:
  explicit CancelWatch(grpc::ServerContext* context)
      : watcher_([this, context] {
          MutexLock lock(mu_);
          while (!done_) {
            if (context->IsCancelled()) flag_.Cancel();
            wake_.WaitFor(mu_, kCancelPollMs);
          }
        }) {}
  ~CancelWatch() {
    {
      MutexLock lock(mu_);
      done_ = true;
    }
    wake_.NotifyAll();
    watcher_.join();
  }
  const promql::CancelFlag* flag() const { return &flag_; }

 private:
  promql::CancelFlag flag_;
  Mutex mu_;
  CondVar wake_;
  bool done_ VEDETTE_GUARDED_BY(mu_) = false;
  std::thread watcher_;
};

template <typename Map>
void SetLabels(const Labels& labels, Map* out) {
  for (const Label& l : labels) (*out)[std::string(l.name)] = std::string(l.value);
}

// The bounds of bucket `index` of an exponential histogram or of one with custom bounds.
double UpperBound(const Histogram& h, int32_t index) {
  if (h.schema != Histogram::kCustomSchema) {
    return std::exp2(std::ldexp(static_cast<double>(index), -h.schema));
  }
  return index >= 0 && static_cast<size_t>(index) < h.custom_values.size()
             ? h.custom_values[static_cast<size_t>(index)]
             : std::numeric_limits<double>::infinity();
}

void SetHistogram(int64_t t_ms, const Histogram& h, v1::HistogramPoint* out) {
  out->set_time_ms(t_ms);
  out->set_count(h.count);
  out->set_sum(h.sum);
  const auto visit = [&](const std::vector<Histogram::Span>& spans,
                         const std::vector<double>& counts, bool negative) {
    int32_t index = 0;
    size_t at = 0;
    for (const Histogram::Span& s : spans) {
      index += s.offset;
      for (uint32_t i = 0; i < s.length && at < counts.size(); ++i, ++index) {
        const double count = counts[at++];
        if (count == 0) continue;
        const double upper = UpperBound(h, index);
        const double lower = h.schema == Histogram::kCustomSchema && index == 0
                                 ? -std::numeric_limits<double>::infinity()
                                 : UpperBound(h, index - 1);
        v1::HistogramBucket* b = out->add_buckets();
        b->set_lower(negative ? -upper : lower);
        b->set_upper(negative ? -lower : upper);
        b->set_lower_inclusive(negative);
        b->set_upper_inclusive(!negative);
        b->set_count(count);
      }
    }
  };
  visit(h.negative_spans, h.negative_buckets, true);
  if (h.zero_count != 0) {
    v1::HistogramBucket* b = out->add_buckets();
    b->set_lower(-h.zero_threshold);
    b->set_upper(h.zero_threshold);
    b->set_lower_inclusive(true);
    b->set_upper_inclusive(true);
    b->set_count(h.zero_count);
  }
  visit(h.positive_spans, h.positive_buckets, false);
}

void AddPoint(const promql::Point& p, v1::Series* out) {
  if (p.histogram) {
    SetHistogram(p.t_ms, *p.histogram, out->add_histograms());
  } else {
    out->add_times_ms(p.t_ms);
    out->add_values(p.value);
  }
}

void SetStats(const promql::QueryStats& s, v1::QueryStats* out) {
  out->set_series(s.series);
  out->set_samples(s.samples_read);
  out->set_peak_samples(s.peak_samples);
  out->set_eval_seconds(s.prepare_seconds + s.eval_seconds);
}

template <typename Response>
void SetNotes(const promql::QueryAnswer& answer, Response* out) {
  for (const std::string& w : answer.warnings) out->add_warnings(w);
  for (const std::string& i : answer.infos) out->add_infos(i);
  SetStats(answer.stats, out->mutable_stats());
}

void SetAlert(const ruler::ActiveAlert& a, v1::Alert* out) {
  SetLabels(a.labels, out->mutable_labels());
  SetLabels(a.annotations, out->mutable_annotations());
  out->set_state(std::string(ruler::AlertStateName(a.state)));
  out->set_active_at_ms(a.active_at_ms);
  out->set_value(a.value);
}

class QueryServiceImpl final : public v1::QueryService::Service {
 public:
  explicit QueryServiceImpl(const QueryBackends& backends) : b_(backends) {}

  grpc::Status Query(grpc::ServerContext* context, const v1::QueryRequest* request,
                     v1::QueryResponse* response) override {
    promql::Query query;
    query.text = request->query();
    query.start_ms = request->time_ms() != 0 ? request->time_ms() : b_.clock->NowMs();
    query.end_ms = query.start_ms;
    if (request->timeout_ms() > 0) query.timeout_ms = request->timeout_ms();
    if (request->lookback_ms() > 0) query.lookback_ms = request->lookback_ms();
    const CancelWatch watch(context);
    Result<promql::QueryAnswer> answer = b_.engine->Run(query, watch.flag());
    if (!answer.ok()) return rpc::ToGrpcStatus(answer.status());
    SetNotes(*answer, response);
    const uint64_t limit = request->limit() > 0 ? request->limit() : UINT64_MAX;
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, promql::Scalar>) {
            response->set_type(v1::RESULT_TYPE_SCALAR);
            response->mutable_scalar()->set_time_ms(value.t_ms);
            response->mutable_scalar()->set_value(value.value);
          } else if constexpr (std::is_same_v<T, promql::String>) {
            response->set_type(v1::RESULT_TYPE_STRING);
            response->set_string_value(value.value);
          } else {
            constexpr bool kVector = std::is_same_v<T, promql::Vector>;
            response->set_type(kVector ? v1::RESULT_TYPE_VECTOR : v1::RESULT_TYPE_MATRIX);
            for (uint64_t i = 0; i < value.size() && i < limit; ++i) {
              v1::Series* out = response->add_series();
              SetLabels(value[i].metric, out->mutable_labels());
              if constexpr (kVector) {
                AddPoint(value[i].point, out);
              } else {
                for (const promql::Point& p : value[i].points) AddPoint(p, out);
              }
            }
          }
        },
        answer->value);
    return grpc::Status::OK;
  }

  grpc::Status QueryRange(grpc::ServerContext* context, const v1::QueryRangeRequest* request,
                          grpc::ServerWriter<v1::QueryRangeResponse>* writer) override {
    if (request->step_ms() <= 0) {
      return rpc::ToGrpcStatus(InvalidArgument("step_ms must be greater than zero"));
    }
    if (request->end_ms() < request->start_ms()) {
      return rpc::ToGrpcStatus(InvalidArgument("end_ms must not be before start_ms"));
    }
    promql::Query query;
    query.text = request->query();
    query.start_ms = request->start_ms();
    query.end_ms = request->end_ms();
    query.step_ms = request->step_ms();
    if (request->timeout_ms() > 0) query.timeout_ms = request->timeout_ms();
    if (request->lookback_ms() > 0) query.lookback_ms = request->lookback_ms();
    const CancelWatch watch(context);
    Result<promql::QueryAnswer> answer = b_.engine->Run(query, watch.flag());
    if (!answer.ok()) return rpc::ToGrpcStatus(answer.status());
    const uint64_t limit = request->limit() > 0 ? request->limit() : UINT64_MAX;
    v1::QueryRangeResponse message;
    if (const auto* matrix = std::get_if<promql::Matrix>(&answer->value)) {
      int points = 0;
      for (uint64_t i = 0; i < matrix->size() && i < limit; ++i) {
        v1::Series* out = message.add_series();
        SetLabels((*matrix)[i].metric, out->mutable_labels());
        for (const promql::Point& p : (*matrix)[i].points) AddPoint(p, out);
        points += static_cast<int>((*matrix)[i].points.size());
        if (points < kPointsPerMessage) continue;
        if (!writer->Write(message)) return grpc::Status::CANCELLED;
        message.Clear();
        points = 0;
      }
    }
    SetNotes(*answer, &message);
    return writer->Write(message) ? grpc::Status::OK : grpc::Status::CANCELLED;
  }

  grpc::Status Series(grpc::ServerContext*, const v1::SeriesRequest* request,
                      v1::SeriesResponse* response) override {
    if (request->matchers().empty()) {
      return rpc::ToGrpcStatus(InvalidArgument("at least one matcher is needed, such as up"));
    }
    std::vector<Labels> found;
    const Status status = ForEachSelector<Labels>(
        *request, request->limit(), found, *response,
        [](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
          return q.SeriesLabels(matchers, limit);
        });
    if (!status.ok()) return rpc::ToGrpcStatus(status);
    for (const Labels& l : found) SetLabels(l, response->add_series()->mutable_labels());
    return grpc::Status::OK;
  }

  grpc::Status LabelNames(grpc::ServerContext*, const v1::LabelNamesRequest* request,
                          v1::LabelNamesResponse* response) override {
    std::vector<std::string> found;
    const Status status = ForEachSelector<std::string>(
        *request, request->limit(), found, *response,
        [](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
          return q.LabelNames(matchers, limit);
        });
    if (!status.ok()) return rpc::ToGrpcStatus(status);
    for (std::string& s : found) response->add_names(std::move(s));
    return grpc::Status::OK;
  }

  grpc::Status LabelValues(grpc::ServerContext*, const v1::LabelValuesRequest* request,
                           v1::LabelValuesResponse* response) override {
    if (request->name().empty()) {
      return rpc::ToGrpcStatus(InvalidArgument("name must be the name of a label, such as job"));
    }
    std::vector<std::string> found;
    const Status status = ForEachSelector<std::string>(
        *request, request->limit(), found, *response,
        [&](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
          return q.LabelValues(request->name(), matchers, limit);
        });
    if (!status.ok()) return rpc::ToGrpcStatus(status);
    for (std::string& s : found) response->add_values(std::move(s));
    return grpc::Status::OK;
  }

  grpc::Status Targets(grpc::ServerContext*, const v1::TargetsRequest* request,
                       v1::TargetsResponse* response) override {
    for (const scrape::TargetStatus& s : b_.scrapes->Targets(request->scrape_pool())) {
      v1::Target* out = response->add_active();
      SetLabels(s.target->discovered_labels, out->mutable_discovered_labels());
      SetLabels(s.target->labels, out->mutable_labels());
      out->set_scrape_pool(s.target->job);
      out->set_scrape_url(s.target->url);
      out->set_health(s.health == scrape::Health::kUp     ? v1::TARGET_HEALTH_UP
                      : s.health == scrape::Health::kDown ? v1::TARGET_HEALTH_DOWN
                                                          : v1::TARGET_HEALTH_UNKNOWN);
      out->set_last_error(s.last_error);
      out->set_last_scrape_ms(s.last_scrape_ms);
      out->set_last_scrape_duration_seconds(s.last_duration_seconds);
      out->set_scrape_interval_ms(s.target->interval_ms);
      out->set_scrape_timeout_ms(s.target->timeout_ms);
    }
    if (!request->include_dropped()) return grpc::Status::OK;
    for (const scrape::DroppedTarget& d :
         b_.scrapes->DroppedTargets(request->scrape_pool()).targets) {
      v1::Target* out = response->add_dropped();
      SetLabels(d.discovered_labels, out->mutable_discovered_labels());
      out->set_scrape_pool(d.job);
    }
    return grpc::Status::OK;
  }

  grpc::Status Rules(grpc::ServerContext*, const v1::RulesRequest* request,
                     v1::RulesResponse* response) override {
    for (const ruler::RuleGroupStatus& g : b_.rule_groups()) {
      const auto& wanted = request->groups();
      if (!wanted.empty() && std::ranges::find(wanted, g.name) == wanted.end()) continue;
      v1::RuleGroup* group = response->add_groups();
      group->set_name(g.name);
      group->set_file(g.file);
      group->set_interval_ms(g.interval_ms);
      group->set_last_evaluation_ms(g.last_evaluation_ms);
      group->set_evaluation_seconds(g.evaluation_seconds);
      for (const ruler::RuleStatus& r : g.rules) {
        v1::Rule* rule = group->add_rules();
        rule->set_name(r.name);
        rule->set_query(r.query);
        rule->set_alerting(r.alerting);
        rule->set_for_ms(r.for_ms);
        if (r.alerting) rule->set_state(std::string(ruler::AlertStateName(r.state)));
        rule->set_health(std::string(ruler::RuleHealthName(r.health)));
        rule->set_last_error(r.last_error);
        SetLabels(r.labels, rule->mutable_labels());
        SetLabels(r.annotations, rule->mutable_annotations());
        for (const ruler::ActiveAlert& a : r.alerts) SetAlert(a, rule->add_alerts());
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status Alerts(grpc::ServerContext*, const v1::AlertsRequest*,
                      v1::AlertsResponse* response) override {
    for (const ruler::RuleGroupStatus& g : b_.rule_groups()) {
      for (const ruler::RuleStatus& r : g.rules) {
        for (const ruler::ActiveAlert& a : r.alerts) SetAlert(a, response->add_alerts());
      }
    }
    return grpc::Status::OK;
  }

 private:
  // The union of what `ask` finds for each selector of a request (for all series without one).
  template <typename T, typename Request, typename Response, typename Ask>
  Status ForEachSelector(const Request& request, uint64_t limit, std::vector<T>& found,
                         Response& response, Ask ask) {
    const int64_t end = request.end_ms() != 0 ? request.end_ms() : b_.clock->NowMs();
    VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<storage::Querier> querier,
                             b_.queryable->Open(request.start_ms(), end));
    std::vector<std::vector<Matcher>> selectors;
    for (const std::string& text : request.matchers()) {
      VEDETTE_ASSIGN_OR_RETURN(std::vector<Matcher> matchers, b_.parse_selector(text));
      selectors.push_back(std::move(matchers));
    }
    if (selectors.empty()) selectors.emplace_back();
    for (const auto& matchers : selectors) {
      storage::NameLimit name_limit{.limit = limit};
      VEDETTE_ASSIGN_OR_RETURN(std::vector<T> part, ask(*querier, matchers, &name_limit));
      if (name_limit.truncated) response.set_truncated(true);
      std::vector<T> merged;
      std::ranges::set_union(found, part, std::back_inserter(merged));
      found = std::move(merged);
    }
    if (limit > 0 && found.size() > limit) {
      found.resize(limit);
      response.set_truncated(true);
    }
    return {};
  }

  const QueryBackends b_;
};

}  // namespace

std::shared_ptr<grpc::Service> MakeQueryService(const QueryBackends& backends) {
  return std::make_shared<QueryServiceImpl>(backends);
}

}  // namespace vedette::api
