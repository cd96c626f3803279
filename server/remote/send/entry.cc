#include "server/remote/send/entry.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "common/compress/compress.h"
#include "server/remote/histogram_message.h"
#include "server/remote/protobuf_writer.h"

namespace vedette::remote {
namespace {

constexpr char kRow = 1;
constexpr char kLoose = 2;

int64_t Unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

class Packer {
 public:
  explicit Packer(std::string* out) : out_(out), raw_(out) {}
  void Number(uint64_t v) { raw_.Raw(v); }
  void Signed(int64_t v) { raw_.Raw(ProtobufWriter::Zigzagged(v)); }
  void Real(double v) { raw_.Fixed64(std::bit_cast<uint64_t>(v)); }
  void Text(std::string_view text) {
    raw_.Raw(text.size());
    out_->append(text);
  }
  void One(const Exemplar& e, int64_t default_t_ms) {
    Text(e.labels.bytes());
    Real(e.value);
    Signed(e.t_ms.value_or(default_t_ms));
  }

 private:
  std::string* out_;
  ProtobufWriter raw_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

  uint64_t Number() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto b = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    ok_ = false;
    return 0;
  }
  int64_t Signed() { return Unzigzag(Number()); }
  double Real() {
    uint64_t bits = 0;
    if (rest_.size() < 8) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&bits, rest_.data(), 8);
    rest_.remove_prefix(8);
    return std::bit_cast<double>(bits);
  }
  std::string_view Text() {
    const uint64_t n = Number();
    if (!ok_ || n > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  // The length of a list whose elements take at least `least` bytes: no memory is taken for a
  // length that the bytes cannot hold.
  size_t Length(size_t least) {
    const uint64_t n = Number();
    if (n > rest_.size() / least) ok_ = false;
    return ok_ ? n : 0;
  }
  Labels Set() {
    Result<Labels> labels = Labels::FromBytes(Text());
    if (!labels.ok()) {
      ok_ = false;
      return {};
    }
    return *std::move(labels);
  }
  Exemplar One() {
    Exemplar e;
    e.labels = Set();
    e.value = Real();
    e.t_ms = Signed();
    return e;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::string Finish(char kind, const EntryCounts& counts, const std::string& packed) {
  std::string out(1, kind);
  Packer head(&out);
  head.Number(counts.samples);
  head.Number(counts.histograms);
  head.Number(counts.exemplars);
  head.Signed(counts.newest_ms);
  std::string small;
  // Snappy takes whatever it is given.
  (void)compress::Compress(compress::Encoding::kSnappy, packed, small);
  out += small;
  return out;
}

Status Damaged() { return DataLoss("an entry of the remote write queue is damaged"); }

std::optional<EntryCounts> ReadCounts(Unpacker& u) {
  EntryCounts counts;
  counts.samples = u.Number();
  counts.histograms = u.Number();
  counts.exemplars = u.Number();
  counts.newest_ms = u.Signed();
  if (!u.ok()) return std::nullopt;
  return counts;
}

void UnpackRow(Unpacker& u, Entry& out) {
  out.row = true;
  out.writer = u.Number();
  out.t_ms = u.Signed();
  out.values.resize(u.Length(8));
  for (double& v : out.values) v = u.Real();
  for (size_t n = u.Length(2); n > 0 && u.ok(); --n) {
    const uint64_t position = u.Number();
    out.histograms.emplace_back(static_cast<uint32_t>(position), u.Text());
  }
  for (size_t n = u.Length(10); n > 0 && u.ok(); --n) {
    const uint64_t position = u.Number();
    out.exemplars.emplace_back(static_cast<uint32_t>(position), u.One());
  }
}

void UnpackLoose(Unpacker& u, Entry& out) {
  for (size_t left = u.Length(4); left > 0 && u.ok(); --left) {
    Entry::Series s;
    s.labels = u.Set();
    int64_t t_ms = 0;
    s.samples.resize(u.Length(9));
    for (Sample& sample : s.samples) {
      t_ms = static_cast<int64_t>(static_cast<uint64_t>(t_ms) + static_cast<uint64_t>(u.Signed()));
      sample.t_ms = t_ms;
      sample.value = u.Real();
    }
    for (size_t n = u.Length(2); n > 0 && u.ok(); --n) {
      EncodedHistogram h;
      h.t_ms = u.Signed();
      h.message = u.Text();
      s.histograms.push_back(std::move(h));
    }
    for (size_t n = u.Length(9); n > 0 && u.ok(); --n) s.exemplars.push_back(u.One());
    out.series.push_back(std::move(s));
  }
}

}  // namespace

std::string EncodeRow(uint64_t writer, const storage::Row& row) {
  EntryCounts counts;
  counts.newest_ms = row.t_ms;
  counts.histograms = row.histograms.size();
  counts.exemplars = row.exemplars.size();
  std::vector<double> values(row.values.begin(), row.values.end());
  for (const storage::HistogramAt& h : row.histograms) {
    if (h.position < values.size()) values[h.position] = kAbsent;
  }
  std::string packed;
  packed.reserve(values.size() * 8 + 32);
  Packer p(&packed);
  p.Number(writer);
  p.Signed(row.t_ms);
  p.Number(values.size());
  for (const double v : values) {
    counts.samples += IsAbsent(v) ? 0 : 1;
    p.Real(v);
  }
  p.Number(row.histograms.size());
  std::string message;
  for (const storage::HistogramAt& h : row.histograms) {
    message.clear();
    WriteHistogramMessage(&message, row.t_ms, *h.histogram);
    p.Number(h.position);
    p.Text(message);
  }
  p.Number(row.exemplars.size());
  for (const storage::ExemplarAt& e : row.exemplars) {
    p.Number(e.position);
    p.One(e.exemplar, row.t_ms);
  }
  return Finish(kRow, counts, packed);
}

std::string EncodeLoose(std::span<const storage::SeriesBatch> batch) {
  EntryCounts counts;
  std::string packed;
  Packer p(&packed);
  p.Number(batch.size());
  std::string message;
  for (const storage::SeriesBatch& s : batch) {
    p.Text(s.labels.bytes());
    p.Number(s.samples.size());
    int64_t before = 0;
    for (const Sample& sample : s.samples) {
      p.Signed(
          static_cast<int64_t>(static_cast<uint64_t>(sample.t_ms) - static_cast<uint64_t>(before)));
      p.Real(sample.value);
      before = sample.t_ms;
      counts.newest_ms = std::max(counts.newest_ms, sample.t_ms);
    }
    p.Number(s.histograms.size());
    for (const storage::SeriesBatch::HistogramSample& h : s.histograms) {
      message.clear();
      WriteHistogramMessage(&message, h.t_ms, *h.histogram);
      p.Signed(h.t_ms);
      p.Text(message);
      counts.newest_ms = std::max(counts.newest_ms, h.t_ms);
    }
    p.Number(s.exemplars.size());
    const int64_t newest = s.samples.empty() ? counts.newest_ms : s.samples.back().t_ms;
    for (const Exemplar& e : s.exemplars) p.One(e, newest);
    counts.samples += s.samples.size();
    counts.histograms += s.histograms.size();
    counts.exemplars += s.exemplars.size();
  }
  return Finish(kLoose, counts, packed);
}

Result<EntryCounts> CountsOfEntry(std::string_view bytes) {
  if (bytes.empty()) return Damaged();
  Unpacker u(bytes.substr(1));
  const std::optional<EntryCounts> counts = ReadCounts(u);
  if (!counts) return Damaged();
  return *counts;
}

Result<Entry> DecodeEntry(std::string_view bytes) {
  if (bytes.empty()) return Damaged();
  Unpacker head(bytes.substr(1));
  const std::optional<EntryCounts> counts = ReadCounts(head);
  std::string packed;
  if (!counts ||
      !compress::Decompress(compress::Encoding::kSnappy, head.rest(), kMaxEntryBytes, packed)
           .ok()) {
    return Damaged();
  }
  Entry out;
  out.counts = *counts;
  Unpacker body(packed);
  if (bytes[0] == kRow) {
    UnpackRow(body, out);
  } else if (bytes[0] == kLoose) {
    UnpackLoose(body, out);
  } else {
    return Damaged();
  }
  if (!body.ok() || !body.rest().empty()) return Damaged();
  return out;
}

void AppendLayout(std::string* out, const Labels& labels) { Packer(out).Text(labels.bytes()); }

Result<std::vector<Labels>> DecodeLayout(std::string_view bytes) {
  std::vector<Labels> out;
  Unpacker u(bytes);
  while (u.ok() && !u.rest().empty()) out.push_back(u.Set());
  if (!u.ok()) return DataLoss("a layout of the remote write queue is damaged");
  return out;
}

}  // namespace vedette::remote
