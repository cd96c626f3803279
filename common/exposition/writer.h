#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/model/metric_family.h"

namespace vedette::exposition {

// Labels by family that text shows with an empty value where a sample has them not, as the exporters
// do with what a machine does not say: build_id="". Only to a reader of text is that a difference.
using BlankLabels = std::map<std::string, std::vector<std::string>, std::less<>>;

struct WriteOptions {
  // Names that the classic forms cannot say are written in quotes, {"my.metric"}; otherwise every
  // character that does not suit becomes an underscore (escaping=underscores).
  bool allow_utf8 = true;
  // Borrowed; null: none. OpenMetrics leaves them out.
  const BlankLabels* blank_labels = nullptr;
};

// Text format 0.0.4 (1.0.0 where names need quotes). Native histograms have no text form: they are
// left out, except that their _count and _sum are written. Exemplars are left out.
std::string WriteText(std::span<const MetricFamily> families, const WriteOptions& options = {});
void AppendText(std::string& out, const MetricFamily& family, const WriteOptions& options = {});

// OpenMetrics 1.0 with "# EOF" at the end: counters lose "_total" from the family's name and have
// it on their samples, exemplars and created times are written.
std::string WriteOpenMetrics(std::span<const MetricFamily> families,
                             const WriteOptions& options = {});

}  // namespace vedette::exposition
