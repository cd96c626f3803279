#include <benchmark/benchmark.h>

#include "server/relabel/relabel.h"

namespace vedette::relabel {
namespace {

// The rules and labels of an everyday container job: one keep, one drop, two replaces, a labeldrop.
void BM_RelabelSeries(benchmark::State& state) {
  using A = config::RelabelAction;
  const std::vector<config::RelabelConfig> configs = {
      {.source_labels = {"__name__"}, .regex = "container_.*", .action = A::kKeep},
      {.source_labels = {"__name__"},
       .regex = "container_(tasks_state|memory_failures_total)",
       .action = A::kDrop},
      {.source_labels = {"instance"}, .regex = "([^:]+)(?::[0-9]+)?", .target_label = "host"},
      {.target_label = "tier", .replacement = "app"},
      {.regex = "container_label_.*", .action = A::kLabelDrop}};
  const Relabeler rules = *Relabeler::Compile(configs);
  const Labels labels = Labels::Of({{"__name__", "container_cpu_usage_seconds_total"},
                                    {"container_label_app", "web"},
                                    {"cpu", "total"},
                                    {"id", "/system.slice/docker-0123456789abcdef.scope"},
                                    {"image", "nginx:1.25"},
                                    {"instance", "app-1:8080"},
                                    {"job", "containers"},
                                    {"name", "web"}});
  for (auto _ : state) {
    LabelsBuilder builder(labels);
    benchmark::DoNotOptimize(rules.Apply(builder));
    benchmark::DoNotOptimize(builder.Build());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RelabelSeries);

}  // namespace
}  // namespace vedette::relabel
