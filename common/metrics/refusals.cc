#include "common/metrics/refusals.h"

#include <array>
#include <atomic>
#include <string>

#include "common/metrics/metrics.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::metrics {
namespace {

struct Named {
  std::string_view flag;
  bool agents;  // An agent has it, too.
};

// In the order of Limit.
constexpr std::array kLimits = {
    Named{"query.max-length", false},
    Named{"query.max-depth", false},
    Named{"query.max-samples", false},
    Named{"query.max-memory", false},
    Named{"query.timeout", false},
    Named{"query.max-waiting", false},
    Named{"web.max-header-size", true},
    Named{"web.header-timeout", true},
    Named{"web.max-body-size", true},
    Named{"web.body-timeout", true},
    Named{"web.max-buffered-size", true},
    Named{"web.max-queued-requests", true},
    Named{"web.max-connections-per-second", true},
    Named{"web.max-write-size", false},
    Named{"web.max-decoded-write-size", false},
    Named{"enrol.max-requests-per-second", false},
    Named{"enrol.max-requests-per-second-of-address", false},
};
static_assert(kLimits.size() == static_cast<size_t>(Limit::kEnrolRequestsOfAddress) + 1);

std::array<std::atomic<uint64_t>, kLimits.size()> refusals;

}  // namespace

std::string_view FlagOf(Limit limit) { return kLimits[static_cast<size_t>(limit)].flag; }

void CountRefusal(Limit limit) {
  refusals[static_cast<size_t>(limit)].fetch_add(1, std::memory_order_relaxed);
}

uint64_t Refusals(Limit limit) {
  return refusals[static_cast<size_t>(limit)].load(std::memory_order_relaxed);
}

void AddRefusals(Registry& registry, Doors doors) {
  registry.AddCallback([doors](std::vector<MetricFamily>& out) {
    constexpr std::string_view kName = "vedette_limit_refusals_total";
    MetricFamily f{.name = std::string(kName),
                   .metadata = {.type = MetricType::kCounter,
                                .help = "What a limit has refused or cut off, by its flag."}};
    for (size_t i = 0; i < kLimits.size(); ++i) {
      if (doors == Doors::kAgent && !kLimits[i].agents) continue;
      f.samples.push_back(
          {.labels = Labels::Of({{kMetricNameLabel, kName}, {"flag", kLimits[i].flag}}),
           .value = static_cast<double>(Refusals(static_cast<Limit>(i)))});
    }
    out.push_back(std::move(f));
  });
}

}  // namespace vedette::metrics
