#include "common/metrics/metrics.h"
#include "common/metrics/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "common/model/labels.h"
#include "tests/support/temp_dir.h"

namespace vedette::metrics {
namespace {

std::string Text(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& family : families) {
    out += family.name + " " + std::string(MetricTypeName(family.metadata.type)) + "\n";
    for (const FamilySample& s : family.samples) {
      out += "  " + s.labels.ToString() + " " + std::to_string(s.value) + "\n";
    }
  }
  return out;
}

TEST(Registry, CollectsEveryKindByName) {
  Registry registry;
  registry.AddGauge("b", "").Set(2.5);
  registry.AddCounter("c_total", "").Add(3);
  registry.AddCounter("c_total", "").Add(0.5);
  registry.AddCounterFamily("e_total", "", {"kind", "who"}).With({"x", ""}).Increment();
  registry.AddGaugeFn("f", "", [] { return 7.0; });
  registry.AddCallback([](std::vector<MetricFamily>& out) {
    MetricFamily family;
    family.name = "a";
    out.push_back(family);
  });
  EXPECT_EQ(Text(registry.Collect()),
            "a unknown\n"
            "b gauge\n  {__name__=\"b\"} 2.500000\n"
            "c_total counter\n  {__name__=\"c_total\"} 3.500000\n"
            "e_total counter\n  {__name__=\"e_total\", kind=\"x\"} 1.000000\n"
            "f gauge\n  {__name__=\"f\"} 7.000000\n");
}

TEST(Registry, ARemovedCallbackIsNotAsked) {
  Registry registry;
  int asked = 0;
  const int id = registry.AddCallback([&](std::vector<MetricFamily>&) { ++asked; });
  registry.Collect();
  registry.RemoveCallback(id);
  registry.Collect();
  EXPECT_EQ(asked, 1);
}

TEST(RegistryDeathTest, OneNameHasOneKind) {
  Registry registry;
  registry.AddCounter("x", "");
  EXPECT_DEATH(registry.AddGauge("x", ""), "already");
  EXPECT_DEATH(registry.AddCounterFamily("x", "", {"l"}), "already");
  EXPECT_DEATH(registry.AddCounter("no name", ""), "no metric name");
}

TEST(Histogram, BucketsAreCumulativeAndInclusive) {
  Registry registry;
  Histogram& h = registry.AddHistogram("h", "", {1, 2.5});
  for (double v : {0.5, 1.0, 2.0, 2.5, 99.0}) h.Observe(v);
  EXPECT_EQ(Text(registry.Collect()),
            "h histogram\n"
            "  {__name__=\"h_bucket\", le=\"1\"} 2.000000\n"
            "  {__name__=\"h_bucket\", le=\"2.5\"} 4.000000\n"
            "  {__name__=\"h_bucket\", le=\"+Inf\"} 5.000000\n"
            "  {__name__=\"h_sum\"} 105.000000\n"
            "  {__name__=\"h_count\"} 5.000000\n");
  h.Observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(h.CumulativeCounts(), (std::vector<uint64_t>{2, 4, 6}));
}

TEST(Family, BeyondItsLimitChildrenShareOne) {
  Family<Counter> family({"l"}, [] { return std::make_unique<Counter>(); }, 2);
  family.With({"a"}).Increment();
  family.With({"b"}).Increment();
  family.With({"c"}).Increment();
  family.With({"d"}).Increment();
  std::string seen;
  family.ForEach([&](const std::vector<std::string>& values, const Counter& c) {
    seen += values[0] + "=" + std::to_string(int(c.value())) + " ";
  });
  EXPECT_EQ(seen, "_overflow_=2 a=1 b=1 ");
}

TEST(Counter, NoIncrementIsLostBetweenThreads) {
  Registry registry;
  Counter& counter = registry.AddCounter("n_total", "");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        counter.Increment();
        counter.Add(0.5);
      }
    });
  }
  registry.Collect();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 60'000);
}

TEST(ProcessMetrics, ReadsAFixedProc) {
  const vedette::testing::TempDir dir;
  const std::filesystem::path root(dir.path());
  std::filesystem::create_directories(root / "self/fd");
  std::ofstream(root / "self/fd/0").put('x');
  std::ofstream(root / "self/fd/1").put('x');
  std::ofstream(root / "self/stat") << "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 "
                                       "1000 123456 10 18446744073709551615\n";
  std::ofstream(root / "self/limits")
      << "Limit  Soft  Hard  Units\n"
         "Max open files            1024                 4096   files\n"
         "Max address space         unlimited            unlimited  bytes\n";
  std::filesystem::create_directories(root / "self/net");
  std::ofstream(root / "self/net/netstat") << "TcpExt: A B\nTcpExt: 1 2\n"
                                              "IpExt: InNoRoutes InOctets OutOctets\n"
                                              "IpExt: 0 700 800\n";
  std::ofstream(root / "stat") << "cpu 1 2\nbtime 1700000000\n";
  Registry registry;
  AddProcessMetrics(registry, root.string());
  const std::string text = Text(registry.Collect());
  const double ticks = double(sysconf(_SC_CLK_TCK));
  for (const auto& [name, value] : std::vector<std::pair<std::string, double>>{
           {"process_cpu_seconds_total", 400 / ticks},
           {"process_open_fds", 2},
           {"process_max_fds", 1024},
           {"process_virtual_memory_max_bytes", 18446744073709551615.0},
           {"process_network_receive_bytes_total", 700},
           {"process_network_transmit_bytes_total", 800},
           {"process_threads", 9},
           {"process_virtual_memory_bytes", 123456},
           {"process_resident_memory_bytes", 10.0 * double(sysconf(_SC_PAGESIZE))},
           {"process_start_time_seconds", 1700000000 + 1000 / ticks}}) {
    const std::string line = "{__name__=\"" + name + "\"} " + std::to_string(value) + "\n";
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }

  Registry quiet;
  AddProcessMetrics(quiet, root.string(), false);
  const std::string less = Text(quiet.Collect());
  EXPECT_EQ(less.find("process_network"), std::string::npos) << less;
  EXPECT_NE(less.find("process_threads"), std::string::npos) << less;
}

}  // namespace
}  // namespace vedette::metrics
