#include "server/api/http/cost.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/model/labels.h"

namespace vedette::api {
namespace {

using storage::CostReport;
using storage::CostRequest;
using storage::CostRow;

constexpr uint64_t kDefaultRows = 100;

void WriteRow(JsonWriter& json, const CostRow& row, bool by_name) {
  json.BeginObject();
  json.Key("name").String(row.name);
  json.Key("series").Uint(row.series);
  if (by_name) json.Key("values").Uint(row.values);
  json.Key("diskBytes").Uint(row.disk_bytes);
  json.Key("memoryBytes").Uint(row.memory_bytes);
  json.Key("wireBytes").Uint(row.wire_bytes);
  if (by_name) {
    json.Key("carriedDiskBytes").Uint(row.carried_disk_bytes);
    json.Key("carriedMemoryBytes").Uint(row.carried_memory_bytes);
  }
  json.EndObject();
}

CostRow RestOf(const CostReport& report, size_t shown) {
  CostRow rest{.name = "(rest)"};
  for (size_t i = shown; i < report.rows.size(); ++i) {
    rest.series += report.rows[i].series;
    rest.disk_bytes += report.rows[i].disk_bytes;
    rest.memory_bytes += report.rows[i].memory_bytes;
    rest.wire_bytes += report.rows[i].wire_bytes;
  }
  return rest;
}

}  // namespace

// A walk is work for the disk: whoever asks meanwhile waits.
Result<CostReport> CostDoor::TakeTurn(CostRequest request) const {
  MutexLock lock(turn_);
  return ask_(std::move(request));
}

Reply CostDoor::Cost(const Call& call) const {
  const std::string_view by = call.Get("by").value_or("metric");
  const std::string_view label = call.Get("label").value_or("");
  CostRequest request;
  if (by == "metric") {
    request.label = kMetricNameLabel;
  } else if (by == "job") {
    request.label = "job";
  } else if (by == "label") {
    request.label = label;
  } else {
    return BadParameter("by", StrCat(Quoted(by), " is neither metric, job nor label"));
  }
  if (by != "label" && !label.empty()) {
    return BadParameter("label", "is for by=label: the label whose values are the rows");
  }
  uint64_t limit = kDefaultRows;
  if (call.Get("limit")) {
    const Result<uint64_t> asked = LimitOf(call);
    if (!asked.ok()) return Failure(asked.status());
    limit = *asked;
  }
  const bool by_name = request.label.empty();
  const Result<CostReport> report = TakeTurn(std::move(request));
  if (!report.ok()) return Failure(report.status());
  const size_t shown =
      limit == 0 ? report->rows.size() : std::min<size_t>(limit, report->rows.size());
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("by").String(by);
    if (by == "label") json.Key("label").String(label);
    json.Key("rows").BeginArray();
    for (size_t i = 0; i < shown; ++i) WriteRow(json, report->rows[i], by_name);
    json.EndArray();
    json.Key("rowCount").Uint(report->rows.size());
    json.Key("rest");
    WriteRow(json, RestOf(*report, shown), false);
    json.Key("shared");
    WriteRow(json, report->shared, false);
    json.Key("total");
    WriteRow(json, report->total, false);
    const CostReport::Disk& disk = report->disk;
    json.Key("disk").BeginObject();
    json.Key("chunks").Uint(disk.chunks);
    json.Key("histograms").Uint(disk.histograms);
    json.Key("instants").Uint(disk.instants);
    json.Key("log").Uint(disk.log);
    json.Key("index").Uint(disk.index);
    json.Key("other").Uint(disk.other);
    json.EndObject();
    const CostReport::Memory& memory = report->memory;
    json.Key("memory").BeginObject();
    json.Key("head").Uint(memory.head);
    json.Key("index").Uint(memory.index);
    json.Key("store").Uint(memory.store);
    json.EndObject();
    json.EndObject();
  });
}

}  // namespace vedette::api
