#include "server/remote/read_request.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "server/remote/histogram_message.h"
#include "server/remote/protobuf_reader.h"
#include "server/remote/protobuf_writer.h"
#include "server/remote/xor_chunk.h"

namespace vedette::remote {
namespace {

constexpr size_t kMaxQueries = 1000;
constexpr size_t kMaxMatchers = 1000;
// As Prometheus fills its chunks and frames.
constexpr size_t kSamplesInChunk = 120;
constexpr size_t kFrameBytes = 1 << 20;

Status Malformed() { return InvalidArgument("remote read: the message is cut off or damaged"); }

Result<Matcher> ReadMatcher(std::string_view message) {
  uint64_t type = 0;
  std::string_view name;
  std::string_view value;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) type = r.varint();
    if (r.field() == 2) name = r.bytes();
    if (r.field() == 3) value = r.bytes();
  }
  if (!r.ok()) return Malformed();
  constexpr Matcher::Op kOps[] = {Matcher::Op::kEqual, Matcher::Op::kNotEqual, Matcher::Op::kRegex,
                                  Matcher::Op::kNotRegex};
  if (type >= std::size(kOps)) {
    return InvalidArgument(StrCat("remote read: ", type, " is no type of matcher"));
  }
  return Matcher::Make(kOps[type], name, value);
}

Result<ReadQuery> ReadOneQuery(std::string_view message) {
  ReadQuery out;
  ProtobufReader r(message);
  while (r.Next()) {
    if (r.field() == 1) out.start_ms = static_cast<int64_t>(r.varint());
    if (r.field() == 2) out.end_ms = static_cast<int64_t>(r.varint());
    if (r.field() == 3) {
      if (out.matchers.size() == kMaxMatchers) {
        return InvalidArgument(
            StrCat("remote read: more than ", kMaxMatchers, " matchers in one query"));
      }
      VEDETTE_ASSIGN_OR_RETURN(Matcher m, ReadMatcher(r.bytes()));
      out.matchers.push_back(std::move(m));
    }
  }
  if (!r.ok()) return Malformed();
  return out;
}

void WriteLabels(std::string* out, const Labels& labels) {
  ProtobufWriter w(out);
  std::string one;
  for (const Label& l : labels) {
    one.clear();
    ProtobufWriter label(&one);
    label.Bytes(1, l.name);
    label.Bytes(2, l.value);
    w.Message(1, one);
  }
}

}  // namespace

Result<ReadRequest> ReadReadRequest(std::string_view body) {
  ReadRequest out;
  std::vector<uint64_t> accepted;
  ProtobufReader r(body);
  while (r.Next()) {
    if (r.field() == 1) {
      if (out.queries.size() == kMaxQueries) {
        return InvalidArgument(
            StrCat("remote read: more than ", kMaxQueries, " queries in one request"));
      }
      VEDETTE_ASSIGN_OR_RETURN(ReadQuery query, ReadOneQuery(r.bytes()));
      out.queries.push_back(std::move(query));
    } else if (r.field() == 2 && !r.bytes().empty()) {
      ProtobufReader::PackedVarints(r.bytes(), [&](uint64_t v) { accepted.push_back(v); });
    } else if (r.field() == 2) {
      accepted.push_back(r.varint());
    }
  }
  if (!r.ok()) return Malformed();
  // 0: samples, 1: streamed chunks. Clients from before there was a choice want samples.
  const auto known = std::ranges::find_if(accepted, [](uint64_t v) { return v <= 1; });
  if (known == accepted.end() && !accepted.empty()) {
    return InvalidArgument("remote read: none of the accepted response types is known here");
  }
  out.streamed = known != accepted.end() && *known == 1;
  return out;
}

Status ReadAnswer::Add(const storage::SeriesColumns& s) {
  std::string series;
  if (external_.empty()) {
    WriteLabels(&series, s.labels);
  } else {
    LabelsBuilder labels(s.labels);
    for (const Label& l : external_) {
      if (s.labels.Get(l.name).empty()) labels.Set(l.name, l.value);
    }
    WriteLabels(&series, labels.Build());
  }
  ProtobufWriter w(&series);
  std::string one;
  if (!streamed_) {
    for (size_t i = 0; i < s.t_ms.size(); ++i) {
      one.clear();
      if (!s.histograms.empty() && s.histograms[i] != nullptr) {
        WriteHistogramMessage(&one, s.t_ms[i], *s.histograms[i]);
        w.Message(4, one);
        continue;
      }
      ProtobufWriter sample(&one);
      sample.Real(1, s.values[i]);
      sample.Int(2, s.t_ms[i]);
      w.Message(2, one);
    }
    ProtobufWriter(&result_).Message(1, series);
    return {};
  }
  for (const auto& h : s.histograms) {
    if (h != nullptr) {
      return Unimplemented(StrCat("remote read: ", s.labels.ToString(),
                                  " holds native histograms, which are sent as SAMPLES and not as "
                                  "STREAMED_XOR_CHUNKS"));
    }
  }
  for (size_t at = 0; at < s.t_ms.size(); at += kSamplesInChunk) {
    const size_t n = std::min(kSamplesInChunk, s.t_ms.size() - at);
    one.clear();
    ProtobufWriter chunk(&one);
    chunk.Int(1, s.t_ms[at]);
    chunk.Int(2, s.t_ms[at + n - 1]);
    chunk.Varint(3, 1);  // XOR
    chunk.Bytes(4, EncodeXorChunk(s.t_ms.subspan(at, n), s.values.subspan(at, n)));
    w.Message(2, one);
  }
  ProtobufWriter(&result_).Message(1, series);
  if (result_.size() >= kFrameBytes) Flush();
  return {};
}

void ReadAnswer::End() {
  if (streamed_) {
    if (!result_.empty()) Flush();
    return;
  }
  ProtobufWriter(&out_).Message(1, result_);
  result_.clear();
}

void ReadAnswer::Flush() {
  ProtobufWriter frame(&result_);
  frame.Varint(2, query_);
  ProtobufWriter(&out_).Raw(result_.size());
  const uint32_t crc = Crc32c(result_);
  for (int shift = 24; shift >= 0; shift -= 8) out_.push_back(static_cast<char>(crc >> shift));
  out_ += result_;
  result_.clear();
}

}  // namespace vedette::remote
