#include "agent/host/host.h"

#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "tests/support/golden.h"
#include "tests/support/recorded_tree.h"
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

// Collectors that ask the running kernel or a daemon rather than files under a root.
bool AsksTheKernel(std::string_view name) {
  static const std::set<std::string_view> kNames = {
      "uname", "time",    "timex", "filesystem",    "ethtool", "network_route",
      "qdisc", "tcpstat", "wifi",  "systemd", "logind"};
  return kNames.contains(name);
}

std::string CollectAll(const HostOptions& options) {
  auto collectors = MakeHostCollectors(options);
  EXPECT_TRUE(collectors.ok()) << collectors.status().ToString();
  std::string all;
  for (const auto& c : *collectors) {
    if (AsksTheKernel(c->name())) continue;
    MetricSink sink;
    const Status status = c->Collect(sink);
    const std::string text = Text(sink.Take());
    // What a tree has not is not worth a line for each collector.
    if (status.code() == StatusCode::kNotFound && text.empty()) continue;
    StrAppend(all, "== ", c->name(), " ", status.ok() ? "ok" : status.message(), "\n", text);
  }
  return all;
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
  vedette::testing::ExpectGolden("agent/host/testdata/host.golden", CollectAll(options));
}

HostOptions Unpacked(const std::string& root) {
  HostOptions options;
  options.procfs = root + "/proc";
  options.sysfs = root + "/sys";
  options.rootfs = root;
  options.udev_data = root + "/run/udev";
  options.netdev_netlink = false;
  options.bcache_priority_stats = true;
  options.sysctl_include = {"fs.file-nr", "fs.file-nr:total,current,max", "kernel.threads-max"};
  options.sysctl_include_info = {"kernel.seccomp.actions_avail"};
  options.textfile_directories = {root + "/textfile"};
  return options;
}

// Paths of the temporary folder and times of its files are not the same twice.
std::string Stable(std::string all, const std::string& root) {
  for (size_t at; (at = all.find(root)) != std::string::npos;) all.replace(at, root.size(), "ROOT");
  std::string stable;
  for (const std::string_view line : Split(all, '\n')) {
    if (line.empty() || line.starts_with("{__name__=\"node_textfile_mtime_seconds\"")) continue;
    StrAppend(stable, line, "\n");
  }
  return stable;
}

// Hardware and file systems that no machine has all of.
TEST(HostCollectors, AMachineWithEverythingGivesItsGoldenAnswer) {
  vedette::testing::TempDir root;
  vedette::testing::UnpackTree("agent/host/testdata/hardware.tree", root.path());
  vedette::testing::ExpectGolden("agent/host/testdata/hardware.golden",
                                 Stable(CollectAll(Unpacked(root.path())), root.path()));
}

// Two of most things, and every file that a collector knows.
TEST(HostCollectors, AMachineWithEveryFileGivesItsGoldenAnswer) {
  vedette::testing::TempDir root;
  vedette::testing::UnpackTree("agent/host/testdata/full.tree", root.path());
  HostOptions options = Unpacked(root.path());
  options.cpu_info = true;
  options.cpu_flags_include = "^(aes|avx.?)$";
  options.cpu_bugs_include = "^(mds|spectre_.*)$";
  options.stat_softirq = true;
  vedette::testing::ExpectGolden("agent/host/testdata/full.golden",
                                 Stable(CollectAll(options), root.path()));
}

// What machines rarely show: arrays that are being repaired, kernels older and newer than most, names
// with blanks, sensors below zero, counters that are not there.
TEST(HostCollectors, AnOddMachineGivesItsGoldenAnswer) {
  vedette::testing::TempDir root;
  vedette::testing::UnpackTree("agent/host/testdata/odd.tree", root.path());
  HostOptions options = Unpacked(root.path());
  options.sysctl_include.clear();
  options.sysctl_include_info.clear();
  options.textfile_directories.clear();
  options.stat_softirq = true;
  vedette::testing::ExpectGolden("agent/host/testdata/odd.golden",
                                 Stable(CollectAll(options), root.path()));
}

// A second collection is made from what the first left behind, and says the same.
TEST(HostCollectors, ASecondCollectionSaysTheSame) {
  for (const char* tree : {"full", "hardware", "odd"}) {
    SCOPED_TRACE(tree);
    vedette::testing::TempDir root;
    vedette::testing::UnpackTree(StrCat("agent/host/testdata/", tree, ".tree"), root.path());
    auto collectors = MakeHostCollectors(Unpacked(root.path()));
    ASSERT_TRUE(collectors.ok());
    for (const auto& c : *collectors) {
      if (AsksTheKernel(c->name())) continue;
      SCOPED_TRACE(c->name());
      MetricSink first;
      (void)c->Collect(first);  // What fails is in the golden answers.
      std::vector<MetricFamily> families = first.Take();
      const std::string before = Text(families);
      MetricSink second(std::move(families));
      (void)c->Collect(second);
      EXPECT_EQ(Text(second.Take()), before);
    }
  }
}

// What text shows and the data model does not: a label that one sample has and another has not.
TEST(HostCollectors, TextfileLabelsThatDifferAreBlankElsewhere) {
  vedette::testing::TempDir root;
  vedette::testing::UnpackTree("agent/host/testdata/hardware.tree", root.path());
  auto collectors = MakeHostCollectors(Unpacked(root.path()));
  ASSERT_TRUE(collectors.ok());
  for (const auto& c : *collectors) {
    if (c->name() != "textfile") continue;
    MetricSink sink;
    ASSERT_TRUE(c->Collect(sink).ok());
    const BlankLabels blanks = sink.TakeBlanks();
    ASSERT_TRUE(blanks.contains("jobs_total"));
    EXPECT_EQ(blanks.at("jobs_total"), std::vector<std::string>{"queue"});
  }
}

TEST(HostCollectors, ASysctlWithoutItsColumnsNamesTheFlag) {
  vedette::testing::TempDir root;
  vedette::testing::UnpackTree("agent/host/testdata/hardware.tree", root.path());
  HostOptions options = Unpacked(root.path());
  options.sysctl_include = {"fs.file-nr:total,current"};
  auto collectors = MakeHostCollectors(options);
  ASSERT_TRUE(collectors.ok());
  for (const auto& c : *collectors) {
    if (c->name() != "sysctl") continue;
    MetricSink sink;
    const Status status = c->Collect(sink);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("--collector.sysctl.include=fs.file-nr:total,current"),
              std::string_view::npos);
  }
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

// Another path to the same files is asked file by file.
TEST(HostCollectors, NetlinkSaysOfDevicesWhatTheirFilesSay) {
  const auto show = [](const char* sysfs) {
    HostOptions options;
    options.sysfs = sysfs;
    auto collectors = MakeHostCollectors(options);
    EXPECT_TRUE(collectors.ok());
    std::string text;
    for (const auto& c : *collectors) {
      if (c->name() != "netclass") continue;
      // What is read once for a device is shown again.
      for (int run = 0; run < 2; ++run) {
        MetricSink sink;
        EXPECT_TRUE(c->Collect(sink).ok());
        text = Text(sink.Take());
      }
    }
    return text;
  };
  const std::string by_netlink = show("/sys");
  EXPECT_NE(by_netlink.find("device=\"lo\""), std::string::npos);
  EXPECT_EQ(by_netlink, show("/sys/."));
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
