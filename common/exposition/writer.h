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

// KeptText writes the same again and again, as an agent does: what is as it was at the same place the
// time before costs a compare and a copy of its text, and only values are written anew. Gives what
// WriteText gives. Not thread-safe.
class KeptText {
 public:
  std::string Write(std::span<const MetricFamily* const> families, const WriteOptions& options = {});

 private:
  struct Line {
    std::string labels;  // Labels::bytes().
    std::string text;    // Up to the value.
  };
  struct Family {
    std::string name;
    Metadata metadata;
    std::vector<std::string> blanks;
    std::string head;  // HELP and TYPE.
    std::vector<Line> lines;
  };
  void AppendFamily(std::string& out, const MetricFamily& family, const WriteOptions& options,
                    size_t at);

  std::vector<Family> families_;
  bool allow_utf8_ = true;
  size_t bytes_ = 0;  // Of the text before.
};

// OpenMetrics 1.0 with "# EOF" at the end: counters lose "_total" from the family's name and have
// it on their samples, exemplars and created times are written.
std::string WriteOpenMetrics(std::span<const MetricFamily> families,
                             const WriteOptions& options = {});

}  // namespace vedette::exposition
