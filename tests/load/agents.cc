// A thousand agents in one process, for the load test: AgentService.Pull on one port of every
// loopback address, each stream an agent of its own with its own series. What they say is shaped
// like a host: most series stand still, counters move by a jittered step.
//
//   agents PORT SERIES MOVING_PERCENT [CERTIFICATE KEY CA]
//
// With files of certificates every connection is mutual TLS, as an agent's is; without, plain text.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette {
namespace {

class Agents final : public v1::AgentService::Service {
 public:
  Agents(int series, int moving_percent) : series_(series), moving_percent_(moving_percent) {}

  grpc::Status Pull(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PullResponse, v1::PullRequest>* stream) override {
    const uint64_t number = ++streams_;
    std::mt19937_64 random(number);
    wire::PullEncoder encoder;
    Snapshot snapshot;
    snapshot.run_id = number;
    SourceSnapshot& source = snapshot.sources.emplace_back();
    source.state = {.name = "host", .kind = SourceState::Kind::kHost, .up = true};
    constexpr int kPerFamily = 10;
    for (int i = 0; i < series_; ++i) {
      if (i % kPerFamily == 0) {
        MetricFamily& family = source.families.emplace_back();
        family.name = StrCat("load_", i / kPerFamily, "_total");
        family.metadata = {.type = MetricType::kCounter, .help = "Of the load test."};
      }
      source.families.back().samples.push_back(
          {.labels = Labels::Of({{"__name__", source.families.back().name},
                                 {"part", StrCat(i % kPerFamily)}}),
           .value = static_cast<double>(random() % 1'000'000)});
    }
    v1::PullRequest request;
    v1::PullResponse response;
    while (stream->Read(&request)) {
      if (!request.has_scrape()) continue;
      int at = 0;
      for (MetricFamily& family : source.families) {
        for (FamilySample& sample : family.samples) {
          if (at++ % 100 < moving_percent_) sample.value += static_cast<double>(random() % 100);
        }
      }
      ++snapshot.sequence;
      snapshot.t_ms = SystemClock().NowMs();
      response.Clear();
      response.add_frames(encoder.Encode(snapshot));
      bytes_ += response.frames(0).size();
      samples_ += static_cast<uint64_t>(series_);
      response.set_id(request.scrape().id());
      response.set_version(wire::kPullVersion);
      response.set_now_ms(SystemClock().NowMs());
      if (!stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  void Report() const {
    const uint64_t samples = samples_, bytes = bytes_;
    std::cout << "streams " << streams_ << " samples " << samples << " bytes " << bytes << std::endl;
  }

 private:
  const int series_;
  const int moving_percent_;
  std::atomic<uint64_t> streams_{0}, samples_{0}, bytes_{0};
};

std::string Contents(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::shared_ptr<grpc::ServerCredentials> Credentials(int argc, char** argv) {
  if (argc < 7) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({Contents(argv[5]), Contents(argv[4])});
  options.pem_root_certs = Contents(argv[6]);
  return grpc::SslServerCredentials(options);
}

int Main(int argc, char** argv) {
  if (argc != 4 && argc != 7) {
    std::cerr << "usage: agents PORT SERIES MOVING_PERCENT [CERTIFICATE KEY CA]\n";
    return 2;
  }
  Agents agents(std::atoi(argv[2]), std::atoi(argv[3]));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(StrCat("0.0.0.0:", argv[1]), Credentials(argc, argv));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // As the agent's own server.
  builder.RegisterService(&agents);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  for (;;) {  // Until killed; a line every second.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    agents.Report();
  }
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) { return vedette::Main(argc, argv); }
