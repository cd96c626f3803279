#include "server/remote/write_request.h"

#include <algorithm>
#include <memory>
#include <span>

#include "common/base/strings.h"
#include "server/remote/protobuf_reader.h"

namespace vedette::remote {
namespace {

Status Malformed(std::string_view what) {
  return InvalidArgument(StrCat("remote write: the message ends or breaks off in ", what));
}

MetricType TypeOf(uint64_t wire) {
  switch (wire) {
    case 1:
      return MetricType::kCounter;
    case 2:
      return MetricType::kGauge;
    case 3:
      return MetricType::kHistogram;
    case 4:
      return MetricType::kGaugeHistogram;
    case 5:
      return MetricType::kSummary;
    case 6:
      return MetricType::kInfo;
    case 7:
      return MetricType::kStateSet;
    default:
      return MetricType::kUnknown;
  }
}

bool ReadLabel(std::string_view message, Label& out) {
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) out.name = r.bytes();
    if (r.field() == 2) out.value = r.bytes();
  }
  return r.ok();
}

bool ReadSpan(std::string_view message, std::vector<Histogram::Span>& out) {
  Histogram::Span span;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) span.offset = static_cast<int32_t>(r.zigzag());
    if (r.field() == 2) span.length = static_cast<uint32_t>(r.varint());
  }
  out.push_back(span);
  return r.ok();
}

// Integer histograms send each bucket as the difference to the one before.
bool ReadDeltas(std::string_view packed, std::vector<double>& out) {
  int64_t count = 0;
  return ProtobufReader::PackedVarints(packed, [&](uint64_t v) {
    const int64_t delta = static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
    // Hostile sums may overflow; unsigned arithmetic wraps where signed would be undefined.
    count = static_cast<int64_t>(static_cast<uint64_t>(count) + static_cast<uint64_t>(delta));
    out.push_back(static_cast<double>(count));
  });
}

bool ReadReals(std::string_view packed, std::vector<double>& out) {
  return ProtobufReader::PackedReals(packed, [&](double v) { out.push_back(v); });
}

uint64_t Buckets(const std::vector<Histogram::Span>& spans) {
  uint64_t n = 0;
  for (const Histogram::Span& s : spans) n += s.length;
  return n;
}

}  // namespace

void WriteRequest::Clear() {
  labels_.clear();
  symbols_.clear();
  samples_.clear();
  histograms_.clear();
  exemplars_.clear();
  ends_.clear();
  series_.clear();
  metadata_.clear();
  invalid_series_ = 0;
  invalid_reason_.clear();
}

Status WriteRequest::ReadV1(std::string_view body) {
  Clear();
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 1) {
      VEDETTE_RETURN_IF_ERROR(ReadSeriesV1(r.bytes()));
    } else if (r.field() == 3) {
      VEDETTE_RETURN_IF_ERROR(ReadMetadataV1(r.bytes()));
    }
  }
  if (!r.ok()) return Malformed("the list of series");
  FinishRequest();
  return {};
}

Status WriteRequest::ReadV2(std::string_view body) {
  Clear();
  // The symbols may come after the series that use them.
  ProtobufReader first(body);
  while (first.Next()) {
    if (first.field() == 4) symbols_.push_back(first.bytes());
  }
  if (!first.ok()) return Malformed("the list of symbols");
  if (symbols_.empty() || !symbols_[0].empty()) {
    return InvalidArgument("remote write 2.0: the first symbol must be the empty string");
  }
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 5) {
      VEDETTE_RETURN_IF_ERROR(ReadSeriesV2(r.bytes()));
    }
  }
  FinishRequest();
  return {};
}

Status WriteRequest::ReadSeriesV1(std::string_view message) {
  const Extent from{samples_.size(), histograms_.size(), exemplars_.size()};
  labels_.clear();
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1: {
        Label label;
        if (!ReadLabel(r.bytes(), label)) return Malformed("a label");
        labels_.push_back(label);
        break;
      }
      case 2:
        VEDETTE_RETURN_IF_ERROR(ReadSample(r.bytes()));
        break;
      case 3:
        VEDETTE_RETURN_IF_ERROR(ReadExemplar(r.bytes(), false));
        break;
      case 4:
        VEDETTE_RETURN_IF_ERROR(ReadHistogram(r.bytes()));
        break;
      default:
        break;
    }
  }
  if (!r.ok()) return Malformed("a series");
  FinishSeries(from);
  return {};
}

Status WriteRequest::LabelsFromRefs(std::string_view packed) {
  labels_.clear();
  std::string_view name;
  bool is_name = true;
  bool in_range = true;
  const bool whole = ProtobufReader::PackedVarints(packed, [&](uint64_t ref) {
    if (ref >= symbols_.size()) {
      in_range = false;
      return;
    }
    if (is_name) {
      name = symbols_[ref];
    } else {
      labels_.push_back({name, symbols_[ref]});
    }
    is_name = !is_name;
  });
  if (!whole || !is_name) return Malformed("label references");
  if (!in_range)
    return InvalidArgument("remote write 2.0: a label refers to a symbol out of range");
  return {};
}

Status WriteRequest::ReadSeriesV2(std::string_view message) {
  const Extent from{samples_.size(), histograms_.size(), exemplars_.size()};
  std::string_view label_refs;
  Metadata metadata;
  bool has_metadata = false;
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        label_refs = r.bytes();
        break;
      case 2:
        VEDETTE_RETURN_IF_ERROR(ReadSample(r.bytes()));
        break;
      case 3:
        VEDETTE_RETURN_IF_ERROR(ReadHistogram(r.bytes()));
        break;
      case 4:
        VEDETTE_RETURN_IF_ERROR(ReadExemplar(r.bytes(), true));
        break;
      case 5: {
        const auto symbol = [&](uint64_t ref) {
          return ref < symbols_.size() ? std::string(symbols_[ref]) : std::string();
        };
        ProtobufReader m(r.bytes());
        while (m.Next()) {
          if (m.field() == 1) metadata.type = TypeOf(m.varint());
          if (m.field() == 3) metadata.help = symbol(m.varint());
          if (m.field() == 4) metadata.unit = symbol(m.varint());
        }
        if (!m.ok()) return Malformed("metadata");
        has_metadata = metadata != Metadata();
        break;
      }
      default:
        break;
    }
  }
  if (!r.ok()) return Malformed("a series");
  VEDETTE_RETURN_IF_ERROR(LabelsFromRefs(label_refs));
  if (has_metadata) {
    for (const Label& l : labels_) {
      if (l.name == kMetricNameLabel) metadata_.emplace_back(l.value, metadata);
    }
  }
  FinishSeries(from);
  return {};
}

Status WriteRequest::ReadMetadataV1(std::string_view message) {
  std::string name;
  Metadata metadata;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) metadata.type = TypeOf(r.varint());
    if (r.field() == 2) name = r.bytes();
    if (r.field() == 4) metadata.help = r.bytes();
    if (r.field() == 5) metadata.unit = r.bytes();
  }
  if (!r.ok()) return Malformed("metadata");
  metadata_.emplace_back(std::move(name), std::move(metadata));
  return {};
}

Status WriteRequest::ReadSample(std::string_view message) {
  Sample sample;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) sample.value = r.real();
    if (r.field() == 2) sample.t_ms = static_cast<int64_t>(r.varint());
  }
  if (!r.ok()) return Malformed("a sample");
  samples_.push_back(sample);
  return {};
}

Status WriteRequest::ReadExemplar(std::string_view message, bool v2) {
  // labels_ belongs to the series around this exemplar.
  std::vector<Label> outer;
  outer.swap(labels_);
  Exemplar exemplar;
  ProtobufReader r(message);
  Status status;
  while (status.ok() && r.Next()) {
    if (r.field() == 1 && v2) {
      status = LabelsFromRefs(r.bytes());
    } else if (r.field() == 1) {
      Label label;
      if (!ReadLabel(r.bytes(), label)) status = Malformed("a label of an exemplar");
      labels_.push_back(label);
    } else if (r.field() == 2) {
      exemplar.value = r.real();
    } else if (r.field() == 3) {
      exemplar.t_ms = static_cast<int64_t>(r.varint());
    }
  }
  exemplar.labels = Labels::Of(std::move(labels_));
  labels_ = std::move(outer);
  if (!status.ok()) return status;
  if (!r.ok()) return Malformed("an exemplar");
  exemplars_.push_back(std::move(exemplar));
  return {};
}

Status WriteRequest::ReadHistogram(std::string_view message) {
  auto h = std::make_shared<Histogram>();
  int64_t t_ms = 0;
  bool whole = true;
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        h->count = static_cast<double>(r.varint());
        break;
      case 2:
        h->count = r.real();
        break;
      case 3:
        h->sum = r.real();
        break;
      case 4:
        h->schema = static_cast<int32_t>(r.zigzag());
        break;
      case 5:
        h->zero_threshold = r.real();
        break;
      case 6:
        h->zero_count = static_cast<double>(r.varint());
        break;
      case 7:
        h->zero_count = r.real();
        break;
      case 8:
        whole &= ReadSpan(r.bytes(), h->negative_spans);
        break;
      case 9:
        whole &= ReadDeltas(r.bytes(), h->negative_buckets);
        break;
      case 10:
        whole &= ReadReals(r.bytes(), h->negative_buckets);
        break;
      case 11:
        whole &= ReadSpan(r.bytes(), h->positive_spans);
        break;
      case 12:
        whole &= ReadDeltas(r.bytes(), h->positive_buckets);
        break;
      case 13:
        whole &= ReadReals(r.bytes(), h->positive_buckets);
        break;
      case 14:
        if (r.varint() <= 3) h->reset_hint = static_cast<Histogram::ResetHint>(r.varint());
        break;
      case 15:
        t_ms = static_cast<int64_t>(r.varint());
        break;
      case 16:
        whole &= ReadReals(r.bytes(), h->custom_values);
        break;
      default:
        break;
    }
  }
  if (!whole || !r.ok()) return Malformed("a native histogram");
  if (Buckets(h->positive_spans) != h->positive_buckets.size() ||
      Buckets(h->negative_spans) != h->negative_buckets.size()) {
    return InvalidArgument(
        "remote write: a native histogram has spans for another number of buckets");
  }
  histograms_.push_back({t_ms, std::move(h)});
  return {};
}

void WriteRequest::FinishSeries(const Extent& from) {
  std::string reason;
  bool named = false;
  for (size_t i = 0; i < labels_.size() && reason.empty(); ++i) {
    const Label& l = labels_[i];
    named |= l.name == kMetricNameLabel && !l.value.empty();
    if (l.name.empty()) {
      reason = "a label has no name";
    } else if (!IsValidUtf8(l.name) || !IsValidUtf8(l.value)) {
      reason = StrCat("label ", Quoted(l.name), " is not UTF-8");
    } else if (std::ranges::count(labels_, l.name, &Label::name) > 1) {
      reason = StrCat("label ", Quoted(l.name), " is there twice");
    }
  }
  if (reason.empty() && !named) reason = "there is no metric name";
  if (!reason.empty()) {
    if (invalid_series_++ == 0) invalid_reason_ = StrCat("invalid labels for series: ", reason);
    samples_.resize(from.samples);
    histograms_.resize(from.histograms);
    exemplars_.resize(from.exemplars);
    return;
  }
  series_.push_back({.labels = Labels::Of(labels_)});
  ends_.push_back({samples_.size(), histograms_.size(), exemplars_.size()});
}

void WriteRequest::FinishRequest() {
  // Only now do the vectors stand still.
  Extent from{};
  for (size_t i = 0; i < series_.size(); ++i) {
    const Extent& to = ends_[i];
    series_[i].samples = std::span(samples_).subspan(from.samples, to.samples - from.samples);
    series_[i].histograms =
        std::span(histograms_).subspan(from.histograms, to.histograms - from.histograms);
    series_[i].exemplars =
        std::span(exemplars_).subspan(from.exemplars, to.exemplars - from.exemplars);
    from = to;
  }
}

}  // namespace vedette::remote
