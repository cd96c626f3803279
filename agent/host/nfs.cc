#include <array>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// Calls of each version of the protocol, in the order in which the kernel counts them.
constexpr const char* kV2[] = {"Null",   "GetAttr", "SetAttr", "Root",  "Lookup", "ReadLink",
                               "Read",   "WrCache", "Write",   "Create", "Remove", "Rename",
                               "Link",   "SymLink", "MkDir",   "RmDir", "ReadDir", "FsStat"};
constexpr const char* kV3[] = {"Null",    "GetAttr", "SetAttr", "Lookup",      "Access", "ReadLink",
                               "Read",    "Write",   "Create",  "MkDir",       "SymLink", "MkNod",
                               "Remove",  "RmDir",   "Rename",  "Link",        "ReadDir",
                               "ReadDirPlus", "FsStat", "FsInfo", "PathConf",  "Commit"};
constexpr const char* kClientV4[] = {
    "Null",           "Read",         "Write",        "Commit",          "Open",
    "OpenConfirm",    "OpenNoattr",   "OpenDowngrade", "Close",          "Setattr",
    "FsInfo",         "Renew",        "SetClientID",  "SetClientIDConfirm", "Lock",
    "Lockt",          "Locku",        "Access",       "Getattr",         "Lookup",
    "LookupRoot",     "Remove",       "Rename",       "Link",            "Symlink",
    "Create",         "Pathconf",     "StatFs",       "ReadLink",        "ReadDir",
    "ServerCaps",     "DelegReturn",  "GetACL",       "SetACL",          "FsLocations",
    "ReleaseLockowner", "Secinfo",    "FsidPresent",  "ExchangeID",      "CreateSession",
    "DestroySession", "Sequence",     "GetLeaseTime", "ReclaimComplete", "LayoutGet",
    "GetDeviceInfo",  "LayoutCommit", "LayoutReturn", "SecinfoNoName",   "TestStateID",
    "FreeStateID",    "GetDeviceList", "BindConnToSession", "DestroyClientID", "Seek",
    "Allocate",       "DeAllocate",   "LayoutStats",  "Clone"};
// Operations of a compound by their number; null where node_exporter shows none. RFC 7530 has
// SetClientID and its confirmation at 35 and 36, Verify, Write and RelLockOwner behind them.
// node_exporter called those two Verify and Write until it learnt of wdeleg_getattr, a line that made
// it fail before: so kernels without this line are shown as the dashboards of their time expect it,
// and those with it as the RFC has it.
constexpr const char* kServerV4[] = {
    nullptr,    nullptr,   nullptr,    "Access",   "Close",       "Commit",   "Create",
    "DelegPurge", "DelegReturn", "GetAttr", "GetFH", "Link",      "Lock",     "Lockt",
    "Locku",    "Lookup",  "LookupRoot", "Nverify", "Open",       "OpenAttr", "OpenConfirm",
    "OpenDgrd", "PutFH",   nullptr,    nullptr,    "Read",        "ReadDir",  "ReadLink",
    "Remove",   "Rename",  "Renew",    "RestoreFH", "SaveFH",     "SecInfo",  "SetAttr",
    "Verify",   "Write",   "RelLockOwner"};
constexpr size_t kSetClientId = 35;
constexpr const char* kServerV4Rest[] = {"SetClientID", "SetClientIDConfirm", "Verify", "Write",
                                         "RelLockOwner"};

using WordList = std::vector<std::string_view>;

double At(const WordList& words, size_t i) {
  return i < words.size() ? Real(words[i]).value_or(0) : 0;
}

// "proc3 22 0 17 ...": how many counts follow, then the counts. Calls that an old kernel does not
// count are shown as 0.
void AddCalls(const char* family, const char* help, const char* version, const WordList& words,
              std::span<const char* const> methods, MetricSink& sink) {
  sink.Family(family, MetricType::kCounter, help);
  for (size_t i = 0; i < methods.size(); ++i) {
    if (methods[i] == nullptr) continue;
    sink.Add({{"proto", version}, {"method", methods[i]}}, At(words, i + 2));
  }
}

void AddServerV4(const char* family, const char* help, const WordList& words, bool by_rfc,
                 MetricSink& sink) {
  const std::span<const char* const> all = kServerV4;
  AddCalls(family, help, "4", words, by_rfc ? all.first(kSetClientId) : all, sink);
  for (size_t i = 0; by_rfc && i < std::size(kServerV4Rest); ++i) {
    sink.Add({{"proto", "4"}, {"method", kServerV4Rest[i]}}, At(words, kSetClientId + i + 2));
  }
}

// The lines of a file by their first word. A kernel that is built without a version of the protocol has
// no line for it: its calls are shown as 0, as they never happened.
std::map<std::string_view, WordList> LinesOf(std::string_view text) {
  std::map<std::string_view, WordList> lines;
  ForEachLine(text, [&](std::string_view line) {
    WordList words = Words(line);
    if (words.size() > 1) lines[words[0]] = std::move(words);
  });
  return lines;
}

Status CollectNfs(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/rpc/nfs")));
  auto lines = LinesOf(text);
  const WordList& net = lines["net"];
  sink.Family("node_nfs_packets_total", MetricType::kCounter,
              "Total NFSd network packets (sent+received) by protocol type.");
  sink.Add({{"protocol", "udp"}}, At(net, 2));
  sink.Add({{"protocol", "tcp"}}, At(net, 3));
  sink.Counter("node_nfs_connections_total", "Total number of NFSd TCP connections.", At(net, 4));
  const WordList& rpc = lines["rpc"];
  sink.Counter("node_nfs_rpcs_total", "Total number of RPCs performed.", At(rpc, 1));
  sink.Counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed.",
               At(rpc, 2));
  sink.Counter("node_nfs_rpc_authentication_refreshes_total",
               "Number of RPC authentication refreshes performed.", At(rpc, 3));
  constexpr const char* kRequests = "node_nfs_requests_total";
  constexpr const char* kHelp = "Number of NFS procedures invoked.";
  AddCalls(kRequests, kHelp, "2", lines["proc2"], kV2, sink);
  AddCalls(kRequests, kHelp, "3", lines["proc3"], kV3, sink);
  AddCalls(kRequests, kHelp, "4", lines["proc4"], kClientV4, sink);
  return {};
}

Status CollectNfsd(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/rpc/nfsd")));
  auto lines = LinesOf(text);
  const WordList& cache = lines["rc"];
  sink.Counter("node_nfsd_reply_cache_hits_total",
               "Total number of NFSd Reply Cache hits (client lost server response).",
               At(cache, 1));
  sink.Counter("node_nfsd_reply_cache_misses_total",
               "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
               At(cache, 2));
  sink.Counter("node_nfsd_reply_cache_nocache_total",
               "Total number of NFSd Reply Cache non-idempotent operations (rename/delete).",
               At(cache, 3));
  sink.Counter("node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles",
               At(lines["fh"], 1));
  sink.Counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.", At(lines["io"], 1));
  sink.Counter("node_nfsd_disk_bytes_written_total", "Total NFSd bytes written.",
               At(lines["io"], 2));
  sink.Gauge("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running.",
             At(lines["th"], 1));
  const WordList& ahead = lines["ra"];
  sink.Gauge("node_nfsd_read_ahead_cache_size_blocks",
             "How large the read ahead cache is in blocks.", At(ahead, 1));
  sink.Counter("node_nfsd_read_ahead_cache_not_found_total",
               "Total number of NFSd read ahead cache not found.",
               ahead.empty() ? 0 : At(ahead, ahead.size() - 1));
  const WordList& net = lines["net"];
  sink.Family("node_nfsd_packets_total", MetricType::kCounter,
              "Total NFSd network packets (sent+received) by protocol type.");
  sink.Add({{"proto", "udp"}}, At(net, 2));
  sink.Add({{"proto", "tcp"}}, At(net, 3));
  sink.Counter("node_nfsd_connections_total", "Total number of NFSd TCP connections.", At(net, 4));
  const WordList& rpc = lines["rpc"];
  sink.Family("node_nfsd_rpc_errors_total", MetricType::kCounter,
              "Total number of NFSd RPC errors by error type.");
  sink.Add({{"error", "fmt"}}, At(rpc, 3));
  sink.Add({{"error", "auth"}}, At(rpc, 4));
  sink.Add({{"error", "cInt"}}, At(rpc, 5));
  sink.Counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.", At(rpc, 1));
  constexpr const char* kRequests = "node_nfsd_requests_total";
  constexpr const char* kHelp = "Total number NFSd Requests by method and protocol.";
  // Null is a ping, and the server's pings are not shown.
  const auto calls = [&](const char* version, WordList words,
                         std::span<const char* const> methods) {
    if (words.size() > 2) words.erase(words.begin() + 2);
    AddCalls(kRequests, kHelp, version, words, methods.subspan(1), sink);
  };
  calls("2", lines["proc2"], kV2);
  calls("3", lines["proc3"], kV3);
  const auto wdeleg = lines.find("wdeleg_getattr");
  AddServerV4(kRequests, kHelp, lines["proc4ops"], wdeleg != lines.end(), sink);
  if (wdeleg != lines.end()) {
    sink.Add({{"proto", "4"}, {"method", "WdelegGetattr"}}, At(wdeleg->second, 1));
  }
  return {};
}

}  // namespace

void AddNfsCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"nfs", "/proc/net/rpc/nfs"}, host, CollectNfs);
  Add(out, {"nfsd", "/proc/net/rpc/nfsd"}, host, CollectNfsd);
}

}  // namespace vedette::agent
