#include "agent/host/host.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "tests/support/golden.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

std::string Text(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& f : families) {
    StrAppend(out, "# TYPE ", f.name, " ", MetricTypeName(f.metadata.type), "\n");
    for (const FamilySample& s : f.samples) StrAppend(out, s.labels.ToString(), " ", s.value, "\n");
  }
  return out;
}

HostOptions Recorded() {
  HostOptions options;
  options.procfs = "agent/host/testdata/proc";
  options.sysfs = "agent/host/testdata/sys";
  options.rootfs = "agent/host/testdata/root";
  options.netdev_netlink = false;
  return options;
}

// A tree recorded from a small virtual machine; every collector that reads files only.
TEST(HostCollectors, ARecordedMachineGivesItsGoldenAnswer) {
  // Bazel has no files with a colon in their name, and udev's have.
  vedette::testing::TempDir udev;
  std::ofstream(udev.path() + "/b254:0")
      << "S:disk/by-id/virtio-1\nE:ID_PATH=pci-0000:00:01.0\nE:ID_MODEL=Model_A\n"
         "E:ID_SERIAL_SHORT=S1\nE:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=7f1a\n"
         "E:ID_FS_VERSION=1.0\n";
  HostOptions options = Recorded();
  options.udev_data = udev.path();
  options.cpu_info = true;
  auto collectors = MakeHostCollectors(options);
  ASSERT_TRUE(collectors.ok()) << collectors.status().ToString();
  std::string all;
  for (const auto& c : *collectors) {
    // These ask the running kernel.
    if (c->name() == "uname" || c->name() == "time" || c->name() == "timex" ||
        c->name() == "filesystem") {
      continue;
    }
    MetricSink sink;
    const Status status = c->Collect(sink);
    StrAppend(all, "== ", c->name(), " ", status.ok() ? "ok" : status.message(), "\n",
              Text(sink.Take()));
  }
  vedette::testing::ExpectGolden("agent/host/testdata/host.golden", all);
}

TEST(HostCollectors, ThisMachineAnswersAllThatNeedNoHardware) {
  auto collectors = MakeHostCollectors(HostOptions());
  ASSERT_TRUE(collectors.ok());
  for (const auto& c : *collectors) {
    const std::string_view name = c->name();
    if (name != "cpu" && name != "meminfo" && name != "loadavg" && name != "filesystem" &&
        name != "netdev" && name != "uname" && name != "time" && name != "stat") {
      continue;
    }
    SCOPED_TRACE(name);
    MetricSink sink;
    const Status status = c->Collect(sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_FALSE(sink.Take().empty());
  }
}

TEST(HostCollectors, AMissingFileFailsThatCollectorAndNamesTheFile) {
  HostOptions options = Recorded();
  options.procfs = "agent/host/testdata/nowhere";
  auto collectors = MakeHostCollectors(options);
  ASSERT_TRUE(collectors.ok());
  for (const auto& c : *collectors) {
    if (c->name() != "meminfo") continue;
    MetricSink sink;
    const Status status = c->Collect(sink);
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_NE(status.message().find("nowhere/meminfo"), std::string_view::npos);
  }
}

TEST(HostCollectors, ABadExpressionNamesItsFlag) {
  HostOptions options;
  options.netdev_device_exclude = "(";
  const auto collectors = MakeHostCollectors(options);
  ASSERT_FALSE(collectors.ok());
  EXPECT_NE(collectors.status().message().find("--collector.netdev.device-exclude"),
            std::string_view::npos);
}

// Idle time that steps back a little would look like a counter reset.
TEST(HostCollectors, IdleTimeNeverStepsBackALittle) {
  // The recorded tree does not move, so two collections must be the same.
  auto collectors = MakeHostCollectors(Recorded());
  ASSERT_TRUE(collectors.ok());
  MetricSink first;
  MetricSink second;
  ASSERT_TRUE((*collectors)[0]->Collect(first).ok());
  ASSERT_TRUE((*collectors)[0]->Collect(second).ok());
  EXPECT_EQ(Text(first.Take()), Text(second.Take()));
}

}  // namespace
}  // namespace vedette::agent
