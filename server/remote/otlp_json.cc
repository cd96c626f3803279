#include "server/remote/otlp_json.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "common/base/strings.h"
#include "server/remote/protobuf_writer.h"

namespace vedette::remote {
namespace {

enum class Kind : uint8_t {
  kString,
  kBool,
  kVarint,   // int64, uint32
  kZigzag,   // sint32
  kFixed,    // fixed64, sfixed64
  kReal,     // double
  kTemporality,
  kMessage,
  kPackedFixed,
  kPackedVarint,
  kPackedReal,
};

struct Shape;

struct Field {
  std::string_view name;
  uint32_t number;
  Kind kind;
  const Shape* shape = nullptr;
};

// A message's fields. Those that Vedette does not read are left out, and so skipped.
struct Shape {
  std::span<const Field> fields;
};

constexpr Field kAnyValueFields[] = {{"stringValue", 1, Kind::kString},
                                     {"boolValue", 2, Kind::kBool},
                                     {"intValue", 3, Kind::kVarint},
                                     {"doubleValue", 4, Kind::kReal}};
constexpr Shape kAnyValue{kAnyValueFields};
constexpr Field kKeyValueFields[] = {{"key", 1, Kind::kString},
                                     {"value", 2, Kind::kMessage, &kAnyValue}};
constexpr Shape kKeyValue{kKeyValueFields};
constexpr Field kNumberFields[] = {{"attributes", 7, Kind::kMessage, &kKeyValue},
                                   {"startTimeUnixNano", 2, Kind::kFixed},
                                   {"timeUnixNano", 3, Kind::kFixed},
                                   {"asDouble", 4, Kind::kReal},
                                   {"asInt", 6, Kind::kFixed},
                                   {"flags", 8, Kind::kVarint}};
constexpr Shape kNumber{kNumberFields};
constexpr Field kHistogramPointFields[] = {{"attributes", 9, Kind::kMessage, &kKeyValue},
                                           {"startTimeUnixNano", 2, Kind::kFixed},
                                           {"timeUnixNano", 3, Kind::kFixed},
                                           {"count", 4, Kind::kFixed},
                                           {"sum", 5, Kind::kReal},
                                           {"bucketCounts", 6, Kind::kPackedFixed},
                                           {"explicitBounds", 7, Kind::kPackedReal},
                                           {"flags", 10, Kind::kVarint}};
constexpr Shape kHistogramPoint{kHistogramPointFields};
constexpr Field kBucketsFields[] = {{"offset", 1, Kind::kZigzag},
                                    {"bucketCounts", 2, Kind::kPackedVarint}};
constexpr Shape kBuckets{kBucketsFields};
constexpr Field kExponentialFields[] = {{"attributes", 1, Kind::kMessage, &kKeyValue},
                                        {"startTimeUnixNano", 2, Kind::kFixed},
                                        {"timeUnixNano", 3, Kind::kFixed},
                                        {"count", 4, Kind::kFixed},
                                        {"sum", 5, Kind::kReal},
                                        {"scale", 6, Kind::kZigzag},
                                        {"zeroCount", 7, Kind::kFixed},
                                        {"positive", 8, Kind::kMessage, &kBuckets},
                                        {"negative", 9, Kind::kMessage, &kBuckets},
                                        {"flags", 10, Kind::kVarint},
                                        {"zeroThreshold", 14, Kind::kReal}};
constexpr Shape kExponential{kExponentialFields};
constexpr Field kQuantileFields[] = {{"quantile", 1, Kind::kReal}, {"value", 2, Kind::kReal}};
constexpr Shape kQuantile{kQuantileFields};
constexpr Field kSummaryPointFields[] = {{"attributes", 7, Kind::kMessage, &kKeyValue},
                                         {"startTimeUnixNano", 2, Kind::kFixed},
                                         {"timeUnixNano", 3, Kind::kFixed},
                                         {"count", 4, Kind::kFixed},
                                         {"sum", 5, Kind::kReal},
                                         {"quantileValues", 6, Kind::kMessage, &kQuantile},
                                         {"flags", 8, Kind::kVarint}};
constexpr Shape kSummaryPoint{kSummaryPointFields};
constexpr Field kGaugeFields[] = {{"dataPoints", 1, Kind::kMessage, &kNumber}};
constexpr Shape kGauge{kGaugeFields};
constexpr Field kSumFields[] = {{"dataPoints", 1, Kind::kMessage, &kNumber},
                                {"aggregationTemporality", 2, Kind::kTemporality},
                                {"isMonotonic", 3, Kind::kBool}};
constexpr Shape kSum{kSumFields};
constexpr Field kHistogramFields[] = {{"dataPoints", 1, Kind::kMessage, &kHistogramPoint},
                                      {"aggregationTemporality", 2, Kind::kTemporality}};
constexpr Shape kHistogram{kHistogramFields};
constexpr Field kExponentialHistogramFields[] = {
    {"dataPoints", 1, Kind::kMessage, &kExponential},
    {"aggregationTemporality", 2, Kind::kTemporality}};
constexpr Shape kExponentialHistogram{kExponentialHistogramFields};
constexpr Field kSummaryFields[] = {{"dataPoints", 1, Kind::kMessage, &kSummaryPoint}};
constexpr Shape kSummary{kSummaryFields};
constexpr Field kMetricFields[] = {
    {"name", 1, Kind::kString},
    {"description", 2, Kind::kString},
    {"unit", 3, Kind::kString},
    {"gauge", 5, Kind::kMessage, &kGauge},
    {"sum", 7, Kind::kMessage, &kSum},
    {"histogram", 9, Kind::kMessage, &kHistogram},
    {"exponentialHistogram", 10, Kind::kMessage, &kExponentialHistogram},
    {"summary", 11, Kind::kMessage, &kSummary}};
constexpr Shape kMetric{kMetricFields};
constexpr Field kScopeMetricsFields[] = {{"metrics", 2, Kind::kMessage, &kMetric}};
constexpr Shape kScopeMetrics{kScopeMetricsFields};
constexpr Field kResourceFields[] = {{"attributes", 1, Kind::kMessage, &kKeyValue}};
constexpr Shape kResource{kResourceFields};
constexpr Field kResourceMetricsFields[] = {{"resource", 1, Kind::kMessage, &kResource},
                                            {"scopeMetrics", 2, Kind::kMessage, &kScopeMetrics}};
constexpr Shape kResourceMetrics{kResourceMetricsFields};
constexpr Field kRequestFields[] = {{"resourceMetrics", 1, Kind::kMessage, &kResourceMetrics}};
constexpr Shape kRequest{kRequestFields};

// scope_metrics and scopeMetrics are the same name.
bool SameName(std::string_view camel, std::string_view given) {
  size_t i = 0;
  for (size_t k = 0; k < given.size(); ++k) {
    char c = given[k];
    if (c == '_' && k + 1 < given.size() && k > 0) {
      c = given[++k];
      if (c < 'a' || c > 'z') return false;
      c = static_cast<char>(c - 'a' + 'A');
    }
    if (i == camel.size() || camel[i++] != c) return false;
  }
  return i == camel.size();
}

const Field* Find(const Shape& shape, std::string_view name) {
  for (const Field& f : shape.fields) {
    if (SameName(f.name, name)) return &f;
  }
  return nullptr;
}

// Deeper than any message of OTLP, and far from the end of a stack: skipped values nest too.
constexpr size_t kMaxDepth = 64;

// Takes what nlohmann's parser sees and writes it out. Values of unknown fields are passed over.
class Transcoder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Result<std::string> Take() {
    if (!status_.ok()) return status_;
    return std::move(root_);
  }
  const Status& status() const { return status_; }

  bool null() override { return status_.ok(); }  // As if it were not there.
  bool boolean(bool v) override {
    return Scalar([&](const Field& f) {
      if (f.kind != Kind::kBool) return Wrong(f, "true or false");
      Writer().Varint(f.number, v ? 1 : 0);
      return true;
    });
  }
  bool number_integer(int64_t v) override {
    return Scalar([&](const Field& f) {
      if (f.kind == Kind::kReal || f.kind == Kind::kPackedReal) {
        return Real(f, static_cast<double>(v));
      }
      return Integer(f, v);
    });
  }
  bool number_unsigned(uint64_t v) override {
    return Scalar([&](const Field& f) {
      if (f.kind == Kind::kReal || f.kind == Kind::kPackedReal) {
        return Real(f, static_cast<double>(v));
      }
      return Integer(f, static_cast<int64_t>(v));
    });
  }
  bool number_float(double v, const std::string&) override {
    return Scalar([&](const Field& f) {
      if (f.kind == Kind::kReal || f.kind == Kind::kPackedReal) return Real(f, v);
      // Large whole numbers may come with an exponent.
      if (v == std::floor(v) && std::fabs(v) < 9.2e18) return Integer(f, static_cast<int64_t>(v));
      return Wrong(f, "a whole number");
    });
  }
  bool string(std::string& v) override {
    return Scalar([&](const Field& f) { return Text(f, v); });
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }

  bool start_object(size_t) override {
    if (!Deeper()) return false;
    if (skipping_ > 0) return Skip();
    if (frames_.empty()) {
      frames_.push_back({&kRequest, nullptr, false, {}});
      return true;
    }
    const Field* f = frames_.back().field;
    if (f == nullptr) return Skip();
    if (f->kind != Kind::kMessage) return Wrong(*f, "no object");
    frames_.push_back({f->shape, nullptr, false, {}});
    return true;
  }
  bool key(std::string& name) override {
    if (skipping_ == 0) frames_.back().field = Find(*frames_.back().shape, name);
    return true;
  }
  bool end_object() override {
    --depth_;
    if (skipping_ > 0) {
      --skipping_;
      return true;
    }
    std::string done = std::move(frames_.back().bytes);
    frames_.pop_back();
    if (frames_.empty()) {
      root_ = std::move(done);
    } else {
      Writer().Message(frames_.back().field->number, done);
    }
    return true;
  }
  bool start_array(size_t) override {
    if (!Deeper()) return false;
    if (skipping_ > 0) return Skip();
    if (frames_.empty()) {
      status_ = InvalidArgument("OTLP in JSON: an object is expected");
      return false;
    }
    if (frames_.back().field == nullptr) return Skip();
    Frame& frame = frames_.back();
    if (frame.in_array) return Wrong(*frame.field, "no list inside a list");
    frame.in_array = true;
    frame.packed.clear();
    return true;
  }
  bool end_array() override {
    --depth_;
    if (skipping_ > 0) {
      --skipping_;
      return true;
    }
    Frame& frame = frames_.back();
    frame.in_array = false;
    if (!frame.packed.empty()) Writer().Message(frame.field->number, frame.packed);
    frame.packed.clear();
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    if (status_.ok()) {
      status_ = InvalidArgument(StrCat("OTLP in JSON: byte ", position, ": not JSON: ", e.what()));
    }
    return false;
  }

 private:
  struct Frame {
    const Shape* shape;
    const Field* field;  // Of the last key; null: unknown.
    bool in_array;
    std::string packed;  // Elements of a packed list.
    std::string bytes = {};
  };

  ProtobufWriter Writer() { return ProtobufWriter(&frames_.back().bytes); }

  bool Deeper() {
    if (++depth_ <= kMaxDepth) return true;
    status_ = InvalidArgument(StrCat("OTLP in JSON: nested deeper than ", kMaxDepth));
    return false;
  }
  bool Skip() {
    ++skipping_;
    return true;
  }
  bool Wrong(const Field& f, std::string_view wanted) {
    status_ = InvalidArgument(StrCat("OTLP in JSON: field ", f.name, ": ", wanted, " is expected"));
    return false;
  }

  template <typename Use>
  bool Scalar(Use use) {
    if (skipping_ > 0) return true;
    if (frames_.empty()) {
      status_ = InvalidArgument("OTLP in JSON: an object is expected");
      return false;
    }
    const Field* f = frames_.back().field;
    return f == nullptr || use(*f);
  }

  bool Real(const Field& f, double v) {
    if (f.kind == Kind::kPackedReal) {
      ProtobufWriter(&frames_.back().packed).Fixed64(std::bit_cast<uint64_t>(v));
    } else {
      Fixed(f, std::bit_cast<uint64_t>(v));
    }
    return true;
  }
  // A field of eight bytes is written even when it is 0: a sum of 0 is a sum.
  void Fixed(const Field& f, uint64_t bits) {
    ProtobufWriter w = Writer();
    w.Raw((uint64_t{f.number} << 3) | 1);
    w.Fixed64(bits);
  }
  bool Integer(const Field& f, int64_t v) {
    const auto bits = static_cast<uint64_t>(v);
    switch (f.kind) {
      case Kind::kVarint:
      case Kind::kTemporality:
        Writer().Varint(f.number, bits);
        return true;
      case Kind::kZigzag:
        Writer().Zigzag(f.number, v);
        return true;
      case Kind::kFixed:
        Fixed(f, bits);
        return true;
      case Kind::kPackedFixed:
        ProtobufWriter(&frames_.back().packed).Fixed64(bits);
        return true;
      case Kind::kPackedVarint:
        ProtobufWriter(&frames_.back().packed).Raw(bits);
        return true;
      default:
        return Wrong(f, f.kind == Kind::kString ? "a text" : "something else than a number");
    }
  }
  bool Text(const Field& f, const std::string& v) {
    switch (f.kind) {
      case Kind::kString:
        Writer().Bytes(f.number, v);
        return true;
      case Kind::kReal:
      case Kind::kPackedReal: {
        if (v == "NaN") return Real(f, std::numeric_limits<double>::quiet_NaN());
        if (v == "Infinity") return Real(f, std::numeric_limits<double>::infinity());
        if (v == "-Infinity") return Real(f, -std::numeric_limits<double>::infinity());
        double d = 0;
        const auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), d);
        return error == std::errc() && end == v.data() + v.size() ? Real(f, d)
                                                                   : Wrong(f, "a number");
      }
      case Kind::kTemporality:
        if (v == "AGGREGATION_TEMPORALITY_UNSPECIFIED") return Integer(f, 0);
        if (v == "AGGREGATION_TEMPORALITY_DELTA") return Integer(f, 1);
        if (v == "AGGREGATION_TEMPORALITY_CUMULATIVE") return Integer(f, 2);
        return Wrong(f, "AGGREGATION_TEMPORALITY_CUMULATIVE or _DELTA");
      case Kind::kBool:
        return Wrong(f, "true or false");
      case Kind::kMessage:
        return Wrong(f, "an object");
      default:
        break;
    }
    // 64-bit whole numbers come in quotes; those above 2^63 are unsigned.
    int64_t i = 0;
    const auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), i);
    if (error == std::errc() && end == v.data() + v.size()) return Integer(f, i);
    uint64_t u = 0;
    const auto [u_end, u_error] = std::from_chars(v.data(), v.data() + v.size(), u);
    if (u_error == std::errc() && u_end == v.data() + v.size()) {
      return Integer(f, static_cast<int64_t>(u));
    }
    return Wrong(f, "a whole number");
  }

  std::vector<Frame> frames_;
  std::string root_;
  size_t skipping_ = 0;  // Brackets that are open inside a value that nobody wants.
  size_t depth_ = 0;
  Status status_;
};

}  // namespace

Result<std::string> OtlpJsonToProtobuf(std::string_view json) {
  Transcoder out;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &out)) {
    if (!out.status().ok()) return out.status();
    return InvalidArgument("OTLP in JSON: not understood");
  }
  return out.Take();
}

}  // namespace vedette::remote
