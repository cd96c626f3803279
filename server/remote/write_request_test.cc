#include "server/remote/write_request.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/remote/protobuf_writer.h"
#include "server/remote/series_cache.h"

namespace vedette::remote {
namespace {

// A writer of the wire format, as small as the tests need it.
class Message {
 public:
  Message& Varint(uint32_t field, uint64_t v) {
    Raw(uint64_t{field} << 3);
    Raw(v);
    return *this;
  }
  Message& Zigzag(uint32_t field, int64_t v) {
    return Varint(field, static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63));
  }
  Message& Real(uint32_t field, double v) {
    Raw(uint64_t{field} << 3 | 1);
    bytes_.append(reinterpret_cast<const char*>(&v), 8);
    return *this;
  }
  Message& Bytes(uint32_t field, const std::string& v) {
    Raw(uint64_t{field} << 3 | 2);
    Raw(v.size());
    bytes_ += v;
    return *this;
  }
  Message& Bytes(uint32_t field, const Message& m) { return Bytes(field, m.bytes_); }
  Message& Packed(uint32_t field, std::initializer_list<uint64_t> values) {
    Message inner;
    for (uint64_t v : values) inner.Raw(v);
    return Bytes(field, inner.bytes_);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Raw(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes_.push_back(static_cast<char>(v | 0x80));
    bytes_.push_back(static_cast<char>(v));
  }
  std::string bytes_;
};

Message LabelOf(const char* name, const char* value) {
  return Message().Bytes(1, std::string(name)).Bytes(2, std::string(value));
}
Message SampleOf(double v, int64_t t) {
  return Message().Real(1, v).Varint(2, static_cast<uint64_t>(t));
}

TEST(WriteRequest, Version1) {
  Message series;
  series.Bytes(1, LabelOf("__name__", "up")).Bytes(1, LabelOf("job", "a"));
  series.Bytes(2, SampleOf(1, 1000)).Bytes(2, SampleOf(0, -5));
  series.Bytes(3, Message().Bytes(1, LabelOf("trace_id", "x")).Real(2, 0.5).Varint(3, 7));
  Message body;
  body.Bytes(1, series);
  body.Bytes(1, Message().Bytes(1, LabelOf("__name__", "down")).Bytes(2, SampleOf(3, 9)));
  body.Bytes(3, Message().Varint(1, 2).Bytes(2, std::string("up")).Bytes(4, std::string("Help.")));
  WriteRequest request;
  ASSERT_TRUE(request.ReadV1(body.bytes()).ok());
  ASSERT_EQ(request.series().size(), 2u);
  EXPECT_EQ(request.series()[0].labels.ToString(), R"({__name__="up", job="a"})");
  ASSERT_EQ(request.series()[0].samples.size(), 2u);
  EXPECT_EQ(request.series()[0].samples[1], (Sample{-5, 0}));
  ASSERT_EQ(request.series()[0].exemplars.size(), 1u);
  EXPECT_EQ(request.series()[0].exemplars[0].labels.Get("trace_id"), "x");
  EXPECT_EQ(request.series()[1].samples[0], (Sample{9, 3}));
  ASSERT_EQ(request.metadata().size(), 1u);
  EXPECT_EQ(request.metadata()[0].second.type, MetricType::kGauge);
}

TEST(WriteRequest, Version2WithSymbolsAfterTheSeries) {
  Message body;
  Message series;
  series.Packed(1, {1, 2, 3, 4}).Bytes(2, SampleOf(1.5, 1000));
  series.Bytes(5, Message().Varint(1, 1).Varint(3, 5));
  body.Bytes(5, series);
  for (const char* s : {"", "__name__", "up", "job", "a", "Help."}) body.Bytes(4, std::string(s));
  WriteRequest request;
  const Status status = request.ReadV2(body.bytes());
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(request.series().size(), 1u);
  EXPECT_EQ(request.series()[0].labels.ToString(), R"({__name__="up", job="a"})");
  ASSERT_EQ(request.metadata().size(), 1u);
  EXPECT_EQ(request.metadata()[0].first, "up");
  EXPECT_EQ(request.metadata()[0].second.help, "Help.");
}

TEST(WriteRequest, AnIntegerHistogramSendsDifferences) {
  Message h;
  h.Varint(1, 6).Real(3, 9).Zigzag(4, 0).Real(5, 0.5).Varint(6, 1).Varint(15, 1000);
  h.Bytes(11, Message().Zigzag(1, 1).Varint(2, 3));
  h.Packed(12, {4, 1, 2});  // +2, -1, +1 in zigzag.
  Message body;
  body.Bytes(1, Message().Bytes(1, LabelOf("__name__", "h")).Bytes(4, h));
  WriteRequest request;
  ASSERT_TRUE(request.ReadV1(body.bytes()).ok());
  ASSERT_EQ(request.histograms(), 1u);
  const Histogram& got = *request.series()[0].histograms[0].histogram;
  EXPECT_EQ(got.positive_buckets, (std::vector<double>{2, 1, 2}));
  EXPECT_EQ(got.count, 6);
  EXPECT_EQ(got.zero_count, 1);
  EXPECT_EQ(request.series()[0].histograms[0].t_ms, 1000);
}

TEST(WriteRequest, ABadSeriesCostsItselfOnly) {
  const auto series = [](std::initializer_list<std::pair<const char*, const char*>> labels) {
    Message m;
    for (const auto& [n, v] : labels) m.Bytes(1, LabelOf(n, v));
    m.Bytes(2, SampleOf(1, 1));
    return m;
  };
  Message body;
  body.Bytes(1, series({{"job", "nameless"}}));
  body.Bytes(1, series({{"__name__", "a"}, {"x", "1"}, {"x", "2"}}));
  body.Bytes(1, series({{"__name__", "a"}, {"x", "\xff"}}));
  body.Bytes(1, series({{"__name__", "good"}}));
  WriteRequest request;
  ASSERT_TRUE(request.ReadV1(body.bytes()).ok());
  EXPECT_EQ(request.invalid_series(), 3u);
  EXPECT_EQ(request.invalid_reason(), "invalid labels for series: there is no metric name");
  ASSERT_EQ(request.series().size(), 1u);
  EXPECT_EQ(request.series()[0].samples.size(), 1u);
  EXPECT_EQ(request.samples(), 1u);
}

TEST(WriteRequest, EveryTruncationIsRefusedOrAShorterRequest) {
  Message body;
  for (int i = 0; i < 3; ++i) {
    body.Bytes(1, Message().Bytes(1, LabelOf("__name__", "m")).Bytes(2, SampleOf(i, i)));
  }
  WriteRequest request;
  for (size_t n = 0; n < body.bytes().size(); ++n) {
    const Status status = request.ReadV1(std::string_view(body.bytes()).substr(0, n));
    if (status.ok()) {
      EXPECT_LT(request.series().size(), 3u);
    } else {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    }
  }
}

// Fills in refs as a storage would: one for each label set.
void Name(WriteRequest& request, std::vector<std::string>& names) {
  for (size_t i = 0; i < request.series().size(); ++i) {
    if (request.refs()[i] != 0) {
      EXPECT_TRUE(request.series()[i].labels.empty());
      continue;
    }
    names.push_back(request.series()[i].labels.ToString());
    request.refs()[i] = names.size();
  }
}

TEST(WriteRequest, ASeriesThatTheCacheKnowsIsNotReadAgain) {
  const auto body = [](std::initializer_list<const char*> instances, int64_t t) {
    Message m;
    for (const char* i : instances) {
      m.Bytes(1, Message()
                     .Bytes(1, LabelOf("__name__", "up"))
                     .Bytes(1, LabelOf("instance", i))
                     .Bytes(2, SampleOf(t, t)));
    }
    return m.bytes();
  };
  SeriesCache cache;
  WriteRequest request;
  std::vector<std::string> names;
  const auto send = [&](std::initializer_list<const char*> instances, int64_t t) {
    EXPECT_TRUE(request.ReadV1(body(instances, t), &cache).ok());
    const size_t before = names.size();
    std::vector<storage::SeriesRef> asked(request.refs().begin(), request.refs().end());
    Name(request, names);
    size_t at = 0;
    for (const char* i : instances) {
      EXPECT_EQ(names[request.refs()[at] - 1],
                std::string(R"({__name__="up", instance=")") + i + "\"}");
      EXPECT_EQ(request.series()[at].samples[0].t_ms, t);
      ++at;
    }
    request.Remember(cache);
    return names.size() - before;
  };
  EXPECT_EQ(send({"a", "b", "cc", "d"}, 1), 4u);
  EXPECT_EQ(send({"a", "b", "cc", "d"}, 2), 0u);
  EXPECT_EQ(send({"cc", "d", "a"}, 3), 0u);              // From the middle, as batches drift.
  EXPECT_EQ(send({"a", "new", "b", "d", "cc"}, 4), 1u);  // One more, one order changed.
  EXPECT_EQ(send({"d", "cc", "b", "new", "a"}, 5), 0u);
  EXPECT_EQ(send({"d", "cc", "b", "new", "a"}, 6), 0u);
}

TEST(WriteRequest, ASeriesOfNoLabelsIsNotWhatTheCacheExpectsAtItsEnd) {
  Message body;
  body.Bytes(5, Message().Bytes(2, SampleOf(1, 1)));
  body.Bytes(5, Message().Packed(1, {1, 2}).Bytes(2, SampleOf(1, 1)));
  for (const char* s : {"", "__name__", "up"}) body.Bytes(4, std::string(s));
  SeriesCache cache;
  WriteRequest request;
  for (int round = 0; round < 2; ++round) {
    const Status status = request.ReadV2(body.bytes(), &cache);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(request.invalid_series(), 1u);
    EXPECT_EQ(request.series().size(), 1u);
    std::vector<std::string> names;
    Name(request, names);
    request.Remember(cache);
  }
}

TEST(WriteRequest, LabelsThatGoOnBehindTheSampleAreAnotherSeries) {
  const Message plain = Message().Bytes(1, LabelOf("__name__", "up")).Bytes(2, SampleOf(1, 1));
  Message split = Message().Bytes(1, LabelOf("__name__", "up")).Bytes(2, SampleOf(2, 2));
  split.Bytes(1, LabelOf("job", "late"));
  SeriesCache cache;
  WriteRequest request;
  std::vector<std::string> names;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(request.ReadV1(Message().Bytes(1, plain).Bytes(1, split).bytes(), &cache).ok());
    ASSERT_EQ(request.series().size(), 2u);
    EXPECT_EQ(request.series()[1].labels.ToString(), R"({__name__="up", job="late"})");
    EXPECT_EQ(request.series()[1].samples.size(), 1u);
    Name(request, names);
    request.Remember(cache);
  }
}

TEST(WriteRequest, TheSameNumbersUnderOtherSymbolsAreAnotherSeries) {
  const auto body = [](const char* job) {
    Message m;
    for (const char* s : {"", "__name__", "up", "job", job}) m.Bytes(4, std::string(s));
    m.Bytes(5, Message().Packed(1, {1, 2, 3, 4}).Bytes(2, SampleOf(1.5, 1000)));
    return m.bytes();
  };
  SeriesCache cache;
  WriteRequest request;
  std::vector<std::string> names;
  for (const char* job : {"a", "b", "a", "b"}) {
    ASSERT_TRUE(request.ReadV2(body(job), &cache).ok());
    Name(request, names);
    EXPECT_EQ(names[request.refs()[0] - 1], std::string(R"({__name__="up", job=")") + job + "\"}");
    request.Remember(cache);
  }
  EXPECT_EQ(names.size(), 2u);
}

TEST(WriteRequest, StartTimestampsStandBesideTheirSamples) {
  const auto field = [](uint32_t number, const std::string& bytes) {
    std::string out;
    ProtobufWriter(&out).Message(number, bytes);
    return out;
  };
  std::string sample;
  ProtobufWriter s(&sample);
  s.Real(1, 7);
  s.Varint(2, 1000);
  const std::string plain = sample;
  s.Varint(3, 400);
  std::string body;
  for (const char* symbol : {"", "__name__", "up"}) body += field(4, symbol);
  body += field(5, field(1, "\x01\x02") + field(2, plain) + field(2, sample));
  WriteRequest request;
  ASSERT_TRUE(request.ReadV2(body).ok());
  ASSERT_EQ(request.series().size(), 1u);
  ASSERT_EQ(request.series()[0].sample_starts.size(), 2u);
  EXPECT_EQ(request.series()[0].sample_starts[0], 0);
  EXPECT_EQ(request.series()[0].sample_starts[1], 400);
}

// What is small on the wire and large in memory ends at the limit.
TEST(WriteRequest, EmptyPartsDoNotFillTheMemory) {
  const std::string name("\x0a\x0e\x0a\x08__name__\x12\x02up", 16);
  for (const char* part : {"\x12", "\x1a", "\x22", "\x0a"}) {
    std::string series = name;
    for (int i = 0; i < 6'000'000; ++i) series.append(part, 1).push_back('\0');
    std::string body;
    ProtobufWriter(&body).Message(1, series);
    WriteRequest request;
    const Status status = request.ReadV1(body);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << static_cast<int>(part[0]);
    EXPECT_NE(status.message().find("more than"), std::string_view::npos) << status.ToString();
  }
}

}  // namespace
}  // namespace vedette::remote
