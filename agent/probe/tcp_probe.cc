#include <re2/re2.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/probe/address.h"
#include "agent/probe/prober.h"
#include "agent/probe/stream.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr size_t kMaxLineBytes = 64 << 10;

// "${1}" and "$1" become what the last expectation captured.
std::string Expand(std::string_view text, const std::vector<std::string>& groups) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out.push_back(text[i]);
      continue;
    }
    const bool braces = i + 1 < text.size() && text[i + 1] == '{';
    const size_t digits = i + (braces ? 2 : 1);
    size_t end = digits;
    size_t number = 0;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9' && end < digits + 3) {
      number = number * 10 + static_cast<size_t>(text[end++] - '0');
    }
    if (end == digits || (braces && (end >= text.size() || text[end] != '}'))) {
      out.push_back('$');
      continue;
    }
    if (number < groups.size()) out += groups[number];
    i = braces ? end : end - 1;
  }
  return out;
}

}  // namespace

bool ProbeTcp(const TcpModule& module, const std::string& target, ProbeRun& run) {
  const auto [host, port] = SplitHostPort(target);
  bool regex_failed = false;
  const auto work = [&, host = host, port = port]() -> bool {
    if (port.empty()) return run.Fail(StrCat(Quoted(target), ": a tcp probe needs host:port"));
    const std::optional<Address> address = Resolve(host, port, module.ip, run);
    if (!address) return false;
    Result<std::unique_ptr<Stream>> stream = Stream::Connect(*address, run.left_ms());
    if (!stream.ok()) return run.Fail(stream.status().message());
    const auto start_tls = [&]() -> bool {
      const Result<TlsFacts> facts = (*stream)->StartTls(module.tls_config, host, run.left_ms());
      if (!facts.ok()) return run.Fail(facts.status().message());
      AddTlsMetrics(*facts, run.sink);
      return true;
    };
    if (module.tls && !start_tls()) return false;
    std::string pending;
    std::vector<std::string> groups;
    for (const TcpModule::Step& step : module.query_response) {
      if (step.expect != nullptr) {
        for (;;) {  // Line by line, until one matches.
          size_t end = pending.find('\n');
          while (end == std::string::npos) {
            if (pending.size() > kMaxLineBytes) return run.Fail("a line without an end");
            Result<std::string> more = (*stream)->Read(run.left_ms());
            if (!more.ok()) {
              regex_failed = true;
              return run.Fail(StrCat("nothing matched ", step.expect->pattern(), ": ",
                                     more.status().message()));
            }
            pending += *more;
            end = pending.find('\n');
          }
          std::string line = pending.substr(0, end);
          pending.erase(0, end + 1);
          if (line.ends_with('\r')) line.pop_back();
          const int count = step.expect->NumberOfCapturingGroups() + 1;
          std::vector<re2::StringPiece> found(static_cast<size_t>(count));
          if (!step.expect->Match(line, 0, line.size(), re2::RE2::UNANCHORED, found.data(),
                                  count)) {
            continue;
          }
          groups.clear();
          for (const re2::StringPiece& group : found) groups.emplace_back(group);
          break;
        }
      }
      if (!step.send.empty()) {
        const Status sent =
            (*stream)->Write(Expand(step.send, groups) + "\n", run.left_ms());
        if (!sent.ok()) return run.Fail(sent.message());
      }
      if (step.starttls && !start_tls()) return false;
    }
    return true;
  };
  const bool success = work();
  run.sink.Gauge("probe_failed_due_to_regex", "1 if a regular expression made the probe fail.",
                 regex_failed ? 1 : 0);
  return success;
}

}  // namespace vedette::agent
