#include "common/rpc/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/strings.h"

namespace vedette::rpc {
namespace {

// gRPC's JSON, which is ours to free.
std::string Take(char* json) {
  std::string text = json == nullptr ? "" : json;
  gpr_free(json);
  return text;
}

// The text of every "key":"text", in order. Names, addresses and numbers, which is all that is
// asked for, have nothing in them that JSON would escape.
std::vector<std::string> Texts(std::string_view json, std::string_view key) {
  const std::string before = StrCat("\"", key, "\":\"");
  std::vector<std::string> out;
  size_t at = 0;
  while ((at = json.find(before, at)) != std::string_view::npos) {
    at += before.size();
    const size_t end = json.find('"', at);
    if (end == std::string_view::npos) break;
    out.emplace_back(json.substr(at, end - at));
    at = end;
  }
  return out;
}

int64_t Number(std::string_view text) {
  int64_t v = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), v);
  return v;
}

// As gRPC writes it, without the percent signs; "" for what is no TCP.
std::string PeerOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN];
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    if (inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text) == nullptr) return "";
    return StrCat("ipv4:", text, ":", ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    if (inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text) == nullptr) return "";
    return StrCat("ipv4:", text, ":", ntohs(v6.sin6_port));
  }
  if (inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text) == nullptr) return "";
  return StrCat("ipv6:[", text, "]:", ntohs(v6.sin6_port));
}

// "ipv6:%5Bfe80::1%252%5D:4711" -> "ipv6:[fe80::1]:4711": without the name of the interface, too.
std::string Plain(std::string_view peer) {
  std::string out;
  bool zone = false;
  for (size_t i = 0; i < peer.size(); ++i) {
    const std::string_view code = peer.substr(i, 3);
    if (code == "%5B") out += '[';
    if (code == "%5D") {
      out += ']';
      zone = false;
    }
    if (code == "%25") zone = true;
    if (peer[i] == '%') {
      i += 2;
    } else if (!zone) {
      out += peer[i];
    }
  }
  return out;
}

// "" for what is no base64.
std::string FromBase64(std::string_view text) {
  std::string out(text.size() / 4 * 3, '\0');
  if (out.empty() ||
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size())) < 0) {
    return "";
  }
  while (text.ends_with('=')) {
    out.pop_back();
    text.remove_suffix(1);
  }
  return out;
}

Connection Look(int64_t id) {
  const std::string socket = Take(grpc_channelz_get_socket(static_cast<intptr_t>(id)));
  Connection c{.id = id};
  for (const std::string& name : Texts(socket, "name")) {  // "chttp2 ipv4:192.0.2.7:40312"
    if (const size_t space = name.rfind(' '); space != std::string::npos) {
      c.peer = Plain(name.substr(space + 1));
    }
  }
  for (const std::string& n : Texts(socket, "streamsStarted")) c.streams = Number(n);
  for (const std::string& n : Texts(socket, "messagesReceived")) c.messages = Number(n);
  for (const std::string& c64 : Texts(socket, "remote_certificate")) c.certificate = FromBase64(c64);
  return c;
}

}  // namespace

std::vector<Connection> ServerConnections() {
  std::vector<Connection> out;
  for (const std::string& server : Texts(Take(grpc_channelz_get_servers(0)), "serverId")) {
    for (int64_t next = 0;;) {
      const std::string page = Take(grpc_channelz_get_server_sockets(
          static_cast<intptr_t>(Number(server)), static_cast<intptr_t>(next), 0));
      const std::vector<std::string> ids = Texts(page, "socketId");
      for (const std::string& id : ids) out.push_back(Look(Number(id)));
      if (ids.empty() || page.find("\"end\":true") != std::string::npos) break;
      next = Number(ids.back()) + 1;
    }
  }
  return out;
}

namespace {

// Each TCP socket of this process, until `visit` is true: what that was. The number is a copy's:
// gRPC may close its own at any moment, and the number may become another file's.
bool ForEachSocket(const std::function<bool(int fd)>& visit) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = static_cast<int>(Number(entry.path().filename().string()));
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) continue;  // Most are no sockets.
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) continue;
    const bool found = visit(copy);
    close(copy);
    if (found) return true;
  }
  return false;
}

int LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  // At the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

std::vector<Traffic> Received(const std::vector<int>& ports) {
  std::vector<Traffic> out;
  ForEachSocket([&](int fd) {
    if (std::ranges::find(ports, LocalPort(fd)) == ports.end()) return false;
    Traffic t{.peer = PeerOf(fd)};
    tcp_info info{};
    socklen_t size = sizeof info;
    struct stat file {};
    if (t.peer.empty() || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        fstat(fd, &file) != 0) {
      return false;  // It listens.
    }
    t.socket = file.st_ino;
    t.received_bytes = info.tcpi_bytes_received;
    out.push_back(std::move(t));
    return false;
  });
  return out;
}

bool CutOff(const std::string& peer) {
  const std::string wanted = Plain(peer);
  return ForEachSocket([&](int fd) {
    if (PeerOf(fd) != wanted) return false;
    (void)shutdown(fd, SHUT_RDWR);
    // The kernel still hands out what it had; of a flood that is megabytes of calls.
    while (recv(fd, nullptr, 1 << 20, MSG_TRUNC | MSG_DONTWAIT) > 0) {
    }
    return true;
  });
}

}  // namespace vedette::rpc
