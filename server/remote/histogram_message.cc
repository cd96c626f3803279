#include "server/remote/histogram_message.h"

#include <bit>
#include <vector>

#include "server/remote/protobuf_writer.h"

namespace vedette::remote {
namespace {

void WriteSpans(ProtobufWriter& w, uint32_t field, const std::vector<Histogram::Span>& spans) {
  std::string one;
  for (const Histogram::Span& s : spans) {
    one.clear();
    ProtobufWriter span(&one);
    span.Zigzag(1, s.offset);
    span.Varint(2, s.length);
    w.Message(field, one);
  }
}

void WriteReals(ProtobufWriter& w, uint32_t field, const std::vector<double>& values) {
  std::string packed;
  ProtobufWriter p(&packed);
  for (const double v : values) p.Fixed64(std::bit_cast<uint64_t>(v));
  w.Bytes(field, packed);
}

// One arm of a oneof: present even when it is zero.
void WriteCount(ProtobufWriter& w, uint32_t field, double v) {
  w.Raw((uint64_t{field} << 3) | 1);
  w.Fixed64(std::bit_cast<uint64_t>(v));
}

}  // namespace

void WriteHistogramMessage(std::string* out, int64_t t_ms, const Histogram& h) {
  ProtobufWriter w(out);
  WriteCount(w, 2, h.count);
  w.Real(3, h.sum);
  w.Zigzag(4, h.schema);
  w.Real(5, h.zero_threshold);
  WriteCount(w, 7, h.zero_count);
  WriteSpans(w, 8, h.negative_spans);
  WriteReals(w, 10, h.negative_buckets);
  WriteSpans(w, 11, h.positive_spans);
  WriteReals(w, 13, h.positive_buckets);
  w.Varint(14, static_cast<uint64_t>(h.reset_hint));
  w.Int(15, t_ms);
  WriteReals(w, 16, h.custom_values);
}

}  // namespace vedette::remote
