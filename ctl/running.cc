#include "ctl/running.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <ostream>
#include <utility>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "ctl/labels_text.h"
#include "proto/vedette/v1/query.grpc.pb.h"

namespace vedette::ctl {
namespace {

using Service = v1::QueryService;

Result<std::unique_ptr<Service::Stub>> Stub(const Connection& connection) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           connection.Open(tls::Role::kServer));
  return Service::NewStub(channel);
}

Status At(const Connection& connection, const grpc::Status& status) {
  return rpc::FromGrpcStatus(status).Annotate(connection.address);
}

std::string Millis(double seconds) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3f ms", seconds * 1000);
  return buffer;
}

std::string Bytes(uint64_t bytes) {
  char buffer[32];
  if (bytes < 10'000) return StrCat(bytes, " B");
  if (bytes < 10'000'000) {
    std::snprintf(buffer, sizeof buffer, "%.1f kB", static_cast<double>(bytes) / 1e3);
  } else {
    std::snprintf(buffer, sizeof buffer, "%.1f MB", static_cast<double>(bytes) / 1e6);
  }
  return buffer;
}

// One node and those below it, as lines of a tree.
void AddNode(const v1::PlanNode& n, const std::string& indent, bool last, bool root, bool analyzed,
             Table& table) {
  const std::string branch = root ? "" : last ? "\xe2\x94\x94\xe2\x94\x80 " : "\xe2\x94\x9c\xe2\x94\x80 ";
  std::string what = StrCat(indent, branch, n.op());
  if (n.children().empty() || n.matching_series() > 0) StrAppend(what, " ", n.expression());
  std::vector<std::string> row = {
      std::move(what), n.max_ms() != 0 ? StrCat(n.matching_series()) : "",
      n.max_ms() != 0 ? StrCat(FormatTime(n.min_ms()), " .. ", FormatTime(n.max_ms())) : "",
      n.step_invariant() ? "once" : ""};
  if (analyzed) {
    const bool reads = n.samples_read() > 0;
    row.push_back(StrCat(n.series()));
    row.push_back(StrCat(n.points()));
    row.push_back(reads ? StrCat(n.samples_read()) : "");
    row.push_back(reads ? Bytes(n.bytes_decoded()) : "");
    row.push_back(Millis(n.self_seconds()));
    row.push_back(Millis(n.total_seconds()));
  }
  table.rows.push_back(std::move(row));
  const std::string below = root ? "" : indent + (last ? "   " : "\xe2\x94\x82  ");
  for (int i = 0; i < n.children_size(); ++i) {
    AddNode(n.children(i), below, i + 1 == n.children_size(), false, analyzed, table);
  }
}

}  // namespace

Status QueryPs::Run(const Connection& connection, const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::RunningQueriesResponse response;
  VEDETTE_RETURN_IF_ERROR(At(connection, stub->RunningQueries(&context, {}, &response)));
  Table table{{"id", "state", "seconds", "series", "samples", "memory", "origin", "query"}, {}};
  for (const v1::RunningQuery& q : response.queries()) {
    const double seconds = static_cast<double>(clock.NowMs() - q.began_ms()) / 1000;
    table.rows.push_back({StrCat(q.id()), q.waiting() ? "waiting" : "running",
                          FormatValue(std::max(seconds, 0.0)), StrCat(q.series()),
                          StrCat(q.samples()), Bytes(q.held_bytes()), q.origin(), q.query()});
  }
  table.Print(format, out);
  return {};
}

Status QueryKill::Run(const Connection& connection, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  for (const uint64_t id : ids) {
    grpc::ClientContext context;
    rpc::SetTimeout(context, connection.timeout_ms);
    v1::KillQueryRequest request;
    request.set_id(id);
    v1::KillQueryResponse response;
    VEDETTE_RETURN_IF_ERROR(At(connection, stub->KillQuery(&context, request, &response)));
    out << "killed " << id << '\n';
  }
  return {};
}

Status QueryExplain::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                         std::ostream& err) const {
  v1::ExplainRequest request;
  request.set_query(expression);
  request.set_analyze(analyze);
  if (!step.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const int64_t start_ms, ParseTime(start, clock.NowMs()));
    VEDETTE_ASSIGN_OR_RETURN(const int64_t end_ms, ParseTime(end, clock.NowMs()));
    const Result<int64_t> step_ms = ParseDuration(step);
    if (!step_ms.ok()) return step_ms.status().Annotate("--step");
    request.set_start_ms(start_ms);
    request.set_end_ms(end_ms);
    request.set_step_ms(*step_ms);
  } else {
    VEDETTE_ASSIGN_OR_RETURN(const int64_t time_ms,
                             ParseTime(time.empty() ? "now" : time, clock.NowMs()));
    request.set_time_ms(time_ms);
  }
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::ExplainResponse response;
  VEDETTE_RETURN_IF_ERROR(At(connection, stub->Explain(&context, request, &response)));
  for (const std::string& w : response.warnings()) err << "warning: " << w << '\n';
  for (const std::string& i : response.infos()) err << "info: " << i << '\n';
  Table table{{"operator", "matching", "reads", "evaluated"}, {}};
  if (response.analyzed()) {
    for (const char* column : {"series", "points", "samples", "decoded", "self", "total"}) {
      table.columns.emplace_back(column);
    }
  }
  AddNode(response.plan(), "", true, true, response.analyzed(), table);
  table.Print(format, out);
  if (!response.analyzed() || format != Format::kTable) return {};
  const v1::QueryStats& s = response.stats();
  out << '\n'
      << response.steps() << " steps, " << s.series() << " series, " << s.samples() << " samples, "
      << Bytes(s.bytes_decoded()) << " decoded, at most " << Bytes(s.peak_bytes()) << " held, "
      << Millis(s.eval_seconds()) << '\n';
  return {};
}

Status QueryWatch::Run(const Connection& connection, std::ostream& out, std::ostream& err) const {
  v1::SubscribeRequest request;
  request.set_query(expression);
  const Result<int64_t> interval_ms = ParseDuration(interval);
  if (!interval_ms.ok()) return interval_ms.status().Annotate("--interval");
  request.set_interval_ms(*interval_ms);
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;  // No deadline: it lasts as long as somebody looks.
  const auto reader = stub->Subscribe(&context, request);
  uint64_t seen = 0;
  for (v1::SubscribeResponse response; reader->Read(&response);) {
    for (const std::string& w : response.warnings()) err << "warning: " << w << '\n';
    for (const std::string& i : response.infos()) err << "info: " << i << '\n';
    const std::string time = FormatTime(response.time_ms());
    Table table{{"time", "change", "series", "value"}, {}};
    for (const v1::Series& s : response.changed()) {
      const std::string value = s.values().empty()
                                    ? s.histograms().empty()
                                          ? ""
                                          : StrCat("{count:", s.histograms(0).count(), "}")
                                    : FormatValue(s.values(0));
      table.rows.push_back({time, response.whole() ? "is" : "now", SeriesText(s.labels()), value});
    }
    for (const v1::LabelSet& s : response.gone()) {
      table.rows.push_back({time, "gone", SeriesText(s.labels()), ""});
    }
    table.Print(format, out);
    out.flush();
    if (changes != 0 && ++seen >= changes) {
      context.TryCancel();
      (void)reader->Finish();  // It says that we ended it.
      return {};
    }
  }
  return At(connection, reader->Finish());
}

namespace {

// What is known of one histogram's buckets over the time that is looked at.
struct Usage {
  size_t scrapes = 0;
  size_t total = 0;  // Buckets there are.
  size_t least = std::numeric_limits<size_t>::max();
  size_t most = 0;
  double sum = 0;  // Of buckets with observations, over all scrapes.
  std::map<double, double> increases;  // By upper bound: observations in it.

  void Add(size_t populated) {
    ++scrapes;
    least = std::min(least, populated);
    most = std::max(most, populated);
    sum += static_cast<double>(populated);
  }
};

}  // namespace

Status QueryAnalyze::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                         std::ostream& err) const {
  if (type != "histogram") {
    return InvalidArgument(StrCat("--type ", Quoted(type), ": only histogram is known"));
  }
  const Result<int64_t> length = ParseDuration(duration);
  if (!length.ok()) return length.status().Annotate("--duration");
  VEDETTE_ASSIGN_OR_RETURN(const int64_t time_ms,
                           ParseTime(time.empty() ? "now" : time, clock.NowMs()));
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  std::map<std::string, Usage> usages;
  for (const std::string& matcher : matchers) {
    grpc::ClientContext context;
    rpc::SetTimeout(context, connection.timeout_ms);
    v1::QueryRequest request;
    request.set_query(StrCat(matcher, "[", duration, "]"));
    request.set_time_ms(time_ms);
    v1::QueryResponse response;
    VEDETTE_RETURN_IF_ERROR(At(connection, stub->Query(&context, request, &response)));
    for (const std::string& w : response.warnings()) err << "warning: " << w << '\n';
    // Classic histograms: the buckets of one label set belong together, instant by instant.
    std::map<std::string, std::map<double, const v1::Series*>> classic;
    for (const v1::Series& s : response.series()) {
      if (!s.histograms().empty()) {
        Usage& u = usages[SeriesText(s.labels())];
        for (const v1::HistogramPoint& h : s.histograms()) {
          u.total = std::max<size_t>(u.total, static_cast<size_t>(h.buckets_size()));
          u.Add(static_cast<size_t>(h.buckets_size()));
        }
        continue;
      }
      const auto le = s.labels().find("le");
      if (le == s.labels().end() || s.values().empty()) continue;
      v1::LabelSet rest;
      *rest.mutable_labels() = s.labels();
      rest.mutable_labels()->erase("le");
      classic[SeriesText(rest.labels())][std::strtod(le->second.c_str(), nullptr)] = &s;
    }
    for (const auto& [name, buckets] : classic) {
      Usage& u = usages[name];
      u.total = buckets.size();
      // Populated since the first scrape: what a bucket rose by is more than the one below it did.
      const int scrapes = buckets.begin()->second->values_size();
      for (int i = 1; i < scrapes; ++i) {
        size_t populated = 0;
        double below = 0;
        for (const auto& [bound, s] : buckets) {
          const double rise = i < s->values_size() ? s->values(i) - s->values(i - 1) : 0;
          if (rise - below > 0) ++populated;
          u.increases[bound] += std::max(rise - below, 0.0);
          below = std::max(rise, 0.0);
        }
        u.Add(populated);
      }
    }
  }
  Table table{{"histogram", "scrapes", "buckets", "least used", "mean used", "most used", "unused bounds"},
              {}};
  for (const auto& [name, u] : usages) {
    if (u.scrapes == 0) continue;
    std::string unused;
    for (const auto& [bound, rise] : u.increases) {
      if (rise == 0) StrAppend(unused, unused.empty() ? "" : " ", FormatValue(bound));
    }
    char mean[32];
    std::snprintf(mean, sizeof mean, "%.1f", u.sum / static_cast<double>(u.scrapes));
    table.rows.push_back({name, StrCat(u.scrapes), StrCat(u.total), StrCat(u.least), mean,
                          StrCat(u.most), unused});
  }
  if (table.rows.empty()) {
    return NotFound("no histogram with samples in this time: --match selects native histograms, or "
                    "the _bucket series of classic ones");
  }
  table.Print(format, out);
  return {};
}

}  // namespace vedette::ctl
