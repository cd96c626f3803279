#include "server/remote/otlp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include "common/base/strings.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "server/remote/protobuf_reader.h"

namespace vedette::remote {
namespace {

// Numbers of Metric's fields.
constexpr uint32_t kGauge = 5;
constexpr uint32_t kSum = 7;
constexpr uint32_t kHistogram = 9;
constexpr uint32_t kExponentialHistogram = 10;
constexpr uint32_t kSummary = 11;

constexpr uint64_t kDelta = 1;
constexpr uint64_t kNoRecordedValue = 1;

Status Malformed(std::string_view what) {
  return InvalidArgument(StrCat("OTLP: the message ends or breaks off in ", what));
}

std::string Number(double v) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, v);
  return std::string(buffer, end);
}

// As `le` and `quantile` are written: "1.0", "0.5", "+Inf".
std::string Bound(double v) {
  if (v == std::numeric_limits<double>::infinity()) return "+Inf";
  std::string out = Number(v);
  if (out.find_first_not_of("-0123456789") == std::string::npos) out += ".0";
  return out;
}

// AnyValue. Lists and maps have no text of their own and are left out.
bool ReadValue(std::string_view message, std::string& out) {
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        out = r.bytes();
        break;
      case 2:
        out = r.varint() != 0 ? "true" : "false";
        break;
      case 3:
        out = StrCat(static_cast<int64_t>(r.varint()));
        break;
      case 4:
        out = Number(r.real());
        break;
      default:
        break;
    }
  }
  return r.ok();
}

bool ReadAttribute(std::string_view message,
                   std::vector<std::pair<std::string, std::string>>& out) {
  std::pair<std::string, std::string> attribute;
  bool whole = true;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) attribute.first = r.bytes();
    if (r.field() == 2) whole &= ReadValue(r.bytes(), attribute.second);
  }
  if (!attribute.first.empty()) out.push_back(std::move(attribute));
  return whole && r.ok();
}

// What of a name a classic name may have; runs of anything else become one underscore.
std::string Sanitized(std::string_view name, bool colons) {
  std::string out;
  for (const char c : name) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && colons);
    const bool digit = c >= '0' && c <= '9';
    if (digit && out.empty()) out += '_';
    if (letter || digit) {
      out += c;
    } else if (!out.ends_with('_')) {
      out += '_';
    }
  }
  return out;
}

// UCUM's short units as Prometheus spells them. What is in braces is a remark.
std::string UnitSuffix(std::string_view unit) {
  struct Spelling {
    std::string_view ucum, word;
  };
  constexpr std::array<Spelling, 20> kWords = {
      {{"d", "days"},          {"h", "hours"},         {"min", "minutes"},    {"s", "seconds"},
       {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
       {"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},  {"GiBy", "gibibytes"}, {"KBy", "kilobytes"},
       {"MBy", "megabytes"},   {"GBy", "gigabytes"},   {"m", "meters"},       {"V", "volts"},
       {"A", "amperes"},       {"J", "joules"},        {"W", "watts"},        {"Cel", "celsius"}}};
  std::string out;
  for (const std::string_view part : Split(unit.substr(0, unit.find('{')), '/')) {
    std::string word = Sanitized(part, false);
    for (const Spelling& s : kWords) {
      if (s.ucum == part) word = s.word;
    }
    if (part == "1" || part == "%" || part.empty()) continue;
    if (!out.empty()) out += "_per_";
    out += word;
  }
  return out;
}

}  // namespace

Status OtlpRequest::Read(std::string_view body) {
  samples_.clear();
  histograms_.clear();
  starts_.clear();
  series_.clear();
  metadata_.clear();
  rejected_ = 0;
  rejected_reason_.clear();
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 1) {
      VEDETTE_RETURN_IF_ERROR(ReadResource(r.bytes()));
    }
  }
  return r.ok() ? Status() : Malformed("the list of resources");
}

Status OtlpRequest::ReadResource(std::string_view message) {
  Attributes all;
  ProtobufReader first(message);
  while (first.Next()) {
    if (first.field() != 1) continue;
    ProtobufReader r(first.bytes());
    while (r.Next()) {
      if (r.field() == 1 && !ReadAttribute(r.bytes(), all)) return Malformed("an attribute");
    }
    if (!r.ok()) return Malformed("a resource");
  }
  if (!first.ok()) return Malformed("a resource");

  Attributes target;
  Attributes others;
  std::string job;
  std::string space;
  for (const auto& [name, value] : all) {
    if (name == "service.name") {
      job = value;
    } else if (name == "service.namespace") {
      space = value;
    } else if (name == "service.instance.id") {
      target.emplace_back("instance", value);
    } else {
      others.emplace_back(name, value);
    }
  }
  if (!job.empty()) target.emplace_back("job", space.empty() ? job : StrCat(space, "/", job));

  const size_t before = series_.size();
  ProtobufReader scopes(message);
  while (scopes.Next()) {
    if (scopes.field() != 2) continue;
    ProtobufReader r(scopes.bytes());
    while (r.Next()) {
      if (r.field() == 2) {
        VEDETTE_RETURN_IF_ERROR(ReadMetric(r.bytes(), target));
      }
    }
    if (!r.ok()) return Malformed("a scope");
  }
  if (!others.empty() && !target.empty() && series_.size() > before) {
    const auto time = [](const storage::SeriesBatch& b) {
      return b.samples.empty() ? b.histograms[0].t_ms : b.samples[0].t_ms;
    };
    int64_t newest = time(series_[before]);
    for (size_t i = before; i < series_.size(); ++i) newest = std::max(newest, time(series_[i]));
    Add("target_info", target, others, newest, 1);
  }
  return {};
}

Status OtlpRequest::ReadMetric(std::string_view message, const Attributes& target) {
  std::string name;
  std::string_view unit;
  Metadata metadata;
  std::string_view data;
  uint32_t kind = 0;
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        name = Sanitized(r.bytes(), true);
        break;
      case 2:
        metadata.help = r.bytes();
        break;
      case 3:
        unit = r.bytes();
        break;
      case kGauge:
      case kSum:
      case kHistogram:
      case kExponentialHistogram:
      case kSummary:
        kind = r.field();
        data = r.bytes();
        break;
      default:
        break;
    }
  }
  if (!r.ok()) return Malformed("a metric");
  if (name.empty() || kind == 0) return {};

  uint64_t temporality = 0;
  bool monotonic = false;
  std::vector<std::string_view> points;
  ProtobufReader d(data);
  while (d.Next()) {
    if (d.field() == 1) points.push_back(d.bytes());
    if (d.field() == 2) temporality = d.varint();
    if (d.field() == 3) monotonic = d.varint() != 0;
  }
  if (!d.ok()) return Malformed("the points of a metric");
  const bool has_temporality =
      kind == kSum || kind == kHistogram || kind == kExponentialHistogram;
  if (has_temporality && temporality == kDelta) {
    Reject(points.size(), "delta temporality is not taken: export cumulative values");
    return {};
  }
  const auto suffix = [&](std::string_view word) {
    if (!word.empty() && !name.ends_with(StrCat("_", word))) StrAppend(name, "_", word);
  };
  metadata.unit = UnitSuffix(unit);
  const bool counter = kind == kSum && monotonic;
  if (counter && name.ends_with("_total")) name.resize(name.size() - 6);
  suffix(metadata.unit);
  if (kind == kGauge && unit == "1") suffix("ratio");
  if (counter) suffix("total");
  metadata.type = counter              ? MetricType::kCounter
                  : kind == kHistogram || kind == kExponentialHistogram
                      ? MetricType::kHistogram
                  : kind == kSummary   ? MetricType::kSummary
                                       : MetricType::kGauge;
  metadata_.emplace_back(name, std::move(metadata));
  for (const std::string_view point : points) {
    VEDETTE_RETURN_IF_ERROR(kind == kExponentialHistogram ? ReadExponential(point, name, target)
                                                          : ReadPoint(point, kind, name, target));
  }
  return {};
}

Status OtlpRequest::ReadPoint(std::string_view point, uint32_t kind, const std::string& name,
                              const Attributes& target) {
  // NumberDataPoint, HistogramDataPoint and SummaryDataPoint share fields 3 and, by chance, more.
  const bool number = kind == kGauge || kind == kSum;
  const uint32_t attributes_field = kind == kHistogram ? 9 : 7;
  const uint32_t flags_field = kind == kHistogram ? 10 : 8;
  Attributes attributes;
  int64_t t_ms = 0;
  int64_t start_ms = 0;
  double value = 0;
  uint64_t count = 0;
  double sum = 0;
  bool has_sum = kind == kSummary;
  std::vector<uint64_t> counts;
  std::vector<double> bounds;
  std::vector<std::pair<double, double>> quantiles;
  bool stale = false;
  bool whole = true;
  ProtobufReader r(point);
  while (r.Next()) {
    if (r.field() == attributes_field) {
      whole &= ReadAttribute(r.bytes(), attributes);
    } else if (r.field() == flags_field) {
      stale = (r.varint() & kNoRecordedValue) != 0;
    } else if (r.field() == 3) {
      t_ms = static_cast<int64_t>(r.varint() / 1'000'000);
    } else if (r.field() == 2) {
      start_ms = static_cast<int64_t>(r.varint() / 1'000'000);
    } else if (number) {
      if (r.field() == 4) value = r.real();
      if (r.field() == 6) value = static_cast<double>(static_cast<int64_t>(r.varint()));
    } else if (r.field() == 4) {
      count = r.varint();
    } else if (r.field() == 5) {
      sum = r.real();
      has_sum = true;
    } else if (r.field() == 6 && kind == kHistogram) {
      // fixed64, packed: the bits of each are those of a double.
      whole &= ProtobufReader::PackedReals(
          r.bytes(), [&](double v) { counts.push_back(std::bit_cast<uint64_t>(v)); });
    } else if (r.field() == 7) {
      whole &= ProtobufReader::PackedReals(r.bytes(), [&](double v) { bounds.push_back(v); });
    } else if (r.field() == 6) {
      std::pair<double, double> quantile;
      ProtobufReader q(r.bytes());
      while (q.Next()) {
        if (q.field() == 1) quantile.first = q.real();
        if (q.field() == 2) quantile.second = q.real();
      }
      whole &= q.ok();
      quantiles.push_back(quantile);
    }
  }
  if (!whole || !r.ok()) return Malformed("a point");
  const auto shown = [&](double v) { return stale ? kStaleNan : v; };
  if (number) {
    Add(name, target, attributes, t_ms, shown(value), kind == kSum ? start_ms : 0);
    return {};
  }
  const bool bare = counts.empty() && bounds.empty();
  if (kind == kHistogram && !bare && counts.size() != bounds.size() + 1) {
    Reject(1, "a histogram has another number of buckets than its bounds make");
    return {};
  }
  Add(name + "_count", target, attributes, t_ms, shown(static_cast<double>(count)), start_ms);
  if (has_sum) Add(name + "_sum", target, attributes, t_ms, shown(sum), start_ms);
  uint64_t below = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    below += counts[i];
    attributes.emplace_back("le", Bound(bounds[i]));
    Add(name + "_bucket", target, attributes, t_ms, shown(static_cast<double>(below)), start_ms);
    attributes.pop_back();
  }
  if (kind == kHistogram) {
    attributes.emplace_back("le", "+Inf");
    Add(name + "_bucket", target, attributes, t_ms, shown(static_cast<double>(count)), start_ms);
  }
  for (const auto& [q, v] : quantiles) {
    attributes.emplace_back("quantile", Bound(q));
    Add(name, target, attributes, t_ms, shown(v));
    attributes.pop_back();
  }
  return {};
}

namespace {

// Scales that a native histogram can have. Finer ones are made coarser, coarser ones are not taken.
constexpr int32_t kMaxScale = 8;
constexpr int32_t kMinScale = -4;
// So many buckets a side; OpenTelemetry's own limit is 160 in all.
constexpr size_t kMaxBuckets = 20'000;
// Where no threshold is given but something was counted at zero.
constexpr double kDefaultZeroThreshold = 1e-128;

// Bucket k of OpenTelemetry lies between base^k and base^(k+1), with index k+1 here.
bool ReadBuckets(std::string_view message, int32_t coarser, std::vector<Histogram::Span>& spans,
                 std::vector<double>& counts) {
  int32_t offset = 0;
  std::vector<uint64_t> given;
  bool whole = true;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) offset = static_cast<int32_t>(r.zigzag());
    if (r.field() == 2) {
      if (r.bytes().size() > kMaxBuckets * 10) return false;
      whole &= ProtobufReader::PackedVarints(r.bytes(), [&](uint64_t v) { given.push_back(v); });
    }
  }
  if (!whole || !r.ok() || given.size() > kMaxBuckets) return false;
  if (offset > (1 << 30) || offset < -(1 << 30)) return false;
  int32_t next = 0;
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] == 0) continue;
    const int32_t index = ((offset + static_cast<int32_t>(i)) >> coarser) + 1;
    if (!counts.empty() && index == next - 1) {
      counts.back() += static_cast<double>(given[i]);
      continue;
    }
    if (!counts.empty() && index == next) {
      ++spans.back().length;
    } else {
      spans.push_back({counts.empty() ? index : index - next, 1});
    }
    counts.push_back(static_cast<double>(given[i]));
    next = index + 1;
  }
  return true;
}

}  // namespace

Status OtlpRequest::ReadExponential(std::string_view point, const std::string& name,
                                    const Attributes& target) {
  Attributes attributes;
  auto h = std::make_shared<Histogram>();
  std::string_view positive;
  std::string_view negative;
  int64_t t_ms = 0;
  int64_t start_ms = 0;
  int64_t scale = 0;
  bool stale = false;
  bool whole = true;
  ProtobufReader r(point);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        whole &= ReadAttribute(r.bytes(), attributes);
        break;
      case 2:
        start_ms = static_cast<int64_t>(r.varint() / 1'000'000);
        break;
      case 3:
        t_ms = static_cast<int64_t>(r.varint() / 1'000'000);
        break;
      case 4:
        h->count = static_cast<double>(r.varint());
        break;
      case 5:
        h->sum = r.real();
        break;
      case 6:
        scale = r.zigzag();
        break;
      case 7:
        h->zero_count = static_cast<double>(r.varint());
        break;
      case 8:
        positive = r.bytes();
        break;
      case 9:
        negative = r.bytes();
        break;
      case 10:
        stale = (r.varint() & kNoRecordedValue) != 0;
        break;
      case 14:
        h->zero_threshold = r.real();
        break;
      default:
        break;
    }
  }
  if (!whole || !r.ok()) return Malformed("a point");
  std::optional<Labels> labels = LabelsOf(name, target, attributes);
  if (!labels) return {};
  if (stale) {
    Add(name, target, attributes, t_ms, kStaleNan);
    return {};
  }
  if (scale < kMinScale || scale > 20) {
    Reject(1, StrCat("an exponential histogram has the scale ", scale, ": ", kMinScale,
                     " to 20 are taken"));
    return {};
  }
  const auto coarser = static_cast<int32_t>(std::max<int64_t>(scale - kMaxScale, 0));
  h->schema = static_cast<int32_t>(scale) - coarser;
  if (h->zero_threshold == 0) h->zero_threshold = kDefaultZeroThreshold;
  if (!ReadBuckets(positive, coarser, h->positive_spans, h->positive_buckets) ||
      !ReadBuckets(negative, coarser, h->negative_spans, h->negative_buckets)) {
    Reject(1, StrCat("an exponential histogram has damaged or more than ", kMaxBuckets,
                     " buckets"));
    return {};
  }
  histograms_.push_back({t_ms, std::move(h)});
  series_.push_back({.labels = *std::move(labels), .histograms = std::span(&histograms_.back(), 1)});
  if (start_ms != 0) {
    starts_.push_back(start_ms);
    series_.back().histogram_starts = std::span(&starts_.back(), 1);
  }
  return {};
}

std::optional<Labels> OtlpRequest::LabelsOf(const std::string& name, const Attributes& target,
                                            const Attributes& more) {
  LabelsBuilder labels;
  for (const Attributes* list : {&more, &target}) {
    for (const auto& [n, v] : *list) {
      if (!IsValidUtf8(v)) {
        Reject(1, StrCat("the value of attribute ", Quoted(n), " is not UTF-8"));
        return std::nullopt;
      }
      labels.Set(Sanitized(n, false), v);
    }
  }
  labels.Set(kMetricNameLabel, name);
  return labels.Build();
}

void OtlpRequest::Add(const std::string& name, const Attributes& target, const Attributes& more,
                      int64_t t_ms, double value, int64_t start_ms) {
  std::optional<Labels> labels = LabelsOf(name, target, more);
  if (!labels) return;
  samples_.push_back({t_ms, value});
  series_.push_back({.labels = *std::move(labels), .samples = std::span(&samples_.back(), 1)});
  if (start_ms == 0) return;
  starts_.push_back(start_ms);
  series_.back().sample_starts = std::span(&starts_.back(), 1);
}

void OtlpRequest::Reject(uint64_t points, std::string_view reason) {
  if (rejected_ == 0) rejected_reason_ = reason;
  rejected_ += points;
}

}  // namespace vedette::remote
