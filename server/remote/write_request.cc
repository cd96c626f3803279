#include "server/remote/write_request.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "common/base/strings.h"
#include "common/metrics/refusals.h"
#include "server/remote/protobuf_reader.h"

namespace vedette::remote {
namespace {

Status Malformed(std::string_view what) {
  return InvalidArgument(StrCat("remote write: the message ends or breaks off in ", what));
}

// More than any sender's buckets, one byte each at least.
constexpr size_t kMaxPackedBytes = 256 << 10;

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
  if (out.size() > kMaxPackedBytes) return false;
  out.push_back(span);
  return r.ok();
}

// Integer histograms send each bucket as the difference to the one before.
bool ReadDeltas(std::string_view packed, std::vector<double>& out) {
  if (packed.size() > kMaxPackedBytes) return false;
  int64_t count = 0;
  return ProtobufReader::PackedVarints(packed, [&](uint64_t v) {
    const int64_t delta = static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
    // Hostile sums may overflow; unsigned arithmetic wraps where signed would be undefined.
    count = static_cast<int64_t>(static_cast<uint64_t>(count) + static_cast<uint64_t>(delta));
    out.push_back(static_cast<double>(count));
  });
}

bool ReadReals(std::string_view packed, std::vector<double>& out) {
  if (packed.size() > 8 * kMaxPackedBytes) return false;
  return ProtobufReader::PackedReals(packed, [&](double v) { out.push_back(v); });
}

// The start timestamp of what comes next in a list; few lists have any.
void StartsAt(std::vector<int64_t>& starts, size_t index, uint64_t start_ms) {
  starts.resize(index);
  starts.push_back(static_cast<int64_t>(start_ms));
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
  sample_starts_.clear();
  histogram_starts_.clear();
  exemplars_.clear();
  ends_.clear();
  new_labels_.clear();
  series_.clear();
  plain_ = true;
  refs_.clear();
  entries_.clear();
  cache_ = nullptr;
  cursor_.reset();
  symbols_hash_ = 0;
  known_ = {};
  metadata_.clear();
  invalid_series_ = 0;
  invalid_reason_.clear();
  bucket_bytes_ = 0;
}

Status WriteRequest::ReadV1(std::string_view body, const SeriesCache* cache) {
  Clear();
  if (cache != nullptr) {
    cache_ = cache;
    cursor_.emplace(*cache);
  }
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 1) {
      VEDETTE_RETURN_IF_ERROR(ReadSeriesV1(r.bytes()));
      if (refs_.size() % 1024 == 0) {
        VEDETTE_RETURN_IF_ERROR(Room());
      }
    } else if (r.field() == 3) {
      VEDETTE_RETURN_IF_ERROR(ReadMetadataV1(r.bytes()));
    }
  }
  if (!r.ok()) return Malformed("the list of series");
  FinishRequest();
  return {};
}

Status WriteRequest::ReadV2(std::string_view body, const SeriesCache* cache) {
  Clear();
  if (cache != nullptr) {
    cache_ = cache;
    cursor_.emplace(*cache);
  }
  // The symbols may come after the series that use them.
  ProtobufReader first(body);
  while (first.Next()) {
    if (first.field() != 4) continue;
    symbols_.push_back(first.bytes());
    if (symbols_.size() % 4096 == 0) {
      VEDETTE_RETURN_IF_ERROR(Room());
    }
    if (cache_ == nullptr) continue;
    // The numbers in a series mean what they meant before only if all symbols are the same.
    const SeriesCache::Entry symbol = cache_->Of(first.bytes(), symbols_hash_);
    symbols_hash_ = symbol.low * 0x9e3779b97f4a7c15u + symbol.high;
  }
  if (!first.ok()) return Malformed("the list of symbols");
  if (symbols_.empty() || !symbols_[0].empty()) {
    return InvalidArgument("remote write 2.0: the first symbol must be the empty string");
  }
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 5) {
      VEDETTE_RETURN_IF_ERROR(ReadSeriesV2(r.bytes()));
      if (refs_.size() % 1024 == 0) {
        VEDETTE_RETURN_IF_ERROR(Room());
      }
    }
  }
  FinishRequest();
  return {};
}

size_t WriteRequest::FindV1(std::string_view message) {
  // First what came after the series before, the last time: its length need not be looked for.
  if (const size_t n = cursor_->expected_length(); n != 0 && n <= message.size()) {
    known_ = cache_->Of(message.substr(0, n), 0);
    if (const storage::SeriesRef ref = cursor_->Expect(known_); ref != 0) {
      known_.ref_and_length |= ref << SeriesCache::kLengthBits;
      return n;
    }
  }
  size_t n = 0;
  for (ProtobufReader r(message); r.Next() && r.field() == 1;) {
    n = static_cast<size_t>(r.bytes().data() + r.bytes().size() - message.data());
  }
  known_ = cache_->Of(message.substr(0, n), 0);
  const storage::SeriesRef ref = cursor_->Find(known_);
  known_.ref_and_length |= ref << SeriesCache::kLengthBits;
  return ref == 0 ? 0 : n;
}

Status WriteRequest::ReadSeriesV1(std::string_view message) {
  const Extent from{samples_.size(), histograms_.size(), exemplars_.size()};
  known_ = {};
  if (cursor_) {
    if (const size_t n = FindV1(message); n != 0) {
      bool labels_end = true;
      ProtobufReader r(message.substr(n));
      while (r.Next() && labels_end) {
        switch (r.field()) {
          case 1:
            labels_end = false;  // Labels in two places: seen by reading all of it.
            break;
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
      if (labels_end) {
        TakeSeries({});
        return {};
      }
      Drop(from);
      known_ = {};
    }
  }
  labels_.clear();
  ProtobufReader r(message);
  while (r.Next()) {
    switch (r.field()) {
      case 1: {
        Label label;
        if (!ReadLabel(r.bytes(), label)) return Malformed("a label");
        labels_.push_back(label);
        if (r.bytes().data() + r.bytes().size() > message.data() + known_.length()) known_ = {};
        if (labels_.size() > kMaxLabels) {
          return InvalidArgument(
              StrCat("remote write: a series has more than ", kMaxLabels, " labels"));
        }
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
  if (labels_.size() > kMaxLabels) {
    return InvalidArgument(StrCat("remote write: a series has more than ", kMaxLabels, " labels"));
  }
  if (!in_range)
    return InvalidArgument("remote write 2.0: a label refers to a symbol out of range");
  return {};
}

Status WriteRequest::ReadSeriesV2(std::string_view message) {
  const Extent from{samples_.size(), histograms_.size(), exemplars_.size()};
  std::string_view label_refs;
  std::string_view metadata_bytes;
  int64_t created_ms = 0;
  known_ = {};
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
      case 5:
        metadata_bytes = r.bytes();
        break;
      case 6:  // Of the whole series, in the protocol's first drafts.
        created_ms = static_cast<int64_t>(r.varint());
        break;
      default:
        break;
    }
  }
  if (!r.ok()) return Malformed("a series");
  if (created_ms != 0) {
    const auto fill = [&](std::vector<int64_t>& starts, size_t first, size_t end) {
      if (first == end) return;
      starts.resize(end);
      for (size_t i = first; i < end; ++i) {
        if (starts[i] == 0) starts[i] = created_ms;
      }
    };
    fill(sample_starts_, from.samples, samples_.size());
    fill(histogram_starts_, from.histograms, histograms_.size());
  }
  if (cursor_) {
    known_ = cache_->Of(label_refs, symbols_hash_ ^ cache_->Of(metadata_bytes, 0).low);
    const storage::SeriesRef ref =
        cursor_->expected_length() == label_refs.size() ? cursor_->Expect(known_) : 0;
    known_.ref_and_length |= (ref != 0 ? ref : cursor_->Find(known_)) << SeriesCache::kLengthBits;
    if (known_.ref() != 0) {
      TakeSeries({});
      return {};
    }
  }
  VEDETTE_RETURN_IF_ERROR(LabelsFromRefs(label_refs));
  Metadata metadata;
  bool has_metadata = false;
  if (!metadata_bytes.empty()) {
    const auto symbol = [&](uint64_t ref) {
      return ref < symbols_.size() ? std::string(symbols_[ref]) : std::string();
    };
    ProtobufReader m(metadata_bytes);
    while (m.Next()) {
      if (m.field() == 1) metadata.type = TypeOf(m.varint());
      if (m.field() == 3) metadata.help = symbol(m.varint());
      if (m.field() == 4) metadata.unit = symbol(m.varint());
    }
    if (!m.ok()) return Malformed("metadata");
    has_metadata = metadata != Metadata();
  }
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
  return Room();
}

Status WriteRequest::Room() const {
  const size_t bytes = samples_.size() * sizeof(Sample) +
                       (sample_starts_.size() + histogram_starts_.size()) * sizeof(int64_t) +
                       histograms_.size() * (sizeof(Histogram) + 64) +
                       exemplars_.size() * (sizeof(Exemplar) + 32) +
                       refs_.size() * (sizeof(storage::SeriesBatch) + sizeof(Extent) + 64) +
                       symbols_.size() * sizeof(std::string_view) +
                       metadata_.size() * (sizeof(Metadata) + 64) + bucket_bytes_;
  if (bytes <= max_decoded_bytes_) return {};
  metrics::CountRefusal(metrics::Limit::kDecodedWriteSize);
  return InvalidArgument(StrCat("remote write: the message takes more than ", max_decoded_bytes_,
                                " bytes once it is read (--web.max-decoded-write-size): send fewer "
                                "samples in one request"));
}

Status WriteRequest::ReadSample(std::string_view message) {
  if (samples_.size() % 4096 == 0) {
    VEDETTE_RETURN_IF_ERROR(Room());
  }
  Sample sample;
  // A value and then an instant, as every sender writes it.
  if (message.size() > 10 && message.size() <= 20 && message[0] == 0x09 && message[9] == 0x10) {
    uint64_t t = 0;
    size_t i = 10;
    for (int shift = 0; i < message.size(); shift += 7) {
      const auto b = static_cast<uint8_t>(message[i++]);
      t |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) break;
    }
    if (i == message.size() && static_cast<uint8_t>(message.back()) < 0x80) {
      std::memcpy(&sample.value, message.data() + 1, 8);
      sample.t_ms = static_cast<int64_t>(t);
      samples_.push_back(sample);
      return {};
    }
  }
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) sample.value = r.real();
    if (r.field() == 2) sample.t_ms = static_cast<int64_t>(r.varint());
    if (r.field() == 3) StartsAt(sample_starts_, samples_.size(), r.varint());
  }
  if (!r.ok()) return Malformed("a sample");
  samples_.push_back(sample);
  return {};
}

Status WriteRequest::ReadExemplar(std::string_view message, bool v2) {
  VEDETTE_RETURN_IF_ERROR(Room());
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
  VEDETTE_RETURN_IF_ERROR(Room());
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
      case 17:
        StartsAt(histogram_starts_, histograms_.size(), r.varint());
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
  bucket_bytes_ += (h->positive_buckets.size() + h->negative_buckets.size() +
                    h->positive_spans.size() + h->negative_spans.size() + h->custom_values.size()) *
                   sizeof(double);
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
    Drop(from);
    return;
  }
  TakeSeries(Labels::Of(labels_));
}

void WriteRequest::Drop(const Extent& from) {
  samples_.resize(from.samples);
  histograms_.resize(from.histograms);
  exemplars_.resize(from.exemplars);
  sample_starts_.resize(std::min(sample_starts_.size(), from.samples));
  histogram_starts_.resize(std::min(histogram_starts_.size(), from.histograms));
}

void WriteRequest::TakeSeries(Labels labels) {
  if (known_.ref() == 0) {
    new_labels_.emplace_back(refs_.size(), std::move(labels));
    plain_ = false;
  }
  refs_.push_back(known_.ref());
  ends_.push_back({samples_.size(), histograms_.size(), exemplars_.size()});
  plain_ = plain_ && samples_.size() == refs_.size();
  if (cache_ != nullptr) entries_.push_back(known_);
}

void WriteRequest::Remember(SeriesCache& cache) {
  if (&cache != cache_ || entries_.empty()) return;
  size_t fresh = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].ref() != 0) continue;
    entries_[i].ref_and_length |= refs_[i] << SeriesCache::kLengthBits;
    fresh += refs_[i] != 0;
  }
  // One jump belongs to the beginning of a request; many say that the order is another one now.
  const bool reorder = cursor_->jumps() > 1 + entries_.size() / 8;
  if (fresh > 0 || reorder) cache.Add(entries_, reorder);
}

void WriteRequest::FinishRequest() {
  if (!sample_starts_.empty()) sample_starts_.resize(samples_.size());
  if (!histogram_starts_.empty()) histogram_starts_.resize(histograms_.size());
  plain_ = plain_ && histograms_.empty() && exemplars_.empty() && sample_starts_.empty();
}

const std::vector<storage::SeriesBatch>& WriteRequest::series() {
  if (series_.size() == refs_.size()) return series_;
  series_.resize(refs_.size());
  for (auto& [i, labels] : new_labels_) series_[i].labels = std::move(labels);
  new_labels_.clear();
  // The vectors that they point into stand still by now.
  Extent from{};
  for (size_t i = 0; i < series_.size(); ++i) {
    const Extent& to = ends_[i];
    series_[i].samples = std::span(samples_).subspan(from.samples, to.samples - from.samples);
    series_[i].histograms =
        std::span(histograms_).subspan(from.histograms, to.histograms - from.histograms);
    if (!sample_starts_.empty()) {
      series_[i].sample_starts =
          std::span(sample_starts_).subspan(from.samples, to.samples - from.samples);
    }
    if (!histogram_starts_.empty()) {
      series_[i].histogram_starts =
          std::span(histogram_starts_).subspan(from.histograms, to.histograms - from.histograms);
    }
    series_[i].exemplars =
        std::span(exemplars_).subspan(from.exemplars, to.exemplars - from.exemplars);
    from = to;
  }
  return series_;
}

}  // namespace vedette::remote
