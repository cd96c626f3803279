#include "common/config/prometheus.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "common/config/prometheus_sections.h"
#include "common/config/shared_loaders.h"

namespace vedette::config {
namespace {

constexpr std::array<std::string_view, 5> kProtocols = {
    "PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0",
    "PrometheusText0.0.4"};

const std::vector<ScrapeProtocol>& DefaultProtocols(bool native_histograms) {
  using P = ScrapeProtocol;
  static const std::vector<P> kText = {P::kOpenMetricsText1_0_0, P::kOpenMetricsText0_0_1,
                                       P::kPrometheusText1_0_0, P::kPrometheusText0_0_4};
  static const std::vector<P> kProtoFirst = {P::kPrometheusProto, P::kOpenMetricsText1_0_0,
                                             P::kOpenMetricsText0_0_1, P::kPrometheusText1_0_0,
                                             P::kPrometheusText0_0_4};
  return native_histograms ? kProtoFirst : kText;
}

bool ReadProtocol(const Value& value, ScrapeProtocol& out) {
  std::string name;
  value.ReadOneOf(name, {kProtocols.begin(), kProtocols.end()});
  for (size_t i = 0; i < kProtocols.size(); ++i) {
    if (kProtocols[i] == name) {
      out = static_cast<ScrapeProtocol>(i);
      return true;
    }
  }
  return false;
}

void ReadProtocols(const Value& value, std::vector<ScrapeProtocol>& out) {
  if (!value.present()) return;
  out.clear();
  value.EachBlock([&](const Value& item) {
    ScrapeProtocol protocol;
    if (!ReadProtocol(item, protocol)) return;
    if (std::find(out.begin(), out.end(), protocol) != out.end()) item.Fail("is given twice");
    out.push_back(protocol);
  });
  if (out.empty()) value.Fail("is empty; name at least one protocol, or remove the field");
}

void ReadLimits(Object& o, ScrapeLimits& out) {
  // Zero means: as global says.
  const auto limit = [&](std::string_view name, uint64_t& field) {
    uint64_t given = 0;
    o[name].Read(given);
    if (given != 0) field = given;
  };
  uint64_t body = 0;
  o["body_size_limit"].ReadSize(body);
  if (body != 0) out.body_size_limit_bytes = body;
  limit("sample_limit", out.sample_limit);
  limit("label_limit", out.label_limit);
  limit("label_name_length_limit", out.label_name_length_limit);
  limit("label_value_length_limit", out.label_value_length_limit);
  limit("target_limit", out.target_limit);
  limit("keep_dropped_targets", out.keep_dropped_targets);
}

void ReadNames(Object& o, NameValidation& validation, NameEscaping& escaping) {
  std::string scheme;
  o["metric_name_validation_scheme"].ReadOneOf(scheme, {"", "utf8", "legacy"});
  if (!scheme.empty()) {
    validation = scheme == "utf8" ? NameValidation::kUtf8 : NameValidation::kLegacy;
    // Without UTF-8 names there is nothing to allow: the classic escaping is the default.
    if (validation == NameValidation::kLegacy && escaping == NameEscaping::kAllowUtf8) {
      escaping = NameEscaping::kUnderscores;
    }
  }
  std::string name;
  const Value field = o["metric_name_escaping_scheme"];
  field.ReadOneOf(name, {"", "allow-utf-8", "underscores", "dots", "values"});
  if (name == "allow-utf-8") escaping = NameEscaping::kAllowUtf8;
  if (name == "underscores") escaping = NameEscaping::kUnderscores;
  if (name == "dots") escaping = NameEscaping::kDots;
  if (name == "values") escaping = NameEscaping::kValues;
  if (name == "allow-utf-8" && validation == NameValidation::kLegacy) {
    field.Fail("UTF-8 names are asked for, but metric_name_validation_scheme is legacy");
  }
}

// Puts environment variables into an external label: $NAME or ${NAME}; $$ is a dollar.
std::string ExpandEnvironment(const Value& where, const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    std::string name;
    size_t end = i + 1;
    if (text[end] == '{') {
      const size_t close = text.find('}', end);
      if (close == std::string::npos) {
        where.Fail(StrCat("no } after ${ in ", Quoted(text), "; write $$ for a dollar"));
        return out;
      }
      name = text.substr(end + 1, close - end - 1);
      end = close + 1;
    } else {
      while (end < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
        ++end;
      }
      name = text.substr(i + 1, end - i - 1);
    }
    if (name.empty()) {
      out += text[i];
      continue;
    }
    if (const char* value = std::getenv(name.c_str())) {
      out += value;
    } else {
      where.Notice(StrCat("environment variable ", name, " is not set; taken as empty"));
    }
    i = end - 1;
  }
  return out;
}

void CheckTimes(const Value& interval, const Value& timeout, int64_t interval_ms,
                int64_t timeout_ms) {
  if (timeout_ms > interval_ms) {
    (timeout.present() ? timeout : interval)
        .Fail(StrCat("the scrape timeout (", timeout_ms, "ms) is longer than the scrape interval (",
                     interval_ms, "ms); shorten the one or lengthen the other"));
  }
}

// Which part of the targets is this server's: those whose address, hashed as hashmod does, is
// `shard` modulo `modulus`.
void ReadShard(Object& o, uint64_t& modulus, uint64_t& shard) {
  o["modulus"].Read(modulus);
  const Value number = o["shard"];
  number.Read(shard);
  if (number.present() && modulus == 0) number.Fail("needs modulus beside it: the number of shards");
  if (modulus > 0 && shard >= modulus) {
    number.Fail(StrCat("shard ", shard, " of ", modulus, ": shards count from 0 to ", modulus - 1));
  }
}

void ReadGlobal(const Value& value, GlobalConfig& out) {
  Object o(value);
  const Value interval = o["scrape_interval"];
  interval.ReadDuration(out.scrape_interval_ms);
  if (out.scrape_interval_ms == 0) out.scrape_interval_ms = GlobalConfig().scrape_interval_ms;
  const Value timeout = o["scrape_timeout"];
  int64_t timeout_ms = 0;
  timeout.ReadDuration(timeout_ms);
  out.scrape_timeout_ms =
      timeout_ms != 0 ? timeout_ms : std::min(out.scrape_timeout_ms, out.scrape_interval_ms);
  CheckTimes(interval, timeout, out.scrape_interval_ms, out.scrape_timeout_ms);
  o["evaluation_interval"].ReadDuration(out.evaluation_interval_ms);
  if (out.evaluation_interval_ms == 0) {
    out.evaluation_interval_ms = GlobalConfig().evaluation_interval_ms;
  }
  o["rule_query_offset"].ReadDuration(out.rule_query_offset_ms);
  LabelsBuilder labels;
  o["external_labels"].EachEntry([&](const std::string& name, const Value& entry) {
    std::string text;
    entry.Read(text);
    if (name.empty() || !IsValidUtf8(name)) entry.Fail("not a label name");
    if (name == kMetricNameLabel) entry.Fail("__name__ cannot be an external label");
    labels.Set(name, ExpandEnvironment(entry, text));
  });
  out.external_labels = labels.Build();
  o["query_log_file"].ReadPath(out.query_log_file);
  o["scrape_failure_log_file"].ReadPath(out.scrape_failure_log_file);
  ReadProtocols(o["scrape_protocols"], out.scrape_protocols);
  ReadLimits(o, out.limits);
  ReadNames(o, out.name_validation, out.name_escaping);
  o["scrape_native_histograms"].Read(out.scrape_native_histograms);
  o["convert_classic_histograms_to_nhcb"].Read(out.convert_classic_histograms_to_nhcb);
  o["always_scrape_classic_histograms"].Read(out.always_scrape_classic_histograms);
  o["extra_scrape_metrics"].Read(out.extra_scrape_metrics);
  ReadShard(o, out.modulus, out.shard);
  o.Finish();
}

void ReadScrapeConfig(const Value& item, const GlobalConfig& global, ScrapeConfig& out) {
  out.file = item.context().file;
  out.line = item.line();
  Object o(item);
  const Value job_name = o["job_name"];
  job_name.Read(out.job_name);
  if (out.job_name.empty()) job_name.Fail("is missing or empty; every scrape config needs a name");

  const Value interval = o["scrape_interval"];
  interval.ReadDuration(out.scrape_interval_ms);
  if (out.scrape_interval_ms == 0) out.scrape_interval_ms = global.scrape_interval_ms;
  const Value timeout = o["scrape_timeout"];
  timeout.ReadDuration(out.scrape_timeout_ms);
  if (out.scrape_timeout_ms == 0) {
    out.scrape_timeout_ms = std::min(global.scrape_timeout_ms, out.scrape_interval_ms);
  }
  CheckTimes(interval, timeout, out.scrape_interval_ms, out.scrape_timeout_ms);

  const Value metrics_path = o["metrics_path"];
  metrics_path.Read(out.metrics_path);
  o["scheme"].ReadOneOf(out.scheme, {"http", "https", "grpc"});
  o["params"].EachEntry(
      [&](const std::string& name, const Value& value) { value.Read(out.params[name]); });
  o["honor_labels"].Read(out.honor_labels);
  o["honor_timestamps"].Read(out.honor_timestamps);
  o["track_timestamps_staleness"].Read(out.track_timestamps_staleness);

  out.scrape_native_histograms = global.scrape_native_histograms;
  o["scrape_native_histograms"].Read(out.scrape_native_histograms);
  out.convert_classic_histograms_to_nhcb = global.convert_classic_histograms_to_nhcb;
  o["convert_classic_histograms_to_nhcb"].Read(out.convert_classic_histograms_to_nhcb);
  out.always_scrape_classic_histograms = global.always_scrape_classic_histograms;
  o["always_scrape_classic_histograms"].Read(out.always_scrape_classic_histograms);
  out.extra_scrape_metrics = global.extra_scrape_metrics;
  o["extra_scrape_metrics"].Read(out.extra_scrape_metrics);
  out.modulus = global.modulus;
  out.shard = global.shard;
  ReadShard(o, out.modulus, out.shard);
  out.scrape_protocols = !global.scrape_protocols.empty()
                             ? global.scrape_protocols
                             : DefaultProtocols(out.scrape_native_histograms);
  ReadProtocols(o["scrape_protocols"], out.scrape_protocols);
  const Value fallback = o["fallback_scrape_protocol"];
  ScrapeProtocol protocol;
  if (fallback.present() && ReadProtocol(fallback, protocol)) {
    out.fallback_scrape_protocol = protocol;
  }
  o["enable_compression"].Read(out.enable_compression);
  out.scrape_failure_log_file = global.scrape_failure_log_file;
  o["scrape_failure_log_file"].ReadPath(out.scrape_failure_log_file);
  out.limits = global.limits;
  ReadLimits(o, out.limits);
  o["native_histogram_bucket_limit"].Read(out.native_histogram_bucket_limit);
  o["native_histogram_min_bucket_factor"].Read(out.native_histogram_min_bucket_factor);
  out.name_validation = global.name_validation;
  out.name_escaping = global.name_escaping;
  ReadNames(o, out.name_validation, out.name_escaping);

  ReadHttpClient(o, out.http);
  ReadDiscovery(o, out.discovery);
  ReadRelabels(o["relabel_configs"], out.relabel_configs);
  ReadRelabels(o["metric_relabel_configs"], out.metric_relabel_configs);
  o.Finish();

  if (out.scheme == "grpc") {
    // An agent has one snapshot and authenticates by certificate; what only HTTP has would be
    // without effect.
    const auto refuse = [&](std::string_view field, bool given) {
      if (given) o[field].Fail("has no meaning for scheme grpc; remove it");
    };
    refuse("basic_auth", out.http.basic_auth.has_value());
    refuse("authorization", out.http.authorization.has_value());
    refuse("oauth2", out.http.oauth2.has_value());
    refuse("proxy_url", !out.http.proxy.proxy_url.empty());
    refuse("http_headers", !out.http.http_headers.empty());
    refuse("params", !out.params.empty());
    refuse("scrape_protocols", o["scrape_protocols"].present());
    refuse("fallback_scrape_protocol", fallback.present());
    refuse("body_size_limit", o["body_size_limit"].present());
    refuse("metrics_path", metrics_path.present());
  }
}

void ReadScrapeConfigs(const Value& value, PrometheusConfig& out) {
  value.EachBlock([&](const Value& item) {
    ScrapeConfig config;
    ReadScrapeConfig(item, out.global, config);
    for (const ScrapeConfig& other : out.scrape_configs) {
      if (other.job_name != config.job_name) continue;
      item.Fail(StrCat("the job name ", Quoted(config.job_name), " is taken by ", other.file, ":",
                       other.line, "; job names must differ"));
    }
    out.scrape_configs.push_back(std::move(config));
  });
}

// Absolute globs, with at most one star, in the last segment; and what they match.
void ReadGlobs(const Value& value, std::vector<std::string>& globs,
               std::vector<std::string>& files) {
  value.EachItem([&](const Value& item) {
    std::string pattern;
    item.Read(pattern);
    const size_t star = pattern.find('*');
    if (pattern.empty()) item.Fail("an empty path");
    if (star != std::string::npos && pattern.find('/', star) != std::string::npos) {
      item.Fail(StrCat("in ", Quoted(pattern), " the * must stand in the last segment"));
    }
    pattern = Absolute(item.context().directory, pattern);
    for (std::string& file : GlobFiles(pattern)) {
      if (std::find(files.begin(), files.end(), file) == files.end()) {
        files.push_back(std::move(file));
      }
    }
    globs.push_back(std::move(pattern));
  });
}

Status LoadScrapeConfigFile(const std::string& file, LoadOptions options, PrometheusConfig& out) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(file));
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  context.ignore_unknown_fields = options.ignore_unknown_fields;
  Object o(Value::Root(context, root));
  ReadScrapeConfigs(o["scrape_configs"], out);
  o.Finish();
  out.notices.insert(out.notices.end(), context.notices.begin(), context.notices.end());
  return context.failure;
}

}  // namespace

std::string_view ScrapeProtocolName(ScrapeProtocol protocol) {
  return kProtocols[static_cast<size_t>(protocol)];
}

Result<PrometheusConfig> ParsePrometheusConfig(std::string_view text, const std::string& file,
                                               LoadOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  context.ignore_unknown_fields = options.ignore_unknown_fields;
  PrometheusConfig out;
  out.file = file;
  out.text = std::string(text);

  Object o(Value::Root(context, root));
  ReadGlobal(o["global"], out.global);
  const Value runtime = o["runtime"];
  if (runtime.present()) {
    Object r(runtime);
    r["gogc"].Notice("Vedette has no garbage collector to tune");
    r.Finish();
  }
  ReadGlobs(o["rule_files"], out.rule_globs, out.rule_files);
  ReadGlobs(o["scrape_config_files"], out.scrape_config_globs, out.scrape_config_files);
  ReadScrapeConfigs(o["scrape_configs"], out);
  const Value alerting = o["alerting"];
  if (alerting.present()) ReadAlerting(alerting, out.alerting);
  ReadRemoteWrite(o["remote_write"], out.remote_write);
  const Value remote_read = o["remote_read"];
  ReadRemoteRead(remote_read, out.remote_read);
  if (!out.remote_read.empty()) {
    remote_read.Notice("Vedette answers remote read and does not ask others by it");
  }
  const Value storage = o["storage"];
  if (storage.present()) ReadStorage(storage, out.storage);
  const Value tracing = o["tracing"];
  if (tracing.present()) {
    ReadTracing(tracing, out.tracing.emplace());
    tracing.Notice("Vedette sends no traces of itself; remove the section");
  }
  const Value otlp = o["otlp"];
  if (otlp.present()) ReadOtlp(otlp, out.otlp);
  o.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);

  out.notices = std::move(context.notices);
  if (out.global.scrape_protocols.empty()) {
    out.global.scrape_protocols = DefaultProtocols(out.global.scrape_native_histograms);
  }
  for (const std::string& scrape_file : out.scrape_config_files) {
    VEDETTE_RETURN_IF_ERROR(LoadScrapeConfigFile(scrape_file, options, out));
  }
  return out;
}

Result<PrometheusConfig> LoadPrometheusConfig(const std::string& path, LoadOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParsePrometheusConfig(text, path, options);
}

}  // namespace vedette::config
