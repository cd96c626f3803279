#include "server/scrape/grpc_source.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/rpc/call_queue.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "server/storage/key_value.h"
#include "tests/support/fake_clock.h"

namespace vedette::scrape {
namespace {

// An agent whose clock is an hour ahead, and which has kept what nobody asked for.
class FakeAgent final : public v1::AgentService::Service {
 public:
  static constexpr int64_t kAhead = 3'600'000;
  explicit FakeAgent(const Clock& clock) : clock_(clock) {}

  grpc::Status Pull(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PullResponse, v1::PullRequest>* stream) override {
    wire::PullEncoder encoder;
    v1::PullRequest request;
    if (!stream->Read(&request) || !request.has_hello()) return grpc::Status::OK;
    {
      MutexLock lock(mu_);
      hellos.push_back(request.hello());
    }
    while (stream->Read(&request)) {
      if (request.has_stored()) {
        MutexLock lock(mu_);
        stored.push_back(request.stored());
        continue;
      }
      {
        MutexLock lock(mu_);
        scrapes.push_back(request.scrape());
      }
      if (silent) continue;
      if (request.scrape().max_backlog() > most_backlog) {
        return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "too much at once");
      }
      if (!recorded.empty()) {
        v1::PullResponse response;
        response.set_id(request.scrape().id());
        response.set_version(recorded_version);
        response.add_frames(recorded.front());
        recorded.erase(recorded.begin());
        response.set_now_ms(clock_.NowMs());
        stream->Write(response);
        continue;
      }
      v1::PullResponse response;
      response.set_id(request.scrape().id());
      response.set_version(wire::kPullVersion);
      for (uint32_t i = 0; i < request.scrape().max_backlog() && kept > 0; ++i, --kept) {
        // The oldest was made `kept` seconds ago.
        response.add_frames(encoder.Encode(Make(++old_sequence, kept * 1000)));
      }
      response.add_frames(encoder.Encode(Make(++sequence, 0)));
      response.set_now_ms(clock_.NowMs() + kAhead);
      response.set_backlog(static_cast<uint64_t>(kept));
      const bool last = hang_up;
      const bool cadence = cadences && request.scrape().has_cadence();
      response.set_cadence(cadence);
      if (cadence) {
        MutexLock lock(mu_);
        const uint64_t id = request.scrape().id();
        by_itself = [this, stream, id, turn = uint64_t{0}, &encoder](uint64_t turns, bool ends) mutable {
          v1::PullResponse own;
          own.set_id(id);
          own.set_turn(turn += turns);
          own.set_version(wire::kPullVersion);
          if (!ends) own.add_frames(encoder.Encode(Make(++sequence, 0)));
          own.set_now_ms(clock_.NowMs() + kAhead);
          stream->Write(own);
        };
      }
      stream->Write(response);
      if (last) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away");
    }
    MutexLock lock(mu_);
    by_itself = nullptr;
    return grpc::Status::OK;
  }

  // The next frame of the cadence, or its end.
  void SendByItself(uint64_t turns = 1, bool ends = false) {
    MutexLock lock(mu_);
    ASSERT_NE(by_itself, nullptr);
    by_itself(turns, ends);
  }
  // How many of its scrapes asked for a cadence, of how many.
  std::string Asked() {
    MutexLock lock(mu_);
    const auto with = std::ranges::count_if(scrapes, [](const auto& s) { return s.has_cadence(); });
    return StrCat(with, " of ", scrapes.size());
  }
  v1::PullScrape LastScrape() {
    MutexLock lock(mu_);
    return scrapes.back();
  }
  std::vector<v1::PullStored> Stored() {
    MutexLock lock(mu_);
    return stored;
  }

  std::vector<v1::PullHello> Hellos() {
    MutexLock lock(mu_);
    return hellos;
  }

  // Frames to send instead, set before the first scrape: what an agent of another time said.
  std::vector<std::string> recorded;
  uint32_t recorded_version = 1;
  std::atomic<int64_t> kept{0};
  std::atomic<uint64_t> old_sequence{0};
  std::atomic<uint64_t> sequence{100};
  std::atomic<bool> hang_up{false};
  std::atomic<bool> silent{false};
  std::atomic<bool> cadences{false};  // It knows of them.
  std::atomic<uint32_t> most_backlog{UINT32_MAX};

 private:
  Snapshot Make(uint64_t number, int64_t age_ms) {
    Snapshot snapshot;
    snapshot.run_id = 7;
    snapshot.sequence = number;
    snapshot.t_ms = clock_.NowMs() + kAhead - age_ms;
    SourceSnapshot& source = snapshot.sources.emplace_back();
    source.state = {.name = "host", .kind = SourceState::Kind::kHost, .up = true};
    MetricFamily& family = source.families.emplace_back();
    family.name = "m";
    family.samples.push_back(
        {.labels = Labels::Of({{"__name__", "m"}}), .value = static_cast<double>(number)});
    return snapshot;
  }

  const Clock& clock_;
  Mutex mu_;
  std::vector<v1::PullHello> hellos;
  std::vector<v1::PullScrape> scrapes;
  std::vector<v1::PullStored> stored;
  std::function<void(uint64_t turns, bool ends)> by_itself;
};

class Recorder final : public SourceSink {
 public:
  Status OnBody(std::string_view, exposition::Protocol) override { return Internal("a body"); }
  Status OnFrame(const wire::PullFrame& frame, int64_t t_ms, bool backlog) override {
    StrAppend(text, text.empty() ? "" : " ", backlog ? "kept " : "live ",
              frame.sources[0].values[0], "@", t_ms);
    return Status();
  }
  Status OnKnownFrame(const wire::PullFrame& frame) override {
    StrAppend(text, text.empty() ? "" : " ", "known ", frame.sources[0].values[0]);
    return Status();
  }
  void OnStreamStart() override { text += text.empty() ? "start" : " start"; }
  std::string text;
};

class GrpcSourceTest : public ::testing::Test {
 protected:
  GrpcSourceTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&agent_);
    server_ = builder.BuildAndStart();
    Job job;
    job.name = "node";
    job.scheme = "grpc";
    const auto target =
        *MakeTarget(Labels::Of({{"__address__", StrCat("127.0.0.1:", port_)}}), job);
    source_ = *MakeGrpcSource(
        *target, {.queue = &queue_,
                  .channel = [](const Target& t) -> Result<std::shared_ptr<grpc::Channel>> {
                    return grpc::CreateChannel(t.address, grpc::InsecureChannelCredentials());
                  },
                  .clock = &clock_,
                  .max_backlog = 2,
                  .receipt = [](uint64_t run_id, uint64_t sequence, uint64_t first) {
                    return storage::KeyValue::Change{"cursor",
                                                     StrCat(run_id, " ", sequence, " ", first)};
                  }});
  }
  ~GrpcSourceTest() override {
    source_ = nullptr;
    server_->Shutdown(std::chrono::system_clock::now());
  }
  // One scrape for the instant t; what came, or the error.
  std::string Scrape(int64_t t_ms, bool cancel = false,
                     const std::function<void()>& meanwhile = nullptr) {
    Mutex mu;
    CondVar changed;
    bool done = false;
    Status status;
    source_->Start({.t_ms = t_ms, .timeout_ms = 5'000, .interval_ms = 10'000}, [&](Status s) {
      MutexLock lock(mu);
      status = std::move(s);
      done = true;
      changed.NotifyAll();
    });
    if (cancel) source_->Cancel();
    if (meanwhile) meanwhile();
    {
      MutexLock lock(mu);
      while (!done) changed.Wait(mu);
    }
    Recorder recorder;
    if (status.ok()) {
      brief_ = source_->brief();
      status = source_->Deliver(recorder);
      if (status.ok()) receipt_ = *source_->Receipt()->value;
      if (status.ok()) source_->Stored(stores_);
    }
    return status.ok() ? recorder.text : StrCat("error: ", status.message());
  }

  testing::FakeClock clock_{1'000'000};
  FakeAgent agent_{clock_};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  rpc::CallQueue queue_{"test-agents"};
  std::unique_ptr<Source> source_;
  bool stores_ = true;
  bool brief_ = false;   // Of the last scrape.
  std::string receipt_;  // Of the last good one.
};

TEST_F(GrpcSourceTest, KeepsOneStreamAndPutsTheAskedTimeOnLiveScrapes) {
  EXPECT_EQ(Scrape(500), "start live 101@500");
  EXPECT_EQ(Scrape(600), "live 102@600");
  ASSERT_EQ(agent_.Hellos().size(), 1u);
  EXPECT_EQ(agent_.Hellos()[0].interval_ms(), 10'000);
}

TEST_F(GrpcSourceTest, FillsTheGapAfterTheFirstLiveScrapeAtTheServersTime) {
  agent_.kept = 3;
  EXPECT_EQ(Scrape(500), "start live 101@500");
  EXPECT_EQ(Scrape(600), "kept 1@997000 kept 2@998000 live 102@600");
  EXPECT_EQ(Scrape(700), "kept 3@999000 live 103@700");
  EXPECT_EQ(Scrape(800), "live 104@800");
}

TEST_F(GrpcSourceTest, WhatIsStoredAlreadyIsHandedOverForItsLayoutOnly) {
  agent_.kept = 2;
  EXPECT_EQ(Scrape(500), "start live 101@500");
  EXPECT_EQ(Scrape(600), "kept 1@998000 kept 2@999000 live 102@600");
  // It did not hear that they have arrived.
  agent_.old_sequence = 0;
  agent_.kept = 2;
  EXPECT_EQ(Scrape(700), "known 1 known 2 live 103@700");
}

TEST_F(GrpcSourceTest, TheReceiptSaysWhatWillHaveBeenStored) {
  agent_.kept = 3;
  EXPECT_EQ(Scrape(500), "start live 101@500");
  EXPECT_EQ(receipt_, "7 0 0") << "older ones are still to come";
  EXPECT_EQ(Scrape(600), "kept 1@997000 kept 2@998000 live 102@600");
  EXPECT_EQ(receipt_, "7 2 1");
  EXPECT_FALSE(brief_);
  EXPECT_EQ(Scrape(700), "kept 3@999000 live 103@700");
  EXPECT_EQ(receipt_, "7 103 3");
  EXPECT_EQ(Scrape(800), "live 104@800");
  EXPECT_EQ(receipt_, "7 104 104");
  EXPECT_TRUE(brief_);
}

TEST_F(GrpcSourceTest, ComesBackAfterALostStreamWithItsCursor) {
  agent_.hang_up = true;
  EXPECT_EQ(Scrape(500), "start live 101@500");
  agent_.hang_up = false;
  // The end of the stream may be noticed by this scrape or before it.
  std::string text = Scrape(600);
  if (text.starts_with("error")) text = Scrape(600);
  EXPECT_EQ(text, "start live 102@600");
  ASSERT_EQ(agent_.Hellos().size(), 2u);
  EXPECT_EQ(agent_.Hellos()[1].cursor_run_id(), 7u);
  EXPECT_EQ(agent_.Hellos()[1].cursor_sequence(), 101u);
}

std::string Unhex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// What the first agents said, byte for byte: every later server understands them.
TEST_F(GrpcSourceTest, AnAgentOfTheFirstVersionIsUnderstoodForever) {
  agent_.recorded = {
      Unhex("0103887766554433221102b08aadfef962010004686f73741d04320100000101166e6f64655f6370755f"
            "7365636f6e64735f746f74616c01094350552074696d652e0002000030085f5f6e616d655f5f166e6f64"
            "655f6370755f7365636f6e64735f746f74616c036370750130046d6f64650469646c65002c0475736572"
            "03000280890f0f11be6afc"),
      Unhex("010002b0ea0101000104320201ac17c4755f17")};
  EXPECT_EQ(Scrape(1'000'000), "start live 1234.56@1000000");
  EXPECT_EQ(Scrape(1'010'000), "live 1249.5@1010000");
}

// An agent that is newer than the server says so, and the server says what to do.
TEST_F(GrpcSourceTest, AFrameVersionOfTheFutureIsRefusedByName) {
  agent_.recorded = {"whatever"};
  agent_.recorded_version = wire::kPullVersion + 1;
  const std::string said = Scrape(1'000'000);
  EXPECT_NE(said.find("the agent speaks version 2"), std::string::npos) << said;
}

TEST_F(GrpcSourceTest, TheCursorStaysWhereTheStorageRefused) {
  EXPECT_EQ(Scrape(500), "start live 101@500");
  stores_ = false;
  EXPECT_EQ(Scrape(600), "live 102@600");
  stores_ = true;
  EXPECT_EQ(Scrape(700), "start live 103@700");
  ASSERT_EQ(agent_.Hellos().size(), 2u);
  EXPECT_EQ(agent_.Hellos()[1].cursor_sequence(), 101u);
  // And the agent's copy of it, which comes late, is no longer taken for one that is there.
  agent_.old_sequence = 101;
  agent_.kept = 1;
  EXPECT_EQ(Scrape(800), "kept 102@999000 live 104@800");
}

// Scrapes at an even pace: the second one sets a cadence, and those after it ask for nothing.
TEST_F(GrpcSourceTest, AtAnEvenPaceTheAgentIsAskedOnce) {
  agent_.cadences = true;
  EXPECT_EQ(Scrape(1'000'000), "start live 101@1000000");
  EXPECT_EQ(agent_.Asked(), "0 of 1");
  clock_.Advance(10'003);  // It begins a little late.
  EXPECT_EQ(Scrape(1'010'000), "live 102@1010000");
  EXPECT_EQ(agent_.Asked(), "1 of 2");
  EXPECT_EQ(agent_.LastScrape().cadence().first_in_ms(), 9'997);
  EXPECT_EQ(agent_.LastScrape().cadence().window(), 8u) << "a minute and two";
  EXPECT_EQ(agent_.LastScrape().stored_sequence(), 101u);
  for (int i = 2; i < 10; ++i) {
    clock_.Advance(10'000);
    const int64_t t_ms = 1'000'000 + i * 10'000;
    EXPECT_EQ(Scrape(t_ms, false, [&] { agent_.SendByItself(); }),
              StrCat("live ", 101 + i, "@", t_ms));
    EXPECT_TRUE(brief_);
    EXPECT_EQ(receipt_, StrCat("7 ", 101 + i, " ", i < 8 ? 102 : 109))
        << "from where on frames may come once more";
  }
  EXPECT_EQ(agent_.Asked(), "1 of 2");
  // A scrape in between, as vedettectl watch makes them, is asked for, and ends the cadence.
  clock_.Advance(1'000);
  EXPECT_EQ(Scrape(1'091'000), "live 111@1091000");
  EXPECT_EQ(agent_.LastScrape().stored_sequence(), 110u);
  ASSERT_EQ(agent_.Stored().size(), 1u);
  EXPECT_EQ(agent_.Stored()[0].sequence(), 108u);
  EXPECT_EQ(agent_.Stored()[0].shift_ms(), 0);
  EXPECT_EQ(agent_.Asked(), "1 of 3");
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'101'000), "live 112@1101000");
  EXPECT_EQ(agent_.Asked(), "2 of 4");
}

TEST_F(GrpcSourceTest, AnAgentThatKnowsNoCadenceIsAskedEachTime) {
  for (int i = 0; i < 4; ++i) {
    const int64_t t_ms = 1'000'000 + i * 10'000;
    EXPECT_EQ(Scrape(t_ms), StrCat(i == 0 ? "start " : "", "live ", 101 + i, "@", t_ms));
    clock_.Advance(10'000);
  }
  EXPECT_EQ(agent_.Asked(), "3 of 4");
}

TEST_F(GrpcSourceTest, AFrameThatComesTooEarlyIsKeptForItsScrape) {
  agent_.cadences = true;
  Scrape(1'000'000);
  clock_.Advance(10'000);
  Scrape(1'010'000);
  clock_.Advance(9'000);
  agent_.SendByItself();
  clock_.Advance(1'000);
  EXPECT_EQ(Scrape(1'020'000), "live 103@1020000");
  // This one is missed here; what came for it has its own time, and the next is asked for.
  clock_.Advance(10'000);
  agent_.SendByItself();
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'040'000), StrCat("kept 104@", clock_.NowMs() - 10'000, " live 105@1040000"));
  EXPECT_EQ(agent_.Asked(), "1 of 3");
}

TEST_F(GrpcSourceTest, ACadenceThatTheAgentEndsIsReplacedByAQuestion) {
  agent_.cadences = true;
  Scrape(1'000'000);
  clock_.Advance(10'000);
  Scrape(1'010'000);
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'020'000, false, [&] { agent_.SendByItself(1, /*ends=*/true); }),
            "live 103@1020000");
  EXPECT_EQ(agent_.Asked(), "1 of 3");
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'030'000), "live 104@1030000");
  EXPECT_EQ(agent_.Asked(), "2 of 4");
}

TEST_F(GrpcSourceTest, AFrameOfALaterTurnIsNotTakenForThisOne) {
  agent_.cadences = true;
  Scrape(1'000'000);
  clock_.Advance(10'000);
  Scrape(1'010'000);
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'020'000, false, [&] { agent_.SendByItself(2); }),
            "error: the agent goes on with scrape 2 of its cadence where 1 is due");
  EXPECT_EQ(Scrape(1'030'000), "start live 104@1030000");
}

TEST_F(GrpcSourceTest, AnAgentWhoseClockWandersIsMoved) {
  agent_.cadences = true;
  Scrape(1'000'000);
  clock_.Advance(10'000);
  Scrape(1'010'000);
  clock_.Advance(70);
  for (int i = 2; i < 4; ++i) {
    clock_.Advance(10'000);
    Scrape(1'000'000 + i * 10'000, false, [&] { agent_.SendByItself(); });
  }
  // The message goes out by itself: the next answer comes after it.
  clock_.Advance(1'000);
  Scrape(1'031'000);
  ASSERT_EQ(agent_.Stored().size(), 1u);
  EXPECT_EQ(agent_.Stored()[0].shift_ms(), -69);
}

TEST_F(GrpcSourceTest, AFrameThatDoesNotComeTakesTheStreamWithIt) {
  agent_.cadences = true;
  Scrape(1'000'000);
  clock_.Advance(10'000);
  Scrape(1'010'000);
  clock_.Advance(10'000);
  EXPECT_EQ(Scrape(1'020'000, /*cancel=*/true).substr(0, 6), "error:");
  EXPECT_EQ(Scrape(1'030'000), "start live 103@1030000");
}

TEST_F(GrpcSourceTest, ACancelledScrapeEndsAtOnce) {
  agent_.silent = true;
  EXPECT_EQ(Scrape(500, /*cancel=*/true).substr(0, 6), "error:");
  agent_.silent = false;
  EXPECT_EQ(Scrape(600), "start live 101@600");
}

TEST_F(GrpcSourceTest, ABacklogThatDoesNotComeThroughIsAskedForInSmallerPieces) {
  agent_.kept = 2;
  agent_.most_backlog = 1;
  EXPECT_EQ(Scrape(1'000'000), "start live 101@1000000");
  EXPECT_TRUE(Scrape(1'010'000).starts_with("error: ")) << "two at once are too much";
  EXPECT_EQ(Scrape(1'020'000), "start live 102@1020000");
  EXPECT_EQ(Scrape(1'030'000), "kept 1@998000 live 103@1030000");
  agent_.most_backlog = 2;
  EXPECT_EQ(Scrape(1'040'000), "kept 2@999000 live 104@1040000");
}

}  // namespace
}  // namespace vedette::scrape
