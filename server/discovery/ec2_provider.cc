#include "server/discovery/ec2_provider.h"

#include <charconv>
#include <utility>

#include "common/base/strings.h"
#include "common/http/message.h"
#include "server/discovery/label_name.h"
#include "server/discovery/xml.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kTimeoutMs = 30'000;
constexpr int kMaxPages = 10'000;
constexpr std::string_view kMeta = "__meta_ec2_";

std::string Listed(const std::vector<std::string>& items) {
  std::string out = ",";
  for (const std::string& item : items) StrAppend(out, item, ",");
  return out;
}

// Subnets and addresses of the instance's network interfaces.
void AddInterfaces(const XmlNode& instance, LabelsBuilder& labels) {
  constexpr size_t kMaxDevices = 256;
  std::vector<std::string> subnets, ipv6, primary_ipv6;
  for (const XmlNode& eni : instance["networkInterfaceSet"].children) {
    const std::string& subnet = eni["subnetId"].text;
    if (subnet.empty()) continue;
    bool known = false;
    for (const std::string& s : subnets) known = known || s == subnet;
    if (!known) subnets.push_back(subnet);
    for (const XmlNode& address : eni["ipv6AddressesSet"].children) {
      ipv6.push_back(address["ipv6Address"].text);
      if (address["isPrimaryIpv6"].text != "true") continue;
      // A primary address stands at its device's place; what is before it may be empty.
      size_t device = 0;
      const std::string& index = eni["attachment"]["deviceIndex"].text;
      std::from_chars(index.data(), index.data() + index.size(), device);
      if (device >= kMaxDevices) continue;
      if (primary_ipv6.size() <= device) primary_ipv6.resize(device + 1);
      primary_ipv6[device] = ipv6.back();
    }
  }
  labels.Set("__meta_ec2_subnet_id", Listed(subnets));
  if (!ipv6.empty()) labels.Set("__meta_ec2_ipv6_addresses", Listed(ipv6));
  if (!primary_ipv6.empty()) {
    labels.Set("__meta_ec2_primary_ipv6_addresses", Listed(primary_ipv6));
  }
}

}  // namespace

Ec2Provider::Ec2Provider(config::Ec2SdConfig config, AwsPorts ports)
    : config_(std::move(config)),
      ports_(std::move(ports)),
      credentials_({.access_key = config_.access_key,
                    .secret_key = config_.secret_key.Reveal(),
                    .profile = config_.profile,
                    .role_arn = config_.role_arn,
                    .external_id = config_.external_id},
                   ports_),
      region_(config_.region) {}

Result<std::string> Ec2Provider::AskOnce(const std::string& body, bool& refused) {
  VEDETTE_ASSIGN_OR_RETURN(const AwsCredentials::Keys keys, credentials_.Get(region_));
  HttpCall call;
  call.method = "POST";
  call.url = config_.endpoint;
  if (call.url.empty()) {
    call.url = StrCat("https://ec2.", region_, ".amazonaws.com",
                      region_.starts_with("cn-") ? ".cn" : "", "/");
  } else if (call.url.find("://") == std::string::npos) {
    call.url = "https://" + call.url;
  }
  call.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8";
  call.body = body;
  call.http = config_.http;
  call.sign =
      AwsSignature{region_, "ec2", keys.access_key, keys.secret_key, keys.session_token};
  call.timeout_ms = kTimeoutMs;
  VEDETTE_ASSIGN_OR_RETURN(HttpAnswer answer, ports_.http(call));
  if (answer.status == 200) return std::move(answer.body);
  std::string code, message;
  if (const Result<XmlNode> xml = ParseXml(answer.body); xml.ok()) {
    const XmlNode& error = (*xml)["Errors"]["Error"];
    code = error["Code"].text;
    message = error["Message"].text.substr(0, 200);
  }
  refused = answer.status == 401 || answer.status == 403 || code == "RequestExpired";
  return Unavailable(StrCat("EC2 answered with status ", answer.status, " ", code,
                            message.empty() ? "" : ": ", message));
}

Result<std::string> Ec2Provider::Ask(const std::string& body) {
  bool refused = false;
  Result<std::string> answer = AskOnce(body, refused);
  if (answer.ok() || !refused) return answer;
  // Keys that ended before their time: once more with new ones.
  credentials_.Forget();
  return AskOnce(body, refused);
}

void Ec2Provider::LearnZones() {
  zones_asked_ = true;
  const Result<std::string> text =
      Ask("Action=DescribeAvailabilityZones&Version=2016-11-15");
  if (!text.ok()) return;  // That label alone is missing, as with Prometheus.
  const Result<XmlNode> xml = ParseXml(*text);
  if (!xml.ok()) return;
  for (const XmlNode& zone : (*xml)["availabilityZoneInfo"].children) {
    zone_ids_[zone["zoneName"].text] = zone["zoneId"].text;
  }
}

Result<std::vector<TargetGroup>> Ec2Provider::Refresh(Status&) {
  if (region_.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(region_, credentials_.Region());
  }
  if (!zones_asked_) LearnZones();

  TargetGroup group{.source = region_};
  std::string next;
  for (int page = 0; page < kMaxPages; ++page) {
    http::Params form;
    form.Add("Action", "DescribeInstances");
    form.Add("Version", "2016-11-15");
    for (size_t f = 0; f < config_.filters.size(); ++f) {
      form.Add(StrCat("Filter.", f + 1, ".Name"), config_.filters[f].name);
      for (size_t v = 0; v < config_.filters[f].values.size(); ++v) {
        form.Add(StrCat("Filter.", f + 1, ".Value.", v + 1), config_.filters[f].values[v]);
      }
    }
    if (!next.empty()) form.Add("NextToken", next);
    VEDETTE_ASSIGN_OR_RETURN(const std::string text, Ask(form.Encode()));
    VEDETTE_ASSIGN_OR_RETURN(const XmlNode xml, ParseXml(text));
    for (const XmlNode& reservation : xml["reservationSet"].children) {
      for (const XmlNode& instance : reservation["instancesSet"].children) {
        const std::string& address = instance["privateIpAddress"].text;
        if (address.empty()) continue;  // Terminated, or not there yet.
        LabelsBuilder labels;
        const auto set = [&](std::string_view name, const std::string& value) {
          labels.Set(StrCat(kMeta, name), value);
        };
        labels.Set("__address__", JoinHostPort(address, StrCat(config_.port)));
        set("instance_id", instance["instanceId"].text);
        set("region", region_);
        set("owner_id", reservation["ownerId"].text);
        set("private_ip", address);
        set("private_dns_name", instance["privateDnsName"].text);
        set("platform", instance["platform"].text);
        if (instance.Has("ipAddress")) {
          set("public_ip", instance["ipAddress"].text);
          set("public_dns_name", instance["dnsName"].text);
        }
        set("ami", instance["imageId"].text);
        const std::string& zone = instance["placement"]["availabilityZone"].text;
        set("availability_zone", zone);
        if (!zone_ids_.contains(zone) && !zone.empty()) LearnZones();
        if (const auto at = zone_ids_.find(zone); at != zone_ids_.end()) {
          set("availability_zone_id", at->second);
        } else {
          zone_ids_[zone] = "";  // Asked for once.
        }
        set("instance_state", instance["instanceState"]["name"].text);
        set("instance_type", instance["instanceType"].text);
        set("instance_lifecycle", instance["instanceLifecycle"].text);
        set("architecture", instance["architecture"].text);
        if (instance.Has("vpcId")) {
          set("vpc_id", instance["vpcId"].text);
          set("primary_subnet_id", instance["subnetId"].text);
          AddInterfaces(instance, labels);
        }
        for (const XmlNode& tag : instance["tagSet"].children) {
          if (!tag.Has("key")) continue;
          set(StrCat("tag_", SanitizeLabelName(tag["key"].text)), tag["value"].text);
        }
        group.targets.push_back(labels.Build());
      }
    }
    next = xml["nextToken"].text;
    if (next.empty()) return std::vector<TargetGroup>{std::move(group)};
  }
  return ResourceExhausted(StrCat("EC2 answered with more than ", kMaxPages, " pages"));
}

}  // namespace vedette::discovery
