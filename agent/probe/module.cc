#include "agent/probe/module.h"

#include <re2/re2.h>

#include <algorithm>

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "common/config/shared_loaders.h"
#include "common/config/yaml_node.h"

namespace vedette::agent {
namespace {

using config::Object;
using config::Value;

constexpr int64_t kRegexMemory = 8 << 20;

void ReadRegex(const Value& value, Regex& out) {
  std::string text;
  value.Read(text);
  if (text.empty()) return;
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kRegexMemory);
  auto regex = std::make_shared<re2::RE2>(text, options);
  if (!regex->ok()) value.Fail(StrCat(Quoted(text), ": ", regex->error()));
  out = std::move(regex);
}

void ReadRegexes(const Value& value, std::vector<Regex>& out) {
  value.EachItem([&](const Value& item) { ReadRegex(item, out.emplace_back()); });
}

void ReadHeaderMatches(const Value& value, std::vector<HeaderMatch>& out) {
  value.EachBlock([&](const Value& item) {
    HeaderMatch& match = out.emplace_back();
    Object o(item);
    const Value header = o["header"];
    header.Read(match.header);
    const Value regex = o["regexp"];
    ReadRegex(regex, match.regex);
    o["allow_missing"].Read(match.allow_missing);
    o.Finish();
    if (match.header.empty()) header.Fail("is missing");
    if (match.regex == nullptr) regex.Fail("is missing");
  });
}

void ReadIp(Object& o, IpChoice& out) {
  std::string preferred = "ip6";
  o["preferred_ip_protocol"].ReadOneOf(preferred, {"ip4", "ip6"});
  out.prefer_ip6 = preferred == "ip6";
  o["ip_protocol_fallback"].Read(out.fallback);
}

void Refuse(Object& o, std::string_view field) {
  const Value value = o[field];
  if (value.present()) value.Fail("refused: Vedette's probes do not have this");
}

void ReadHttp(const Value& value, HttpModule& out) {
  Object o(value);
  o["valid_status_codes"].EachItem([&](const Value& item) {
    int code = 0;
    item.Read(code);
    out.valid_status_codes.push_back(code);
  });
  o["valid_http_versions"].Read(out.valid_http_versions);
  o["method"].Read(out.method);
  o["headers"].EachEntry([&](const std::string& name, const Value& entry) {
    std::string text;
    entry.Read(text);
    out.headers.emplace_back(name, text);
  });
  o["body"].Read(out.body);
  const Value body_file = o["body_file"];
  std::string file;
  body_file.ReadPath(file);
  if (!file.empty()) {
    Result<std::string> text = config::ReadConfigFile(file);
    if (text.ok()) {
      out.body = *std::move(text);
    } else {
      body_file.Fail(text.status().message());
    }
  }
  o["body_size_limit"].ReadSize(out.body_size_limit_bytes);
  o["fail_if_ssl"].Read(out.fail_if_ssl);
  o["fail_if_not_ssl"].Read(out.fail_if_not_ssl);
  ReadRegexes(o["fail_if_body_matches_regexp"], out.fail_if_body_matches);
  ReadRegexes(o["fail_if_body_not_matches_regexp"], out.fail_if_body_not_matches);
  ReadHeaderMatches(o["fail_if_header_matches"], out.fail_if_header_matches);
  ReadHeaderMatches(o["fail_if_header_not_matches"], out.fail_if_header_not_matches);
  ReadIp(o, out.ip);
  for (const char* field :
       {"compression", "fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel",
        "skip_resolve_phase_with_proxy", "enable_http3", "no_follow_redirects"}) {
    Refuse(o, field);
  }
  config::ReadHttpClient(o, out.http);
  o.Finish();
}

void ReadTcp(const Value& value, TcpModule& out) {
  Object o(value);
  o["query_response"].EachBlock([&](const Value& item) {
    TcpModule::Step& step = out.query_response.emplace_back();
    Object s(item);
    ReadRegex(s["expect"], step.expect);
    s["send"].Read(step.send);
    s["starttls"].Read(step.starttls);
    Refuse(s, "expect_bytes");
    Refuse(s, "labels");
    s.Finish();
  });
  o["tls"].Read(out.tls);
  config::ReadTls(o["tls_config"], out.tls_config);
  ReadIp(o, out.ip);
  Refuse(o, "source_ip_address");
  o.Finish();
}

void ReadIcmp(const Value& value, IcmpModule& out) {
  Object o(value);
  const Value size = o["payload_size"];
  size.Read(out.payload_size);
  if (out.payload_size < 0 || out.payload_size > 65000) size.Fail("must be 0 to 65000");
  o["ttl"].Read(out.ttl);
  o["dont_fragment"].Read(out.dont_fragment);
  ReadIp(o, out.ip);
  Refuse(o, "source_ip_address");
  o.Finish();
}

void ReadDns(const Value& value, DnsModule& out) {
  static constexpr std::pair<std::string_view, int> kTypes[] = {
      {"A", 1},    {"NS", 2},    {"CNAME", 5}, {"SOA", 6},   {"PTR", 12}, {"MX", 15},
      {"TXT", 16}, {"AAAA", 28}, {"SRV", 33},  {"CAA", 257}, {"ANY", 255}};
  static constexpr std::string_view kCodes[] = {"NOERROR", "FORMERR", "SERVFAIL",
                                                "NXDOMAIN", "NOTIMP", "REFUSED"};
  Object o(value);
  const Value name = o["query_name"];
  name.Read(out.query_name);
  const Value type = o["query_type"];
  std::string text = "ANY";
  type.Read(text);
  const auto* known = std::ranges::find(kTypes, std::string_view(text),
                                        &std::pair<std::string_view, int>::first);
  if (known == std::end(kTypes)) {
    type.Fail(StrCat(Quoted(text), " is no record type of ours; A, AAAA, NS, CNAME, SOA, PTR, MX, "
                                   "TXT, SRV, CAA or ANY"));
  } else {
    out.query_type = known->second;
  }
  std::string transport = "udp";
  o["transport_protocol"].ReadOneOf(transport, {"udp", "tcp"});
  out.tcp = transport == "tcp";
  o["recursion_desired"].Read(out.recursion_desired);
  o["valid_rcodes"].EachItem([&](const Value& item) {
    std::string code;
    item.Read(code);
    const auto* at = std::ranges::find(kCodes, std::string_view(code));
    if (at == std::end(kCodes)) {
      item.Fail(StrCat(Quoted(code), " is no response code"));
    } else {
      out.valid_rcodes.push_back(static_cast<int>(at - kCodes));
    }
  });
  ReadIp(o, out.ip);
  for (const char* field : {"validate_answer_rrs", "validate_authority_rrs",
                            "validate_additional_rrs", "dns_over_tls", "tls_config",
                            "source_ip_address", "query_class"}) {
    Refuse(o, field);
  }
  o.Finish();
  if (out.query_name.empty()) name.Fail("is missing; name what to ask for");
}

void ReadGrpc(const Value& value, GrpcModule& out) {
  Object o(value);
  o["service"].Read(out.service);
  o["tls"].Read(out.tls);
  config::ReadTls(o["tls_config"], out.tls_config);
  ReadIp(o, out.ip);
  Refuse(o, "metadata");
  o.Finish();
}

}  // namespace

Result<ProbeModules> LoadProbeModules(const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, config::ReadConfigFile(file));
  return ParseProbeModules(text, file);
}

Result<ProbeModules> ParseProbeModules(std::string_view text, const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const config::YamlNode root, config::ParseYaml(text, file));
  config::DecodeContext context = config::DecodeContext::For(file);
  ProbeModules modules;
  Object top(Value::Root(context, root));
  top["modules"].EachEntry([&](const std::string& name, const Value& item) {
    ProbeModule& module = modules[name];
    module.name = name;
    Object o(item);
    const Value prober = o["prober"];
    prober.ReadOneOf(module.prober, {"http", "tcp", "icmp", "dns", "grpc"});
    if (module.prober.empty()) prober.Fail("is missing; one of http, tcp, icmp, dns, grpc");
    o["timeout"].ReadDuration(module.timeout_ms);
    // The section of a prober that is not asked for is checked all the same.
    const auto section = [&](std::string_view field, auto read, auto& out) {
      const Value value = o[field];
      if (value.present()) read(value, out);
    };
    section("http", ReadHttp, module.http);
    section("tcp", ReadTcp, module.tcp);
    section("icmp", ReadIcmp, module.icmp);
    section("grpc", ReadGrpc, module.grpc);
    section("dns", ReadDns, module.dns);
    if (module.prober == "dns" && module.dns.query_name.empty()) {
      item.Fail("a dns module needs dns.query_name");
    }
    o.Finish();
  });
  top.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return modules;
}

ProbeModules DefaultProbeModules() {
  static constexpr std::string_view kText = R"(modules:
  http_2xx: {prober: http}
  http_post_2xx: {prober: http, http: {method: POST}}
  tcp_connect: {prober: tcp}
  tcp_tls: {prober: tcp, tcp: {tls: true}}
  icmp: {prober: icmp}
  grpc: {prober: grpc, grpc: {tls: true}}
  grpc_plain: {prober: grpc}
  ssh_banner: {prober: tcp, tcp: {query_response: [{expect: '^SSH-2.0-', send: SSH-2.0-vedette-check}]}}
)";
  return *ParseProbeModules(kText, "built-in modules");
}

}  // namespace vedette::agent
