#include "common/systemd/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace vedette::systemd {

Notifier Notifier::FromEnvironment() {
  Notifier out;
  if (const char* path = std::getenv("NOTIFY_SOCKET"); path != nullptr) out.socket_ = path;
  const char* usec = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  const bool ours = pid == nullptr || std::strtoll(pid, nullptr, 10) == getpid();
  if (usec != nullptr && ours) {
    out.watchdog_ms_ = std::max<int64_t>(0, std::strtoll(usec, nullptr, 10) / 1000);
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  return out;
}

bool Notifier::Ready(std::string_view status) const {
  std::string text = "READY=1\nSTATUS=";
  // A line break would begin another assignment.
  for (const char c : status) text.push_back(c == '\n' ? ' ' : c);
  return Send(text);
}

bool Notifier::Reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t usec = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  return Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

bool Notifier::Stopping() const { return Send("STOPPING=1"); }
bool Notifier::Alive() const { return Send("WATCHDOG=1"); }

bool Notifier::Send(std::string_view text) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), length);
  close(fd);
  return sent == static_cast<ssize_t>(text.size());
}

}  // namespace vedette::systemd
