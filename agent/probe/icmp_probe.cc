#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "agent/probe/address.h"
#include "agent/probe/prober.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

uint16_t InternetChecksum(const std::string& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << 8 |
           static_cast<unsigned char>(bytes[i + 1]);
  }
  if (bytes.size() % 2 == 1) {
    sum += static_cast<uint32_t>(static_cast<unsigned char>(bytes.back())) << 8;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

bool ProbeIcmp(const IcmpModule& module, const std::string& target, ProbeRun& run) {
  const auto begin = ProbeRun::Clock::now();
  const std::optional<Address> address = Resolve(target, "", module.ip, run);
  const double resolve = SecondsSince(begin);
  double setup = 0, rtt = 0, hop_limit = -1;
  const auto work = [&]() -> bool {
    if (!address) return false;
    const auto setting_up = ProbeRun::Clock::now();
    const bool ip6 = address->ip6;
    const int family = ip6 ? AF_INET6 : AF_INET;
    const int protocol = ip6 ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
    // A ping socket needs no right where net.ipv4.ping_group_range allows it; a raw one needs
    // CAP_NET_RAW.
    bool raw = false;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
      fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);
      raw = true;
    }
    const Socket socket(fd);
    if (fd < 0) {
      return run.Fail(StrCat("no socket for ICMP: ", std::strerror(errno),
                             "; it needs CAP_NET_RAW, or net.ipv4.ping_group_range"));
    }
    const int on = 1;
    if (module.ttl > 0) {
      setsockopt(fd, ip6 ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP),
                 ip6 ? IPV6_UNICAST_HOPS : IP_TTL, &module.ttl, sizeof module.ttl);
    }
    setsockopt(fd, ip6 ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP),
               ip6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on, sizeof on);
    if (module.dont_fragment && !ip6) {
      const int always = IP_PMTUDISC_DO;
      setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &always, sizeof always);
    }
    static std::atomic<uint16_t> next_sequence{1};
    const uint16_t sequence = next_sequence++;
    const auto id = static_cast<uint16_t>(getpid());
    std::string packet(8 + static_cast<size_t>(module.payload_size), 'v');
    packet[0] = static_cast<char>(ip6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
    packet[1] = packet[2] = packet[3] = 0;
    packet[4] = static_cast<char>(id >> 8);
    packet[5] = static_cast<char>(id & 0xff);
    packet[6] = static_cast<char>(sequence >> 8);
    packet[7] = static_cast<char>(sequence & 0xff);
    if (!ip6) {
      const uint16_t sum = InternetChecksum(packet);
      packet[2] = static_cast<char>(sum >> 8);
      packet[3] = static_cast<char>(sum & 0xff);
    }
    setup = SecondsSince(setting_up);
    const auto sent = ProbeRun::Clock::now();
    if (sendto(fd, packet.data(), packet.size(), 0,
               reinterpret_cast<const sockaddr*>(&address->storage), address->size) < 0) {
      return run.Fail(StrCat("sending: ", std::strerror(errno)));
    }
    for (;;) {
      pollfd wait{fd, POLLIN, 0};
      if (poll(&wait, 1, static_cast<int>(run.left_ms())) <= 0) return run.Fail("no answer in time");
      char answer[66000];
      char control[256];
      sockaddr_storage from{};
      iovec part{answer, sizeof answer};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof from;
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t n = recvmsg(fd, &message, 0);
      if (n < 8) continue;
      size_t at = 0;
      if (raw && !ip6) {  // With the IP header in front.
        at = static_cast<size_t>(answer[0] & 0xf) * 4;
        if (static_cast<size_t>(n) < at + 8) continue;
      }
      const auto type = static_cast<unsigned char>(answer[at]);
      const bool reply = type == (ip6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
      // A ping socket's number is the kernel's; a raw socket hears everybody's answers.
      const bool ours = std::memcmp(answer + at + 6, packet.data() + 6, 2) == 0 &&
                        (!raw || std::memcmp(answer + at + 4, packet.data() + 4, 2) == 0);
      if (!reply || !ours) continue;
      rtt = SecondsSince(sent);
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        const bool hops = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
                          (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT);
        if (!hops) continue;
        int value = 0;
        std::memcpy(&value, CMSG_DATA(c), sizeof value);
        hop_limit = value;
      }
      return true;
    }
  };
  const bool success = work();
  run.sink.Family("probe_icmp_duration_seconds", MetricType::kGauge,
                  "What the phases of the probe took, in seconds.");
  run.sink.Add({{"phase", "resolve"}}, resolve);
  run.sink.Add({{"phase", "setup"}}, setup);
  run.sink.Add({{"phase", "rtt"}}, rtt);
  if (hop_limit >= 0) {
    run.sink.Gauge("probe_icmp_reply_hop_limit", "Hop limit (TTL) of the answer.", hop_limit);
  }
  return success;
}

}  // namespace vedette::agent
