#include "server/api/grpc/query_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/grpc_status.h"
#include "proto/vedette/v1/query.grpc.pb.h"
#include "server/api/grpc/answer_diff.h"
#include "server/api/grpc/query_messages.h"

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
  // Returns early when the client has gone.
  void Wait(int64_t ms) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (ms > 0 && !flag_.cancelled()) {
      const int64_t piece = std::min(ms, kCancelPollMs);
      wake_.WaitFor(mu_, piece);
      ms -= piece;
    }
  }

 private:
  promql::CancelFlag flag_;
  Mutex mu_;
  CondVar wake_;
  bool done_ VEDETTE_GUARDED_BY(mu_) = false;
  std::thread watcher_;
};

// Subscriptions.
constexpr int64_t kDefaultIntervalMs = 15'000;
constexpr int64_t kMinIntervalMs = 100;
constexpr int kMaxSubscriptions = 64;

std::string OriginOf(const grpc::ServerContext& context, std::string_view door) {
  return StrCat(door, " ", context.peer());
}

class QueryServiceImpl final : public v1::QueryService::Service {
 public:
  explicit QueryServiceImpl(const QueryBackends& backends) : b_(backends) {}

  grpc::Status Query(grpc::ServerContext* context, const v1::QueryRequest* request,
                     v1::QueryResponse* response) override {
    const rpc::CallScope scope(*context, "Query");
    promql::Query query;
    query.text = request->query();
    query.origin = OriginOf(*context, "grpc");
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
    const rpc::CallScope scope(*context, "QueryRange");
    if (request->step_ms() <= 0) {
      return rpc::ToGrpcStatus(InvalidArgument("step_ms must be greater than zero"));
    }
    if (request->end_ms() < request->start_ms()) {
      return rpc::ToGrpcStatus(InvalidArgument("end_ms must not be before start_ms"));
    }
    promql::Query query;
    query.text = request->query();
    query.origin = OriginOf(*context, "grpc");
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

  grpc::Status Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                         grpc::ServerWriter<v1::SubscribeResponse>* writer) override {
    const rpc::CallScope scope(*context, "Subscribe");
    const int64_t interval_ms =
        request->interval_ms() > 0 ? request->interval_ms() : kDefaultIntervalMs;
    if (interval_ms < kMinIntervalMs) {
      return rpc::ToGrpcStatus(
          InvalidArgument(StrCat("interval_ms must be at least ", kMinIntervalMs)));
    }
    // Each holds a thread of the server.
    const auto place =
        std::shared_ptr<void>(nullptr, [this](void*) { subscriptions_.fetch_sub(1); });
    if (subscriptions_.fetch_add(1) >= kMaxSubscriptions) {
      return rpc::ToGrpcStatus(
          ResourceExhausted(StrCat("there are ", kMaxSubscriptions, " subscriptions already")));
    }
    CancelWatch watch(context);
    AnswerDiff diff;
    bool first = true;
    std::vector<std::string> notes;
    while (!watch.flag()->cancelled()) {
      const int64_t began_ns = b_.clock->MonotonicNs();
      promql::Query query;
      query.text = request->query();
      query.origin = OriginOf(*context, "grpc subscription");
      query.start_ms = b_.clock->NowMs();
      query.end_ms = query.start_ms;
      if (request->timeout_ms() > 0) query.timeout_ms = request->timeout_ms();
      if (request->lookback_ms() > 0) query.lookback_ms = request->lookback_ms();
      Result<promql::QueryAnswer> answer = b_.engine->Run(query, watch.flag());
      if (!answer.ok()) return rpc::ToGrpcStatus(answer.status());
      const Result<AnswerDiff::Change> change = diff.Take(answer->value);
      if (!change.ok()) return rpc::ToGrpcStatus(change.status());
      std::vector<std::string> said = answer->warnings;
      said.insert(said.end(), answer->infos.begin(), answer->infos.end());
      const bool noted = said != notes;
      if (first || noted || !change->changed.empty() || !change->gone.empty()) {
        v1::SubscribeResponse message;
        message.set_time_ms(query.start_ms);
        message.set_whole(first);
        if (noted) {
          for (const std::string& w : answer->warnings) message.add_warnings(w);
          for (const std::string& i : answer->infos) message.add_infos(i);
        }
        for (const promql::VectorSample& s : change->changed) {
          v1::Series* out = message.add_changed();
          SetLabels(s.metric, out->mutable_labels());
          AddPoint(s.point, out);
        }
        for (const Labels& l : change->gone) SetLabels(l, message.add_gone()->mutable_labels());
        // Blocks while the client has not read what came before.
        if (!writer->Write(message)) return grpc::Status::CANCELLED;
        first = false;
        notes = std::move(said);
      }
      const int64_t took_ms = (b_.clock->MonotonicNs() - began_ns) / 1'000'000;
      watch.Wait(std::max<int64_t>(interval_ms - took_ms, 0));
    }
    return grpc::Status::CANCELLED;
  }

  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override {
    const rpc::CallScope scope(*context, "Explain");
    promql::Query query;
    query.text = request->query();
    query.origin = OriginOf(*context, "grpc");
    if (request->step_ms() > 0) {
      query.start_ms = request->start_ms();
      query.end_ms = request->end_ms();
      query.step_ms = request->step_ms();
    } else {
      query.start_ms = request->time_ms() != 0 ? request->time_ms() : b_.clock->NowMs();
      query.end_ms = query.start_ms;
    }
    if (request->timeout_ms() > 0) query.timeout_ms = request->timeout_ms();
    if (request->lookback_ms() > 0) query.lookback_ms = request->lookback_ms();
    const CancelWatch watch(context);
    const Result<promql::Explanation> e =
        b_.engine->Explain(query, request->analyze(), watch.flag());
    if (!e.ok()) return rpc::ToGrpcStatus(e.status());
    SetPlan(e->plan, response->mutable_plan());
    response->set_steps(e->steps);
    response->set_analyzed(e->analyzed);
    SetNotes(e->answer, response);
    return grpc::Status::OK;
  }

  grpc::Status RunningQueries(grpc::ServerContext* context, const v1::RunningQueriesRequest*,
                              v1::RunningQueriesResponse* response) override {
    const rpc::CallScope scope(*context, "RunningQueries");
    for (const promql::ActiveQuery& q : b_.engine->Active()) SetRunning(q, response->add_queries());
    return grpc::Status::OK;
  }

  grpc::Status KillQuery(grpc::ServerContext* context, const v1::KillQueryRequest* request,
                         v1::KillQueryResponse*) override {
    const rpc::CallScope scope(*context, "KillQuery");
    const Status killed = b_.engine->Kill(request->id());
    return killed.ok() ? grpc::Status::OK : rpc::ToGrpcStatus(killed);
  }

  grpc::Status Series(grpc::ServerContext* context, const v1::SeriesRequest* request,
                      v1::SeriesResponse* response) override {
    const rpc::CallScope scope(*context, "Series");
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

  grpc::Status LabelNames(grpc::ServerContext* context, const v1::LabelNamesRequest* request,
                          v1::LabelNamesResponse* response) override {
    const rpc::CallScope scope(*context, "LabelNames");
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

  grpc::Status LabelValues(grpc::ServerContext* context, const v1::LabelValuesRequest* request,
                           v1::LabelValuesResponse* response) override {
    const rpc::CallScope scope(*context, "LabelValues");
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

  grpc::Status Targets(grpc::ServerContext* context, const v1::TargetsRequest* request,
                       v1::TargetsResponse* response) override {
    const rpc::CallScope scope(*context, "Targets");
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

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     v1::WatchResponse* response) override {
    const rpc::CallScope scope(*context, "Watch");
    const Result<scrape::ScrapeManager::Watched> watched =
        b_.watcher->Watch(request->host(), request->interval_ms(), request->duration_ms());
    if (!watched.ok()) return rpc::ToGrpcStatus(watched.status());
    for (const std::string& url : watched->urls) response->add_targets(url);
    response->set_until_ms(watched->until_ms);
    return grpc::Status::OK;
  }

  grpc::Status Rules(grpc::ServerContext* context, const v1::RulesRequest* request,
                     v1::RulesResponse* response) override {
    const rpc::CallScope scope(*context, "Rules");
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

  grpc::Status Alerts(grpc::ServerContext* context, const v1::AlertsRequest*,
                      v1::AlertsResponse* response) override {
    const rpc::CallScope scope(*context, "Alerts");
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
  std::atomic<int> subscriptions_{0};
};

}  // namespace

std::shared_ptr<grpc::Service> MakeQueryService(const QueryBackends& backends) {
  return std::make_shared<QueryServiceImpl>(backends);
}

}  // namespace vedette::api
