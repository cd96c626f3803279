#include "common/exposition/openmetrics_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/number.h"
#include "common/exposition/text_parser.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::exposition {
namespace {

// The standard's bound on an exemplar's label names and values together, in characters.
constexpr size_t kMaxExemplarCharacters = 128;

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::span<const std::string_view> SuffixesOf(MetricType type) {
  static constexpr std::string_view kNone[] = {""};
  static constexpr std::string_view kCounter[] = {"_total", "_created"};
  static constexpr std::string_view kSummary[] = {"", "_count", "_sum", "_created"};
  static constexpr std::string_view kHistogram[] = {"_bucket", "_count", "_sum", "_created"};
  static constexpr std::string_view kGaugeHistogram[] = {"_bucket", "_gcount", "_gsum"};
  static constexpr std::string_view kInfo[] = {"_info"};
  switch (type) {
    case MetricType::kCounter:
      return kCounter;
    case MetricType::kSummary:
      return kSummary;
    case MetricType::kHistogram:
      return kHistogram;
    case MetricType::kGaugeHistogram:
      return kGaugeHistogram;
    case MetricType::kInfo:
      return kInfo;
    default:
      return kNone;
  }
}

// The samples of one histogram: those that share all labels but le.
struct Buckets {
  std::vector<std::pair<double, double>> bounds;  // Bound, cumulative count.
  std::optional<double> sum;
  std::optional<double> count;
};

class Checker {
 public:
  explicit Checker(std::string_view body) : body_(body), parser_(body, TextDialect::kOpenMetrics) {}

  Status Run() {
    for (;;) {
      const TextParser::Event event = parser_.Next();
      Status status;
      switch (event) {
        case TextParser::Event::kError:
          return parser_.status();
        case TextParser::Event::kEnd:
          return EndFamily();
        case TextParser::Event::kComment:
          break;
        case TextParser::Event::kSample:
          status = OnSample(parser_.sample());
          break;
        default:
          status = OnMetadata(event, parser_.metadata());
      }
      VEDETTE_RETURN_IF_ERROR(std::move(status));
    }
  }

 private:
  struct Family {
    std::string name;
    MetricType type = MetricType::kUnknown;
    std::string unit;
    bool has_type = false, has_help = false, has_unit = false, has_samples = false;
  };

  Status Offence(std::string_view at, std::string_view problem) const {
    const auto line = 1 + std::count(body_.data(), at.data(), '\n');
    return InvalidArgument(StrCat("line ", line, ": ", problem, ": ", Quoted(at.substr(0, 80))));
  }

  Status OnMetadata(TextParser::Event event, const MetadataLine& line) {
    std::string name;
    AppendUnescaped(name, line.name);
    if (!open_ || family_.name != name) {
      VEDETTE_RETURN_IF_ERROR(Open(name, line.line));
    }
    if (family_.has_samples) return Offence(line.line, "metadata after samples of its family");
    bool& seen = event == TextParser::Event::kHelp   ? family_.has_help
                 : event == TextParser::Event::kType ? family_.has_type
                                                     : family_.has_unit;
    if (seen) return Offence(line.line, "metadata said twice");
    seen = true;
    if (event == TextParser::Event::kType) family_.type = line.type;
    if (event == TextParser::Event::kUnit) {
      if (line.text.empty()) return Offence(line.line, "no unit");
      family_.unit = line.text;
    }
    if (!family_.unit.empty() &&
        (family_.type == MetricType::kInfo || family_.type == MetricType::kStateSet)) {
      return Offence(line.line, "an info or a stateset has no unit");
    }
    return Status();
  }

  Status Open(const std::string& name, std::string_view at) {
    VEDETTE_RETURN_IF_ERROR(EndFamily());
    if (!families_.insert(name).second) {
      return Offence(at, "this family's lines are not together, or it is there twice");
    }
    open_ = true;
    opened_at_ = at;
    family_ = {.name = name};
    return Status();
  }

  Status EndFamily() {
    if (!open_) return Status();
    open_ = false;
    VEDETTE_RETURN_IF_ERROR(EndGroup());
    // Every name that a sample of this family could have belongs to it alone.
    for (const std::string_view suffix : SuffixesOf(family_.type)) {
      const std::string name = StrCat(family_.name, suffix);
      if (!names_.insert(name).second) {
        return Offence(opened_at_, StrCat("the name ", Quoted(name), " belongs to two families"));
      }
    }
    groups_.clear();
    series_.clear();
    group_.reset();
    return Status();
  }

  Status OnSample(const SampleLine& line) {
    if (line.trailing_comma) return Offence(line.key, "a comma after the last label");
    VEDETTE_ASSIGN_OR_RETURN(const Labels labels, ToLabels(line, MetricType::kUnknown));
    const std::string_view name = labels.metric_name();
    std::string_view suffix;
    bool ours = false;
    if (open_ && name.starts_with(family_.name)) {
      suffix = name.substr(family_.name.size());
      for (const std::string_view known : SuffixesOf(family_.type)) ours = ours || suffix == known;
    }
    if (!ours) {
      VEDETTE_RETURN_IF_ERROR(Open(std::string(name), line.key));
      suffix = {};
    }
    family_.has_samples = true;
    VEDETTE_RETURN_IF_ERROR(CheckLabels(line, labels, suffix));
    VEDETTE_RETURN_IF_ERROR(CheckValue(line, suffix));
    VEDETTE_RETURN_IF_ERROR(CheckExemplar(line, suffix));
    return CheckOrder(line, labels, suffix);
  }

  Status CheckLabels(const SampleLine& line, const Labels& labels, std::string_view suffix) {
    const MetricType type = family_.type;
    if ((type == MetricType::kHistogram || type == MetricType::kGaugeHistogram) &&
        suffix == "_bucket") {
      const std::string_view le = labels.Get("le");
      const std::optional<double> bound = ParseValue(le);
      if (!bound || std::isnan(*bound) || (std::isinf(*bound) && le != "+Inf" && le != "-Inf")) {
        return Offence(line.key, "a bucket needs le with a number or +Inf");
      }
    }
    if (type == MetricType::kSummary && suffix.empty()) {
      const std::optional<double> quantile = ParseValue(labels.Get("quantile"));
      if (!quantile || !(*quantile >= 0 && *quantile <= 1)) {
        return Offence(line.key, "a summary's sample needs quantile, from 0 to 1");
      }
    }
    if (type == MetricType::kStateSet && !labels.Has(family_.name)) {
      return Offence(line.key, "a stateset's sample needs a label of the set's name");
    }
    return Status();
  }

  Status CheckValue(const SampleLine& line, std::string_view suffix) {
    const double v = line.value;
    const bool counts = suffix == "_total" || suffix == "_bucket" || suffix == "_count" ||
                        suffix == "_gcount" || suffix == "_sum" || suffix == "_gsum";
    if (counts && std::isnan(v)) return Offence(line.value_text, "a count or sum is not NaN");
    if (counts && suffix != "_gsum" && v < 0) {
      return Offence(line.value_text, "a count is not negative");
    }
    if (family_.type == MetricType::kSummary && suffix.empty() && v < 0) {
      return Offence(line.value_text, "a quantile is not negative");
    }
    if (family_.type == MetricType::kStateSet && v != 0 && v != 1) {
      return Offence(line.value_text, "a state is 0 or 1");
    }
    if (family_.type == MetricType::kInfo && v != 1) {
      return Offence(line.value_text, "an info is 1");
    }
    return Status();
  }

  Status CheckExemplar(const SampleLine& line, std::string_view suffix) {
    if (!line.has_exemplar) return Status();
    const MetricType type = family_.type;
    const bool bucket = suffix == "_bucket" &&
                        (type == MetricType::kHistogram || type == MetricType::kGaugeHistogram);
    if (!bucket && !(suffix == "_total" && type == MetricType::kCounter)) {
      return Offence(line.key, "only a counter's _total and a histogram's _bucket have exemplars");
    }
    VEDETTE_ASSIGN_OR_RETURN(const Exemplar exemplar, ToExemplar(line));
    size_t characters = 0;
    for (const Label& label : exemplar.labels) {
      characters += Characters(label.name) + Characters(label.value);
    }
    if (characters > kMaxExemplarCharacters) {
      return Offence(line.key, StrCat("an exemplar's labels have at most ", kMaxExemplarCharacters,
                                      " characters"));
    }
    return Status();
  }

  // Samples of one metric (all labels but le, quantile, the state) stay together, times go on.
  Status CheckOrder(const SampleLine& line, const Labels& labels, std::string_view suffix) {
    LabelsBuilder builder(labels);
    builder.Delete(kMetricNameLabel);
    const MetricType type = family_.type;
    if (type == MetricType::kHistogram || type == MetricType::kGaugeHistogram) builder.Delete("le");
    if (type == MetricType::kSummary) builder.Delete("quantile");
    if (type == MetricType::kStateSet) builder.Delete(family_.name);
    Labels group = builder.Build();
    if (!group_ || *group_ != group) {
      VEDETTE_RETURN_IF_ERROR(EndGroup());
      if (!groups_.insert(std::string(group.bytes())).second) {
        return Offence(line.key, "the samples of this metric are not together");
      }
      group_ = std::move(group);
      group_at_ = line.key;
      group_timed_ = line.t_ms.has_value();
      group_t_ = line.t_ms;
    } else {
      if (group_timed_ != line.t_ms.has_value()) {
        return Offence(line.key, "a metric has timestamps on all of its samples or on none");
      }
      if (line.t_ms && *line.t_ms < *group_t_) {
        return Offence(line.key, "timestamps of a metric go backwards");
      }
      if (line.t_ms && *line.t_ms > *group_t_) {
        series_.clear();
        group_t_ = line.t_ms;
      }
    }
    if (!series_.insert(std::string(labels.bytes())).second) {
      return Offence(line.key, "the same sample twice");
    }
    if (suffix == "_bucket") {
      buckets_.bounds.emplace_back(ParseValue(labels.Get("le")).value_or(0), line.value);
    } else if (suffix == "_sum" || suffix == "_gsum") {
      buckets_.sum = line.value;
    } else if (suffix == "_count" || suffix == "_gcount") {
      buckets_.count = line.value;
    }
    return Status();
  }

  Status EndGroup() {
    const Buckets buckets = std::exchange(buckets_, {});
    if (!group_) return Status();
    const bool gauge = family_.type == MetricType::kGaugeHistogram;
    if (family_.type != MetricType::kHistogram && !gauge) return Status();
    if (buckets.sum.has_value() != buckets.count.has_value()) {
      return Offence(group_at_, "a histogram has both a sum and a count, or neither");
    }
    if (buckets.bounds.empty()) {
      return Offence(group_at_, "a histogram has buckets, +Inf the last of them");
    }
    bool negative = false;
    for (size_t i = 0; i < buckets.bounds.size(); ++i) {
      const auto& [bound, count] = buckets.bounds[i];
      negative = negative || bound < 0;
      if (i == 0) continue;
      if (bound <= buckets.bounds[i - 1].first) {
        return Offence(group_at_, "buckets stand in the order of their bounds");
      }
      if (count < buckets.bounds[i - 1].second) {
        return Offence(group_at_, "a bucket has no fewer than the one before it");
      }
    }
    if (buckets.bounds.back().first != HUGE_VAL) {
      return Offence(group_at_, "a histogram has a bucket +Inf");
    }
    if (buckets.count && *buckets.count != buckets.bounds.back().second) {
      return Offence(group_at_, "a histogram's count is that of its bucket +Inf");
    }
    if (!gauge && negative && buckets.sum) {
      return Offence(group_at_, "a histogram with negative bounds has no sum");
    }
    if (gauge && !negative && buckets.sum.value_or(0) < 0) {
      return Offence(group_at_, "a negative sum without negative bounds");
    }
    return Status();
  }

  std::string_view body_;
  TextParser parser_;
  Family family_;
  bool open_ = false;
  std::string_view opened_at_;
  std::set<std::string> families_;
  std::set<std::string> names_;   // That samples of the families may have.
  std::set<std::string> groups_;  // Of the family.
  std::set<std::string> series_;  // Of the family, at this time.
  std::optional<Labels> group_;
  std::string_view group_at_;
  bool group_timed_ = false;
  std::optional<int64_t> group_t_;
  Buckets buckets_;
};

}  // namespace

Status CheckOpenMetrics(std::string_view body) { return Checker(body).Run(); }

}  // namespace vedette::exposition
