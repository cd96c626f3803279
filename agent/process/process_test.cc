#include "agent/process/process.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/process/naming.h"
#include "common/base/strings.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

TEST(ProcessNaming, GroupsAsProcessExporterDoes) {
  const auto naming = ProcessNaming::Parse(
      "process_names:\n"
      "  - name: \"{{.Matches.Cfgfile}}:{{.Username}}\"\n"
      "    comm: [app]\n"
      "    cmdline: ['-config.path\\s+(?P<Cfgfile>\\S+)']\n"
      "  - exe: [/usr/sbin/postgres, nginx]\n"
      "  - name: \"{{.Comm}}/{{.PID}}\"\n"
      "    comm: [a-very-long-command-name]\n",
      "process.yml");
  ASSERT_TRUE(naming.ok()) << naming.status().ToString();
  const auto group = [&](std::string comm, std::vector<std::string> cmdline) {
    return naming->GroupOf({.pid = 7, .comm = std::move(comm), .cmdline = std::move(cmdline), .username = "u"})
        .value_or("none");
  };
  EXPECT_EQ(group("app", {"/bin/app", "-config.path", "/etc/a.yml"}), "/etc/a.yml:u");
  EXPECT_EQ(group("app", {"/bin/app"}), "none");
  EXPECT_EQ(group("x", {"/usr/sbin/postgres", "-D"}), "postgres");
  EXPECT_EQ(group("x", {"/opt/postgres"}), "none");
  EXPECT_EQ(group("x", {"/opt/nginx"}), "nginx");
  EXPECT_EQ(group("a-very-long-com", {}), "a-very-long-com/7");
  EXPECT_EQ(group("kworker", {}), "none");
}

TEST(ProcessNaming, MistakesNameTheirLine) {
  for (const char* text : {"process_names:\n  - name: x\n", "process_names:\n  - comm: [a]\n    name: '{{.Nope}}'\n",
                           "process_names:\n  - cmdline: ['(']\n", "other: 1\n"}) {
    const auto naming = ProcessNaming::Parse(text, "process.yml");
    ASSERT_FALSE(naming.ok()) << text;
    EXPECT_TRUE(naming.status().message().starts_with("process.yml:")) << naming.status().ToString();
  }
}

class FakeProc {
 public:
  FakeProc() { std::ofstream(dir_.path() + "/stat") << "cpu 1\nbtime 1000\n"; }
  void Put(int pid, const std::string& comm, int user_ticks, int start) {
    const std::string at = StrCat(dir_.path(), "/", pid);
    std::filesystem::create_directories(at + "/fd");
    std::ofstream(at + "/stat") << pid << " (" << comm << ") S 1 1 1 0 -1 0 10 0 2 0 " << user_ticks
                                << " 50 0 0 20 0 3 0 " << start << " 4096000 100 0\n";
    std::ofstream(at + "/cmdline") << "/bin/" << comm << '\0' << "-x" << '\0';
    std::ofstream(at + "/status") << "Name:\tx\nVmSwap:\t 8 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n";
    std::ofstream(at + "/io") << "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n";
    std::ofstream(at + "/limits") << "Max open files            10                   20                   files\n";
    std::ofstream(at + "/fd/0");
  }
  void Remove(int pid) { std::filesystem::remove_all(StrCat(dir_.path(), "/", pid)); }
  const std::string& path() const { return dir_.path(); }

 private:
  testing::TempDir dir_;
};

double ValueOf(Collector& collector, const std::string& wanted) {
  MetricSink sink;
  EXPECT_TRUE(collector.Collect(sink).ok());
  for (const MetricFamily& f : sink.Take()) {
    for (const FamilySample& s : f.samples) {
      if (s.labels.ToString() == wanted) return s.value;
    }
  }
  return -1;
}

TEST(Process, CountersOutliveTheirProcesses) {
  FakeProc proc;
  proc.Put(10, "web", 1000, 5);
  proc.Put(11, "web", 100, 6);
  auto collector = MakeProcessCollector(ProcessNaming::ByComm({"web"}), {.procfs = proc.path()});
  const std::string cpu =
      R"({__name__="namedprocess_namegroup_cpu_seconds_total", groupname="web", mode="user"})";
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  EXPECT_EQ(ValueOf(*collector, cpu), 0);  // From the first look on.
  proc.Put(10, "web", 1007, 5);
  EXPECT_DOUBLE_EQ(ValueOf(*collector, cpu), 7 * tick);
  proc.Put(12, "web", 20, 900);  // Began after the first look: all of it counts.
  EXPECT_DOUBLE_EQ(ValueOf(*collector, cpu), 27 * tick);
  proc.Remove(10);
  proc.Put(11, "web", 5, 901);  // The number came again with another process.
  EXPECT_DOUBLE_EQ(ValueOf(*collector, cpu), 32 * tick);
  const auto gauge = [&](std::string_view name, std::string_view more = "") {
    return ValueOf(*collector, StrCat("{__name__=\"namedprocess_namegroup_", name, "\", groupname=\"web\"", more, "}"));
  };
  EXPECT_EQ(gauge("num_procs"), 2);
  EXPECT_EQ(gauge("num_threads"), 6);
  EXPECT_EQ(gauge("open_filedesc"), 2);
  EXPECT_EQ(gauge("worst_fd_ratio"), 0.1);
  EXPECT_EQ(gauge("states", ", state=\"Sleeping\""), 2);
  EXPECT_EQ(gauge("memory_bytes", ", memtype=\"swapped\""), 2 * 8192);
  proc.Remove(11);
  proc.Remove(12);
  EXPECT_EQ(gauge("num_procs"), 0);
  EXPECT_DOUBLE_EQ(ValueOf(*collector, cpu), 32 * tick);
}

}  // namespace
}  // namespace vedette::agent
