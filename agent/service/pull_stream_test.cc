#include "agent/service/pull_stream.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/snapshot/ring.h"
#include "agent/snapshot/sampler.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/status.h"
#include "common/model/snapshot.h"
#include "common/wire/pull_snapshots.h"
#include "proto/vedette/v1/agent.pb.h"
#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

namespace pb = vedette::v1;

class Counting final : public Collector {
 public:
  std::string_view name() const override { return "counting"; }
  Status Collect(MetricSink& sink) override {
    sink.Counter("runs_total", "Runs.", ++runs_);
    return {};
  }

 private:
  double runs_ = 0;
};

class PullStreamTest : public ::testing::Test {
 protected:
  PullStreamTest()
      : taker_({.run_id = 42, .clock = &clock_},
               {{.name = "host", .collectors = {std::make_shared<Counting>()}}}),
        ring_(1 << 20),
        sampler_([this] { ring_.Push((*taker_.Take({}))->snapshot); }, clock_) {
    Open();
  }
  void Open() {
    stream_ = nullptr;
    decoder_ = std::make_unique<wire::PullSnapshots>();
    sent_.clear();
    stream_ = std::make_unique<PullStream>(
        PullStream::Parts{.taker = taker_,
                          .ring = ring_,
                          .sampler = sampler_,
                          .clock = &clock_,
                          .pulled = nullptr,
                          .check_peer = [this] { return peer_; },
                          .write =
                              [this](const pb::PullResponse& response) {
                                sent_.push_back(response);
                                return writes_;
                              },
                          .own_thread = false});
    pb::PullHello hello;
    hello.set_max_version(1);
    hello.set_interval_ms(10'000);
    ASSERT_TRUE(stream_->Hello(hello).ok());
  }
  // With a cadence if `window` is not 0.
  Status Scrape(uint32_t window, int64_t first_in_ms = 10'000, uint64_t stored = 0,
                uint32_t backlog = 0) {
    pb::PullScrape scrape;
    scrape.set_id(++id_);
    scrape.set_timeout_ms(5'000);
    scrape.set_max_backlog(backlog);
    scrape.set_stored_sequence(stored);
    if (window > 0) {
      scrape.mutable_cadence()->set_window(window);
      scrape.mutable_cadence()->set_first_in_ms(first_in_ms);
    }
    return stream_->Scrape(scrape);
  }
  Status Stored(uint64_t sequence, int64_t shift_ms = 0) {
    pb::PullStored stored;
    stored.set_sequence(sequence);
    stored.set_shift_ms(shift_ms);
    return stream_->Stored(stored);
  }
  // Lets time pass; what was sent in it: "id.turn: sequences".
  std::string Pass(int64_t ms) {
    clock_.Advance(ms);
    stream_->SendIfDue();
    return Sent();
  }
  std::string Sent() {
    std::string out;
    for (const pb::PullResponse& response : sent_) {
      if (!out.empty()) out += " ";
      out += std::to_string(response.id()) + "." + std::to_string(response.turn()) + ":";
      if (response.cadence()) out += "cadence:";
      for (const std::string& frame : response.frames()) {
        const auto snapshot = decoder_->Next(frame);
        EXPECT_TRUE(snapshot.ok()) << snapshot.status().ToString();
        if (snapshot.ok()) out += std::to_string(snapshot->sequence) + ",";
      }
    }
    sent_.clear();
    return out;
  }
  std::vector<uint64_t> Kept() {
    std::vector<uint64_t> out;
    for (const Snapshot& snapshot : ring_.Oldest(100)) out.push_back(snapshot.sequence);
    return out;
  }

  testing::FakeClock clock_;
  SnapshotTaker taker_;
  Ring ring_;
  Sampler sampler_;
  Status peer_;
  bool writes_ = true;
  std::vector<pb::PullResponse> sent_;
  std::unique_ptr<wire::PullSnapshots> decoder_;
  std::unique_ptr<PullStream> stream_;
  uint64_t id_ = 0;
};

using Sequences = std::vector<uint64_t>;

TEST_F(PullStreamTest, SendsByItselfAtTheCadence) {
  ASSERT_TRUE(Scrape(8, 9'990).ok());
  EXPECT_EQ(Sent(), "1.0:cadence:1,");
  EXPECT_EQ(Pass(9'989), "");
  EXPECT_EQ(Pass(1), "1.1:2,");
  EXPECT_EQ(Pass(9'999), "");
  EXPECT_EQ(stream_->SendIfDue(), 1) << "milliseconds to wait";
  EXPECT_EQ(Pass(1), "1.2:3,");
  // A machine that slept.
  EXPECT_EQ(Pass(35'000), "1.5:4,");
  EXPECT_EQ(Pass(5'000), "1.6:5,");
}

TEST_F(PullStreamTest, WithoutACadenceOnlyAnswers) {
  ASSERT_TRUE(Scrape(0).ok());
  EXPECT_EQ(Sent(), "1.0:1,");
  EXPECT_EQ(Pass(60'000), "");
  ASSERT_TRUE(Scrape(8).ok());
  EXPECT_EQ(Sent(), "2.0:cadence:2,");
  EXPECT_EQ(Pass(10'000), "2.1:3,");
  // The request that comes without one ends it.
  ASSERT_TRUE(Scrape(0, 0, 3).ok());
  EXPECT_EQ(Sent(), "3.0:3,");
  EXPECT_EQ(Pass(60'000), "");
}

TEST_F(PullStreamTest, WhatIsNotKnownToBeStoredIsKept) {
  ASSERT_TRUE(Scrape(8).ok());
  for (int i = 0; i < 5; ++i) Pass(10'000);
  ASSERT_TRUE(Stored(4).ok());
  EXPECT_EQ(Kept(), Sequences{}) << "not while the stream stands";
  stream_ = nullptr;
  EXPECT_EQ(Kept(), (Sequences{5, 6}));

  Open();
  clock_.Advance(10'000);
  ASSERT_TRUE(Scrape(8, 10'000, 0, /*backlog=*/10).ok());
  EXPECT_EQ(Sent(), "2.0:cadence:5,6,7,");
  EXPECT_EQ(Pass(10'000), "2.1:8,");
  // An answer that was under way when this was asked is not meant.
  ASSERT_TRUE(Scrape(8, 10'000, /*stored=*/7).ok());
  stream_ = nullptr;
  EXPECT_EQ(Kept(), (Sequences{8, 8})) << "sent twice within one moment";
}

TEST_F(PullStreamTest, AStreamThatEndsKeepsItsLastAnswer) {
  ASSERT_TRUE(Scrape(0).ok());
  clock_.Advance(10'000);
  ASSERT_TRUE(Scrape(0).ok());
  stream_ = nullptr;
  EXPECT_EQ(Kept(), (Sequences{2}));
}

TEST_F(PullStreamTest, StopsWhereNobodyConfirmsAndSaysSo) {
  ASSERT_TRUE(Scrape(3).ok());
  EXPECT_EQ(Sent(), "1.0:cadence:1,");
  EXPECT_EQ(Pass(10'000), "1.1:2,");
  EXPECT_EQ(Pass(10'000), "1.2:3,");
  EXPECT_EQ(Pass(10'000), "1.3:");
  EXPECT_EQ(Kept(), (Sequences{1, 2, 3})) << "where it survives the agent";
  EXPECT_EQ(Pass(60'000), "");
  ASSERT_TRUE(Scrape(3, 10'000, /*stored=*/2, /*backlog=*/10).ok());
  EXPECT_EQ(Kept(), (Sequences{3}));
  EXPECT_EQ(Sent(), "2.0:cadence:4,") << "that one may be under way";
  EXPECT_EQ(Pass(10'000), "2.1:5,");
  stream_ = nullptr;
  EXPECT_EQ(Kept(), (Sequences{3, 4, 5}));
}

TEST_F(PullStreamTest, APeerThatIsNotBelievedAnyMoreGetsNothingAndIsToldWhy) {
  ASSERT_TRUE(Scrape(8).ok());
  Sent();
  peer_ = Unauthenticated("revoked");
  EXPECT_EQ(Pass(10'000), "1.1:");
  const Status status = Scrape(8);
  EXPECT_EQ(status.code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(status.message(), "revoked");
}

TEST_F(PullStreamTest, IsMovedByItsServer) {
  ASSERT_TRUE(Scrape(8).ok());
  Pass(10'000);
  ASSERT_TRUE(Stored(2, -40).ok());
  EXPECT_EQ(Pass(9'959), "");
  EXPECT_EQ(Pass(1), "1.2:3,");
  ASSERT_TRUE(Stored(3, 100).ok());
  EXPECT_EQ(Pass(10'099), "");
  EXPECT_EQ(Pass(1), "1.3:4,");
  EXPECT_EQ(Stored(4, -10'001).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Stored(0).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(Stored(900).ok()) << "never sent: nothing is forgotten";
}

TEST_F(PullStreamTest, ACadenceThatMakesNoSenseIsNotTaken) {
  ASSERT_TRUE(Scrape(8, -1).ok());
  ASSERT_TRUE(Scrape(8, 30'000).ok());
  EXPECT_EQ(Sent(), "1.0:1, 2.0:1,");
  EXPECT_EQ(Pass(60'000), "");
}

TEST_F(PullStreamTest, ABrokenStreamSendsNoMore) {
  ASSERT_TRUE(Scrape(8).ok());
  Sent();
  writes_ = false;
  EXPECT_EQ(Pass(10'000), "1.1:2,");
  EXPECT_TRUE(stream_->broken());
  EXPECT_EQ(Pass(10'000), "");
  stream_ = nullptr;
  EXPECT_EQ(Kept(), (Sequences{1, 2}));
}

}  // namespace
}  // namespace vedette::agent
