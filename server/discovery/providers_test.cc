#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/discovery.h"
#include "common/model/labels.h"
#include "common/model/target_group.h"
#include "server/discovery/aws_credentials.h"
#include "server/discovery/consul_provider.h"
#include "server/discovery/dns_lookup.h"
#include "server/discovery/dns_provider.h"
#include "server/discovery/docker_provider.h"
#include "server/discovery/ec2_provider.h"
#include "server/discovery/http_port.h"
#include "server/discovery/kubernetes_provider.h"
#include "server/discovery/xml.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::discovery {
namespace {

// Answers by the beginning of "METHOD url body"; keeps what was asked.
class FakeHttp {
 public:
  void Answer(const std::string& prefix, int status, const std::string& body) {
    answers_[prefix].push_back({status, body});
  }
  HttpPort port() {
    return [this](const HttpCall& call) -> Result<HttpAnswer> {
      calls.push_back(call);
      const std::string asked = StrCat(call.method, " ", call.url, " ", call.body);
      // The longest prefix that has an answer; its last one is given again and again.
      for (auto it = answers_.rbegin(); it != answers_.rend(); ++it) {
        if (!asked.starts_with(it->first)) continue;
        HttpAnswer answer = it->second.front();
        if (it->second.size() > 1) it->second.erase(it->second.begin());
        return answer;
      }
      return Unavailable("nobody answers " + asked);
    };
  }
  std::vector<HttpCall> calls;

 private:
  std::map<std::string, std::vector<HttpAnswer>> answers_;
};

std::string Only(const std::vector<TargetGroup>& groups) {
  std::string out;
  for (const TargetGroup& g : groups) {
    for (const Labels& t : g.targets) {
      LabelsBuilder all(g.labels);
      for (const Label& l : t) all.Set(l.name, l.value);
      for (const Label& l : all.Build()) StrAppend(out, l.name, "=", l.value, "\n");
      out += "\n";
    }
  }
  return out;
}

std::vector<TargetGroup> MustRefresh(Provider& provider) {
  Status problem;
  auto groups = provider.Refresh(problem);
  EXPECT_TRUE(groups.ok()) << groups.status().ToString();
  EXPECT_TRUE(problem.ok()) << problem.ToString();
  return groups.ok() ? *std::move(groups) : std::vector<TargetGroup>();
}

TEST(Xml, ReadsElementsTextAndEntities) {
  auto xml = ParseXml(
      "<?xml version=\"1.0\"?>\n<!-- c --><a:r x=\"1\"><k>&lt;&#x41;&#66;&amp;</k><e/>"
      "<k>two</k><c><![CDATA[<raw>]]></c></a:r>\n");
  ASSERT_TRUE(xml.ok()) << xml.status().ToString();
  EXPECT_EQ(xml->name, "r");
  EXPECT_EQ((*xml)["k"].text, "<AB&");
  EXPECT_EQ((*xml)["c"].text, "<raw>");
  EXPECT_TRUE(xml->Has("e"));
  EXPECT_FALSE(xml->Has("none"));
  EXPECT_EQ((*xml)["none"]["deeper"].text, "");
}

TEST(Xml, RefusesWhatIsNoneOrDangerous) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string& text : {std::string(""), std::string("<a>"), std::string("<a></b>"),
                                  std::string("<a>&x;</a>"), std::string("<a>&#0;</a>"),
                                  std::string("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"),
                                  std::string("<a/><b/>"), std::string("<a b=c/>"), deep}) {
    EXPECT_FALSE(ParseXml(text).ok()) << text;
  }
}

constexpr char kInstances[] = R"(<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<reservationSet><item><ownerId>42</ownerId><instancesSet><item>
<instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState>
<privateDnsName>ip-10-0-0-1.internal</privateDnsName><dnsName>ec2.example</dnsName><instanceType>t3.small</instanceType>
<placement><availabilityZone>eu-west-1a</availabilityZone></placement><platform>windows</platform><subnetId>subnet-1</subnetId>
<vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>203.0.113.1</ipAddress><architecture>x86_64</architecture>
<instanceLifecycle>spot</instanceLifecycle>
<networkInterfaceSet><item><subnetId>subnet-1</subnetId><ipv6AddressesSet><item><ipv6Address>fd00::1</ipv6Address></item>
<item><ipv6Address>fd00::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet><attachment><deviceIndex>1</deviceIndex></attachment></item>
<item><subnetId>subnet-2</subnetId></item></networkInterfaceSet>
<tagSet><item><key>Name</key><value>web &amp; more</value></item><item><key>odd key-1</key><value>x</value></item></tagSet>
</item><item><instanceId>i-gone</instanceId><instanceState><name>terminated</name></instanceState></item></instancesSet></item></reservationSet>
NEXT</DescribeInstancesResponse>)";

std::string Page(const std::string& next) {
  std::string text = kInstances;
  text.replace(text.find("NEXT"), 4, next);
  return text;
}

TEST(Ec2, AllLabelsOverAllPages) {
  FakeHttp http;
  testing::FakeClock clock;
  http.Answer("POST http://ec2/ Action=DescribeAvailabilityZones", 200,
              "<R><availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId>"
              "</item></availabilityZoneInfo></R>");
  http.Answer("POST http://ec2/ Action=DescribeInstances", 200,
              Page("<nextToken>two</nextToken>"));
  http.Answer("POST http://ec2/ Action=DescribeInstances", 200, "<R><reservationSet/></R>");
  config::Ec2SdConfig config;
  config.endpoint = "http://ec2/";
  config.region = "eu-west-1";
  config.access_key = "AK";
  config.secret_key = config::Secret("SK");
  config.port = 9100;
  config.filters = {{"tag:Project", {"a b", "c"}}};
  Ec2Provider provider(config, {.http = http.port(),
                                .env = [](const std::string&) { return std::string(); },
                                .clock = &clock});
  const auto groups = MustRefresh(provider);
  EXPECT_EQ(Only(groups),
            "__address__=10.0.0.1:9100\n__meta_ec2_ami=ami-1\n__meta_ec2_architecture=x86_64\n"
            "__meta_ec2_availability_zone=eu-west-1a\n__meta_ec2_availability_zone_id=euw1-az3\n"
            "__meta_ec2_instance_id=i-1\n__meta_ec2_instance_lifecycle=spot\n"
            "__meta_ec2_instance_state=running\n__meta_ec2_instance_type=t3.small\n"
            "__meta_ec2_ipv6_addresses=,fd00::1,fd00::2,\n__meta_ec2_owner_id=42\n"
            "__meta_ec2_platform=windows\n__meta_ec2_primary_ipv6_addresses=,,fd00::2,\n"
            "__meta_ec2_primary_subnet_id=subnet-1\n"
            "__meta_ec2_private_dns_name=ip-10-0-0-1.internal\n__meta_ec2_private_ip=10.0.0.1\n"
            "__meta_ec2_public_dns_name=ec2.example\n__meta_ec2_public_ip=203.0.113.1\n"
            "__meta_ec2_region=eu-west-1\n__meta_ec2_subnet_id=,subnet-1,subnet-2,\n"
            "__meta_ec2_tag_Name=web & more\n__meta_ec2_tag_odd_key_1=x\n__meta_ec2_vpc_id=vpc-1\n\n");
  ASSERT_EQ(http.calls.size(), 3u);
  EXPECT_EQ(http.calls[1].body,
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3AProject&"
            "Filter.1.Value.1=a%20b&Filter.1.Value.2=c");
  EXPECT_EQ(http.calls[2].body.substr(http.calls[2].body.rfind('&')), "&NextToken=two");
  ASSERT_TRUE(http.calls[1].sign.has_value());
  EXPECT_EQ(http.calls[1].sign->service, "ec2");
}

TEST(Ec2, RoleOfTheMachineByTokenOnlyAndNewKeysWhenTheyAreRefused) {
  FakeHttp http;
  testing::FakeClock clock(1'767'225'600'000);  // 2026-01-01T00:00:00Z
  http.Answer("PUT http://imds/latest/api/token", 200, "TOKEN");
  http.Answer("GET http://imds/latest/meta-data/iam/security-credentials/ ", 200, "role\n");
  const auto keys = [](const char* id, const char* end) {
    return StrCat("{\"AccessKeyId\":\"", id, "\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"",
                  end, "\"}");
  };
  const std::string role = "GET http://imds/latest/meta-data/iam/security-credentials/role ";
  http.Answer(role, 200, keys("K1", "2026-01-01T01:00:00Z"));
  http.Answer(role, 200, keys("K2", "2026-01-01T03:00:00Z"));
  http.Answer("GET http://imds/latest/meta-data/placement/region ", 200, "eu-west-1");
  const std::string expired =
      "<Response><Errors><Error><Code>RequestExpired</Code><Message>m</Message></Error></Errors></Response>";
  http.Answer("POST https://ec2.eu-west-1.amazonaws.com/ Action=DescribeAvail", 200, "<R/>");
  http.Answer("POST https://ec2.eu-west-1.amazonaws.com/ Action=DescribeInst", 400, expired);
  http.Answer("POST https://ec2.eu-west-1.amazonaws.com/ Action=DescribeInst", 200, Page(""));
  const auto env = [](const std::string& name) -> std::string {
    return name == "AWS_EC2_METADATA_SERVICE_ENDPOINT" ? "http://imds/" : "";
  };
  Ec2Provider provider({}, {.http = http.port(), .env = env, .clock = &clock});
  EXPECT_EQ(MustRefresh(provider)[0].targets.size(), 1u);
  int tokens = 0;
  for (const HttpCall& call : http.calls) {
    tokens += call.method == "PUT";
    if (call.method == "GET") {
      EXPECT_EQ(call.headers.at("X-aws-ec2-metadata-token"), "TOKEN");
    }
  }
  EXPECT_EQ(tokens, 1);
  EXPECT_EQ(http.calls.back().sign->access_key, "K2");
  EXPECT_EQ(http.calls.back().sign->session_token, "T");
  // They are kept until the last minutes of their life.
  const size_t before = http.calls.size();
  clock.Advance(2 * 3'600'000);
  MustRefresh(provider);
  EXPECT_EQ(http.calls.size(), before + 1);
  clock.Advance(3'590'000);
  MustRefresh(provider);
  EXPECT_GT(http.calls.size(), before + 2);
}

TEST(Ec2, WebIdentityFilesAndAssumedRoles) {
  const testing::TempDir dir;
  std::ofstream(dir.path() + "/token") << "JWT\n";
  std::ofstream(dir.path() + "/keys")
      << "[default]\naws_access_key_id = D\naws_secret_access_key = DS\n[other]\n"
         "aws_access_key_id=O\naws_secret_access_key=OS\naws_session_token=OT\n";
  testing::FakeClock clock;
  const auto sts = [](const char* action, const char* id) {
    return StrCat("<", action, "Response><", action, "Result><Credentials><AccessKeyId>", id,
                  "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
                  "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></",
                  action, "Result></", action, "Response>");
  };
  FakeHttp http;
  http.Answer("POST https://sts.eu-west-1.amazonaws.com/ Action=AssumeRoleWithWebIdentity", 200,
              sts("AssumeRoleWithWebIdentity", "W"));
  http.Answer("POST https://sts.eu-west-1.amazonaws.com/ Action=AssumeRole&", 200,
              sts("AssumeRole", "A"));
  std::map<std::string, std::string> vars = {{"AWS_WEB_IDENTITY_TOKEN_FILE", dir.path() + "/token"},
                                             {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                                             {"AWS_SHARED_CREDENTIALS_FILE", dir.path() + "/keys"}};
  const AwsPorts ports{.http = http.port(),
                       .env = [&](const std::string& name) { return vars[name]; },
                       .clock = &clock};
  EXPECT_EQ(AwsCredentials({}, ports).Get("eu-west-1")->access_key, "W");
  EXPECT_TRUE(http.calls[0].body.ends_with("&WebIdentityToken=JWT"));
  EXPECT_FALSE(http.calls[0].sign.has_value());
  EXPECT_EQ(AwsCredentials({.profile = "other"}, ports).Get("eu-west-1")->session_token, "OT");
  EXPECT_EQ(AwsCredentials({.profile = "other", .role_arn = "arn:r", .external_id = "x"}, ports)
                .Get("eu-west-1")
                ->access_key,
            "A");
  EXPECT_EQ(http.calls.back().sign->access_key, "O");
  vars["AWS_WEB_IDENTITY_TOKEN_FILE"] = "";
  EXPECT_EQ(AwsCredentials({}, ports).Get("eu-west-1")->access_key, "D");
  vars["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent";
  vars["AWS_EC2_METADATA_DISABLED"] = "true";
  const auto none = AwsCredentials({}, ports).Get("eu-west-1");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), StatusCode::kFailedPrecondition);
}

TEST(Docker, NetworksPortsAndSharedNetworks) {
  FakeHttp http;
  http.Answer("GET http://docker/networks", 200,
              R"([{"Id":"n1","Name":"front","Scope":"local","Internal":false,"Ingress":false,"Labels":{"a.b":"c"}}])");
  http.Answer("GET http://docker/containers/json", 200, R"([
    {"Id":"c1","Names":["/web"],"HostConfig":{"NetworkMode":"front"},"Labels":{"com.x":"y"},
     "Ports":[{"PrivatePort":80,"PublicPort":8080,"IP":"0.0.0.0","Type":"tcp"},{"PrivatePort":53,"Type":"udp"}],
     "NetworkSettings":{"Networks":{"back":{"NetworkID":"n2","IPAddress":"10.1.0.2"},"front":{"NetworkID":"n1","IPAddress":"10.2.0.2"}}}},
    {"Id":"c2","Names":["/side"],"HostConfig":{"NetworkMode":"container:c3"},"Ports":[],"NetworkSettings":{"Networks":{}}},
    {"Id":"c3","Names":["/main"],"HostConfig":{"NetworkMode":"front"},"Ports":[],
     "NetworkSettings":{"Networks":{"front":{"NetworkID":"n1","IPAddress":"10.2.0.3"}}}},
    {"Id":"c4","Names":["/host"],"HostConfig":{"NetworkMode":"host"},"Ports":[],"NetworkSettings":{"Networks":{"host":{"NetworkID":"h","IPAddress":""}}}}
  ])");
  config::DockerSdConfig config;
  config.host = "unix:///run/docker.sock";
  config.filters = {{"name", {"web"}}};
  DockerProvider provider(config, http.port());
  const std::string text = Only(MustRefresh(provider));
  EXPECT_EQ(http.calls[0].unix_socket, "/run/docker.sock");
  EXPECT_NE(http.calls[0].url.find("filters=%7B%22name%22%3A%5B%22web%22%5D%7D"), std::string::npos);
  EXPECT_TRUE(text.starts_with(
      "__address__=10.1.0.2:80\n__meta_docker_container_id=c1\n"
      "__meta_docker_container_label_com_x=y\n__meta_docker_container_name=/web\n"
      "__meta_docker_container_network_mode=front\n__meta_docker_network_ip=10.1.0.2\n"
      "__meta_docker_port_private=80\n__meta_docker_port_public=8080\n"
      "__meta_docker_port_public_ip=0.0.0.0\n\n"))
      << text;
  EXPECT_NE(text.find("__address__=10.2.0.3:80\n__meta_docker_container_id=c2\n"), std::string::npos);
  EXPECT_NE(text.find("__meta_docker_network_label_a_b=c\n"), std::string::npos);
  EXPECT_NE(text.find("__address__=localhost\n__meta_docker_container_id=c4\n"), std::string::npos);
}

TEST(Consul, ServicesWithTagsAndHealth) {
  FakeHttp http;
  http.Answer("GET http://localhost:8500/v1/catalog/services", 200,
              R"({"web":["v1","prod"],"db":["prod"],"x":[]})");
  http.Answer("GET http://localhost:8500/v1/health/service/web", 200, R"([{
    "Node":{"Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","Meta":{"rack":"r1"},"TaggedAddresses":{"lan":"10.0.0.1"}},
    "Service":{"ID":"web-1","Service":"web","Tags":["v1","prod"],"Address":"10.0.0.9","Port":8080,"Meta":{"team-x":"a"}},
    "Checks":[{"CheckID":"a","Status":"passing"},{"CheckID":"b","Status":"warning"}]}])");
  config::ConsulSdConfig config;
  config.tags = {"v1"};
  config.token = config::Secret("t0ken");
  ConsulProvider provider(config, http.port());
  EXPECT_EQ(Only(MustRefresh(provider)),
            "__address__=10.0.0.9:8080\n__meta_consul_address=10.0.0.1\n__meta_consul_dc=dc1\n"
            "__meta_consul_health=warning\n__meta_consul_metadata_rack=r1\n__meta_consul_node=n1\n"
            "__meta_consul_service=web\n__meta_consul_service_address=10.0.0.9\n"
            "__meta_consul_service_id=web-1\n__meta_consul_service_metadata_team_x=a\n"
            "__meta_consul_service_port=8080\n__meta_consul_tagged_address_lan=10.0.0.1\n"
            "__meta_consul_tags=,v1,prod,\n\n");
  EXPECT_EQ(http.calls[0].headers.at("X-Consul-Token"), "t0ken");
}

TEST(Kubernetes, PodsNodesServicesAndEndpoints) {
  FakeHttp http;
  const std::string pod = R"({"metadata":{"name":"p","namespace":"ns","uid":"u","labels":{"app":"a"},
    "annotations":{"prometheus.io/scrape":"true"},"ownerReferences":[{"kind":"ReplicaSet","name":"rs","controller":true}]},
    "spec":{"nodeName":"n1","containers":[{"name":"c","image":"i:1","ports":[{"name":"http","containerPort":80},{"containerPort":81}]}]},
    "status":{"podIP":"10.0.0.5","hostIP":"10.9.0.1","phase":"Running","conditions":[{"type":"Ready","status":"True"}],
    "containerStatuses":[{"name":"c","containerID":"docker://x"}]}})";
  http.Answer("GET http://k8s/api/v1/namespaces/ns/pods", 200,
              StrCat(R"({"metadata":{"continue":"more"},"items":[)", pod, "]}"));
  http.Answer("GET http://k8s/api/v1/namespaces/ns/pods", 200, R"({"items":[]})");
  config::KubernetesSdConfig config;
  config.api_server = "http://k8s";
  config.role = "pod";
  config.namespaces = {"ns"};
  config.selectors = {{"pod", "app=a", ""}};
  const auto env = [](const std::string&) { return std::string(); };
  KubernetesProvider pods(config, http.port(), env);
  const std::string text = Only(MustRefresh(pods));
  EXPECT_TRUE(text.starts_with(
      "__address__=10.0.0.5:80\n__meta_kubernetes_namespace=ns\n"
      "__meta_kubernetes_pod_annotation_prometheus_io_scrape=true\n"
      "__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape=true\n"
      "__meta_kubernetes_pod_container_id=docker://x\n__meta_kubernetes_pod_container_image=i:1\n"
      "__meta_kubernetes_pod_container_init=false\n__meta_kubernetes_pod_container_name=c\n"
      "__meta_kubernetes_pod_container_port_name=http\n__meta_kubernetes_pod_container_port_number=80\n"
      "__meta_kubernetes_pod_container_port_protocol=TCP\n__meta_kubernetes_pod_controller_kind=ReplicaSet\n"
      "__meta_kubernetes_pod_controller_name=rs\n__meta_kubernetes_pod_host_ip=10.9.0.1\n"
      "__meta_kubernetes_pod_ip=10.0.0.5\n__meta_kubernetes_pod_label_app=a\n"
      "__meta_kubernetes_pod_labelpresent_app=true\n__meta_kubernetes_pod_name=p\n"
      "__meta_kubernetes_pod_node_name=n1\n__meta_kubernetes_pod_phase=Running\n"
      "__meta_kubernetes_pod_ready=true\n__meta_kubernetes_pod_uid=u\n\n"))
      << text;
  EXPECT_NE(http.calls[0].url.find("labelSelector=app%3Da"), std::string::npos);
  EXPECT_NE(http.calls[1].url.find("continue=more"), std::string::npos);

  http.Answer("GET http://k8s/api/v1/nodes", 200, R"({"items":[{"metadata":{"name":"n1"},"spec":{"providerID":"aws:///x"},
    "status":{"addresses":[{"type":"Hostname","address":"h"},{"type":"InternalIP","address":"10.9.0.1"}],
    "daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}]})");
  config.role = "node";
  KubernetesProvider nodes(config, http.port(), env);
  EXPECT_EQ(Only(MustRefresh(nodes)),
            "__address__=10.9.0.1:10250\n__meta_kubernetes_node_address_Hostname=h\n"
            "__meta_kubernetes_node_address_InternalIP=10.9.0.1\n__meta_kubernetes_node_name=n1\n"
            "__meta_kubernetes_node_provider_id=aws:///x\ninstance=n1\n\n");

  http.Answer("GET http://k8s/api/v1/namespaces/ns/services", 200, R"({"items":[{"metadata":{"name":"s","namespace":"ns","labels":{"l":"v"}},
    "spec":{"type":"ClusterIP","clusterIP":"10.5.0.1","ports":[{"name":"http","port":80}]}}]})");
  config.role = "service";
  KubernetesProvider services(config, http.port(), env);
  EXPECT_NE(Only(MustRefresh(services)).find("__address__=s.ns.svc:80\n"), std::string::npos);

  FakeHttp both;
  both.Answer("GET http://k8s/api/v1/namespaces/ns/pods", 200, StrCat("{\"items\":[", pod, "]}"));
  both.Answer("GET http://k8s/api/v1/namespaces/ns/services", 200,
              R"({"items":[{"metadata":{"name":"s","namespace":"ns","labels":{"l":"v"}}}]})");
  both.Answer("GET http://k8s/api/v1/namespaces/ns/endpoints", 200, R"({"items":[{"metadata":{"name":"s","namespace":"ns"},
    "subsets":[{"addresses":[{"ip":"10.0.0.5","nodeName":"n1","targetRef":{"kind":"Pod","name":"p","namespace":"ns"}}],
    "ports":[{"name":"http","port":80}]}]}]})");
  both.Answer("GET http://k8s/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices", 200, R"({"items":[{"metadata":{"name":"s-1","namespace":"ns",
    "labels":{"kubernetes.io/service-name":"s"}},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.5"],"conditions":{"ready":true}}],
    "ports":[{"name":"http","port":80,"protocol":"TCP"}]}]})");
  config.role = "endpoints";
  config.selectors = {};
  KubernetesProvider endpoints(config, both.port(), env);
  const std::string ends = Only(MustRefresh(endpoints));
  EXPECT_NE(ends.find("__meta_kubernetes_endpoint_address_target_name=p\n"), std::string::npos) << ends;
  EXPECT_NE(ends.find("__meta_kubernetes_service_label_l=v\n"), std::string::npos);
  EXPECT_NE(ends.find("__address__=10.0.0.5:81\n"), std::string::npos);  // Of the pod alone.
  config.role = "endpointslice";
  KubernetesProvider slices(config, both.port(), env);
  const std::string sliced = Only(MustRefresh(slices));
  EXPECT_NE(sliced.find("__meta_kubernetes_endpointslice_endpoint_conditions_ready=true\n"), std::string::npos);
  EXPECT_NE(sliced.find("__meta_kubernetes_service_name=s\n"), std::string::npos);
}

TEST(Kubernetes, AListThatExpiresIsAskedForAsAWhole) {
  FakeHttp http;
  const auto pods = [](std::initializer_list<const char*> names, const std::string& next) {
    std::string items;
    for (const char* name : names) {
      StrAppend(items, items.empty() ? "" : ",", R"({"metadata":{"namespace":"ns","name":")", name,
                R"("},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}]},)",
                R"("status":{"podIP":"10.0.0.)", name, R"("}})");
    }
    return StrCat(R"({"metadata":{"resourceVersion":"7","continue":")", next, R"("},"items":[)",
                  items, "]}");
  };
  const std::string expired =
      R"({"kind":"Status","status":"Failure","reason":"Expired","code":410})";
  config::KubernetesSdConfig config;
  config.api_server = "http://k8s";
  config.role = "pod";
  const auto env = [](const std::string&) { return std::string(); };
  http.Answer("GET http://k8s/api/v1/pods?limit=500 ", 200, pods({"1", "2"}, "more"));
  http.Answer("GET http://k8s/api/v1/pods?limit=500&continue=more", 410, expired);
  http.Answer("GET http://k8s/api/v1/pods? ", 200, pods({"1", "2", "3"}, ""));
  KubernetesProvider provider(config, http.port(), env);
  const std::string found = Only(MustRefresh(provider));
  for (const char* name : {"1", "2", "3"}) {
    const std::string line = StrCat("__address__=10.0.0.", name, ":80\n");
    EXPECT_NE(found.find(line), std::string::npos) << found;
    EXPECT_EQ(found.find(line), found.rfind(line)) << "once";
  }
  EXPECT_EQ(http.calls.size(), 3u);

  // Not for ever: what is gone without a list to continue is a failure.
  FakeHttp gone;
  gone.Answer("GET ", 410, expired);
  Status problem;
  EXPECT_NE(KubernetesProvider(config, gone.port(), env).Refresh(problem).status().message().find("410"),
            std::string_view::npos);
  EXPECT_EQ(gone.calls.size(), 1u);
}

TEST(Apis, AFailureIsAFailureAndNamesItself) {
  FakeHttp http;
  http.Answer("GET ", 500, "no");
  Status problem;
  config::DockerSdConfig docker;
  docker.host = "tcp://d:2375";
  EXPECT_NE(DockerProvider(docker, http.port()).Refresh(problem).status().message().find("500"),
            std::string_view::npos);
  EXPECT_FALSE(ConsulProvider({}, http.port()).Refresh(problem).ok());
  FakeHttp bad;
  bad.Answer("GET ", 200, "{ no json");
  EXPECT_FALSE(ConsulProvider({}, bad.port()).Refresh(problem).ok());
}

// A name server for one question: SRV answers with one record, everything else does not exist.
class NameServer {
 public:
  NameServer() : socket_(socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~NameServer() {
    shutdown(socket_, SHUT_RDWR);
    // A datagram socket wakes up by a datagram.
    const int poke = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    sendto(poke, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
    close(poke);
    thread_.join();
    close(socket_);
  }
  int port = 0;

 private:
  void Serve() {
    unsigned char query[512];
    sockaddr_in from{};
    for (;;) {
      socklen_t size = sizeof from;
      const ssize_t n =
          recvfrom(socket_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 17) return;
      size_t end = 12;
      while (end < static_cast<size_t>(n) && query[end] != 0) end += query[end] + 1u;
      end += 5;
      const bool srv = query[end - 3] == 33;
      std::string answer(reinterpret_cast<char*>(query), end);
      answer[2] = '\x84';
      answer[3] = srv ? '\x00' : '\x03';  // No such name.
      answer[7] = srv ? 1 : 0;
      answer[9] = answer[11] = 0;
      if (srv) {
        const char record[] = "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0d\0\0\0\0\x23\x28\4node\1x\0";
        answer.append(record, sizeof record - 1);
      }
      sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  const int socket_;
  std::thread thread_;
};

TEST(Dns, LooksUpThroughARealServer) {
  NameServer server;
  const std::string servers = StrCat("127.0.0.1:", server.port);
  auto srv = LookUp("_web._tcp.example.com.", config::DnsRecordType::kSrv, 5000, servers);
  ASSERT_TRUE(srv.ok()) << srv.status().ToString();
  ASSERT_EQ(srv->size(), 1u);
  EXPECT_EQ((*srv)[0].target, "node.x");
  EXPECT_EQ((*srv)[0].port, 9000);
  auto none = LookUp("nobody.example.com.", config::DnsRecordType::kA, 5000, servers);
  ASSERT_TRUE(none.ok()) << none.status().ToString();
  EXPECT_TRUE(none->empty());
  EXPECT_FALSE(LookUp("x.example.com.", config::DnsRecordType::kA, 300, "127.0.0.1:1").ok());
}

TEST(Dns, AServerThatFailsKeepsTheTargets) {
  bool down = false;
  config::DnsSdConfig config;
  config.names = {"a.example", "b.example"};
  config.type = config::DnsRecordType::kA;
  config.port = 9100;
  DnsProvider provider(config, [&](const std::string& name, config::DnsRecordType)
                                   -> Result<std::vector<DnsRecord>> {
    if (down && name == "a.example") return Unavailable("SERVFAIL");
    return std::vector<DnsRecord>{{name == "a.example" ? "10.0.0.1" : "fd00::1"}};
  });
  const std::string want =
      "__address__=10.0.0.1:9100\n__meta_dns_name=a.example\n\n"
      "__address__=[fd00::1]:9100\n__meta_dns_name=b.example\n\n";
  EXPECT_EQ(Only(MustRefresh(provider)), want);
  down = true;
  Status problem;
  EXPECT_EQ(Only(*provider.Refresh(problem)), want);
  EXPECT_FALSE(problem.ok());
}

}  // namespace
}  // namespace vedette::discovery
