#include "ctl/query.h"

#include <grpcpp/grpcpp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <utility>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "ctl/graph.h"
#include "ctl/labels_text.h"
#include "proto/vedette/v1/query.grpc.pb.h"

namespace vedette::ctl {
namespace {

using Service = v1::QueryService;

// What is drawn beside a series that holds native histograms.
std::string HistogramText(const v1::HistogramPoint& point) {
  return StrCat("{count:", FormatValue(point.count()), ", sum:", FormatValue(point.sum()), "}");
}

// Seconds, in digits: a double would come out as 1.7e+09.
std::string Seconds(int64_t t_ms) {
  const int64_t ms = t_ms < 0 ? -t_ms : t_ms;
  std::string out = StrCat(t_ms < 0 ? "-" : "", ms / 1000);
  if (ms % 1000 != 0) StrAppend(out, ".", std::to_string(1000 + ms % 1000).substr(1));
  return out;
}

std::string PointJson(int64_t t_ms, double value) {
  return StrCat("[", Seconds(t_ms), ", ", JsonString(FormatValue(value)), "]");
}

std::string HistogramJson(const v1::HistogramPoint& point) {
  std::string buckets;
  for (const v1::HistogramBucket& b : point.buckets()) {
    // Prometheus' numbers: 0 open left, 1 open right, 2 open both, 3 closed both.
    const int rule =
        b.lower_inclusive() ? (b.upper_inclusive() ? 3 : 1) : (b.upper_inclusive() ? 0 : 2);
    StrAppend(buckets, buckets.empty() ? "" : ", ", "[", rule, ", ",
              JsonString(FormatValue(b.lower())), ", ", JsonString(FormatValue(b.upper())), ", ",
              JsonString(FormatValue(b.count())), "]");
  }
  return StrCat(
      "[", Seconds(point.time_ms()), ", {\"count\": ", JsonString(FormatValue(point.count())),
      ", \"sum\": ", JsonString(FormatValue(point.sum())), ", \"buckets\": [", buckets, "]}]");
}

// The "result" of Prometheus' HTTP API, so that what reads one reads the other.
std::string SeriesJson(const v1::Series& series, bool instant) {
  std::string values, histograms;
  for (int i = 0; i < series.values_size() && i < series.times_ms_size(); ++i) {
    StrAppend(values, i == 0 ? "" : ", ", PointJson(series.times_ms(i), series.values(i)));
  }
  for (const v1::HistogramPoint& point : series.histograms()) {
    StrAppend(histograms, histograms.empty() ? "" : ", ", HistogramJson(point));
  }
  std::string out = StrCat("{\"metric\": ", LabelsJson(series.labels()));
  const auto add = [&](std::string_view one, std::string_view many, const std::string& points) {
    if (points.empty()) return;
    StrAppend(out, ", ", JsonString(instant ? one : many), ": ", instant ? "" : "[", points,
              instant ? "" : "]");
  };
  add("value", "values", values);
  add("histogram", "histograms", histograms);
  return out + "}";
}

template <typename SeriesList>
void PrintSeries(const SeriesList& list, bool instant, Format format, std::ostream& out) {
  if (format == Format::kJson) {
    out << "{\"resultType\": " << (instant ? "\"vector\"" : "\"matrix\"") << ", \"result\": [";
    bool first = true;
    for (const v1::Series& series : list) {
      out << (first ? "\n  " : ",\n  ") << SeriesJson(series, instant);
      first = false;
    }
    out << (first ? "]}\n" : "\n]}\n");
    return;
  }
  Table table{{"series", "time", "value"}, {}};
  for (const v1::Series& series : list) {
    const std::string name = SeriesText(series.labels());
    for (int i = 0; i < series.values_size() && i < series.times_ms_size(); ++i) {
      table.rows.push_back({name, FormatTime(series.times_ms(i)), FormatValue(series.values(i))});
    }
    for (const v1::HistogramPoint& point : series.histograms()) {
      table.rows.push_back({name, FormatTime(point.time_ms()), HistogramText(point)});
    }
  }
  table.Print(format, out);
}

// Columns and rows; 80 by 40 where there is no terminal.
std::pair<size_t, size_t> TerminalSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {80, 40};
  return {size.ws_col, size.ws_row};
}

template <typename Response>
void PrintNotes(const Response& response, std::ostream& err) {
  for (const std::string& text : response.warnings()) err << "warning: " << text << '\n';
  for (const std::string& text : response.infos()) err << "info: " << text << '\n';
}

Result<std::unique_ptr<Service::Stub>> Stub(const Connection& connection) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                           connection.Open(tls::Role::kServer));
  return Service::NewStub(channel);
}

Status At(const Connection& connection, const grpc::Status& status) {
  return rpc::FromGrpcStatus(status).Annotate(connection.address);
}

template <typename Request>
Status FillRange(const std::string& start, const std::string& end, const Clock& clock,
                 Request& request) {
  VEDETTE_ASSIGN_OR_RETURN(const int64_t start_ms, ParseTime(start, clock.NowMs()));
  VEDETTE_ASSIGN_OR_RETURN(const int64_t end_ms, ParseTime(end, clock.NowMs()));
  if (end_ms < start_ms) {
    return InvalidArgument(
        StrCat("--end ", FormatTime(end_ms), " is before --start ", FormatTime(start_ms)));
  }
  request.set_start_ms(start_ms);
  request.set_end_ms(end_ms);
  return {};
}

}  // namespace

Status QueryInstant::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                         std::ostream& err) const {
  v1::QueryRequest request;
  request.set_query(expression);
  VEDETTE_ASSIGN_OR_RETURN(const int64_t time_ms, ParseTime(time, clock.NowMs()));
  request.set_time_ms(time_ms);
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::QueryResponse response;
  VEDETTE_RETURN_IF_ERROR(At(connection, stub->Query(&context, request, &response)));
  PrintNotes(response, err);
  switch (response.type()) {
    case v1::RESULT_TYPE_SCALAR:
      if (format == Format::kJson) {
        out << "{\"resultType\": \"scalar\", \"result\": "
            << PointJson(response.scalar().time_ms(), response.scalar().value()) << "}\n";
        return {};
      }
      Table{{"time", "value"},
            {{FormatTime(response.scalar().time_ms()), FormatValue(response.scalar().value())}}}
          .Print(format, out);
      return {};
    case v1::RESULT_TYPE_STRING:
      if (format == Format::kJson) {
        out << "{\"resultType\": \"string\", \"result\": [" << Seconds(time_ms) << ", "
            << JsonString(response.string_value()) << "]}\n";
        return {};
      }
      Table{{"value"}, {{response.string_value()}}}.Print(format, out);
      return {};
    default:
      PrintSeries(response.series(), response.type() != v1::RESULT_TYPE_MATRIX, format, out);
      return {};
  }
}

Status QueryRange::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                       std::ostream& err) const {
  v1::QueryRangeRequest request;
  request.set_query(expression);
  VEDETTE_RETURN_IF_ERROR(FillRange(start, end, clock, request));
  Result<int64_t> step_ms = ParseDuration(step);
  if (!step_ms.ok()) return step_ms.status().Annotate("--step");
  request.set_step_ms(*step_ms);
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  const auto reader = stub->QueryRange(&context, request);
  std::vector<v1::Series> all;
  for (v1::QueryRangeResponse response; reader->Read(&response);) {
    PrintNotes(response, err);
    for (v1::Series& series : *response.mutable_series()) all.push_back(std::move(series));
  }
  VEDETTE_RETURN_IF_ERROR(At(connection, reader->Finish()));
  if (graph) {
    std::vector<GraphLine> lines;
    for (const v1::Series& s : all) {
      GraphLine line{SeriesText(s.labels()), {}};
      for (int i = 0; i < s.values_size() && i < s.times_ms_size(); ++i) {
        line.points.emplace_back(s.times_ms(i), s.values(i));
      }
      lines.push_back(std::move(line));
    }
    const auto [columns, rows] = TerminalSize();
    out << DrawGraph(lines, request.start_ms(), request.end_ms(), columns, rows / 2);
    return {};
  }
  PrintSeries(all, /*instant=*/false, format, out);
  return {};
}

Status QuerySeries::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                        std::ostream& err) const {
  v1::SeriesRequest request;
  for (const std::string& matcher : matchers) request.add_matchers(matcher);
  VEDETTE_RETURN_IF_ERROR(FillRange(start, end, clock, request));
  request.set_limit(limit);
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  v1::SeriesResponse response;
  VEDETTE_RETURN_IF_ERROR(At(connection, stub->Series(&context, request, &response)));
  if (response.truncated()) err << "warning: cut at --limit " << limit << '\n';
  if (format == Format::kJson) {
    out << '[';
    for (int i = 0; i < response.series_size(); ++i) {
      out << (i == 0 ? "\n  " : ",\n  ") << LabelsJson(response.series(i).labels());
    }
    out << (response.series_size() == 0 ? "]\n" : "\n]\n");
    return {};
  }
  Table table{{"series"}, {}};
  for (const v1::LabelSet& set : response.series())
    table.rows.push_back({SeriesText(set.labels())});
  table.Print(format, out);
  return {};
}

Status QueryLabels::Run(const Connection& connection, const Clock& clock, std::ostream& out,
                        std::ostream& err) const {
  VEDETTE_ASSIGN_OR_RETURN(const auto stub, Stub(connection));
  grpc::ClientContext context;
  rpc::SetTimeout(context, connection.timeout_ms);
  Table table{{label.empty() ? "label" : label}, {}};
  const auto ask = [&](auto request, auto response, auto method, const auto& items) -> Status {
    for (const std::string& matcher : matchers) request.add_matchers(matcher);
    VEDETTE_RETURN_IF_ERROR(FillRange(start, end, clock, request));
    request.set_limit(limit);
    VEDETTE_RETURN_IF_ERROR(At(connection, method(request, response)));
    for (const std::string& item : items(response)) table.rows.push_back({item});
    if (response.truncated()) err << "warning: cut at --limit " << limit << '\n';
    return {};
  };
  if (label.empty()) {
    VEDETTE_RETURN_IF_ERROR(ask(
        v1::LabelNamesRequest(), v1::LabelNamesResponse(),
        [&](const auto& q, auto& a) { return stub->LabelNames(&context, q, &a); },
        [](const auto& a) { return a.names(); }));
  } else {
    v1::LabelValuesRequest request;
    request.set_name(label);
    VEDETTE_RETURN_IF_ERROR(ask(
        std::move(request), v1::LabelValuesResponse(),
        [&](const auto& q, auto& a) { return stub->LabelValues(&context, q, &a); },
        [](const auto& a) { return a.values(); }));
  }
  table.Print(format, out);
  return {};
}

}  // namespace vedette::ctl
