#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>

#include "agent/probe/address.h"
#include "agent/probe/dns_message.h"
#include "agent/probe/prober.h"
#include "agent/probe/stream.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

Result<std::string> AskUdp(const Address& address, const std::string& query, ProbeRun& run) {
  const int fd = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unavailable("no socket");
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  // Connected, so that only the server's answers are heard.
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      send(fd, query.data(), query.size(), 0) < 0) {
    return Unavailable(StrCat("sending to ", address.text));
  }
  for (;;) {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(run.left_ms())) <= 0) {
      return DeadlineExceeded("no answer in time");
    }
    char buffer[65536];
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0) return Unavailable("the server refuses the question");
    // An answer to something else is not one.
    if (n >= 2 && std::equal(buffer, buffer + 2, query.begin())) {
      return std::string(buffer, static_cast<size_t>(n));
    }
  }
}

Result<std::string> AskTcp(const Address& address, const std::string& query, ProbeRun& run,
                           double& connect_seconds) {
  const auto begin = ProbeRun::Clock::now();
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<Stream> stream,
                           Stream::Connect(address, run.left_ms()));
  connect_seconds = SecondsSince(begin);
  std::string framed;
  framed.push_back(static_cast<char>(query.size() >> 8 & 0xff));
  framed.push_back(static_cast<char>(query.size() & 0xff));
  VEDETTE_RETURN_IF_ERROR(stream->Write(framed + query, run.left_ms()));
  std::string answer;
  for (;;) {
    if (answer.size() >= 2) {
      const size_t size = static_cast<size_t>(static_cast<unsigned char>(answer[0])) << 8 |
                          static_cast<unsigned char>(answer[1]);
      if (answer.size() >= size + 2) return answer.substr(2, size);
    }
    VEDETTE_ASSIGN_OR_RETURN(const std::string more, stream->Read(run.left_ms()));
    answer += more;
  }
}

}  // namespace

bool ProbeDns(const DnsModule& module, const std::string& target, ProbeRun& run) {
  auto [host, port] = SplitHostPort(target);
  if (port.empty()) port = "53";
  const std::optional<Address> address = Resolve(host, port, module.ip, run);
  double connect_seconds = 0, request_seconds = 0;
  DnsAnswer found;
  bool answered = false;
  const auto work = [&]() -> bool {
    if (!address) return false;
    const auto id = static_cast<uint16_t>(std::random_device{}());
    const Result<std::string> query = MakeDnsQuery(id, module.query_name, module.query_type,
                                                   module.query_class, module.recursion_desired);
    if (!query.ok()) return run.Fail(query.status().message());
    const auto begin = ProbeRun::Clock::now();
    const Result<std::string> bytes = module.tcp ? AskTcp(*address, *query, run, connect_seconds)
                                                 : AskUdp(*address, *query, run);
    request_seconds = SecondsSince(begin) - connect_seconds;
    if (!bytes.ok()) return run.Fail(bytes.status().message());
    const Result<DnsAnswer> answer = ReadDnsAnswer(*bytes);
    if (!answer.ok()) return run.Fail(answer.status().message());
    if (!answer->response || answer->id != id) return run.Fail("not an answer to this question");
    answered = true;
    found = *answer;
    const bool good = module.valid_rcodes.empty()
                          ? found.rcode == 0
                          : std::ranges::find(module.valid_rcodes, found.rcode) !=
                                module.valid_rcodes.end();
    return good || run.Fail(StrCat("response code ", found.rcode, " is not a valid one"));
  };
  const bool success = work();
  MetricSink& sink = run.sink;
  sink.Family("probe_dns_duration_seconds", MetricType::kGauge,
              "What the phases of the probe took, in seconds.");
  sink.Add({{"phase", "resolve"}}, address ? address->lookup_seconds : 0);
  sink.Add({{"phase", "connect"}}, connect_seconds);
  sink.Add({{"phase", "request"}}, request_seconds);
  sink.Gauge("probe_dns_query_succeeded", "1 if the question was answered.", answered ? 1 : 0);
  sink.Gauge("probe_dns_answer_rrs", "Records in the answer.", found.answers);
  sink.Gauge("probe_dns_authority_rrs", "Records in the authority section.", found.authorities);
  sink.Gauge("probe_dns_additional_rrs", "Records in the additional section.", found.additionals);
  if (found.serial >= 0) {
    sink.Gauge("probe_dns_serial", "Serial of the zone.", static_cast<double>(found.serial));
  }
  return success;
}

}  // namespace vedette::agent
