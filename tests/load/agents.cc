// A thousand agents in one process, for the load test: AgentService.Pull on one port of every
// loopback address, each stream an agent of its own with its own series. What they say is shaped
// like a host: most series stand still, counters move by a jittered step. They go by a cadence, as
// agents do.
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
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette {
namespace {

// One agent: a stream, and what it tells of.
class Agent {
 public:
  using Stream = grpc::ServerReaderWriter<v1::PullResponse, v1::PullRequest>;

  Agent(uint64_t number, int series, int moving_percent, Stream& stream)
      : moving_percent_(moving_percent), stream_(stream), random_(number) {
    snapshot_.run_id = number;
    SourceSnapshot& source = snapshot_.sources.emplace_back();
    source.state = {.name = "host", .kind = SourceState::Kind::kHost, .up = true};
    constexpr int kPerFamily = 10;
    for (int i = 0; i < series; ++i) {
      if (i % kPerFamily == 0) {
        MetricFamily& family = source.families.emplace_back();
        family.name = StrCat("load_", i / kPerFamily, "_total");
        family.metadata = {.type = MetricType::kCounter, .help = "Of the load test."};
      }
      source.families.back().samples.push_back(
          {.labels = Labels::Of({{"__name__", source.families.back().name},
                                 {"part", StrCat(i % kPerFamily)}}),
           .value = static_cast<double>(random_() % 1'000'000)});
    }
  }

  // Bytes of the frame; nothing where the stream is broken.
  std::optional<size_t> Answer(const v1::PullScrape& scrape) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    unstored_ = 0;
    id_ = scrape.id();
    turn_ = 0;
    window_ = scrape.has_cadence() ? scrape.cadence().window() : 0;
    if (window_ > 0) {
      next_ns_ = SystemClock().MonotonicNs() + scrape.cadence().first_in_ms() * 1'000'000;
    }
    return Send();
  }
  void Stored(const v1::PullStored& stored) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    unstored_ = 0;
    next_ns_ += stored.shift_ms() * 1'000'000;
  }
  void SetInterval(int64_t interval_ms) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (interval_ms > 0) interval_ns_ = interval_ms * 1'000'000;
  }
  // The frame that the cadence wants, if it is time to; bytes as above, 0 where it is not.
  std::optional<size_t> SendIfDue(int64_t now_ns) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (window_ == 0 || closed_ || now_ns < next_ns_) return 0;
    next_ns_ += interval_ns_;
    ++turn_;
    if (unstored_ >= window_) {
      window_ = 0;
      v1::PullResponse ended;
      ended.set_id(id_);
      ended.set_turn(turn_);
      if (!stream_.Write(ended)) return std::nullopt;
      return 0;
    }
    return Send();
  }
  void Close() VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    closed_ = true;
  }

 private:
  std::optional<size_t> Send() VEDETTE_REQUIRES(mu_) {
    int at = 0;
    for (MetricFamily& family : snapshot_.sources[0].families) {
      for (FamilySample& sample : family.samples) {
        if (at++ % 100 < moving_percent_) sample.value += static_cast<double>(random_() % 100);
      }
    }
    ++snapshot_.sequence;
    ++unstored_;
    snapshot_.t_ms = SystemClock().NowMs();
    response_.Clear();
    response_.add_frames(encoder_.Encode(snapshot_));
    response_.set_id(id_);
    response_.set_turn(turn_);
    response_.set_cadence(turn_ == 0 && window_ > 0);
    response_.set_version(wire::kPullVersion);
    response_.set_now_ms(SystemClock().NowMs());
    const size_t bytes = response_.frames(0).size();
    if (!stream_.Write(response_)) return std::nullopt;
    return bytes;
  }

  const int moving_percent_;
  Stream& stream_;
  Mutex mu_;
  bool closed_ VEDETTE_GUARDED_BY(mu_) = false;
  std::mt19937_64 random_ VEDETTE_GUARDED_BY(mu_);
  wire::PullEncoder encoder_ VEDETTE_GUARDED_BY(mu_);
  Snapshot snapshot_ VEDETTE_GUARDED_BY(mu_);
  v1::PullResponse response_ VEDETTE_GUARDED_BY(mu_);
  int64_t interval_ns_ VEDETTE_GUARDED_BY(mu_) = 10'000'000'000;
  // The cadence; none where the window is 0.
  uint32_t window_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint32_t unstored_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t id_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t turn_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t next_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

class Agents final : public v1::AgentService::Service {
 public:
  Agents(int series, int moving_percent)
      : series_(series), moving_percent_(moving_percent), clock_([this] { Tick(); }) {}
  ~Agents() override {
    stopping_ = true;
    clock_.join();
  }

  grpc::Status Pull(grpc::ServerContext*, Agent::Stream* stream) override {
    const auto agent = std::make_shared<Agent>(++streams_, series_, moving_percent_, *stream);
    {
      MutexLock lock(mu_);
      agents_.push_back(agent);
    }
    v1::PullRequest request;
    while (stream->Read(&request)) {
      if (request.has_hello()) agent->SetInterval(request.hello().interval_ms());
      if (request.has_stored()) agent->Stored(request.stored());
      if (!request.has_scrape()) continue;
      agent->SetInterval(request.scrape().interval_ms());
      if (!Count(agent->Answer(request.scrape()))) break;
    }
    agent->Close();
    MutexLock lock(mu_);
    std::erase(agents_, agent);
    return grpc::Status::OK;
  }

  void Report() const {
    const uint64_t samples = samples_, bytes = bytes_;
    std::cout << "streams " << streams_ << " samples " << samples << " bytes " << bytes << std::endl;
  }

 private:
  bool Count(std::optional<size_t> bytes) {
    if (!bytes) return false;
    bytes_ += *bytes;
    if (*bytes > 0) samples_ += static_cast<uint64_t>(series_);
    return true;
  }

  // Sends for all of them what their cadences want.
  void Tick() {
    while (!stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::vector<std::shared_ptr<Agent>> agents;
      {
        MutexLock lock(mu_);
        agents = agents_;
      }
      const int64_t now_ns = SystemClock().MonotonicNs();
      for (const auto& agent : agents) (void)Count(agent->SendIfDue(now_ns));
    }
  }

  const int series_;
  const int moving_percent_;
  std::atomic<uint64_t> streams_{0}, samples_{0}, bytes_{0};
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  std::vector<std::shared_ptr<Agent>> agents_ VEDETTE_GUARDED_BY(mu_);
  std::thread clock_;  // Last: it begins with the rest there.
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
