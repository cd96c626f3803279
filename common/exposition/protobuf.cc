#include "common/exposition/protobuf.h"

#include <google/protobuf/io/coded_stream.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/number.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "proto/interop/client_model.pb.h"

namespace vedette::exposition {
namespace {

namespace pb = io::prometheus::client;

// A native histogram's spans say how many buckets follow; more than the message has is damage.
constexpr uint64_t kMaxBuckets = 1 << 20;

MetricType TypeOf(pb::MetricType type) {
  switch (type) {
    case pb::COUNTER:
      return MetricType::kCounter;
    case pb::GAUGE:
      return MetricType::kGauge;
    case pb::SUMMARY:
      return MetricType::kSummary;
    case pb::HISTOGRAM:
      return MetricType::kHistogram;
    case pb::GAUGE_HISTOGRAM:
      return MetricType::kGaugeHistogram;
    default:
      return MetricType::kUnknown;
  }
}

pb::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return pb::COUNTER;
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet:
      return pb::GAUGE;
    case MetricType::kSummary:
      return pb::SUMMARY;
    case MetricType::kHistogram:
      return pb::HISTOGRAM;
    case MetricType::kGaugeHistogram:
      return pb::GAUGE_HISTOGRAM;
    case MetricType::kUnknown:
      return pb::UNTYPED;
  }
  return pb::UNTYPED;
}

template <typename Timestamp>
int64_t Milliseconds(const Timestamp& t) {
  // Hostile seconds would overflow; no honest time is beyond this.
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / 1000 - 1;
  const int64_t seconds = std::min(std::max(t.seconds(), -kMaxSeconds), kMaxSeconds);
  return seconds * 1000 + t.nanos() / 1'000'000;
}

template <typename Timestamp>
void SetMilliseconds(Timestamp* t, int64_t t_ms) {
  int64_t seconds = t_ms / 1000;
  int64_t rest = t_ms % 1000;
  if (rest < 0) {
    --seconds;
    rest += 1000;
  }
  t->set_seconds(seconds);
  t->set_nanos(static_cast<int32_t>(rest * 1'000'000));
}

Result<Labels> LabelsOf(const google::protobuf::RepeatedPtrField<pb::LabelPair>& pairs,
                        std::string_view metric_name, std::string_view extra_name = {},
                        std::string_view extra_value = {}) {
  LabelsBuilder builder;
  if (!metric_name.empty()) builder.Set(kMetricNameLabel, metric_name);
  for (const pb::LabelPair& pair : pairs) {
    if (!IsValidUtf8(pair.name()) || !IsValidUtf8(pair.value())) {
      return InvalidArgument(StrCat("label ", Quoted(pair.name()), " of ", Quoted(metric_name),
                                    " is not valid UTF-8: ", Quoted(pair.value())));
    }
    if (pair.name().empty()) {
      return InvalidArgument(StrCat("a label of ", Quoted(metric_name), " has no name"));
    }
    if (!builder.Get(pair.name()).empty()) {
      return InvalidArgument(
          StrCat("label ", Quoted(pair.name()), " of ", Quoted(metric_name), " is given twice"));
    }
    builder.Set(pair.name(), pair.value());
  }
  if (!extra_name.empty()) builder.Set(extra_name, extra_value);
  return builder.Build();
}

Result<Exemplar> ExemplarOf(const pb::Exemplar& from) {
  Exemplar exemplar;
  VEDETTE_ASSIGN_OR_RETURN(exemplar.labels, LabelsOf(from.label(), ""));
  exemplar.value = from.value();
  if (from.has_timestamp()) exemplar.t_ms = Milliseconds(from.timestamp());
  return exemplar;
}

// Spans as told, checked against the buckets that are there.
template <typename Spans>
Result<std::vector<Histogram::Span>> SpansOf(const Spans& from, uint64_t buckets) {
  std::vector<Histogram::Span> spans;
  uint64_t told = 0;
  for (const pb::BucketSpan& span : from) {
    if (span.offset() < 0 && !spans.empty()) {
      return InvalidArgument("a native histogram has a span that goes backwards");
    }
    spans.push_back({span.offset(), span.length()});
    told += span.length();
  }
  if (told != buckets || told > kMaxBuckets) {
    return InvalidArgument(
        StrCat("a native histogram's spans tell of ", told, " buckets and it has ", buckets));
  }
  return spans;
}

template <typename Deltas, typename Counts>
std::vector<double> BucketsOf(const Deltas& deltas, const Counts& counts) {
  std::vector<double> buckets;
  if (counts.empty()) {
    // Damaged input may overflow; unsigned arithmetic wraps where signed would be undefined.
    uint64_t sum = 0;
    for (const int64_t delta : deltas) {
      sum += static_cast<uint64_t>(delta);
      buckets.push_back(static_cast<double>(static_cast<int64_t>(sum)));
    }
  } else {
    buckets.assign(counts.begin(), counts.end());
  }
  return buckets;
}

bool IsNative(const pb::Histogram& h) {
  return h.has_schema() || h.has_zero_threshold() || h.positive_span_size() > 0 ||
         h.negative_span_size() > 0;
}

Result<std::shared_ptr<const Histogram>> NativeOf(const pb::Histogram& from, bool gauge) {
  auto to = std::make_shared<Histogram>();
  to->schema = from.schema();
  if (to->schema != Histogram::kCustomSchema && (to->schema < -4 || to->schema > 52)) {
    return InvalidArgument(StrCat("a native histogram has schema ", to->schema));
  }
  to->reset_hint = gauge ? Histogram::ResetHint::kGauge : Histogram::ResetHint::kUnknown;
  to->zero_threshold = from.zero_threshold();
  to->zero_count = from.zero_count_float() > 0 ? from.zero_count_float()
                                               : static_cast<double>(from.zero_count());
  to->count = from.sample_count_float() > 0 ? from.sample_count_float()
                                            : static_cast<double>(from.sample_count());
  to->sum = from.sample_sum();
  to->positive_buckets = BucketsOf(from.positive_delta(), from.positive_count());
  to->negative_buckets = BucketsOf(from.negative_delta(), from.negative_count());
  VEDETTE_ASSIGN_OR_RETURN(to->positive_spans,
                           SpansOf(from.positive_span(), to->positive_buckets.size()));
  VEDETTE_ASSIGN_OR_RETURN(to->negative_spans,
                           SpansOf(from.negative_span(), to->negative_buckets.size()));
  return std::shared_ptr<const Histogram>(std::move(to));
}

// One metric of a family into its flat samples.
class Flattener {
 public:
  Flattener(MetricFamily& family, const pb::Metric& metric) : family_(family), metric_(metric) {
    if (metric.has_timestamp_ms()) t_ms_ = metric.timestamp_ms();
  }

  Result<FamilySample*> Add(std::string_view suffix, double value, std::string_view label = {},
                            std::string_view label_value = {}) {
    FamilySample sample;
    VEDETTE_ASSIGN_OR_RETURN(
        sample.labels, LabelsOf(metric_.label(), StrCat(family_.name, suffix), label, label_value));
    sample.value = std::isnan(value) ? kNormal : value;
    sample.t_ms = t_ms_;
    family_.samples.push_back(std::move(sample));
    return &family_.samples.back();
  }

 private:
  // A NaN of any other pattern would be taken for a stale marker or a hole.
  static constexpr double kNormal = kNormalNan;

  MetricFamily& family_;
  const pb::Metric& metric_;
  std::optional<int64_t> t_ms_;
};

Status AddClassic(const pb::Histogram& h, bool gauge, Flattener& out) {
  const double count =
      h.sample_count_float() > 0 ? h.sample_count_float() : static_cast<double>(h.sample_count());
  std::optional<int64_t> start_ms;
  if (h.has_created_timestamp()) start_ms = Milliseconds(h.created_timestamp());
  bool infinite = false;
  for (const pb::Bucket& bucket : h.bucket()) {
    infinite = infinite || std::isinf(bucket.upper_bound());
    const double value = bucket.cumulative_count_float() > 0
                             ? bucket.cumulative_count_float()
                             : static_cast<double>(bucket.cumulative_count());
    VEDETTE_ASSIGN_OR_RETURN(FamilySample * sample,
                             out.Add("_bucket", value, "le", CanonicalFloat(bucket.upper_bound())));
    sample->start_ms = start_ms;
    if (bucket.has_exemplar()) {
      VEDETTE_ASSIGN_OR_RETURN(Exemplar exemplar, ExemplarOf(bucket.exemplar()));
      sample->exemplars.push_back(std::move(exemplar));
    }
  }
  if (!infinite) {  // The format lets the last bucket be left out.
    VEDETTE_ASSIGN_OR_RETURN(FamilySample * sample, out.Add("_bucket", count, "le", "+Inf"));
    sample->start_ms = start_ms;
  }
  VEDETTE_ASSIGN_OR_RETURN(FamilySample * sum, out.Add(gauge ? "_gsum" : "_sum", h.sample_sum()));
  sum->start_ms = start_ms;
  VEDETTE_ASSIGN_OR_RETURN(FamilySample * total, out.Add(gauge ? "_gcount" : "_count", count));
  total->start_ms = start_ms;
  return Status();
}

Status AddMetric(const pb::Metric& metric, const ProtobufOptions& options, MetricFamily& family) {
  Flattener out(family, metric);
  if (metric.has_counter()) {
    VEDETTE_ASSIGN_OR_RETURN(FamilySample * sample, out.Add("", metric.counter().value()));
    if (metric.counter().has_created_timestamp()) {
      sample->start_ms = Milliseconds(metric.counter().created_timestamp());
    }
    if (metric.counter().has_exemplar()) {
      VEDETTE_ASSIGN_OR_RETURN(Exemplar exemplar, ExemplarOf(metric.counter().exemplar()));
      sample->exemplars.push_back(std::move(exemplar));
    }
  } else if (metric.has_gauge()) {
    VEDETTE_RETURN_IF_ERROR(out.Add("", metric.gauge().value()).status());
  } else if (metric.has_untyped()) {
    VEDETTE_RETURN_IF_ERROR(out.Add("", metric.untyped().value()).status());
  } else if (metric.has_summary()) {
    const pb::Summary& summary = metric.summary();
    for (const pb::Quantile& q : summary.quantile()) {
      VEDETTE_RETURN_IF_ERROR(
          out.Add("", q.value(), "quantile", CanonicalFloat(q.quantile())).status());
    }
    std::optional<int64_t> start_ms;  // Of what counts; a quantile does not.
    if (summary.has_created_timestamp()) start_ms = Milliseconds(summary.created_timestamp());
    VEDETTE_ASSIGN_OR_RETURN(FamilySample * sum, out.Add("_sum", summary.sample_sum()));
    sum->start_ms = start_ms;
    VEDETTE_ASSIGN_OR_RETURN(FamilySample * count,
                             out.Add("_count", static_cast<double>(summary.sample_count())));
    count->start_ms = start_ms;
  } else if (metric.has_histogram()) {
    const pb::Histogram& h = metric.histogram();
    const bool gauge = family.metadata.type == MetricType::kGaugeHistogram;
    const bool native = options.native_histograms && IsNative(h);
    if (native) {
      VEDETTE_ASSIGN_OR_RETURN(FamilySample * sample, out.Add("", 0));
      VEDETTE_ASSIGN_OR_RETURN(sample->histogram, NativeOf(h, gauge));
      if (h.has_created_timestamp()) sample->start_ms = Milliseconds(h.created_timestamp());
      for (const pb::Exemplar& e : h.exemplars()) {
        VEDETTE_ASSIGN_OR_RETURN(Exemplar exemplar, ExemplarOf(e));
        sample->exemplars.push_back(std::move(exemplar));
      }
    }
    if (!native || (options.always_classic && h.bucket_size() > 0)) {
      VEDETTE_RETURN_IF_ERROR(AddClassic(h, gauge, out));
    }
  }
  return Status();
}

// ---- Writing ----

void SetExemplar(pb::Exemplar* to, const Exemplar& from) {
  for (const Label& label : from.labels) {
    pb::LabelPair* pair = to->add_label();
    pair->set_name(label.name.data(), label.name.size());
    pair->set_value(label.value.data(), label.value.size());
  }
  to->set_value(from.value);
  if (from.t_ms) SetMilliseconds(to->mutable_timestamp(), *from.t_ms);
}

void SetSpans(const std::vector<Histogram::Span>& from,
              google::protobuf::RepeatedPtrField<pb::BucketSpan>* to) {
  for (const Histogram::Span& span : from) {
    pb::BucketSpan* s = to->Add();
    s->set_offset(span.offset);
    s->set_length(span.length);
  }
}

bool AllWhole(const Histogram& h) {
  const auto whole = [](double v) { return v >= 0 && v < 9e15 && v == std::trunc(v); };
  if (!whole(h.count) || !whole(h.zero_count)) return false;
  for (const double v : h.positive_buckets) {
    if (!whole(v)) return false;
  }
  for (const double v : h.negative_buckets) {
    if (!whole(v)) return false;
  }
  return true;
}

// Whole counts go out in the integer form, which every reader knows.
void SetNative(const FamilySample& sample, pb::Histogram* to) {
  const Histogram& h = *sample.histogram;
  to->set_schema(h.schema);
  to->set_zero_threshold(h.zero_threshold);
  to->set_sample_sum(h.sum);
  SetSpans(h.positive_spans, to->mutable_positive_span());
  SetSpans(h.negative_spans, to->mutable_negative_span());
  if (AllWhole(h)) {
    to->set_sample_count(static_cast<uint64_t>(h.count));
    to->set_zero_count(static_cast<uint64_t>(h.zero_count));
    int64_t before = 0;
    for (const double v : h.positive_buckets) {
      to->add_positive_delta(static_cast<int64_t>(v) - before);
      before = static_cast<int64_t>(v);
    }
    before = 0;
    for (const double v : h.negative_buckets) {
      to->add_negative_delta(static_cast<int64_t>(v) - before);
      before = static_cast<int64_t>(v);
    }
  } else {
    to->set_sample_count_float(h.count);
    to->set_zero_count_float(h.zero_count);
    for (const double v : h.positive_buckets) to->add_positive_count(v);
    for (const double v : h.negative_buckets) to->add_negative_count(v);
  }
  if (to->positive_span_size() == 0 && to->negative_span_size() == 0) {
    to->add_positive_span();  // An empty span says that it is native all the same.
  }
  if (sample.start_ms) SetMilliseconds(to->mutable_created_timestamp(), *sample.start_ms);
  for (const Exemplar& exemplar : sample.exemplars) SetExemplar(to->add_exemplars(), exemplar);
}

// The metric of a family that a flat sample is part of: equal labels, but for le and quantile.
class MetricFinder {
 public:
  MetricFinder(pb::MetricFamily& family, std::string_view blank)
      : family_(family), blank_(blank) {}

  pb::Metric* Find(const FamilySample& sample, std::string_view special) {
    LabelsBuilder builder(sample.labels);
    builder.Delete(kMetricNameLabel);
    if (!special.empty()) builder.Delete(special);
    Labels labels = builder.Build();
    const auto key = std::make_pair(std::string(labels.bytes()), sample.t_ms.value_or(kNoTime));
    pb::Metric*& metric = metrics_[key];
    if (metric == nullptr) {
      metric = family_.add_metric();
      for (const Label& label : labels) {
        pb::LabelPair* pair = metric->add_label();
        pair->set_name(label.name.data(), label.name.size());
        pair->set_value(label.value.data(), label.value.size());
      }
      if (!blank_.empty() && !labels.Has(blank_)) {
        pb::LabelPair* pair = metric->add_label();
        pair->set_name(blank_.data(), blank_.size());
        pair->set_value("");
      }
      if (sample.t_ms) metric->set_timestamp_ms(*sample.t_ms);
    }
    return metric;
  }

 private:
  static constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();
  pb::MetricFamily& family_;
  const std::string_view blank_;
  std::map<std::pair<std::string, int64_t>, pb::Metric*> metrics_;
};

uint64_t WholeCount(double v) { return v >= 0 && v < 18e18 ? static_cast<uint64_t>(v) : 0; }

void SetHistogramSample(const FamilySample& sample, std::string_view suffix,
                        MetricFinder& metrics) {
  if (sample.histogram != nullptr) {
    SetNative(sample, metrics.Find(sample, "")->mutable_histogram());
    return;
  }
  pb::Histogram* h = metrics.Find(sample, "le")->mutable_histogram();
  if (sample.start_ms) SetMilliseconds(h->mutable_created_timestamp(), *sample.start_ms);
  if (suffix == "_bucket") {
    pb::Bucket* bucket = h->add_bucket();
    bucket->set_upper_bound(ParseValue(sample.labels.Get("le")).value_or(0));
    bucket->set_cumulative_count(WholeCount(sample.value));
    if (sample.value != std::trunc(sample.value)) bucket->set_cumulative_count_float(sample.value);
    if (!sample.exemplars.empty()) {
      SetExemplar(bucket->mutable_exemplar(), sample.exemplars.back());
    }
  } else if (suffix == "_sum" || suffix == "_gsum") {
    h->set_sample_sum(sample.value);
  } else if (suffix == "_count" || suffix == "_gcount") {
    h->set_sample_count(WholeCount(sample.value));
    if (sample.value != std::trunc(sample.value)) h->set_sample_count_float(sample.value);
  }
}

void SetSummarySample(const FamilySample& sample, std::string_view suffix, MetricFinder& metrics) {
  pb::Summary* s = metrics.Find(sample, "quantile")->mutable_summary();
  if (sample.start_ms) SetMilliseconds(s->mutable_created_timestamp(), *sample.start_ms);
  if (suffix == "_sum") {
    s->set_sample_sum(sample.value);
  } else if (suffix == "_count") {
    s->set_sample_count(WholeCount(sample.value));
  } else {
    pb::Quantile* q = s->add_quantile();
    q->set_quantile(ParseValue(sample.labels.Get("quantile")).value_or(0));
    q->set_value(sample.value);
  }
}

void ToProto(const MetricFamily& family, pb::MetricFamily& to, std::string_view blank) {
  to.set_name(family.name);
  if (!family.metadata.help.empty()) to.set_help(family.metadata.help);
  to.set_type(TypeOf(family.metadata.type));
  if (!family.metadata.unit.empty()) to.set_unit(family.metadata.unit);
  MetricFinder metrics(to, blank);
  for (const FamilySample& sample : family.samples) {
    const std::string_view name = sample.labels.metric_name();
    const std::string_view suffix =
        name.starts_with(family.name) ? name.substr(family.name.size()) : std::string_view();
    switch (to.type()) {
      case pb::HISTOGRAM:
      case pb::GAUGE_HISTOGRAM:
        SetHistogramSample(sample, suffix, metrics);
        break;
      case pb::SUMMARY:
        SetSummarySample(sample, suffix, metrics);
        break;
      case pb::COUNTER: {
        pb::Counter* counter = metrics.Find(sample, "")->mutable_counter();
        counter->set_value(sample.value);
        if (sample.start_ms) {
          SetMilliseconds(counter->mutable_created_timestamp(), *sample.start_ms);
        }
        if (!sample.exemplars.empty()) {
          SetExemplar(counter->mutable_exemplar(), sample.exemplars.back());
        }
        break;
      }
      case pb::GAUGE:
        metrics.Find(sample, "")->mutable_gauge()->set_value(sample.value);
        break;
      case pb::UNTYPED:
        metrics.Find(sample, "")->mutable_untyped()->set_value(sample.value);
        break;
    }
  }
}

}  // namespace

Status ParseProtobuf(std::string_view body, const ProtobufOptions& options,
                     const std::function<Status(MetricFamily&)>& visit) {
  size_t at = 0;
  pb::MetricFamily message;
  while (at < body.size()) {
    const std::string_view rest = body.substr(at);
    google::protobuf::io::CodedInputStream stream(
        reinterpret_cast<const uint8_t*>(rest.data()),
        static_cast<int>(std::min<size_t>(rest.size(), 16)));
    uint64_t size = 0;
    if (!stream.ReadVarint64(&size)) {
      return InvalidArgument(StrCat("byte ", at, ": expected the length of a metric family"));
    }
    const size_t prefix = static_cast<size_t>(stream.CurrentPosition());
    if (size > rest.size() - prefix) {
      return InvalidArgument(StrCat("byte ", at, ": a metric family of ", size,
                                    " bytes is cut off after ", rest.size() - prefix));
    }
    if (size > static_cast<uint64_t>(std::numeric_limits<int>::max()) ||
        !message.ParseFromArray(rest.data() + prefix, static_cast<int>(size))) {
      return InvalidArgument(StrCat("byte ", at, ": this is no MetricFamily message"));
    }
    if (message.name().empty() || !IsValidUtf8(message.name())) {
      return InvalidArgument(
          StrCat("byte ", at, ": expected a metric family's name, got ", Quoted(message.name())));
    }
    MetricFamily family;
    family.name = message.name();
    family.metadata = {TypeOf(message.type()), message.help(), message.unit()};
    for (const pb::Metric& metric : message.metric()) {
      VEDETTE_RETURN_IF_ERROR(
          AddMetric(metric, options, family).Annotate(StrCat("metric family ", family.name)));
    }
    VEDETTE_RETURN_IF_ERROR(visit(family));
    at += prefix + size;
  }
  return Status();
}

std::string WriteProtobuf(std::span<const MetricFamily> families, std::string_view blank) {
  std::string out;
  for (const MetricFamily& family : families) {
    pb::MetricFamily proto;
    ToProto(family, proto, blank);
    const std::string message = proto.SerializeAsString();
    uint8_t prefix[10];
    uint8_t* end =
        google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(message.size(), prefix);
    out.append(reinterpret_cast<const char*>(prefix), static_cast<size_t>(end - prefix));
    out.append(message);
  }
  return out;
}

std::string SerializeFamily(const MetricFamily& family) {
  pb::MetricFamily message;
  ToProto(family, message, {});
  return message.SerializeAsString();
}

}  // namespace vedette::exposition
