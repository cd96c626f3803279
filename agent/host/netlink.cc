#include "agent/host/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr int kAnswerSeconds = 2;

struct Socket {
  explicit Socket(int protocol) : fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {}
  ~Socket() {
    if (fd >= 0) close(fd);
  }
  const int fd;
};

}  // namespace

Status NetlinkDump(int protocol, const void* request,
                   const std::function<void(const nlmsghdr&)>& visit) {
  const Socket netlink(protocol);
  if (netlink.fd < 0) return Unavailable(StrCat("netlink socket: ", std::strerror(errno)));
  const timeval patience = {.tv_sec = kAnswerSeconds, .tv_usec = 0};
  setsockopt(netlink.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const auto* header = static_cast<const nlmsghdr*>(request);
  if (send(netlink.fd, request, header->nlmsg_len, 0) < 0) {
    return Unavailable(StrCat("netlink request: ", std::strerror(errno)));
  }
  // The kernel fills at most 32 KiB a read.
  const std::unique_ptr<char[]> buffer(new char[1 << 16]);
  for (;;) {
    const ssize_t n = recv(netlink.fd, buffer.get(), 1 << 16, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Unavailable(StrCat("netlink answer: ", std::strerror(errno)));
    auto left = static_cast<unsigned>(n);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.get()); NLMSG_OK(m, left);
         m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type == NLMSG_DONE) return {};
      if (m->nlmsg_type == NLMSG_ERROR) {
        const auto* error = BodyOf<nlmsgerr>(*m);
        if (error == nullptr || error->error == 0) return {};
        const std::string reason = StrCat("netlink: ", std::strerror(-error->error));
        return error->error == -ENOENT || error->error == -EOPNOTSUPP ? NotFound(reason)
                                                                      : Unavailable(reason);
      }
      visit(*m);
      if ((m->nlmsg_flags & NLM_F_MULTI) == 0) return {};
    }
  }
}

NetlinkAttributes AttributesOf(const nlmsghdr& message, size_t fixed) {
  NetlinkAttributes found;
  ForEachAttribute(message, fixed,
                   [&](uint16_t type, std::string_view value) { found.emplace(type, value); });
  return found;
}

NetlinkAttributes AttributesOf(std::string_view nested) {
  NetlinkAttributes found;
  ForEachAttribute(nested,
                   [&](uint16_t type, std::string_view value) { found.emplace(type, value); });
  return found;
}

std::string_view Text(std::string_view attribute) {
  return attribute.substr(0, attribute.find('\0'));
}

std::string HardwareAddress(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!out.empty()) out += ':';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

Result<std::map<int, std::string>> DeviceNames() {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = RTM_GETLINK,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                    .nlmsg_seq = 0,
                    .nlmsg_pid = 0};
  std::map<int, std::string> names;
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
    const auto* info = BodyOf<ifinfomsg>(m);
    if (m.nlmsg_type != RTM_NEWLINK || info == nullptr) return;
    const NetlinkAttributes a = AttributesOf(m, sizeof *info);
    if (const auto at = a.find(IFLA_IFNAME); at != a.end()) {
      names[info->ifi_index] = Text(at->second);
    }
  }));
  return names;
}

}  // namespace vedette::agent
