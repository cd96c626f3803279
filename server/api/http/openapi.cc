#include "server/api/http/openapi.h"

#include <cstdint>

#include "common/base/strings.h"

namespace vedette::api {
namespace {

enum Methods : uint8_t { kGet = 1, kPost = 2, kPut = 4 };

struct Path {
  std::string_view path;
  uint8_t methods;
  std::string_view id;
  std::string_view summary;
  // Names of parameters, "!" after one that is required, "[]" in one that may be given again.
  std::string_view params;
  std::string_view answer = "application/json";
};

constexpr uint8_t kGetPost = kGet | kPost;
constexpr uint8_t kPostPut = kPost | kPut;
constexpr std::string_view kLines = "application/x-ndjson";
constexpr std::string_view kText = "text/plain";

constexpr Path kPaths[] = {
    {"/query", kGetPost, "query", "A PromQL expression at one instant.",
     "query! time timeout limit lookback_delta stats"},
    {"/query_range", kGetPost, "queryRange", "A PromQL expression over a range of time.",
     "query! start! end! step! timeout limit lookback_delta stats"},
    {"/explain", kGetPost, "explain", "The plan of a query; with analyze=true what each node cost.",
     "query! time start end step analyze timeout lookback_delta"},
    {"/queries", kGet, "runningQueries", "Queries that wait or run.", ""},
    {"/queries/{id}/kill", kPostPut, "killQuery", "Ends a running query.", ""},
    {"/query_exemplars", kGetPost, "queryExemplars", "Exemplars of the series in an expression.",
     "query! start end"},
    {"/format_query", kGetPost, "formatQuery", "An expression, laid out.", "query!"},
    {"/parse_query", kGetPost, "parseQuery", "An expression as a tree.", "query!"},
    {"/series", kGetPost, "series", "Label sets of the series that match.",
     "match[]! start end limit"},
    {"/labels", kGetPost, "labelNames", "Names of labels.", "match[] start end limit"},
    {"/label/{name}/values", kGet, "labelValues", "Values of one label.",
     "match[] start end limit"},
    {"/metadata", kGet, "metadata", "Type, help and unit of metrics.",
     "metric limit limit_per_metric"},
    {"/search/metric_names", kGetPost, "searchMetricNames", "Metric names, as somebody types.",
     "search[] match[] start end fuzz_alg fuzz_threshold case_sensitive sort_by sort_dir "
     "include_score include_metadata limit batch_size",
     kLines},
    {"/search/label_names", kGetPost, "searchLabelNames", "Label names, as somebody types.",
     "search[] match[] start end fuzz_alg fuzz_threshold case_sensitive sort_by sort_dir "
     "include_score limit batch_size",
     kLines},
    {"/search/label_values", kGetPost, "searchLabelValues",
     "Values of one label, as somebody types.",
     "label! search[] match[] start end fuzz_alg fuzz_threshold case_sensitive sort_by sort_dir "
     "include_score limit batch_size",
     kLines},
    {"/targets", kGet, "targets", "Scrape targets and their health.",
     "state scrapePool limit discovered"},
    {"/targets/metadata", kGet, "targetsMetadata", "Metadata as targets gave it.",
     "match_target metric limit"},
    {"/targets/relabel_steps", kGet, "relabelSteps", "What each relabelling rule does to labels.",
     "scrapePool! labels!"},
    {"/scrape_pools", kGet, "scrapePools", "Names of scrape pools.", ""},
    {"/scrape_pools/config", kGet, "scrapePoolConfig", "Configuration of one scrape pool.",
     "scrapePool!"},
    {"/rules", kGet, "rules", "Rule groups with their state.",
     "type rule_name[] rule_group[] file[] exclude_alerts match[] group_limit group_next_token"},
    {"/alerts", kGet, "alerts", "Alerts that are pending or firing.", ""},
    {"/alertmanagers", kGet, "alertmanagers", "Outside Alertmanagers.", ""},
    {"/status/buildinfo", kGet, "buildInfo", "What was built.", ""},
    {"/status/runtimeinfo", kGet, "runtimeInfo", "How the server runs.", ""},
    {"/status/flags", kGet, "flags", "The command line.", ""},
    {"/status/config", kGet, "config", "The configuration, secrets hidden.", ""},
    {"/status/tsdb", kGet, "tsdb", "Cardinality and cost of the storage.", "limit"},
    {"/status/cost", kGet, "cost",
     "Bytes on disk, in memory and on the wire by metric, job or label.", "by label limit"},
    {"/status/tsdb/blocks", kGet, "tsdbBlocks", "Blocks on disk; this storage has none.", ""},
    {"/status/walreplay", kGet, "walReplay", "Progress of reading the log.", ""},
    {"/status/self_metrics", kGet, "selfMetrics", "The server's own metrics.", ""},
    {"/features", kGet, "features", "What this server can do.", ""},
    {"/preferences", kGetPost, "preferences", "How this reader likes the page.", "profile"},
    {"/notifications", kGet, "notifications", "What an operator should know.", ""},
    {"/notifications/live", kGet, "notificationsLive", "The same as events, as they come.", "",
     "text/event-stream"},
    {"/admin/tsdb/delete_series", kPostPut, "deleteSeries", "Deletes samples of series.",
     "match[]! start end"},
    {"/admin/tsdb/clean_tombstones", kPostPut, "cleanTombstones",
     "Frees the space of what was deleted.", ""},
    {"/admin/tsdb/snapshot", kPostPut, "snapshot", "A copy of the data directory.", "skip_head"},
    {"/write", kPost, "remoteWrite", "Remote write 1.0 and 2.0, snappy.", "", kText},
    {"/read", kPost, "remoteRead", "Remote read, snappy.", "", "application/x-protobuf"},
    {"/otlp/v1/metrics", kPost, "otlpMetrics", "OpenTelemetry metrics, protobuf or JSON.", "",
     "application/x-protobuf"},
    {"/openapi.yaml", kGet, "openApi", "This description.", "openapi_version",
     "application/yaml"},
};

void Parameter(std::string& out, std::string_view name, std::string_view in, bool required) {
  const bool list = name.ends_with("[]");
  StrAppend(out, "        - name: '", name, "'\n          in: ", in, "\n          required: ",
            required ? "true" : "false", "\n          schema: ",
            list ? "{type: array, items: {type: string}}" : "{type: string}", "\n");
}

void Operation(std::string& out, const Path& p, std::string_view method, bool only) {
  StrAppend(out, "    ", method, ":\n      operationId: ", p.id);
  if (!only) StrAppend(out, method == "get" ? "" : method == "post" ? "Post" : "Put");
  StrAppend(out, "\n      summary: ", Quoted(p.summary), "\n");
  std::string parameters;
  const size_t open = p.path.find('{');
  if (open != std::string_view::npos) {
    Parameter(parameters, p.path.substr(open + 1, p.path.find('}') - open - 1), "path", true);
  }
  for (std::string_view name : Split(p.params, ' ')) {
    if (name.empty()) continue;
    const bool required = name.ends_with('!');
    if (required) name.remove_suffix(1);
    Parameter(parameters, name, "query", required);
  }
  if (!parameters.empty()) StrAppend(out, "      parameters:\n", parameters);
  StrAppend(out, "      responses:\n        '200':\n          description: Success.\n",
            "          content:\n            '", p.answer, "':\n");
  if (p.answer == "application/json") {
    out += "              schema: {$ref: '#/components/schemas/Success'}\n";
  } else {
    out += "              schema: {type: string}\n";
  }
  out +=
      "        default:\n          description: An error.\n          content:\n"
      "            application/json:\n"
      "              schema: {$ref: '#/components/schemas/Failure'}\n";
}

}  // namespace

std::string OpenApiYaml(std::string_view version, std::string_view server_version) {
  if (version != "3.1" && version != "3.2") return "";
  std::string out =
      StrCat("openapi: ", version, ".0\ninfo:\n  title: Vedette HTTP API\n",
             "  description: The HTTP API of Prometheus, and what Vedette adds to it.\n",
             "  version: '", server_version, "'\nservers:\n  - url: /api/v1\npaths:\n");
  for (const Path& p : kPaths) {
    StrAppend(out, "  ", p.path, ":\n");
    const bool only = p.methods == kGet || p.methods == kPost;
    if (p.methods & kGet) Operation(out, p, "get", only);
    if (p.methods & kPost) Operation(out, p, "post", only);
    if (p.methods & kPut) Operation(out, p, "put", only);
  }
  out +=
      "components:\n"
      "  schemas:\n"
      "    Success:\n"
      "      type: object\n"
      "      required: [status]\n"
      "      properties:\n"
      "        status: {type: string, enum: [success]}\n"
      "        data: {}\n"
      "        warnings: {type: array, items: {type: string}}\n"
      "        infos: {type: array, items: {type: string}}\n"
      "    Failure:\n"
      "      type: object\n"
      "      required: [status, errorType, error]\n"
      "      properties:\n"
      "        status: {type: string, enum: [error]}\n"
      "        errorType:\n"
      "          type: string\n"
      "          enum: [timeout, canceled, execution, bad_data, internal, unavailable, not_found, "
      "not_acceptable]\n"
      "        error: {type: string}\n";
  return out;
}

}  // namespace vedette::api
