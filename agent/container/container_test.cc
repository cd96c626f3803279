#include "agent/container/container.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include "agent/collector/collector.h"
#include "agent/container/cgroup.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

constexpr char kData[] = "agent/container/testdata";
constexpr char kId[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// What a family says of a group, with one more label if need be.
std::optional<double> Value(const std::vector<MetricFamily>& families, std::string_view name,
                            std::string_view id, std::string_view label = "",
                            std::string_view value = "") {
  for (const MetricFamily& f : families) {
    if (f.name != name) continue;
    for (const FamilySample& s : f.samples) {
      if (s.labels.Get("id") == id && (label.empty() || s.labels.Get(label) == value)) {
        return s.value;
      }
    }
  }
  return std::nullopt;
}

class ContainerTest : public ::testing::Test {
 protected:
  std::vector<MetricFamily> Collect(const std::string& version, ContainerList list = nullptr) {
    ContainerOptions o{.cgroup = std::string(kData) + "/" + version,
                       .procfs = std::string(kData) + "/proc",
                       .sysfs = std::string(kData) + "/nosys",
                       .rootfs = kData,
                       .watch = false,
                       .count_files = false,
                       .clock = &clock_};
    if (list != nullptr) o.runtimes = {{"docker", "/run/docker.sock", std::move(list)}};
    MetricSink sink;
    const Status status = MakeContainerCollector(std::move(o))->Collect(sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return sink.Take();
  }
  testing::FakeClock clock_{1'700'000'000'500};
};

// Only the machine's disks count these, as /proc/diskstats has them.
TEST_F(ContainerTest, TheMachinesDisksAreTheRoots) {
  const auto f = Collect("v2");
  const auto value = [&](std::string_view name) { return Value(f, name, "/"); };
  EXPECT_EQ(value("container_fs_reads_merged_total"), 1);
  EXPECT_EQ(value("container_fs_sector_reads_total"), 200);
  EXPECT_EQ(value("container_fs_read_seconds_total"), 3);
  EXPECT_EQ(value("container_fs_writes_merged_total"), 5);
  EXPECT_EQ(value("container_fs_sector_writes_total"), 600);
  EXPECT_EQ(value("container_fs_write_seconds_total"), 7);
  EXPECT_EQ(value("container_fs_io_current"), 8);
  EXPECT_EQ(value("container_fs_io_time_seconds_total"), 9);
  EXPECT_EQ(value("container_fs_io_time_weighted_seconds_total"), 10);
}

TEST_F(ContainerTest, ReadsVersion2) {
  const auto f = Collect("v2");
  const std::string id = std::string("/system.slice/docker-") + kId + ".scope";
  EXPECT_EQ(Value(f, "container_cpu_usage_seconds_total", id, "cpu", "total"), 1.5);
  EXPECT_EQ(Value(f, "container_cpu_user_seconds_total", id), 1);
  EXPECT_EQ(Value(f, "container_cpu_system_seconds_total", id), 0.5);
  EXPECT_EQ(Value(f, "container_cpu_cfs_throttled_seconds_total", id), 0.25);
  EXPECT_EQ(Value(f, "container_cpu_cfs_throttled_periods_total", id), 2);
  EXPECT_EQ(Value(f, "container_memory_usage_bytes", id), 16384);
  EXPECT_EQ(Value(f, "container_memory_working_set_bytes", id), 16384 - 3000);
  EXPECT_EQ(Value(f, "container_memory_rss", id), 4096);
  EXPECT_EQ(Value(f, "container_memory_cache", id), 8192);
  EXPECT_EQ(Value(f, "container_memory_max_usage_bytes", id), 20000);
  EXPECT_EQ(Value(f, "container_memory_failures_total", id, "failure_type", "pgmajfault"), 7);
  EXPECT_EQ(Value(f, "container_oom_events_total", id), 1);
  EXPECT_EQ(Value(f, "container_spec_memory_limit_bytes", id), 0);
  EXPECT_EQ(Value(f, "container_spec_memory_swap_limit_bytes", id), 65536);
  EXPECT_EQ(Value(f, "container_spec_cpu_quota", id), 50000);
  EXPECT_EQ(Value(f, "container_spec_cpu_period", id), 100000);
  EXPECT_EQ(Value(f, "container_spec_cpu_shares", id), 2597);
  EXPECT_EQ(Value(f, "container_pressure_cpu_waiting_seconds_total", id), 2);
  EXPECT_EQ(Value(f, "container_pressure_cpu_stalled_seconds_total", id), 1);
  EXPECT_EQ(Value(f, "container_fs_writes_bytes_total", id, "device", "8:0"), 8192);
  EXPECT_EQ(Value(f, "container_blkio_device_usage_total", id, "operation", "Read"), 4096);
  EXPECT_EQ(Value(f, "container_threads", id), 3);
  EXPECT_EQ(Value(f, "container_processes", id), 2);
  EXPECT_EQ(Value(f, "container_network_receive_bytes_total", id, "interface", "eth0"), 5000);
  EXPECT_EQ(Value(f, "container_network_transmit_packets_dropped_total", id), 4);
  EXPECT_EQ(Value(f, "container_last_seen", id), 1'700'000'000);
  // A slice has no memory.current here, the root takes the machine's.
  EXPECT_EQ(Value(f, "container_memory_usage_bytes", "/system.slice"), std::nullopt);
  EXPECT_EQ(Value(f, "container_memory_usage_bytes", "/"), 600 * 1024);
  EXPECT_EQ(Value(f, "container_cpu_usage_seconds_total", "/system.slice"), 1.5);
  EXPECT_EQ(Value(f, "machine_memory_bytes", ""), 1000 * 1024);
  EXPECT_EQ(Value(f, "machine_cpu_cores", ""), 2);
  EXPECT_EQ(Value(f, "machine_cpu_physical_cores", ""), 1);
  EXPECT_EQ(Value(f, "vedette_container_runtime_up", ""), std::nullopt);
}

TEST_F(ContainerTest, ReadsVersion1) {
  const auto f = Collect("v1");
  const std::string id = std::string("/docker/") + kId;
  EXPECT_EQ(Value(f, "container_cpu_usage_seconds_total", id, "cpu", "cpu00"), 1);
  EXPECT_EQ(Value(f, "container_cpu_usage_seconds_total", id, "cpu", "cpu01"), std::nullopt);
  EXPECT_EQ(Value(f, "container_cpu_usage_seconds_total", id, "cpu", "cpu02"), 0.5);
  EXPECT_EQ(Value(f, "container_cpu_user_seconds_total", id), 1);
  EXPECT_EQ(Value(f, "container_cpu_cfs_throttled_seconds_total", id), 0.25);
  EXPECT_EQ(Value(f, "container_spec_cpu_quota", id), std::nullopt);  // -1: none.
  EXPECT_EQ(Value(f, "container_spec_cpu_shares", id), 1024);
  EXPECT_EQ(Value(f, "container_memory_usage_bytes", id), 16384);
  EXPECT_EQ(Value(f, "container_memory_working_set_bytes", id), 0);  // Never below 0.
  EXPECT_EQ(Value(f, "container_memory_rss", id), 4096);
  EXPECT_EQ(Value(f, "container_memory_failcnt", id), 3);
  EXPECT_EQ(Value(f, "container_spec_memory_limit_bytes", id), 0);
  EXPECT_EQ(Value(f, "container_spec_memory_reservation_limit_bytes", id), 32768);
  EXPECT_EQ(Value(f, "container_oom_events_total", id), 2);
  EXPECT_EQ(Value(f, "container_fs_reads_total", id, "device", "8:0"), 1);
  EXPECT_EQ(Value(f, "container_blkio_device_usage_total", id, "operation", "Sync"), 100);
  EXPECT_EQ(Value(f, "container_threads_max", id), 100);
  EXPECT_EQ(Value(f, "container_network_transmit_bytes_total", id), 6000);
}

TEST_F(ContainerTest, TakesNamesFromTheRuntime) {
  const auto f = Collect("v1", [] {
    return Result<std::vector<ContainerInfo>>(
        std::vector<ContainerInfo>{{.id = kId,
                                    .name = "shop",
                                    .image = "shop:1",
                                    .labels = {{"com.docker.compose.service", "web"}},
                                    .created_seconds = 1'600'000'000}});
  });
  const std::string id = std::string("/docker/") + kId;
  EXPECT_EQ(Value(f, "container_memory_rss", id, "name", "shop"), 4096);
  EXPECT_EQ(Value(f, "container_memory_rss", id, "image", "shop:1"), 4096);
  EXPECT_EQ(
      Value(f, "container_memory_rss", id, "container_label_com_docker_compose_service", "web"),
      4096);
  EXPECT_EQ(Value(f, "container_start_time_seconds", id), 1'600'000'000);
  EXPECT_EQ(Value(f, "container_memory_rss", "/", "name", "shop"), std::nullopt);
  EXPECT_EQ(Value(f, "vedette_container_runtime_up", ""), 1);
}

TEST_F(ContainerTest, ARuntimeThatFailsCostsOnlyTheNames) {
  const auto f =
      Collect("v1", [] { return Result<std::vector<ContainerInfo>>(Unavailable("no socket")); });
  EXPECT_EQ(Value(f, "vedette_container_runtime_up", ""), 0);
  EXPECT_EQ(Value(f, "container_memory_rss", std::string("/docker/") + kId), 4096);
}

TEST_F(ContainerTest, ARuntimeThatThisHostHasNotIsNotDown) {
  const auto f =
      Collect("v1", [] { return Result<std::vector<ContainerInfo>>(NotFound("no such socket")); });
  EXPECT_EQ(Value(f, "vedette_container_runtime_up", ""), std::nullopt);
}

TEST(Container, NoControlGroupsIsAFailure) {
  ContainerOptions o{.cgroup = std::string(kData) + "/proc", .procfs = std::string(kData)};
  MetricSink sink;
  EXPECT_EQ(MakeContainerCollector(std::move(o))->Collect(sink).code(), StatusCode::kNotFound);
}

TEST(Container, FindsTheContainerInAPath) {
  const std::string id = kId;
  for (const std::string& path :
       {"/docker/" + id, "/system.slice/docker-" + id + ".scope",
        "/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope",
        "/kubepods/burstable/pod1/" + id,
        "/system.slice/containerd.service/x:cri-containerd:" + id}) {
    EXPECT_EQ(ContainerIdOf(path), id) << path;
  }
  for (const std::string& path : {std::string("/"), std::string("/system.slice"), "/x/a" + id,
                                  "/docker/" + id.substr(1), "/docker/G" + id.substr(1)}) {
    EXPECT_EQ(ContainerIdOf(path), "") << path;
  }
}

// What the kernel says here, now: figures that hardly move within a test must be equal.
TEST(ContainerLive, AgreesWithTheKernel) {
  auto groups = CgroupReader("/sys/fs/cgroup", "/proc").Read();
  if (!groups.ok()) GTEST_SKIP() << groups.status().ToString();
  ASSERT_FALSE(groups->empty());
  const CgroupStats& root = groups->front();
  EXPECT_EQ(root.id, "/");
  const auto text = ReadSmallFile("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  const auto shares = ReadSmallFile("/sys/fs/cgroup/cpu/cpu.shares");
  if (!text || !shares) GTEST_SKIP() << "no version 1 tree here";
  double limit = 0, weight = 0;
  std::from_chars(text->data(), text->data() + text->size(), limit);
  std::from_chars(shares->data(), shares->data() + shares->size(), weight);
  EXPECT_EQ(root.memory_limit, limit > 4e18 ? 0 : limit);
  EXPECT_EQ(root.cpu_shares, weight);
  const auto usage = ReadSmallFile("/sys/fs/cgroup/cpuacct/cpuacct.usage");
  ASSERT_TRUE(usage);
  double now = 0, before = 0;
  std::from_chars(usage->data(), usage->data() + usage->size(), now);
  for (const auto& [cpu, seconds] : root.cpu_usage_seconds) before += seconds;
  // The sum of what each CPU says, in doubles, is the whole but for rounding.
  EXPECT_LE(before, now / 1e9 + 1e-6);
  EXPECT_GT(before, now / 1e9 - 60);
}

}  // namespace
}  // namespace vedette::agent
