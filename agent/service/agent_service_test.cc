#include "agent/service/agent_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/collector/collector.h"
#include "agent/snapshot/ring.h"
#include "agent/snapshot/sampler.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/status.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"
#include "common/wire/pull_snapshots.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

namespace pb = vedette::v1;

class Counting final : public Collector {
 public:
  std::string_view name() const override { return "counting"; }
  Status Collect(MetricSink& sink) override {
    sink.Counter("runs_total", "Runs.", ++runs_);
    sink.Gauge("constant", "Never moves.", 7);
    return {};
  }

 private:
  double runs_ = 0;
};

class Failing final : public Collector {
 public:
  std::string_view name() const override { return "shop"; }
  Status Collect(MetricSink&) override { return Unavailable("connection refused"); }
};

class AgentServiceTest : public ::testing::Test {
 protected:
  AgentServiceTest()
      : taker_({.run_id = 42, .clock = &clock_},
               {{.name = "host", .collectors = {std::make_shared<Counting>()}},
                {.name = "shop",
                 .kind = SourceState::Kind::kApplication,
                 .address = "http://127.0.0.1:1",
                 .collectors = {std::make_shared<Failing>()}}}),
        ring_(1 << 20),
        sampler_([this] { ring_.Push((*taker_.Take({}))->snapshot); }, clock_),
        service_({.node = "n1", .version = "9", .started_at_ms = 5, .clock = &clock_}, taker_,
                 ring_, sampler_) {
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.service());
    server_ = builder.BuildAndStart();
    stub_ = pb::AgentService::NewStub(server_->InProcessChannel({}));
  }
  ~AgentServiceTest() override { server_->Shutdown(); }

  using Stream = grpc::ClientReaderWriter<pb::PullRequest, pb::PullResponse>;

  // A server's side of a stream.
  struct Pull {
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
    wire::PullSnapshots frames;

    bool Hello(uint64_t run_id = 0, uint64_t sequence = 0, uint32_t version = 1) {
      pb::PullRequest request;
      request.mutable_hello()->set_max_version(version);
      request.mutable_hello()->set_interval_ms(10'000);
      request.mutable_hello()->set_cursor_run_id(run_id);
      request.mutable_hello()->set_cursor_sequence(sequence);
      return stream->Write(request);
    }
    // Sequences of the frames of one answer; the last is live.
    std::vector<uint64_t> Scrape(uint32_t max_backlog, pb::PullResponse& response) {
      pb::PullRequest request;
      request.mutable_scrape()->set_id(++id);
      request.mutable_scrape()->set_timeout_ms(5'000);
      request.mutable_scrape()->set_max_backlog(max_backlog);
      EXPECT_TRUE(stream->Write(request));
      EXPECT_TRUE(stream->Read(&response));
      EXPECT_EQ(response.id(), id);
      std::vector<uint64_t> out;
      for (const std::string& frame : response.frames()) {
        auto snapshot = frames.Next(frame);
        EXPECT_TRUE(snapshot.ok()) << snapshot.status().ToString();
        if (!snapshot.ok()) break;
        EXPECT_EQ(snapshot->run_id, 42u);
        EXPECT_EQ(snapshot->sources.at(0).families.at(0).samples.at(0).value,
                  static_cast<double>(snapshot->sequence));
        out.push_back(snapshot->sequence);
        times.push_back(snapshot->t_ms);
      }
      return out;
    }
    std::vector<int64_t> times;  // Of all frames that came.
    uint64_t id = 0;
  };
  std::unique_ptr<Pull> Open() {
    auto pull = std::make_unique<Pull>();
    pull->stream = stub_->Pull(&pull->context);
    return pull;
  }

  testing::FakeClock clock_;
  SnapshotTaker taker_;
  Ring ring_;
  Sampler sampler_;
  AgentService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<pb::AgentService::Stub> stub_;
};

TEST_F(AgentServiceTest, DescribesItsSourcesAndCollectors) {
  grpc::ClientContext context;
  pb::DescribeResponse response;
  ASSERT_TRUE(stub_->Describe(&context, {}, &response).ok());
  EXPECT_EQ(response.node(), "n1");
  ASSERT_EQ(response.sources_size(), 2);
  EXPECT_TRUE(response.sources(0).up());
  EXPECT_EQ(response.sources(0).series(), 2);
  EXPECT_FALSE(response.sources(1).up());
  EXPECT_EQ(response.sources(1).kind(), pb::SOURCE_KIND_APPLICATION);
  EXPECT_NE(response.sources(1).error().find("connection refused"), std::string::npos);
  ASSERT_EQ(response.collectors_size(), 2);
  EXPECT_TRUE(response.collectors(0).success());
  EXPECT_FALSE(response.collectors(1).success());
}

TEST_F(AgentServiceTest, CollectsFamiliesByName) {
  grpc::ClientContext context;
  pb::CollectRequest request;
  request.set_name_regex("runs_.*");
  pb::CollectResponse response;
  ASSERT_TRUE(stub_->Collect(&context, request, &response).ok());
  ASSERT_EQ(response.families_size(), 1);
  EXPECT_EQ(response.families(0).name(), "runs_total");
  EXPECT_EQ(response.families(0).metric(0).counter().value(), 1);

  for (const char* bad : {"(", "a{2000}{2000}"}) {
    grpc::ClientContext again;
    request.set_name_regex(bad);
    EXPECT_EQ(stub_->Collect(&again, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(AgentServiceTest, AStreamGivesOneScrapeForEachRequest) {
  auto pull = Open();
  ASSERT_TRUE(pull->Hello());
  pb::PullResponse response;
  EXPECT_EQ(pull->Scrape(0, response), (std::vector<uint64_t>{1}));
  const size_t first = response.frames(0).size();
  EXPECT_EQ(response.version(), 1u);
  EXPECT_EQ(response.now_ms(), clock_.NowMs());
  clock_.Advance(10'000);
  EXPECT_EQ(pull->Scrape(0, response), (std::vector<uint64_t>{2}));
  EXPECT_LT(response.frames(0).size(), first / 4);
  pull->stream->WritesDone();
  EXPECT_TRUE(pull->stream->Finish().ok());
}

TEST_F(AgentServiceTest, AServerThatWasAwayFindsNoGap) {
  {
    auto pull = Open();
    ASSERT_TRUE(pull->Hello());
    pb::PullResponse response;
    EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{1}));
    clock_.Advance(10'000);
    EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{2}));
    // It dies without asking again: nobody knows whether 2 arrived.
    pull->context.TryCancel();
    pull->stream->Finish();
  }
  while (service_.pulls() > 0) std::this_thread::yield();
  clock_.Advance(15'000);
  for (int i = 0; i < 5; ++i) {
    sampler_.SampleIfDue();
    clock_.Advance(10'000);
  }
  EXPECT_EQ(ring_.waiting(), 6u);  // 2, and five that the agent took by itself.

  auto pull = Open();
  ASSERT_TRUE(pull->Hello(42, 2));  // 2 did arrive.
  pb::PullResponse response;
  EXPECT_EQ(pull->Scrape(3, response), (std::vector<uint64_t>{3, 4, 5, 8}));
  EXPECT_EQ(response.backlog(), 2u);
  clock_.Advance(10'000);
  EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{6, 7, 9}));
  EXPECT_EQ(response.backlog(), 0u);
  clock_.Advance(10'000);
  EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{10}));
  EXPECT_EQ(ring_.waiting(), 0u);
  pull->stream->WritesDone();
  EXPECT_TRUE(pull->stream->Finish().ok());
}

// A line that is cut for half an hour costs no sample of a host that is scraped every 5 s.
TEST_F(AgentServiceTest, HalfAnHourAtFiveSecondsLeavesNoneMissing) {
  constexpr int64_t kIntervalMs = 5'000;
  constexpr int kMissed = 360;
  {
    auto pull = Open();
    pb::PullRequest hello;
    hello.mutable_hello()->set_max_version(wire::kPullVersion);
    hello.mutable_hello()->set_interval_ms(kIntervalMs);
    ASSERT_TRUE(pull->stream->Write(hello));
    pb::PullResponse response;
    EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{1}));
    pull->stream->WritesDone();
    EXPECT_TRUE(pull->stream->Finish().ok());
  }
  while (service_.pulls() > 0) std::this_thread::yield();
  const int64_t cut_ms = clock_.NowMs();
  clock_.Advance(kIntervalMs / 2);
  for (int i = 0; i < kMissed; ++i) {
    clock_.Advance(kIntervalMs);
    sampler_.SampleIfDue();
  }
  EXPECT_EQ(ring_.dropped(), 0u);
  clock_.Advance(1'000);

  auto pull = Open();
  ASSERT_TRUE(pull->Hello(42, 1));
  std::vector<uint64_t> sequences;
  pb::PullResponse response;
  int scrapes = 0;
  do {
    const auto got = pull->Scrape(64, response);
    // The live one is the last of each answer; what was missed comes before it, oldest first.
    sequences.insert(sequences.end(), got.begin(), got.end() - 1);
    clock_.Advance(kIntervalMs);
    ASSERT_LT(++scrapes, 20);
  } while (response.backlog() > 0);
  ASSERT_EQ(sequences.size(), static_cast<size_t>(kMissed));
  for (size_t i = 0; i < sequences.size(); ++i) EXPECT_EQ(sequences[i], i + 2);
  // At their own times, none further from the one before than the interval.
  std::ranges::sort(pull->times);
  EXPECT_LE(pull->times.front() - cut_ms, 2 * kIntervalMs);
  for (size_t i = 1; i < pull->times.size(); ++i) {
    EXPECT_LE(pull->times[i] - pull->times[i - 1], kIntervalMs);
  }
  pull->stream->WritesDone();
  EXPECT_TRUE(pull->stream->Finish().ok());
}

TEST_F(AgentServiceTest, ACursorOfAnotherRunMeansNothing) {
  ring_.Push((*taker_.Take({}))->snapshot);
  auto pull = Open();
  ASSERT_TRUE(pull->Hello(41, 1));
  clock_.Advance(1'000);
  pb::PullResponse response;
  EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{1, 2}));
  pull->stream->WritesDone();
  EXPECT_TRUE(pull->stream->Finish().ok());
}

// What a later server may say beside what this agent knows is no reason not to answer it.
TEST_F(AgentServiceTest, ANewerServerIsAnsweredInThisAgentsVersion) {
  auto pull = Open();
  pb::PullRequest hello;
  hello.mutable_hello()->set_max_version(wire::kPullVersion + 5);
  hello.mutable_hello()->set_interval_ms(10'000);
  hello.mutable_hello()->GetReflection()->MutableUnknownFields(hello.mutable_hello())->AddVarint(900, 1);
  ASSERT_TRUE(pull->stream->Write(hello));
  pb::PullResponse response;
  EXPECT_EQ(pull->Scrape(10, response), (std::vector<uint64_t>{1}));
  EXPECT_EQ(response.version(), wire::kPullVersion);
  pull->stream->WritesDone();
  EXPECT_TRUE(pull->stream->Finish().ok());
}

TEST_F(AgentServiceTest, StreamsThatBeginWronglyAreRefused) {
  {
    auto pull = Open();
    pb::PullRequest request;
    request.mutable_scrape()->set_id(1);
    pull->stream->Write(request);
    EXPECT_EQ(pull->stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  {
    auto pull = Open();
    pull->Hello(0, 0, 0);
    EXPECT_EQ(pull->stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
}

}  // namespace
}  // namespace vedette::agent
