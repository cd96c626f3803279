#include "common/systemd/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace vedette::systemd {
namespace {

// The manager's end.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
  }
  ~Manager() { close(fd_); }
  std::string Next() {
    char text[512];
    const ssize_t n = recv(fd_, text, sizeof text, MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string(text, static_cast<size_t>(n));
  }

 private:
  int fd_;
};

TEST(Notifier, TellsTheManagerWhatWeAreDoing) {
  // In the abstract namespace: a path may have 107 characters, and a test's folder has more.
  const std::string name = "vedette-notify-test-" + std::to_string(getpid());
  Manager manager(name);
  setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  const Notifier notifier = Notifier::FromEnvironment();
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_EQ(notifier.watchdog_ms(), 30'000);
  EXPECT_TRUE(notifier.Ready("serving\nREADY=0"));
  EXPECT_EQ(manager.Next(), "READY=1\nSTATUS=serving READY=0");
  EXPECT_TRUE(notifier.Alive());
  EXPECT_EQ(manager.Next(), "WATCHDOG=1");
  EXPECT_TRUE(notifier.Reloading());
  EXPECT_TRUE(manager.Next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_TRUE(notifier.Stopping());
  EXPECT_EQ(manager.Next(), "STOPPING=1");
}

TEST(Notifier, IsSilentWithoutAManager) {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  const Notifier notifier = Notifier::FromEnvironment();
  EXPECT_FALSE(notifier.Ready("serving"));
  EXPECT_EQ(notifier.watchdog_ms(), 0);
}

TEST(Notifier, AWatchdogForAnotherProcessIsNotOurs) {
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(Notifier::FromEnvironment().watchdog_ms(), 0);
}

}  // namespace
}  // namespace vedette::systemd
