// Series that live for an hour, over many hours: what the storage takes of memory and disk once the
// first of them are out of retention, and at the end, ten times as many series later.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kHour = 3600 * 1000;
constexpr int64_t kStart = 1'600'000'000'000 / kHour * kHour;
constexpr int64_t kHours = 44;
constexpr int64_t kSettled = 5;  // Hours: retention is three.

double ResidentMiB() {
  std::ifstream in("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  in >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void Show(benchmark::State& state, const std::string& when, Tsdb& db) {
  // The log alone would be most of what is on the disk.
  if (!db.Compact().ok()) return state.SkipWithError("compact");
  const TsdbStats s = db.stats();
  state.counters[when + "_series"] = static_cast<double>(s.series);
  state.counters[when + "_index_MiB"] = static_cast<double>(s.index_memory_bytes) / (1 << 20);
  state.counters[when + "_resident_MiB"] = ResidentMiB();
  state.counters[when + "_disk_MiB"] = static_cast<double>(s.disk_bytes) / (1 << 20);
}

void BM_Churn(benchmark::State& state) {
  const size_t per_hour = static_cast<size_t>(state.range(0));
  constexpr size_t kRequest = 2000;
  for (auto _ : state) {
    testing::TempDir dir;
    testing::FakeClock clock(kStart);
    TsdbOptions options;
    options.path = dir.path() + "/data";
    options.maintenance_interval_ms = 0;
    options.window_ms = kHour;
    options.retention_ms = 3 * kHour;
    options.idle_ms = kHour / 2;
    options.merge_bytes_per_second = 0;
    Result<std::unique_ptr<Tsdb>> opened = Tsdb::Open(options, clock);
    if (!opened.ok()) return state.SkipWithError("open");
    Tsdb& db = **opened;
    for (int64_t hour = 0; hour < kHours; ++hour) {
      for (int64_t part = 0; part < 4; ++part) {
        const Sample sample{kStart + hour * kHour + part * kHour / 4, static_cast<double>(part)};
        clock.Set(sample.t_ms);
        for (size_t at = 0; at < per_hour; at += kRequest) {
          std::vector<storage::SeriesBatch> batch(std::min(kRequest, per_hour - at));
          for (size_t i = 0; i < batch.size(); ++i) {
            const size_t n = at + i;
            batch[i] = {.labels = Labels::Of(
                            {{"__name__", "container_metric_name_" + std::to_string(n % 100)},
                             {"job", "cadvisor"},
                             {"namespace", "shop"},
                             {"pod", "pod-" + std::to_string(hour) + "-" + std::to_string(n / 100)}}),
                        .samples = std::span(&sample, 1)};
          }
          if (!db.appender().Write(batch).ok()) return state.SkipWithError("write");
        }
        if (!db.Maintain().ok()) return state.SkipWithError("maintain");
      }
      if (hour == kSettled) Show(state, "early", db);
    }
    for (int i = 0; i < 4; ++i) (void)db.Maintain();
    Show(state, "late", db);
    state.counters["ever"] = static_cast<double>(per_hour) * kHours;
  }
}
BENCHMARK(BM_Churn)->Arg(25'000)->Arg(230'000)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
}  // namespace vedette::tsdb
