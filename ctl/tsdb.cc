#include "ctl/tsdb.h"

#include <memory>
#include <ostream>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "ctl/directory.h"
#include "server/promql/parser/parser.h"
#include "server/storage/cost.h"
#include "server/storage/queryable.h"
#include "server/tsdb/inspect/verify.h"
#include "server/tsdb/tsdb.h"

namespace vedette::ctl {
namespace {

void PutQuoted(std::string& out, std::string_view value) {
  out.push_back('"');
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

// {__name__="up", job="node"}, as promtool prints them.
std::string PromtoolLabels(const Labels& labels) {
  std::string out = "{";
  for (const Label& l : labels) {
    if (out.size() > 1) out += ", ";
    out += l.name;
    out.push_back('=');
    PutQuoted(out, l.value);
  }
  out.push_back('}');
  return out;
}

// up{job="node"}; a name that is not of the old kind goes into the braces, quoted.
std::string ExpositionLabels(const Labels& labels) {
  std::string name;
  std::string rest;
  for (const Label& l : labels) {
    if (l.name == kMetricNameLabel) {
      name = l.value;
      continue;
    }
    if (!rest.empty()) rest.push_back(',');
    rest += l.name;
    rest.push_back('=');
    PutQuoted(rest, l.value);
  }
  return rest.empty() ? name : StrCat(name, "{", rest, "}");
}

std::string Seconds(int64_t t_ms) {
  const std::string_view sign = t_ms < 0 ? "-" : "";
  const uint64_t n = t_ms < 0 ? 0 - static_cast<uint64_t>(t_ms) : static_cast<uint64_t>(t_ms);
  std::string millis = StrCat(n % 1000);
  millis.insert(0, 3 - millis.size(), '0');
  return StrCat(sign, n / 1000, ".", millis);
}

// Writes one selector's series. `dumped`: series that an earlier selector had.
class Dump {
 public:
  Dump(bool openmetrics, std::ostream& out) : openmetrics_(openmetrics), out_(out) {}

  Status Run(storage::Querier& querier, int64_t min_ms, int64_t max_ms,
             std::span<const Matcher> matchers) {
    const std::unique_ptr<storage::SeriesSet> set =
        querier.Select({.start_ms = min_ms, .end_ms = max_ms, .sorted = true}, matchers);
    while (set->Next()) {
      const storage::SeriesColumns& c = set->at();
      if (!dumped_.insert(std::string(c.labels.bytes())).second) continue;
      const std::string labels =
          openmetrics_ ? ExpositionLabels(c.labels) : PromtoolLabels(c.labels);
      for (size_t i = 0; i < c.t_ms.size(); ++i) {
        if (!c.histograms.empty() && c.histograms[i] != nullptr) {
          ++histograms_;
          continue;
        }
        if (openmetrics_) {
          if (IsStale(c.values[i])) continue;
          out_ << labels << ' ' << FormatValue(c.values[i]) << ' ' << Seconds(c.t_ms[i]) << '\n';
        } else {
          out_ << labels << ' ' << FormatValue(c.values[i]) << ' ' << c.t_ms[i] << '\n';
        }
      }
    }
    for (const std::string& w : set->warnings()) warnings_.insert(w);
    return set->status();
  }

  uint64_t histograms() const { return histograms_; }
  const std::set<std::string>& warnings() const { return warnings_; }

 private:
  const bool openmetrics_;
  std::ostream& out_;
  std::set<std::string> dumped_;
  std::set<std::string> warnings_;
  uint64_t histograms_ = 0;
};

std::string TimeText(int64_t t_ms) {
  return t_ms == INT64_MAX || t_ms == INT64_MIN ? "none" : FormatTime(t_ms);
}

}  // namespace

Status TsdbStats::Run(const Clock& clock, std::ostream& out) const {
  storage::CostRequest request;
  if (by == "job") {
    request.label = "job";
  } else if (by == "label") {
    request.label = "";
  } else if (by != "metric") {
    return InvalidArgument(StrCat("--by ", Quoted(by), ": metric, job or label is expected"));
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Tsdb> db, ReadStorage(directory, clock));
  const tsdb::TsdbStats s = db->stats();
  VEDETTE_ASSIGN_OR_RETURN(const storage::CostReport cost, db->Cost(request));
  const bool people = format == Format::kTable;
  const auto bytes = [&](uint64_t n) { return people ? BytesText(n) : StrCat(n); };
  if (people) {
    Table facts{{"what", "value"}, {}};
    const auto add = [&](const char* what, std::string value) {
      facts.rows.push_back({what, std::move(value)});
    };
    add("oldest sample", TimeText(s.min_t_ms));
    add("newest sample", TimeText(s.max_t_ms));
    add("series", StrCat(s.series));
    add("series not sealed yet", StrCat(s.active_series));
    add("label pairs", StrCat(s.label_pairs));
    add("on disk", BytesText(cost.total.disk_bytes));
    add("  chunks", BytesText(cost.disk.chunks));
    add("  histograms", BytesText(cost.disk.histograms));
    add("  instants", BytesText(cost.disk.instants));
    add("  log", BytesText(cost.disk.log));
    add("  index", BytesText(cost.disk.index));
    add("  other", BytesText(cost.disk.other));
    add("damaged", s.damaged_chunks == 0 ? "nothing found; 'tsdb verify' reads everything"
                                         : StrCat(s.damaged_chunks, ": run 'tsdb verify'"));
    facts.Print(format, out);
    out << '\n';
  }
  Table table{{by, "series", people ? "disk" : "disk_bytes"}, {}};
  size_t shown = 0;
  for (const storage::CostRow& row : cost.rows) {
    if (limit > 0 && shown++ == limit) break;
    table.rows.push_back(
        {row.name.empty() ? "(none)" : row.name, StrCat(row.series), bytes(row.disk_bytes)});
  }
  table.rows.push_back({cost.shared.name, "0", bytes(cost.shared.disk_bytes)});
  table.rows.push_back({"total", StrCat(cost.total.series), bytes(cost.total.disk_bytes)});
  table.Print(format, out);
  return {};
}

Status TsdbDump::Run(const Clock& clock, std::ostream& out, std::ostream& err) const {
  if (format != "promtool" && format != "openmetrics") {
    return InvalidArgument(
        StrCat("--format ", Quoted(format), ": promtool or openmetrics is expected"));
  }
  int64_t min_ms = INT64_MIN;
  int64_t max_ms = INT64_MAX;
  if (!min_time.empty()) {
    Result<int64_t> t = ParseTime(min_time, clock.NowMs());
    if (!t.ok()) return t.status().Annotate("--min-time");
    min_ms = *t;
  }
  if (!max_time.empty()) {
    Result<int64_t> t = ParseTime(max_time, clock.NowMs());
    if (!t.ok()) return t.status().Annotate("--max-time");
    max_ms = *t;
  }
  std::vector<std::vector<Matcher>> selectors;
  for (const std::string& text : matchers) {
    Result<std::vector<Matcher>> selector = promql::ParseMetricSelector(text);
    if (!selector.ok()) return selector.status().Annotate(StrCat("--match ", Quoted(text)));
    selectors.push_back(*std::move(selector));
  }
  if (selectors.empty()) selectors.emplace_back();
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Tsdb> db, ReadStorage(directory, clock));
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<storage::Querier> querier,
                           db->queryable().Open(min_ms, max_ms));
  Dump dump(format == "openmetrics", out);
  for (const std::vector<Matcher>& selector : selectors) {
    VEDETTE_RETURN_IF_ERROR(dump.Run(*querier, min_ms, max_ms, selector));
  }
  if (format == "openmetrics") out << "# EOF\n";
  for (const std::string& w : dump.warnings()) err << "warning: " << w << '\n';
  if (dump.histograms() > 0) {
    err << "warning: " << dump.histograms()
        << " native histograms were left out: the text has no place for them\n";
  }
  return {};
}

Status TsdbVerify::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(NotInUse(directory, "verify a snapshot of it instead"));
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Tsdb> db, ReadStorage(directory, clock));
  VEDETTE_ASSIGN_OR_RETURN(const tsdb::VerifyReport report, db->Verify());
  for (const std::string& sentence : report.sentences) out << "damaged: " << sentence << '\n';
  if (report.problems > report.sentences.size()) {
    out << "and " << report.problems - report.sentences.size() << " more\n";
  }
  out << directory << ": " << report.files << " tables, " << report.series << " series, "
      << report.chunks << " chunks with " << report.samples << " samples, " << report.histograms
      << " histograms read\n";
  if (report.whole()) {
    out << "everything is as it was written\n";
    return {};
  }
  return DataLoss(StrCat(report.problems, report.problems == 1 ? " thing is" : " things are",
                         " damaged; a server started on the directory serves the rest, and says "
                         "what is missing"));
}

}  // namespace vedette::ctl
