#include <array>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

using enum MetricType;

struct Counter {
  const char* family;  // Null: not shown.
  const char* help;
  MetricType type = kCounter;
};

constexpr Counter kEvents[] = {
    {"inode_revalidate", "Number of times cached inode attributes are re-validated from the server."},
    {"dnode_revalidate", "Number of times cached dentry nodes are re-validated from the server."},
    {"data_invalidate", "Number of times an inode cache is cleared."},
    {"attribute_invalidate", "Number of times cached inode attributes are invalidated."},
    {"vfs_open", "Number of times cached inode attributes are invalidated."},
    {"vfs_lookup", "Number of times a directory lookup has occurred."},
    {"vfs_access", "Number of times permissions have been checked."},
    {"vfs_update_page", "Number of updates (and potential writes) to pages."},
    {"vfs_read_page", "Number of pages read directly via mmap()'d files."},
    {"vfs_read_pages", "Number of times a group of pages have been read."},
    {"vfs_write_page", "Number of pages written directly via mmap()'d files."},
    {"vfs_write_pages", "Number of times a group of pages have been written."},
    {"vfs_getdents", "Number of times directory entries have been read with getdents()."},
    {"vfs_setattr", "Number of times directory entries have been read with getdents()."},
    {"vfs_flush", "Number of pending writes that have been forcefully flushed to the server."},
    {"vfs_fsync", "Number of times fsync() has been called on directories and files."},
    {"vfs_lock", "Number of times locking has been attempted on a file."},
    {"vfs_file_release", "Number of times files have been closed and released."},
    {nullptr, nullptr},  // congestion_wait: no kernel counts it any more.
    {"truncation", "Number of times files have been truncated."},
    {"write_extension", "Number of times a file has been grown due to writes beyond its end."},
    {"silly_rename", "Number of times a file was removed while still open by another process."},
    {"short_read", "Number of times the NFS server gave less data than expected while reading."},
    {"short_write", "Number of times the NFS server wrote less data than expected while writing."},
    {"jukebox_delay", "Number of times the NFS server indicated EJUKEBOX."},
    {"pnfs_read", "Number of NFS v4.1+ pNFS reads."},
    {"pnfs_write", "Number of NFS v4.1+ pNFS writes."},
};

constexpr Counter kBytes[] = {
    {"read_bytes", "Number of bytes read using the read() syscall."},
    {"write_bytes", "Number of bytes written using the write() syscall."},
    {"direct_read_bytes", "Number of bytes read using the read() syscall in O_DIRECT mode."},
    {"direct_write_bytes", "Number of bytes written using the write() syscall in O_DIRECT mode."},
    {"total_read_bytes", "Number of bytes read from the NFS server, in total."},
    {"total_write_bytes", "Number of bytes written to the NFS server, in total."},
    {"read_pages", "Number of pages read directly via mmap()'d files."},
    {"write_pages", "Number of pages written directly via mmap()'d files."},
};

// What follows the port; connections are TCP's only.
constexpr Counter kTransport[] = {
    {"bind_total", "Number of times the client has had to establish a connection from scratch."},
    {"connect_total", "Number of times the client has made a TCP connection to the NFS server."},
    {nullptr, nullptr},
    {"idle_time_seconds", "Duration since the NFS mount last saw any RPC traffic, in seconds.",
     kGauge},
    {"sends_total", "Number of RPC requests for this mount sent to the NFS server."},
    {"receives_total", "Number of RPC responses for this mount received from the NFS server."},
    {"bad_transaction_ids_total",
     "Number of times the NFS server sent a response with a transaction ID unknown to this client."},
    {nullptr, nullptr},
    {"backlog_queue_total", "Total number of items added to the RPC backlog queue."},
    {"maximum_rpc_slots", "Maximum number of simultaneously active RPC requests ever used.", kGauge},
    {"sending_queue_total",
     "Total number of items added to the RPC transmission sending queue."},
    {"pending_queue_total", "Total number of items added to the RPC transmission pending queue."},
};

struct Operation {
  const char* family;
  const char* help;
  bool milliseconds = false;
};

constexpr Operation kOperations[] = {
    {"requests", "Number of requests performed for a given operation."},
    {"transmissions", "Number of times an actual RPC request has been transmitted."},
    {"major_timeouts", "Number of times a request has had a major timeout."},
    {"sent_bytes", "Number of bytes sent, including RPC headers and payload."},
    {"received_bytes", "Number of bytes received, including RPC headers and payload."},
    {"queue_time_seconds",
     "Duration all requests spent queued for transmission, in seconds.", true},
    {"response_time_seconds",
     "Duration all requests took to get a reply back after a request was transmitted, in seconds.",
     true},
    {"request_time_seconds",
     "Duration all requests took from when a request was enqueued to when it was completely "
     "handled, in seconds.",
     true},
    // Since Linux 5.3.
    {"errors", "Number of errors for a given operation."},
};

double Whole(std::string_view word) {
  return static_cast<double>(Number<uint64_t>(word).value_or(0));
}

// Clocks that step back leave sums near 2^64; a double keeps only 53 bits of them, so they are told
// modulo 2^53, which still counts up.
double Seconds(std::string_view milliseconds) {
  return static_cast<double>(Number<uint64_t>(milliseconds).value_or(0) % (uint64_t{1} << 53)) / 1e3;
}

// One mount of type nfs or nfs4, line by line.
class Mount {
 public:
  Mount(std::string_view export_name, std::string_view mount_point, std::string address,
        MetricSink& sink)
      : export_(export_name), point_(mount_point), address_(std::move(address)), sink_(sink) {}

  void Read(std::string_view line) {
    const auto words = Words(line);
    if (words.empty()) return;
    if (operations_ && words[0].ends_with(':')) {
      operation_lines_.emplace_back(words);
    } else if (words[0] == "age:" && words.size() > 1) {
      age_ = words[1];
    } else if (words[0] == "events:") {
      events_ = words;
    } else if (words[0] == "bytes:") {
      bytes_ = words;
    } else if (words[0] == "xprt:" && words.size() > 2) {
      transports_.push_back(words);
    } else if (words[0] == "per-op") {
      operations_ = true;
    }
  }

  void Add(std::set<std::tuple<std::string, std::string, std::string>>& seen) {
    for (const auto& transport : transports_) {
      const std::string_view protocol = transport[1];
      if (seen.emplace(export_, StrCat(protocol, " ", point_), address_).second) {
        sink_.Family("node_mountstats_nfs_mountpoint_info", kGauge,
                     "Info metric for an NFS mountpoint.");
        sink_.Add({{"export", export_},
                   {"protocol", protocol},
                   {"mountaddr", address_},
                   {"mountpoint", point_}},
                  1);
      }
      // The same export mounted twice counts twice the same.
      if (!seen.emplace(export_, std::string(protocol), address_).second) continue;
      const auto add = [&](const std::string& family, const char* help, MetricType type,
                           double value) {
        sink_.Family("node_mountstats_nfs_" + family, type, help);
        sink_.Add({{"export", export_}, {"protocol", protocol}, {"mountaddr", address_}}, value);
      };
      add("age_seconds_total", "The age of the NFS mount in seconds.", kCounter, Whole(age_));
      for (size_t i = 0; i < std::size(kBytes); ++i) {
        if (i + 1 < bytes_.size()) {
          add(StrCat(kBytes[i].family, "_total"), kBytes[i].help, kCounter, Whole(bytes_[i + 1]));
        }
      }
      AddTransport(transport, add);
      for (size_t i = 0; i < std::size(kEvents); ++i) {
        if (kEvents[i].family == nullptr || i + 1 >= events_.size()) continue;
        add(StrCat("event_", kEvents[i].family, "_total"), kEvents[i].help, kCounter,
            Whole(events_[i + 1]));
      }
      for (const auto& words : operation_lines_) AddOperation(words, protocol);
    }
  }

 private:
  template <typename AddOne>
  void AddTransport(const std::vector<std::string_view>& words, AddOne add) {
    std::vector<std::string_view> numbers(words.begin() + 3, words.end());
    const bool tcp = words[1] == "tcp";
    // UDP has no connections: connect, connect_idle and idle are not there.
    if (!tcp && !numbers.empty()) numbers.insert(numbers.begin() + 1, 3, "0");
    for (size_t i = 0; i < std::size(kTransport); ++i) {
      const Counter& c = kTransport[i];
      if (c.family == nullptr) continue;
      add(StrCat("transport_", c.family), c.help, c.type,
          i < numbers.size() ? Whole(numbers[i]) : 0);
    }
  }

  void AddOperation(const std::vector<std::string_view>& words, std::string_view protocol) {
    const std::string_view name = words[0].substr(0, words[0].size() - 1);
    for (size_t i = 0; i < std::size(kOperations) && i + 1 < words.size(); ++i) {
      const Operation& o = kOperations[i];
      sink_.Family(StrCat("node_mountstats_nfs_operations_", o.family, "_total"), kCounter, o.help);
      sink_.Add({{"export", export_},
                 {"protocol", protocol},
                 {"mountaddr", address_},
                 {"operation", name}},
                o.milliseconds ? Seconds(words[i + 1]) : Whole(words[i + 1]));
    }
  }

  const std::string export_;
  const std::string point_;
  const std::string address_;
  MetricSink& sink_;
  bool operations_ = false;
  std::string_view age_;
  std::vector<std::string_view> events_, bytes_;
  std::vector<std::vector<std::string_view>> transports_, operation_lines_;
};

// The servers' addresses ("addr=10.0.0.9") of all mounts in mountinfo, which has them in the order of
// mountstats; "" of those that have none.
Result<std::vector<std::string>> Addresses(const Host& host) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("self/mountinfo")));
  std::vector<std::string> out;
  ForEachLine(text, [&](std::string_view line) {
    // "... - nfs4 EXPORT rw,vers=4.2,addr=10.0.0.9"
    std::string& address = out.emplace_back();
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return;
    const auto words = Words(line.substr(dash + 3));
    if (words.size() < 3) return;
    for (const std::string_view option : Split(words[2], ',')) {
      if (option.starts_with("addr=")) address = option.substr(5);
    }
  });
  return out;
}

Status CollectMountstats(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("self/mountstats")));
  const Result<std::vector<std::string>> addresses = Addresses(host);
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  std::vector<Mount> mounts;
  bool inside = false;
  size_t index = 0;
  ForEachLine(text, [&](std::string_view line) {
    if (line.starts_with("device ")) {
      // "device EXPORT mounted on PATH with fstype nfs4 statvers=1.1"
      const auto words = Words(line);
      const size_t number = index++;
      inside = words.size() >= 8 && (words[7] == "nfs" || words[7] == "nfs4");
      if (!inside) return;
      // Without mountinfo the export says which server, if not at which address.
      std::string address;
      if (addresses.ok() && number < addresses->size()) {
        address = (*addresses)[number];
      } else if (!addresses.ok()) {
        const size_t colon = words[1].find(':');
        address = words[1].substr(0, colon == std::string_view::npos ? 0 : colon);
      }
      mounts.emplace_back(words[1], words[4], std::move(address), sink);
    } else if (inside) {
      mounts.back().Read(line);
    }
  });
  for (Mount& m : mounts) m.Add(seen);
  return {};
}

}  // namespace

void AddMountstatsCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"mountstats", "/proc/self/mountstats", kOff}, host, CollectMountstats);
}

}  // namespace vedette::agent
