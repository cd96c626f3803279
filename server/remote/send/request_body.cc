#include "server/remote/send/request_body.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "server/remote/protobuf_writer.h"

namespace vedette::remote {
namespace {

// The numbers of MetricMetadata.MetricType; 2.0 has the same.
uint64_t TypeNumber(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
      return 0;
    case MetricType::kCounter:
      return 1;
    case MetricType::kGauge:
      return 2;
    case MetricType::kHistogram:
      return 3;
    case MetricType::kGaugeHistogram:
      return 4;
    case MetricType::kSummary:
      return 5;
    case MetricType::kInfo:
      return 6;
    case MetricType::kStateSet:
      return 7;
  }
  return 0;
}

void EncodeSample(std::string* out, const Piece& p) {
  ProtobufWriter w(out);
  w.Real(1, p.value);
  w.Int(2, p.t_ms);
}

// The strings of one 2.0 request; 0 is "".
class Symbols {
 public:
  Symbols() { Ref(""); }
  uint64_t Ref(std::string_view text) {
    const auto [it, added] = refs_.try_emplace(std::string(text), refs_.size());
    if (added) order_.push_back(&it->first);
    return it->second;
  }
  std::string Packed(const Labels& labels) {
    std::string packed;
    ProtobufWriter w(&packed);
    for (const Label& l : labels) {
      w.Raw(Ref(l.name));
      w.Raw(Ref(l.value));
    }
    return packed;
  }
  const std::vector<const std::string*>& order() const { return order_; }

 private:
  std::unordered_map<std::string, uint64_t> refs_;
  std::vector<const std::string*> order_;  // Keys of a node-based map stay where they are.
};

}  // namespace

std::string EncodeLabelsV1(const Labels& labels) {
  std::string out, one;
  ProtobufWriter w(&out);
  for (const Label& l : labels) {
    one.clear();
    ProtobufWriter label(&one);
    label.Bytes(1, l.name);
    label.Bytes(2, l.value);
    w.Message(1, one);
  }
  return out;
}

std::string EncodeRequestV1(std::span<const Piece> pieces) {
  std::string out, series, one;
  ProtobufWriter w(&out);
  for (const Piece& p : pieces) {
    series = p.series->encoded;
    ProtobufWriter s(&series);
    one.clear();
    switch (p.kind) {
      case Piece::Kind::kSample:
        EncodeSample(&one, p);
        s.Message(2, one);
        break;
      case Piece::Kind::kExemplar:
        one = EncodeLabelsV1(p.exemplar_labels);
        ProtobufWriter(&one).Real(2, p.value);
        ProtobufWriter(&one).Int(3, p.t_ms);
        s.Message(3, one);
        break;
      case Piece::Kind::kHistogram:
        s.Message(4, p.message);
        break;
    }
    w.Message(1, series);
  }
  return out;
}

std::string EncodeMetadataV1(std::span<const storage::NamedMetadata> metadata) {
  std::string out, one;
  ProtobufWriter w(&out);
  for (const storage::NamedMetadata& m : metadata) {
    one.clear();
    ProtobufWriter f(&one);
    f.Varint(1, TypeNumber(m.metadata.type));
    f.Bytes(2, m.metric_name);
    f.Bytes(4, m.metadata.help);
    f.Bytes(5, m.metadata.unit);
    w.Message(3, one);
  }
  return out;
}

std::string EncodeRequestV2(std::span<const Piece> pieces, const MetadataOf& metadata_of) {
  Symbols symbols;
  std::unordered_map<std::string_view, std::string> known;  // Metadata messages by metric name.
  std::string timeseries, series, one;
  for (const Piece& p : pieces) {
    series.clear();
    ProtobufWriter s(&series);
    s.Bytes(1, symbols.Packed(p.series->labels));
    one.clear();
    switch (p.kind) {
      case Piece::Kind::kSample:
        EncodeSample(&one, p);
        s.Message(2, one);
        break;
      case Piece::Kind::kHistogram:
        s.Message(3, p.message);
        break;
      case Piece::Kind::kExemplar:
        ProtobufWriter(&one).Bytes(1, symbols.Packed(p.exemplar_labels));
        ProtobufWriter(&one).Real(2, p.value);
        ProtobufWriter(&one).Int(3, p.t_ms);
        s.Message(4, one);
        break;
    }
    const auto [it, is_new] = known.try_emplace(p.series->labels.metric_name());
    if (is_new) {
      if (const std::optional<Metadata> m = metadata_of(it->first)) {
        ProtobufWriter f(&it->second);
        f.Varint(1, TypeNumber(m->type));
        f.Varint(3, symbols.Ref(m->help));
        f.Varint(4, symbols.Ref(m->unit));
      }
    }
    s.Bytes(5, it->second);
    ProtobufWriter(&timeseries).Message(5, series);
  }
  std::string out;
  ProtobufWriter w(&out);
  for (const std::string* text : symbols.order()) w.Message(4, *text);
  return out + timeseries;
}

}  // namespace vedette::remote
