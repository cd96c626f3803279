#include <bit>
#include <string>

#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/column.h"
#include "server/tsdb/head/head.h"

namespace vedette::tsdb {
namespace {

constexpr uint64_t kMaxBuckets = 1 << 16;

void PutSpans(std::string& out, const std::vector<Histogram::Span>& spans) {
  PutVarint(out, spans.size());
  for (const Histogram::Span& s : spans) {
    PutSigned(out, s.offset);
    PutVarint(out, s.length);
  }
}

bool GetSpans(ByteReader& in, std::vector<Histogram::Span>& spans) {
  const uint64_t n = in.Varint();
  if (!in.ok() || n > in.left()) return false;
  spans.resize(n);
  for (Histogram::Span& s : spans) {
    s.offset = static_cast<int32_t>(in.Signed());
    s.length = static_cast<uint32_t>(in.Varint());
  }
  return in.ok();
}

void PutColumn(std::string& out, const std::vector<double>& values) {
  PutVarint(out, values.size());
  EncodeColumn(values, out);
}

bool GetColumn(ByteReader& in, std::vector<double>& values) {
  const uint64_t n = in.Varint();
  if (!in.ok() || n > kMaxBuckets) return false;
  values.resize(n);
  return DecodeColumn(in, values);
}

}  // namespace

std::string EncodeHistogram(const Histogram& h) {
  std::string out;
  PutSigned(out, h.schema);
  out.push_back(static_cast<char>(h.reset_hint));
  PutFixed(out, h.zero_threshold);
  PutFixed(out, h.zero_count);
  PutFixed(out, h.count);
  PutFixed(out, h.sum);
  PutSpans(out, h.positive_spans);
  PutSpans(out, h.negative_spans);
  PutColumn(out, h.positive_buckets);
  PutColumn(out, h.negative_buckets);
  PutColumn(out, h.custom_values);
  PutFixed(out, Checksum(out));
  return out;
}

Result<std::shared_ptr<const Histogram>> DecodeHistogram(std::string_view bytes) {
  if (bytes.size() < 4) return DataLoss("histogram is too short");
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  ByteReader tail(bytes.substr(body.size()));
  if (tail.Fixed<uint32_t>() != Checksum(body)) return DataLoss("histogram: checksum differs");
  ByteReader in(body);
  auto h = std::make_shared<Histogram>();
  h->schema = static_cast<int32_t>(in.Signed());
  const uint8_t hint = in.Fixed<uint8_t>();
  h->zero_threshold = in.Fixed<double>();
  h->zero_count = in.Fixed<double>();
  h->count = in.Fixed<double>();
  h->sum = in.Fixed<double>();
  if (hint > 3 || !GetSpans(in, h->positive_spans) || !GetSpans(in, h->negative_spans) ||
      !GetColumn(in, h->positive_buckets) || !GetColumn(in, h->negative_buckets) ||
      !GetColumn(in, h->custom_values) || !in.done()) {
    return DataLoss("histogram is damaged");
  }
  h->reset_hint = static_cast<Histogram::ResetHint>(hint);
  return std::shared_ptr<const Histogram>(std::move(h));
}

}  // namespace vedette::tsdb
