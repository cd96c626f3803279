#include "server/api/http/status.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/openapi.h"

namespace vedette::api {
namespace {

constexpr uint64_t kDefaultTop = 10;
constexpr uint64_t kMaxTop = 10'000;

void WriteCounts(JsonWriter& json, std::string_view key, const std::vector<NamedCount>& counts) {
  json.Key(key).BeginArray();
  for (const NamedCount& c : counts) {
    json.BeginObject().Key("name").String(c.name).Key("value").Uint(c.value).EndObject();
  }
  json.EndArray();
}

}  // namespace

Reply StatusDoor::Build(const Call&) const {
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("version").String(b_.build.version);
    json.Key("revision").String(b_.build.revision);
    json.Key("branch").String(b_.build.branch);
    json.Key("buildUser").String(b_.build.build_user);
    json.Key("buildDate").String(b_.build.build_date);
    // Grafana and others ask for it; there is no Go here.
    json.Key("goVersion").String("");
    json.EndObject();
  });
}

Reply StatusDoor::Runtime(const Call&) const {
  const RuntimeInfo r = b_.runtime();
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("startTime").String(FormatTime(r.start_time_ms));
    json.Key("CWD").String(r.working_directory);
    json.Key("hostname").String(r.hostname);
    json.Key("serverTime").String(FormatTime(r.now_ms));
    json.Key("reloadConfigSuccess").Bool(r.reload_config_success);
    json.Key("lastConfigTime").String(FormatTime(r.last_config_time_ms));
    json.Key("corruptionCount").Uint(r.corruption_count);
    // Go's words, with the nearest thing that there is here: threads.
    json.Key("goroutineCount").Int(r.threads);
    json.Key("GOMAXPROCS").Int(r.threads);
    json.Key("GOMEMLIMIT").Int(0);
    json.Key("GOGC").String("");
    json.Key("GODEBUG").String("");
    json.Key("storageRetention").String(r.storage_retention);
    json.EndObject();
  });
}

Reply StatusDoor::Flags(const Call&) const {
  const auto flags = b_.flags();
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    for (const auto& [name, value] : flags) json.Key(name).String(value);
    json.EndObject();
  });
}

Reply StatusDoor::Config(const Call&) const {
  const std::string yaml = b_.config_yaml();
  return Success(
      [&](JsonWriter& json) { json.BeginObject().Key("yaml").String(yaml).EndObject(); });
}

Reply StatusDoor::Tsdb(const Call& call) const {
  uint64_t top = kDefaultTop;
  if (call.Get("limit")) {
    const Result<uint64_t> limit = LimitOf(call);
    if (!limit.ok()) return Failure(limit.status());
    if (*limit == 0 || *limit > kMaxTop) {
      return Failure(ErrorType::kBadData, StrCat("limit must be a number from 1 to ", kMaxTop));
    }
    top = *limit;
  }
  const TsdbInfo t = b_.tsdb(top);
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("headStats").BeginObject();
    json.Key("numSeries").Uint(t.series);
    json.Key("numLabelPairs").Uint(t.label_pairs);
    json.Key("chunkCount").Uint(t.chunks);
    json.Key("minTime").Int(t.min_time_ms);
    json.Key("maxTime").Int(t.max_time_ms);
    json.EndObject();
    WriteCounts(json, "seriesCountByMetricName", t.series_by_metric);
    WriteCounts(json, "labelValueCountByLabelName", t.values_by_label);
    WriteCounts(json, "memoryInBytesByLabelName", t.bytes_by_label);
    WriteCounts(json, "seriesCountByLabelValuePair", t.series_by_pair);
    WriteCounts(json, "seriesCountByJob", t.series_by_job);
    json.Key("cost").BeginObject();
    json.Key("diskBytes").Uint(t.disk_bytes);
    json.Key("headMemoryBytes").Uint(t.head_memory_bytes);
    json.Key("indexMemoryBytes").Uint(t.index_memory_bytes);
    json.EndObject();
    json.Key("store").BeginObject();
    json.Key("levels").BeginArray();
    for (const StoreInfo::Level& l : t.store.levels) {
      json.BeginObject();
      json.Key("family").String(l.family);
      json.Key("level").Int(l.level);
      json.Key("files").Uint(l.files);
      json.Key("bytes").Uint(l.bytes);
      json.EndObject();
    }
    json.EndArray();
    json.Key("memtableBytes").Uint(t.store.memtable_bytes);
    json.Key("pendingCompactionBytes").Uint(t.store.pending_compaction_bytes);
    json.Key("runningCompactions").Uint(t.store.running_compactions);
    json.Key("runningFlushes").Uint(t.store.running_flushes);
    json.Key("delayedWriteRate").Uint(t.store.delayed_write_rate);
    json.Key("writesStopped").Bool(t.store.writes_stopped);
    json.EndObject();
    json.EndObject();
  });
}

// The storage keeps columns in RocksDB and has no blocks to list.
Reply StatusDoor::TsdbBlocks(const Call&) const {
  return Success([](JsonWriter& json) {
    json.BeginObject().Key("blocks").BeginArray().EndArray().EndObject();
  });
}

// There is nothing to wait for: the log is read before the doors open.
Reply StatusDoor::WalReplay(const Call&) const {
  return Success([](JsonWriter& json) {
    json.BeginObject().Key("min").Int(0).Key("max").Int(0).Key("current").Int(0).EndObject();
  });
}

Reply StatusDoor::SelfMetrics(const Call&) const {
  const std::vector<MetricFamily> families = b_.self_metrics();
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const MetricFamily& f : families) {
      json.BeginObject();
      json.Key("name").String(f.name);
      json.Key("help").String(f.metadata.help);
      json.Key("type").String(MetricTypeName(f.metadata.type));
      json.Key("metric").BeginArray();
      for (const FamilySample& s : f.samples) {
        json.BeginObject().Key("labels").Object(s.labels).Key("value").Float(s.value).EndObject();
      }
      json.EndArray().EndObject();
    }
    json.EndArray();
  });
}

Reply StatusDoor::Features(std::string_view role) const {
  const std::vector<std::string> enabled = b_.features();
  const auto on = [&](std::string_view name) {
    return std::ranges::find(enabled, name) != enabled.end();
  };
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    json.Key("api").BeginObject();
    for (const char* name : {"exclude_alerts", "label_values_match", "query_stats",
                             "query_warnings", "time_range_labels", "search", "openapi"}) {
      json.Key(name).Bool(true);
    }
    json.EndObject();
    json.Key("promql").BeginObject();
    for (const char* name :
         {"at_modifier", "bool", "by", "group_left", "group_right", "ignoring", "negative_offset",
          "offset", "on", "per_query_lookback_delta", "subqueries", "without", "duration_expr"}) {
      json.Key(name).Bool(true);
    }
    json.Key("experimental_functions").Bool(on("promql-experimental-functions"));
    json.Key("anchored").Bool(on("promql-extended-range-selectors"));
    json.Key("smoothed").Bool(on("promql-extended-range-selectors"));
    json.Key("fill").Bool(on("promql-binop-fill-modifiers"));
    json.Key("delayed_name_removal").Bool(on("promql-delayed-name-removal"));
    json.Key("type_and_unit_labels").Bool(on("type-and-unit-labels"));
    json.Key("use_start_timestamps").Bool(on("use-start-timestamps"));
    json.Key("explain").Bool(true);
    json.EndObject();
    json.Key("vedette").BeginObject();
    json.Key("grpc_scrape").Bool(true);
    json.Key("gap_free_pull").Bool(true);
    json.Key("role").String(role);
    json.EndObject();
    json.EndObject();
  });
}

namespace {

// How often the state behind the notifications is looked at, and whether the reader is there.
constexpr std::chrono::milliseconds kLook{250};

struct Notification {
  std::string text;
  int64_t date_ms = 0;

  void Write(JsonWriter& json, bool active) const {
    json.BeginObject();
    json.Key("text").String(text);
    json.Key("date").String(FormatTime(date_ms));
    json.Key("active").Bool(active);
    json.EndObject();
  }
};

std::vector<Notification> NotificationsOf(const RuntimeInfo& r) {
  std::vector<Notification> out;
  if (!r.reload_config_success) {
    out.push_back({"Configuration reload has failed.", r.last_config_time_ms});
  }
  return out;
}

}  // namespace

Reply StatusDoor::Notifications(const Call&) const {
  const std::vector<Notification> all = NotificationsOf(b_.runtime());
  return Success([&](JsonWriter& json) {
    json.BeginArray();
    for (const Notification& n : all) n.Write(json, true);
    json.EndArray();
  });
}

Reply StatusDoor::NotificationsLive(const Call&) const {
  const std::shared_ptr<std::atomic<int>> readers = notification_readers_;
  if (readers->fetch_add(1) >= b_.max_notification_readers) {
    readers->fetch_sub(1);
    return {.status = 204};
  }
  Reply reply;
  reply.content_type = "text/event-stream";
  reply.headers = {{"Cache-Control", "no-cache"}};
  reply.endless = true;
  // Given back when the stream has ended, and when it never began.
  const std::shared_ptr<void> place(nullptr, [readers](void*) { readers->fetch_sub(1); });
  reply.stream = [runtime = b_.runtime, place](const Reply::Write& write) {
    std::vector<Notification> shown;
    const auto has = [](const std::vector<Notification>& list, const Notification& n) {
      return std::ranges::any_of(list, [&](const Notification& x) { return x.text == n.text; });
    };
    const auto send = [&](const Notification& n, bool active) {
      std::string event = "data: ";
      JsonWriter json(&event);
      n.Write(json, active);
      return write(event + "\n\n");
    };
    bool open = write(": notifications\n\n");
    while (open) {
      std::vector<Notification> now = NotificationsOf(runtime());
      for (const Notification& n : now) open = open && (has(shown, n) || send(n, true));
      for (const Notification& n : shown) open = open && (has(now, n) || send(n, false));
      shown = std::move(now);
      std::this_thread::sleep_for(kLook);
      open = open && write({});
    }
  };
  return reply;
}

Reply StatusDoor::OpenApi(const Call& call) const {
  const std::string_view version = call.Get("openapi_version").value_or("");
  std::string yaml = OpenApiYaml(version.empty() ? "3.1" : version, b_.build.version);
  if (yaml.empty()) {
    return BadParameter("openapi_version", StrCat(Quoted(version), " is neither 3.1 nor 3.2"));
  }
  return {.content_type = "application/yaml; charset=utf-8", .body = std::move(yaml)};
}

}  // namespace vedette::api
