#include "common/config/prometheus_sections.h"

#include <set>

#include "common/config/shared_loaders.h"

namespace vedette::config {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void ReadSigv4(const Value& value, std::optional<Sigv4Config>& out) {
  if (!value.written() || (value.present() && !value.IsMap())) {
    if (value.present()) value.Fail("a map is expected here");
    return;
  }
  Sigv4Config& sigv4 = out.emplace();
  Object o(value);
  o["region"].Read(sigv4.region);
  const Value access_key = o["access_key"];
  access_key.Read(sigv4.access_key);
  o["secret_key"].Read(sigv4.secret_key);
  o["profile"].Read(sigv4.profile);
  o["role_arn"].Read(sigv4.role_arn);
  o["external_id"].Read(sigv4.external_id);
  o["use_fips_sts_endpoint"].Read(sigv4.use_fips_sts_endpoint);
  o["service_name"].Read(sigv4.service_name);
  o.Finish();
  if (sigv4.access_key.empty() != sigv4.secret_key.empty()) {
    access_key.Fail("access_key and secret_key go together; give both or neither");
  }
}

bool HasOtherAuth(const HttpClientConfig& http) {
  return http.basic_auth || http.authorization || http.oauth2;
}

// Headers of remote write and read that the protocol itself sets.
void CheckRemoteHeaders(const Value& value, const std::map<std::string, std::string>& headers) {
  static const std::set<std::string> kReserved = {"host",
                                                  "content-encoding",
                                                  "content-length",
                                                  "content-type",
                                                  "user-agent",
                                                  "connection",
                                                  "keep-alive",
                                                  "proxy-authenticate",
                                                  "te",
                                                  "trailer",
                                                  "proxy-authorization",
                                                  "transfer-encoding",
                                                  "upgrade",
                                                  "www-authenticate",
                                                  "accept-encoding",
                                                  "x-prometheus-remote-write-version",
                                                  "x-prometheus-remote-read-version"};
  for (const auto& [name, text] : headers) {
    const std::string lower = Lower(name);
    if (lower == "authorization") {
      value.Fail("the header Authorization is set by basic_auth, authorization, oauth2 or sigv4");
    }
    if (kReserved.contains(lower)) {
      value.Fail(StrCat("the header ", Quoted(name), " is set by the protocol; remove it"));
    }
  }
}

void Positive(const Value& field, int64_t value) {
  if (value <= 0) field.Fail(StrCat("must be above zero, not ", value));
}

void ReadQueue(const Value& value, QueueConfig& out) {
  if (!value.present()) return;
  Object o(value);
  const auto positive = [&](std::string_view name, int64_t& field) {
    const Value v = o[name];
    v.Read(field);
    Positive(v, field);
  };
  positive("capacity", out.capacity);
  positive("max_shards", out.max_shards);
  positive("min_shards", out.min_shards);
  positive("max_samples_per_send", out.max_samples_per_send);
  const Value deadline = o["batch_send_deadline"];
  deadline.ReadDuration(out.batch_send_deadline_ms);
  Positive(deadline, out.batch_send_deadline_ms);
  o["min_backoff"].ReadDuration(out.min_backoff_ms);
  o["max_backoff"].ReadDuration(out.max_backoff_ms);
  o["retry_on_http_429"].Read(out.retry_on_http_429);
  o["sample_age_limit"].ReadDuration(out.sample_age_limit_ms);
  o.Finish();
  if (out.min_shards > out.max_shards) value.Fail("min_shards is above max_shards");
  if (out.min_backoff_ms > out.max_backoff_ms) value.Fail("min_backoff is above max_backoff");
}

void ReadOneRemoteWrite(const Value& item, RemoteWriteConfig& out) {
  out.http.enable_http2 = false;
  Object o(item);
  const Value url = o["url"];
  url.ReadUrl(out.url);
  std::string message = "prometheus.WriteRequest";
  o["protobuf_message"].ReadOneOf(message,
                                  {"prometheus.WriteRequest", "io.prometheus.write.v2.Request"});
  out.version2 = message != "prometheus.WriteRequest";
  o["remote_timeout"].ReadDuration(out.remote_timeout_ms);
  const Value headers = o["headers"];
  headers.Read(out.headers);
  CheckRemoteHeaders(headers, out.headers);
  ReadRelabels(o["write_relabel_configs"], out.write_relabel_configs);
  o["name"].Read(out.name);
  o["send_exemplars"].Read(out.send_exemplars);
  o["send_native_histograms"].Read(out.send_native_histograms);
  o["round_robin_dns"].Read(out.round_robin_dns);
  o["failed_request_logging"].Notice(
      "every failed request is logged anyway, repeats at a limited rate");
  ReadQueue(o["queue_config"], out.queue);
  const Value metadata = o["metadata_config"];
  if (metadata.present()) {
    Object m(metadata);
    m["send"].Read(out.metadata.send);
    m["send_interval"].ReadDuration(out.metadata.send_interval_ms);
    const Value most = m["max_samples_per_send"];
    most.Read(out.metadata.max_samples_per_send);
    Positive(most, out.metadata.max_samples_per_send);
    m.Finish();
  }
  const Value sigv4 = o["sigv4"];
  ReadSigv4(sigv4, out.sigv4);
  for (std::string_view cloud : {"azuread", "google_iam"}) {
    const Value refused = o[cloud];
    if (refused.present()) {
      refused.Fail(
          "refused: Vedette does not have this authentication; use authorization or oauth2");
    }
  }
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.url.empty()) url.Fail("is missing; name where to write to");
  if (out.sigv4 && HasOtherAuth(out.http)) {
    sigv4.Fail("cannot stand beside basic_auth, authorization or oauth2; keep one of them");
  }
}

void ReadOneRemoteRead(const Value& item, RemoteReadConfig& out) {
  Object o(item);
  const Value url = o["url"];
  url.ReadUrl(out.url);
  o["name"].Read(out.name);
  LabelsBuilder matchers;
  o["required_matchers"].EachEntry([&](const std::string& name, const Value& value) {
    std::string text;
    value.Read(text);
    matchers.Set(name, text);
  });
  out.required_matchers = matchers.Build();
  o["remote_timeout"].ReadDuration(out.remote_timeout_ms);
  const Value headers = o["headers"];
  headers.Read(out.headers);
  CheckRemoteHeaders(headers, out.headers);
  o["read_recent"].Read(out.read_recent);
  o["filter_external_labels"].Read(out.filter_external_labels);
  o["chunked_read_limit"].Read(out.chunked_read_limit_bytes);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.url.empty()) url.Fail("is missing; name where to read from");
}

void ReadAlertmanager(const Value& item, AlertmanagerEndpointConfig& out) {
  Object o(item);
  o["timeout"].ReadDuration(out.timeout_ms);
  const Value version = o["api_version"];
  version.Read(out.api_version);
  if (out.api_version != "v2") {
    version.Fail(StrCat("unknown version ", Quoted(out.api_version),
                        "; v2 is the only one Alertmanager still has"));
  }
  o["path_prefix"].Read(out.path_prefix);
  o["scheme"].ReadOneOf(out.scheme, {"http", "https"});
  const Value sigv4 = o["sigv4"];
  ReadSigv4(sigv4, out.sigv4);
  ReadHttpClient(o, out.http);
  ReadDiscovery(o, out.discovery);
  ReadRelabels(o["relabel_configs"], out.relabel_configs);
  ReadRelabels(o["alert_relabel_configs"], out.alert_relabel_configs);
  o.Finish();
  if (out.sigv4 && HasOtherAuth(out.http)) {
    sigv4.Fail("cannot stand beside basic_auth, authorization or oauth2; keep one of them");
  }
}

template <typename T>
void RefuseSameName(const Value& list, const std::vector<T>& all) {
  std::set<std::string> names;
  for (const T& one : all) {
    if (!one.name.empty() && !names.insert(one.name).second) {
      list.Fail(StrCat("two entries are named ", Quoted(one.name), "; names must differ"));
    }
  }
}

}  // namespace

void ReadAlerting(const Value& value, AlertingConfig& out) {
  Object o(value);
  ReadRelabels(o["alert_relabel_configs"], out.alert_relabel_configs);
  o["alertmanagers"].EachBlock(
      [&](const Value& item) { ReadAlertmanager(item, out.alertmanagers.emplace_back()); });
  o.Finish();
}

void ReadRemoteWrite(const Value& value, std::vector<RemoteWriteConfig>& out) {
  value.EachBlock([&](const Value& item) { ReadOneRemoteWrite(item, out.emplace_back()); });
  RefuseSameName(value, out);
}

void ReadRemoteRead(const Value& value, std::vector<RemoteReadConfig>& out) {
  value.EachBlock([&](const Value& item) { ReadOneRemoteRead(item, out.emplace_back()); });
  RefuseSameName(value, out);
}

void ReadStorage(const Value& value, StorageConfig& out) {
  Object o(value);
  const Value tsdb = o["tsdb"];
  Object t(tsdb);
  t["out_of_order_time_window"].ReadDuration(out.out_of_order_time_window_ms);
  Object r(t["retention"]);
  r["time"].ReadDuration(out.retention_time_ms);
  const Value size = r["size"];
  if (size.present()) size.ReadSize(out.retention_size_bytes.emplace());
  const Value percentage = r["percentage"];
  percentage.Read(out.retention_percentage);
  if (out.retention_percentage &&
      (*out.retention_percentage < 0 || *out.retention_percentage > 100)) {
    percentage.Fail(StrCat("must be from 0 to 100, not ", *out.retention_percentage));
  }
  r["rules"].EachBlock([&](const Value& item) {
    Object rule(item);
    RetentionRuleConfig& added = out.retention_rules.emplace_back();
    const Value match = rule["match"];
    match.Read(added.match);
    if (added.match.empty()) match.Fail("a selector is expected, such as {job=\"debug\"}");
    const Value time = rule["time"];
    time.ReadDuration(added.time_ms);
    if (!time.present()) time.Fail("how long the series are kept; 0s: for ever");
    rule.Finish();
  });
  r.Finish();
  t["rollups"].EachBlock([&](const Value& item) {
    constexpr int64_t kMinute = 60'000;
    constexpr int64_t kDay = 24 * 60 * kMinute;  // What the storage keeps together.
    int64_t& ms = out.rollups_ms.emplace_back(kMinute);  // Stays where the text is no duration.
    item.ReadDuration(ms);
    if (ms < kMinute || ms >= kDay || ms % 1000 != 0 || kDay % ms != 0) {
      item.Fail("a roll-up is at least a minute long, and divides a day: 5m and 1h do");
    }
  });
  t["stale_series_compaction_threshold"].Notice(
      "Vedette's head drops stale series by itself; there is no threshold to set");
  t["chunk_encoding"].Notice("Vedette has one chunk encoding of its own");
  t.Finish();
  Object e(o["exemplars"]);
  e["max_exemplars"].Read(out.max_exemplars);
  e.Finish();
  o.Finish();
}

void ReadTracing(const Value& value, TracingConfig& out) {
  Object o(value);
  o["client_type"].ReadOneOf(out.client_type, {"grpc", "http"});
  const Value endpoint = o["endpoint"];
  endpoint.Read(out.endpoint);
  const Value fraction = o["sampling_fraction"];
  fraction.Read(out.sampling_fraction);
  o["insecure"].Read(out.insecure);
  o["headers"].Read(out.headers);
  o["compression"].ReadOneOf(out.compression, {"", "gzip"});
  o["timeout"].ReadDuration(out.timeout_ms);
  ReadTls(o["tls_config"], out.tls);
  o.Finish();
  if (out.endpoint.empty()) endpoint.Fail("is missing; name where traces go");
  value.Notice("this build sends no traces");
}

void ReadOtlp(const Value& value, OtlpConfig& out) {
  Object o(value);
  const Value all = o["promote_all_resource_attributes"];
  all.Read(out.promote_all_resource_attributes);
  const Value some = o["promote_resource_attributes"];
  some.Read(out.promote_resource_attributes);
  const Value ignore = o["ignore_resource_attributes"];
  ignore.Read(out.ignore_resource_attributes);
  std::string translation = "UnderscoreEscapingWithSuffixes";
  o["translation_strategy"].ReadOneOf(
      translation, {"UnderscoreEscapingWithSuffixes", "NoUTF8EscapingWithSuffixes",
                    "UnderscoreEscapingWithoutSuffixes", "NoTranslation"});
  out.translation =
      translation == "NoUTF8EscapingWithSuffixes" ? OtlpTranslation::kNoUtf8EscapingWithSuffixes
      : translation == "UnderscoreEscapingWithoutSuffixes"
          ? OtlpTranslation::kUnderscoreEscapingWithoutSuffixes
      : translation == "NoTranslation" ? OtlpTranslation::kNoTranslation
                                       : OtlpTranslation::kUnderscoreEscapingWithSuffixes;
  o["keep_identifying_resource_attributes"].Read(out.keep_identifying_resource_attributes);
  o["convert_histograms_to_nhcb"].Read(out.convert_histograms_to_nhcb);
  o["promote_scope_metadata"].Read(out.promote_scope_metadata);
  o["label_name_underscore_sanitization"].Read(out.label_name_underscore_sanitization);
  o["label_name_preserve_multiple_underscores"].Read(out.label_name_preserve_multiple_underscores);
  o.Finish();
  if (out.promote_all_resource_attributes && !out.promote_resource_attributes.empty()) {
    some.Fail("cannot stand beside promote_all_resource_attributes; keep one of them");
  }
  if (!out.promote_all_resource_attributes && !out.ignore_resource_attributes.empty()) {
    ignore.Fail("needs promote_all_resource_attributes: true");
  }
  for (const auto* names : {&out.promote_resource_attributes, &out.ignore_resource_attributes}) {
    std::set<std::string> seen;
    for (const std::string& name : *names) {
      const Value& where = names == &out.promote_resource_attributes ? some : ignore;
      if (name.empty()) where.Fail("an empty attribute name");
      if (!seen.insert(name).second) where.Fail(StrCat(Quoted(name), " is given twice"));
    }
  }
}

}  // namespace vedette::config
