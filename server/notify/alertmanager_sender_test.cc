#include "server/notify/alertmanager_sender.h"

#include <gtest/gtest.h>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "tests/support/fake_clock.h"

namespace vedette::notify {
namespace {

class SenderTest : public ::testing::Test {
 protected:
  AlertmanagerEndpoint Endpoint(const std::string& url, int status) {
    return {.url = url, .client = [this, status](const HttpPost& post) -> Result<HttpReply> {
              MutexLock lock(mu_);
              posts_.push_back(post);
              return HttpReply{.status = status};
            }};
  }
  static Alert Named(const std::string& name) {
    return {.labels = Labels::Of({{"alertname", name}}),
            .starts_at_ms = 1'700'000'000'000,
            .ends_at_ms = 1'700'000'240'000,
            .generator_url = "http://v/graph"};
  }
  testing::FakeClock clock_;
  Mutex mu_;
  std::vector<HttpPost> posts_;
};

TEST_F(SenderTest, PostsApiV2ToEveryEndpointAfterRelabelling) {
  AlertmanagerSender sender({}, clock_);
  sender.SetEndpoints({Endpoint("http://a", 200), Endpoint("http://b", 500)});
  sender.SetRelabel([](Alert& a) {
    LabelsBuilder b(a.labels);
    b.Set("added", "yes");
    a.labels = b.Build();
    return a.labels.Get("alertname") != "Secret";
  });
  sender.Send({Named("Down"), Named("Secret")});
  sender.SendQueued();
  ASSERT_EQ(posts_.size(), 2u);
  EXPECT_EQ(posts_[0].body,
            "[{\"labels\":{\"added\":\"yes\",\"alertname\":\"Down\"},\"annotations\":{},"
            "\"startsAt\":\"2023-11-14T22:13:20Z\",\"endsAt\":\"2023-11-14T22:17:20Z\","
            "\"generatorURL\":\"http://v/graph\"}]");
  EXPECT_EQ(sender.counts().sent, 1u);
  EXPECT_EQ(sender.counts().errors, 1u);
}

TEST_F(SenderTest, BatchesAndDropsTheOldestWhenTheQueueIsFull) {
  AlertmanagerSender sender({.queue_capacity = 5, .batch_size = 2}, clock_);
  sender.SetEndpoints({Endpoint("http://a", 200)});
  for (int i = 0; i < 7; ++i) sender.Send({Named(StrCat("n", i))});
  EXPECT_EQ(sender.queued(), 5u);
  sender.SendQueued();
  EXPECT_EQ(posts_.size(), 3u);
  EXPECT_NE(posts_[0].body.find("n2"), std::string::npos);
  EXPECT_EQ(sender.counts().dropped, 2u);
}

TEST_F(SenderTest, WhoIsFoundLaterIsToldAtOnceWhatGoesOn) {
  AlertmanagerSender sender({}, clock_);
  Alert over = Named("Over");
  over.ends_at_ms = clock_.NowMs() + 1000;
  sender.Send({Named("Early"), over});  // Nobody is there yet.
  sender.SendQueued();
  EXPECT_TRUE(posts_.empty());
  clock_.Advance(2000);
  sender.SetEndpoints({Endpoint("http://a", 200)});
  sender.SendQueued();
  ASSERT_EQ(posts_.size(), 1u);
  EXPECT_NE(posts_[0].body.find("Early"), std::string::npos);
  EXPECT_EQ(posts_[0].body.find("Over"), std::string::npos);

  // The second hears both, the first nothing twice.
  sender.Send({Named("Late")});
  sender.SendQueued();
  sender.SetEndpoints({Endpoint("http://a", 200), Endpoint("http://b", 200)});
  sender.SendQueued();
  ASSERT_EQ(posts_.size(), 3u);
  EXPECT_EQ(posts_[1].url, "http://a");
  EXPECT_EQ(posts_[2].url, "http://b");
  EXPECT_NE(posts_[2].body.find("Early"), std::string::npos);
  EXPECT_NE(posts_[2].body.find("Late"), std::string::npos);

  // The same endpoints again are no news, and what is resolved is told to nobody new.
  sender.SetEndpoints({Endpoint("http://b", 200), Endpoint("http://a", 200)});
  for (const char* name : {"Early", "Late"}) {
    Alert resolved = Named(name);
    resolved.ends_at_ms = clock_.NowMs();
    sender.Send({resolved});
  }
  sender.SendQueued();
  EXPECT_EQ(posts_.size(), 5u);
  sender.SetEndpoints({Endpoint("http://c", 200)});
  sender.SendQueued();
  EXPECT_EQ(posts_.size(), 5u);
}

TEST_F(SenderTest, StopDrainsTheQueue) {
  AlertmanagerSender sender({}, clock_);
  sender.SetEndpoints({Endpoint("http://a", 200)});
  sender.Start();
  sender.Send({Named("last")});
  sender.Stop();
  EXPECT_EQ(sender.counts().sent, 1u);
}

}  // namespace
}  // namespace vedette::notify
