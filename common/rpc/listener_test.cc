#include "common/rpc/listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "tests/support/fake_clock.h"

namespace vedette::rpc {
namespace {

// A connection from an address of loopback to a port of it.
class Client {
 public:
  Client(const char* from, int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in source{.sin_family = AF_INET};
    inet_pton(AF_INET, from, &source.sin_addr);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&source), sizeof source), 0);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Whether it hears the one byte that who was let in is told. Waits until one or the other is sure.
  bool LetIn() const {
    char byte = 0;
    return recv(fd_, &byte, 1, 0) == 1;
  }

 private:
  int fd_;
};

class ListenerTest : public ::testing::Test {
 protected:
  void Open(const std::vector<std::string>& addresses, int64_t per_second) {
    Result<std::unique_ptr<Listener>> opened =
        Listener::Open(addresses, {.max_connections_per_second = per_second}, clock_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    listener_ = *std::move(opened);
    listener_->Start(
        [](int, int fd) {
          EXPECT_EQ(send(fd, "x", 1, MSG_NOSIGNAL), 1);
          close(fd);
        },
        [this](const std::string& network, const std::string& why) {
          MutexLock lock(mu_);
          refused_.push_back(network);
          why_ = why;
        });
  }
  std::vector<std::string> refused() {
    MutexLock lock(mu_);
    return refused_;
  }
  std::string why() {
    MutexLock lock(mu_);
    return why_;
  }

  testing::FakeClock clock_;
  Mutex mu_;
  std::vector<std::string> refused_ VEDETTE_GUARDED_BY(mu_);
  std::string why_ VEDETTE_GUARDED_BY(mu_);
  std::unique_ptr<Listener> listener_;
};

TEST_F(ListenerTest, AnAddressThatComesTooOftenIsClosedAndOthersAreNot) {
  Open({"127.0.0.1:0"}, /*per_second=*/1);
  const int port = listener_->ports()[0];
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Client("127.0.0.1", port).LetIn()) << i;
  EXPECT_FALSE(Client("127.0.0.1", port).LetIn());
  EXPECT_TRUE(Client("127.0.0.2", port).LetIn());
  for (int i = 0; i < 400 && why().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_NE(why().find("--grpc.max-connections-per-second"), std::string::npos) << why();
  clock_.Advance(1000);
  EXPECT_TRUE(Client("127.0.0.1", port).LetIn());
  EXPECT_FALSE(Client("127.0.0.1", port).LetIn());
  // Its thread closes first, and tells then.
  for (int i = 0; i < 400 && refused().size() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(refused().size(), 2u);
  EXPECT_EQ(refused()[0], "127.0.0.1");
}

TEST_F(ListenerTest, AllAddressesTogetherAreBoundedToo) {
  Open({"127.0.0.1:0"}, /*per_second=*/1);
  const int port = listener_->ports()[0];
  int in = 0;
  for (int host = 1; host <= 15; ++host) {
    for (int i = 0; i < 15; ++i) {
      in += Client(("127.0.1." + std::to_string(host)).c_str(), port).LetIn() ? 1 : 0;
    }
  }
  EXPECT_EQ(in, 200);
}

TEST_F(ListenerTest, EveryAddressHasAPort) {
  Open({":0", "127.0.0.1:0", "localhost:0"}, 100);
  ASSERT_EQ(listener_->ports().size(), 3u);
  for (const int port : listener_->ports()) EXPECT_TRUE(Client("127.0.0.1", port).LetIn()) << port;
}

TEST_F(ListenerTest, WhatCannotBeListenedOnIsNamed) {
  Open({"127.0.0.1:0"}, 100);
  const std::string taken = "127.0.0.1:" + std::to_string(listener_->ports()[0]);
  for (const std::string& address :
       {taken, std::string("192.0.2.1:0"), std::string("9095")}) {
    const Result<std::unique_ptr<Listener>> other = Listener::Open({address}, {}, clock_);
    ASSERT_FALSE(other.ok()) << address;
    EXPECT_EQ(other.status().code(), StatusCode::kUnavailable);
    EXPECT_NE(other.status().message().find(address), std::string::npos) << other.status().ToString();
  }
  listener_->Stop();
  EXPECT_TRUE(Listener::Open({taken}, {}, clock_).ok());
}

}  // namespace
}  // namespace vedette::rpc
