#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "common/rpc/server.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "proto/vedette/v1/query.grpc.pb.h"
#include "server/api/enrol/enrol_service.h"
#include "tests/support/temp_dir.h"

// The real binary, as a shell would run it, against real servers on loopback.
namespace vedette {
namespace {

struct Outcome {
  int code = -1;
  std::string text;  // Both streams.
};

class VedettectlTest : public ::testing::Test {
 protected:
  Outcome Run(const std::string& arguments) const {
    const std::string command =
        "HOME=" + temp_.path() + "/home ctl/vedettectl " + arguments + " 2>&1";
    Outcome out;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      out.text.append(buffer.data(), n);
    }
    out.code = WEXITSTATUS(::pclose(pipe));
    return out;
  }
  std::string pki() const { return temp_.path() + "/pki"; }
  void MakePki() const {
    ASSERT_EQ(Run("ca init --dir " + pki()).code, 0);
    for (const char* who : {"server --name hub --san 127.0.0.1", "agent --name db1 --san 127.0.0.1",
                            "operator --name olga", "viewer --name eve"}) {
      const Outcome issued = Run("ca issue --dir " + pki() + " --role " + who);
      ASSERT_EQ(issued.code, 0) << issued.text;
    }
  }
  tls::CertificateFiles Files(const std::string& name) const {
    return {pki() + "/ca.crt", pki() + "/ca.crl", pki() + "/" + name + ".crt",
            pki() + "/" + name + ".key"};
  }
  std::string As(const std::string& name) const {
    return " --ca " + pki() + "/ca.crt --cert " + pki() + "/" + name + ".crt --key " + pki() + "/" +
           name + ".key ";
  }

  testing::TempDir temp_;
};

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(VedettectlTest, TheCaFromInitToRevoke) {
  Outcome got = Run("ca issue --dir " + pki() + " --role agent --name db1");
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "make one with 'vedettectl ca init --dir")) << got.text;
  MakePki();
  struct stat s;
  ASSERT_EQ(::stat((pki() + "/db1.key").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);

  got = Run("ca init --dir " + pki());
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "there is a CA already")) << got.text;
  got = Run("ca issue --dir " + pki() + " --role king --name arthur");
  EXPECT_EQ(got.code, 2);
  EXPECT_TRUE(Has(got.text, "want server, agent, operator or viewer")) << got.text;

  got = Run("ca revoke eve --dir " + pki());
  EXPECT_EQ(got.code, 0) << got.text;
  got = Run("ca list --dir " + pki() + " -o csv");
  EXPECT_EQ(got.code, 0);
  EXPECT_TRUE(Has(got.text, ",viewer,eve,")) << got.text;
  EXPECT_TRUE(Has(got.text, "revoked at ")) << got.text;
  EXPECT_TRUE(Has(got.text, ",agent,db1,")) << got.text;
}

TEST_F(VedettectlTest, HelpTeachesAndNonsenseIsRefused) {
  Outcome got = Run("--help");
  EXPECT_EQ(got.code, 0);
  for (const char* verb : {"query", "targets", "alerts", "rules", "agent", "ca"}) {
    EXPECT_TRUE(Has(got.text, verb)) << verb;
  }
  EXPECT_TRUE(Has(Run("query --help").text, "vedettectl query instant 'up == 0'"));
  EXPECT_EQ(Run("").code, 2);
  EXPECT_EQ(Run("frobnicate").code, 2);
  got = Run("query instant up");
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "give --ca, --cert and --key")) << got.text;
}

class QueryStub final : public v1::QueryService::Service {
 public:
  grpc::Status Query(grpc::ServerContext*, const v1::QueryRequest* request,
                     v1::QueryResponse* response) override {
    if (request->query() == "up{") {
      return {grpc::StatusCode::INVALID_ARGUMENT, "1:4: unexpected end of input"};
    }
    response->set_type(v1::RESULT_TYPE_VECTOR);
    Fill(response->add_series(), request->time_ms());
    response->add_warnings("a doubt");
    return grpc::Status::OK;
  }
  grpc::Status QueryRange(grpc::ServerContext*, const v1::QueryRangeRequest* request,
                          grpc::ServerWriter<v1::QueryRangeResponse>* writer) override {
    v1::QueryRangeResponse response;
    v1::Series* series = response.add_series();
    (*series->mutable_labels())["__name__"] = "up";
    for (int64_t t = request->start_ms(); t <= request->end_ms(); t += request->step_ms()) {
      series->add_times_ms(t);
      series->add_values(1);
    }
    writer->Write(response);
    return grpc::Status::OK;
  }
  grpc::Status LabelValues(grpc::ServerContext*, const v1::LabelValuesRequest* request,
                           v1::LabelValuesResponse* response) override {
    response->add_values(request->name() + "-one");
    return grpc::Status::OK;
  }
  grpc::Status Targets(grpc::ServerContext*, const v1::TargetsRequest*,
                       v1::TargetsResponse* response) override {
    v1::Target* target = response->add_active();
    target->set_scrape_pool("node");
    target->set_health(v1::TARGET_HEALTH_DOWN);
    target->set_last_error("connection refused");
    return grpc::Status::OK;
  }

 private:
  static void Fill(v1::Series* series, int64_t t_ms) {
    (*series->mutable_labels())["__name__"] = "up";
    (*series->mutable_labels())["job"] = "node";
    series->add_times_ms(t_ms);
    series->add_values(1);
  }
};

TEST_F(VedettectlTest, QueriesGoOverMutualTlsAndPrintInEveryFormat) {
  MakePki();
  QueryStub service;
  rpc::ServerOptions options;
  options.listen_addresses = {"127.0.0.1:0"};
  options.files = Files("hub");
  options.rules = {{"/vedette.v1.QueryService/", {tls::Role::kOperator}}};
  Result<std::unique_ptr<rpc::Server>> server = rpc::Server::Start(options, {&service});
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  const std::string at = " --server 127.0.0.1:" + std::to_string((*server)->ports().front());
  const std::string olga = at + As("olga");

  Outcome got = Run("query instant up --time 1700000000" + olga);
  EXPECT_EQ(got.code, 0);
  EXPECT_TRUE(Has(got.text, "up{job=\"node\"}  2023-11-14T22:13:20.000Z  1\n")) << got.text;
  EXPECT_TRUE(Has(got.text, "warning: a doubt\n")) << got.text;
  got = Run("query instant up --time 1700000000.25 -o json" + olga);
  EXPECT_TRUE(Has(got.text,
                  "{\"metric\": {\"__name__\": \"up\", \"job\": \"node\"}, \"value\": "
                  "[1700000000.250, \"1\"]}"))
      << got.text;
  got = Run("query range up --start 1700000000 --end 1700000120 --step 1m -o csv" + olga);
  EXPECT_EQ(got.text,
            "series,time,value\nup,2023-11-14T22:13:20.000Z,1\nup,2023-11-14T22:14:20.000Z,1\n"
            "up,2023-11-14T22:15:20.000Z,1\n");
  EXPECT_EQ(Run("query labels job -o csv" + olga).text, "job\njob-one\n");
  EXPECT_TRUE(Has(Run("targets" + olga).text, "connection refused"));

  got = Run("query instant 'up{'" + olga);
  EXPECT_EQ(got.code, 2);
  EXPECT_TRUE(Has(got.text, "1:4: unexpected end of input")) << got.text;
  got = Run("query instant up" + at + As("eve"));
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "role viewer")) << got.text;
  got = Run("query instant up --server-name elsewhere" + olga);
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "does not speak for")) << got.text;
}

TEST_F(VedettectlTest, FromATokenToACertificateAndItsRenewal) {
  MakePki();
  Result<std::unique_ptr<enrol::EnrolDoor>> door = enrol::StartEnrolDoor(
      {.listen_addresses = {"127.0.0.1:0"}, .ca_dir = pki(), .files = Files("hub")});
  ASSERT_TRUE(door.ok()) << door.status().ToString();
  const std::string token = temp_.path() + "/token";
  Outcome got =
      Run("token create --dir " + pki() + " --role agent --name app 2>/dev/null | tee " + token);
  ASSERT_EQ(got.code, 0) << got.text;
  const std::string join = "join --server 127.0.0.1:" + std::to_string((*door)->ports().front()) +
                           " --deadline 1s --out " + temp_.path() + "/node --san 127.0.0.1 ";
  got = Run(join + "--name other --token-file " + token);
  EXPECT_EQ(got.code, 1);
  EXPECT_TRUE(Has(got.text, "is for \"app\", not for \"other\"")) << got.text;
  got = Run(join + "--name app --token-file " + token);
  EXPECT_EQ(got.code, 0) << got.text;
  EXPECT_TRUE(Has(got.text, "joined: agent \"app\"")) << got.text;
  got = Run(join + "--name app --token-file /nowhere");
  EXPECT_EQ(got.code, 0) << got.text;
  EXPECT_TRUE(Has(got.text, "nothing to do")) << got.text;
  EXPECT_TRUE(Has(Run("token list --dir " + pki()).text, "used by app"));

  got = Run("renew --dir " + temp_.path() + "/node");
  EXPECT_TRUE(Has(got.text, "nothing to do")) << got.text;
  got = Run("renew --force --dir " + temp_.path() + "/node");
  EXPECT_EQ(got.code, 0) << got.text;
  EXPECT_TRUE(Has(got.text, "renewed: agent \"app\"")) << got.text;

  // A secret that was chosen beforehand, twice, on standard input; then used.
  const std::string secret = temp_.path() + "/secret";
  std::ofstream(secret) << "abcdefghijklmnopqrstuvwxyz0123456789\n";
  const std::string add =
      "token add --dir " + pki() + " --role agent --name db --secret-file - <" + secret;
  got = Run(add);
  EXPECT_EQ(got.code, 0) << got.text;
  got = Run(add);
  EXPECT_EQ(got.code, 0) << got.text;
  EXPECT_TRUE(Has(got.text, "left as it is")) << got.text;
  EXPECT_EQ(Run("token add --dir " + pki() + " --role agent --secret-file - </dev/null").code, 2);
  got = Run(join + "--name db --token-file - <" + secret);
  EXPECT_EQ(got.code, 0) << got.text;
}

class AgentStub final : public v1::AgentService::Service {
 public:
  grpc::Status Collect(grpc::ServerContext*, const v1::CollectRequest* request,
                       v1::CollectResponse* response) override {
    auto* family = response->add_families();
    family->set_name("node_load1");
    family->add_metric()->mutable_gauge()->set_value(0.5);
    auto* asked = response->add_families();
    asked->set_name("asked");
    auto* label = asked->add_metric()->add_label();
    label->set_name("for");
    label->set_value(request->collectors_size() == 1 ? request->collectors(0) : "");
    asked->mutable_metric(0)->mutable_counter()->set_value(2);
    return grpc::Status::OK;
  }
};

TEST_F(VedettectlTest, AnAgentIsAskedDirectlyWithTheHomeDirectorysCertificate) {
  MakePki();
  AgentStub service;
  rpc::ServerOptions options;
  options.listen_addresses = {"127.0.0.1:0"};
  options.files = Files("db1");
  options.rules = {{"/vedette.v1.AgentService/", {tls::Role::kOperator}}};
  Result<std::unique_ptr<rpc::Server>> server = rpc::Server::Start(options, {&service});
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  const Outcome issued = Run("ca issue --dir " + pki() + " --role operator --name otto --out " +
                             temp_.path() + "/home/.config/vedette");
  ASSERT_EQ(issued.code, 0) << issued.text;
  const Outcome got = Run("agent collect 127.0.0.1:" + std::to_string((*server)->ports().front()) +
                          " --collector loadavg -o csv");
  EXPECT_EQ(got.text, "series,value\nnode_load1,0.5\n\"asked{for=\"\"loadavg\"\"}\",2\n");
}

}  // namespace
}  // namespace vedette
