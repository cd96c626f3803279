#include "server/discovery/dns_lookup.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <poll.h>
#include <sys/select.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>

#include "common/base/strings.h"

namespace vedette::discovery {
namespace {

int TypeNumber(config::DnsRecordType type) {
  switch (type) {
    case config::DnsRecordType::kSrv:
      return ns_t_srv;
    case config::DnsRecordType::kA:
      return ns_t_a;
    case config::DnsRecordType::kAaaa:
      return ns_t_aaaa;
    case config::DnsRecordType::kMx:
      return ns_t_mx;
    case config::DnsRecordType::kNs:
      return ns_t_ns;
  }
  return ns_t_srv;
}

std::string WithoutDot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return std::string(name);
}

struct Answer {
  config::DnsRecordType type;
  bool done = false;
  int status = ARES_SUCCESS;
  std::vector<DnsRecord> records;
};

int ReadHosts(Answer& answer, const unsigned char* data, int size) {
  hostent* host = nullptr;
  int status = ARES_SUCCESS;
  switch (answer.type) {
    case config::DnsRecordType::kA:
      status = ares_parse_a_reply(data, size, &host, nullptr, nullptr);
      break;
    case config::DnsRecordType::kAaaa:
      status = ares_parse_aaaa_reply(data, size, &host, nullptr, nullptr);
      break;
    default:
      status = ares_parse_ns_reply(data, size, &host);
  }
  if (status != ARES_SUCCESS) return status;
  if (answer.type == config::DnsRecordType::kNs) {
    for (char** name = host->h_aliases; *name != nullptr; ++name) {
      answer.records.push_back({WithoutDot(*name)});
    }
  } else {
    for (char** address = host->h_addr_list; *address != nullptr; ++address) {
      char text[INET6_ADDRSTRLEN] = {};
      inet_ntop(host->h_addrtype, *address, text, sizeof text);
      answer.records.push_back({text});
    }
  }
  ares_free_hostent(host);
  return status;
}

void OnAnswer(void* context, int status, int, unsigned char* data, int size) {
  Answer& answer = *static_cast<Answer*>(context);
  answer.done = true;
  answer.status = status;
  if (status != ARES_SUCCESS) return;
  if (answer.type == config::DnsRecordType::kSrv) {
    ares_srv_reply* first = nullptr;
    answer.status = ares_parse_srv_reply(data, size, &first);
    for (ares_srv_reply* r = first; r != nullptr; r = r->next) {
      answer.records.push_back({WithoutDot(r->host), r->port});
    }
    if (first != nullptr) ares_free_data(first);
  } else if (answer.type == config::DnsRecordType::kMx) {
    ares_mx_reply* first = nullptr;
    answer.status = ares_parse_mx_reply(data, size, &first);
    for (ares_mx_reply* r = first; r != nullptr; r = r->next) {
      answer.records.push_back({WithoutDot(r->host)});
    }
    if (first != nullptr) ares_free_data(first);
  } else {
    answer.status = ReadHosts(answer, data, size);
  }
}

void Wait(ares_channel channel, const Answer& answer, int64_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!answer.done) {
    const int64_t left_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left_ms <= 0) {
      ares_cancel(channel);
      return;
    }
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    const int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    std::vector<pollfd> waits;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      short events = 0;
      if (ARES_GETSOCK_READABLE(bits, i)) events |= POLLIN;
      if (ARES_GETSOCK_WRITABLE(bits, i)) events |= POLLOUT;
      if (events != 0) waits.push_back({sockets[i], events, 0});
    }
    timeval most{.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    timeval own{};
    const timeval* next = ares_timeout(channel, &most, &own);
    const int nap_ms = static_cast<int>(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
    poll(waits.data(), waits.size(), nap_ms);
    bool any = false;
    for (const pollfd& w : waits) {
      if (w.revents == 0) continue;
      any = true;
      ares_process_fd(channel, w.revents & (POLLIN | POLLERR | POLLHUP) ? w.fd : ARES_SOCKET_BAD,
                      w.revents & POLLOUT ? w.fd : ARES_SOCKET_BAD);
    }
    if (!any) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
}

}  // namespace

Result<std::vector<DnsRecord>> LookUp(const std::string& name, config::DnsRecordType type,
                                      int64_t timeout_ms, const std::string& servers) {
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  ares_options options{};
  options.timeout = static_cast<int>(std::clamp<int64_t>(timeout_ms / 4, 100, 5000));
  options.tries = 3;
  ares_channel channel{};
  int status =
      ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
  if (status != ARES_SUCCESS) {
    return Unavailable(StrCat("DNS: ", ares_strerror(status)));
  }
  const std::unique_ptr<ares_channeldata, void (*)(ares_channel)> owner(channel, ares_destroy);
  if (!servers.empty()) {
    status = ares_set_servers_ports_csv(channel, servers.c_str());
    if (status != ARES_SUCCESS) {
      return InvalidArgument(StrCat("DNS servers ", Quoted(servers), ": ", ares_strerror(status)));
    }
  }
  Answer answer{.type = type};
  ares_search(channel, name.c_str(), ns_c_in, TypeNumber(type), OnAnswer, &answer);
  Wait(channel, answer, timeout_ms);
  switch (answer.status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
      return std::move(answer.records);
    default:
      return Unavailable(StrCat("DNS: ", name, ": ", ares_strerror(answer.status)));
  }
}

}  // namespace vedette::discovery
