#include "common/exposition/writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/exposition/negotiate.h"
#include "common/exposition/openmetrics_check.h"
#include "common/exposition/protobuf.h"
#include "common/exposition/text_parser.h"
#include "common/model/histogram.h"

namespace vedette::exposition {
namespace {

std::vector<MetricFamily> Everything() {
  std::vector<MetricFamily> families;
  families.push_back(
      {"jobs_total",
       {MetricType::kCounter, "Jobs \\ done,\n\"all\".", ""},
       {{.labels = Labels::Of({{"__name__", "jobs_total"}, {"q", "a\"b\\c\nd"}}),
         .value = 3,
         .start_ms = 1500,
         .exemplars = {{.labels = Labels::Of({{"trace", "x"}}), .value = 1, .t_ms = 2500}}}}});
  families.push_back(
      {"size_bytes",
       {MetricType::kHistogram, "", "bytes"},
       {{.labels = Labels::Of({{"__name__", "size_bytes_bucket"}, {"le", "1.0"}}), .value = 1},
        {.labels = Labels::Of({{"__name__", "size_bytes_bucket"}, {"le", "+Inf"}}), .value = 4},
        {.labels = Labels::Of({{"__name__", "size_bytes_sum"}}), .value = 7.5},
        {.labels = Labels::Of({{"__name__", "size_bytes_count"}}), .value = 4}}});
  families.push_back({"my.gauge",
                      {MetricType::kGauge, "", ""},
                      {{.labels = Labels::Of({{"__name__", "my.gauge"}, {"a.b", "c"}}),
                        .value = -0.25,
                        .t_ms = 1234}}});
  families.push_back(
      {"lat",
       {MetricType::kSummary, "", ""},
       {{.labels = Labels::Of({{"__name__", "lat"}, {"quantile", "0.5"}}), .value = 2},
        {.labels = Labels::Of({{"__name__", "lat_sum"}}), .value = 9},
        {.labels = Labels::Of({{"__name__", "lat_count"}}), .value = 3}}});
  return families;
}

TEST(Writer, TextIsWhatPrometheusClientsWrite) {
  EXPECT_EQ(WriteText(Everything()),
            "# HELP jobs_total Jobs \\\\ done,\\n\"all\".\n"
            "# TYPE jobs_total counter\n"
            "jobs_total{q=\"a\\\"b\\\\c\\nd\"} 3\n"
            "# TYPE size_bytes histogram\n"
            "size_bytes_bucket{le=\"1.0\"} 1\n"
            "size_bytes_bucket{le=\"+Inf\"} 4\n"
            "size_bytes_sum 7.5\n"
            "size_bytes_count 4\n"
            "# TYPE \"my.gauge\" gauge\n"
            "{\"my.gauge\",\"a.b\"=\"c\"} -0.25 1234\n"
            "# TYPE lat summary\n"
            "lat{quantile=\"0.5\"} 2\n"
            "lat_sum 9\n"
            "lat_count 3\n");
}

TEST(Writer, OldReadersGetUnderscores) {
  const std::vector<MetricFamily> families = Everything();
  const std::string text = WriteText({&families[2], 1}, {.allow_utf8 = false});
  EXPECT_EQ(text, "# TYPE my_gauge gauge\nmy_gauge{a_b=\"c\"} -0.25 1234\n");
}

TEST(Writer, OpenMetricsPassesItsOwnStandard) {
  const std::string text = WriteOpenMetrics(Everything());
  const Status status = CheckOpenMetrics(text);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << text;
  EXPECT_NE(text.find("# TYPE jobs counter\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" 3.0 # {trace=\"x\"} 1.0 2.500\n"), std::string::npos) << text;
  EXPECT_NE(text.find("jobs_created{q=\"a\\\"b\\\\c\\nd\"} 1.500\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# UNIT size_bytes bytes\n"), std::string::npos) << text;
}

TEST(Writer, TextReadsBackAsWritten) {
  const std::vector<MetricFamily> families = Everything();
  const auto back = ParseText(WriteText(families), TextDialect::kText);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  ASSERT_EQ(back->size(), families.size());
  for (size_t i = 0; i < families.size(); ++i) {
    EXPECT_EQ((*back)[i].name, families[i].name);
    EXPECT_EQ((*back)[i].metadata.type, families[i].metadata.type);
    ASSERT_EQ((*back)[i].samples.size(), families[i].samples.size());
    for (size_t s = 0; s < families[i].samples.size(); ++s) {
      EXPECT_EQ((*back)[i].samples[s].labels, families[i].samples[s].labels);
      EXPECT_EQ((*back)[i].samples[s].value, families[i].samples[s].value);
    }
  }
}

std::vector<MetricFamily> ReadProtobuf(const std::string& bytes, ProtobufOptions options = {}) {
  std::vector<MetricFamily> back;
  const Status status = ParseProtobuf(bytes, options, [&](MetricFamily& family) {
    back.push_back(std::move(family));
    return Status();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return back;
}

TEST(Protobuf, ReadsBackAsWritten) {
  const std::vector<MetricFamily> families = Everything();
  const std::vector<MetricFamily> back = ReadProtobuf(WriteProtobuf(families));
  ASSERT_EQ(back.size(), families.size());
  for (size_t i = 0; i < families.size(); ++i) {
    EXPECT_EQ(back[i].name, families[i].name);
    EXPECT_EQ(back[i].metadata, families[i].metadata);
    ASSERT_EQ(back[i].samples.size(), families[i].samples.size()) << families[i].name;
    for (size_t s = 0; s < families[i].samples.size(); ++s) {
      EXPECT_EQ(back[i].samples[s].labels, families[i].samples[s].labels);
      EXPECT_EQ(back[i].samples[s].value, families[i].samples[s].value);
      EXPECT_EQ(back[i].samples[s].t_ms, families[i].samples[s].t_ms);
      EXPECT_EQ(back[i].samples[s].exemplars, families[i].samples[s].exemplars);
    }
  }
  EXPECT_EQ(back[0].samples[0].start_ms, 1500);
}

TEST(Protobuf, CarriesNativeHistogramsInBothForms) {
  for (const double extra : {0.0, 0.5}) {  // Whole counts go as deltas, others as floats.
    auto histogram = std::make_shared<Histogram>();
    histogram->schema = 3;
    histogram->zero_threshold = 0.001;
    histogram->zero_count = 2;
    histogram->count = 14 + extra;
    histogram->sum = 20;
    histogram->positive_spans = {{-2, 2}, {3, 1}};
    histogram->positive_buckets = {5, 3, 1 + extra};
    histogram->negative_spans = {{0, 1}};
    histogram->negative_buckets = {3};
    MetricFamily family{"h", {MetricType::kHistogram, "", ""}, {}};
    family.samples.push_back({.labels = Labels::Of({{"__name__", "h"}}), .histogram = histogram});
    const std::string bytes = WriteProtobuf({&family, 1});
    const std::vector<MetricFamily> back = ReadProtobuf(bytes);
    ASSERT_EQ(back.size(), 1u);
    ASSERT_EQ(back[0].samples.size(), 1u);
    ASSERT_NE(back[0].samples[0].histogram, nullptr);
    EXPECT_EQ(*back[0].samples[0].histogram, *histogram);
    // Who does not want native ones gets the classic form.
    EXPECT_EQ(ReadProtobuf(bytes, {.native_histograms = false})[0].samples.size(), 3u);
  }
}

TEST(Protobuf, EveryTruncationIsAnError) {
  const std::vector<MetricFamily> families = Everything();
  const std::string bytes = WriteProtobuf({families.data(), 1});
  for (size_t size = 1; size < bytes.size(); ++size) {
    const Status status =
        ParseProtobuf(bytes.substr(0, size), {}, [](MetricFamily&) { return Status(); });
    EXPECT_FALSE(status.ok()) << size;
  }
}

TEST(Negotiate, AsksAsPrometheusDoes) {
  const Protocol kAll[] = {Protocol::kOpenMetrics1_0_0, Protocol::kOpenMetrics0_0_1,
                           Protocol::kText1_0_0, Protocol::kText0_0_4};
  EXPECT_EQ(AcceptHeader(kAll, "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
}

TEST(Negotiate, ReadsContentTypes) {
  const auto of = [](std::string_view type, std::optional<Protocol> fallback = std::nullopt) {
    const Result<Protocol> protocol = ProtocolOfContentType(type, fallback);
    return protocol.ok() ? std::string(ProtocolName(*protocol)) : std::string("error");
  };
  EXPECT_EQ(of("text/plain; version=0.0.4; charset=utf-8"), "PrometheusText0.0.4");
  EXPECT_EQ(of("text/plain; version=1.0.0"), "PrometheusText1.0.0");
  EXPECT_EQ(of("text/plain"), "PrometheusText0.0.4");
  EXPECT_EQ(of("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            "OpenMetricsText1.0.0");
  EXPECT_EQ(of("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
               "encoding=delimited"),
            "PrometheusProto");
  EXPECT_EQ(of(""), "error");
  EXPECT_EQ(of("text/html"), "error");
  EXPECT_EQ(of("text/html", Protocol::kText0_0_4), "PrometheusText0.0.4");
}

TEST(Negotiate, AnswersWithTheBestThatWasAskedFor) {
  EXPECT_EQ(NegotiateAccept("").content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(NegotiateAccept("*/*").protocol, Protocol::kText0_0_4);
  const Negotiated best = NegotiateAccept(
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3");
  EXPECT_EQ(best.protocol, Protocol::kOpenMetrics1_0_0);
  EXPECT_TRUE(best.allow_utf8);
  EXPECT_EQ(best.content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
}

// Whatever was written before, what is written is what WriteText writes.
TEST(KeptText, WritesWhatAFreshWriterWrites) {
  std::mt19937 random(20261128);
  KeptText kept;
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    std::vector<MetricFamily> families;
    BlankLabels blanks;
    const auto few = [&](unsigned n) { return random() % n; };
    for (unsigned f = few(3); f < 12; f += 1 + few(2)) {
      MetricFamily& family = families.emplace_back();
      family.name = "family_" + std::to_string(f);
      family.metadata.type = few(20) == 0 ? MetricType::kCounter : MetricType::kGauge;
      family.metadata.help = few(20) == 0 ? "Other." : "Help.";
      if (few(10) == 0) blanks[family.name] = {"blank"};
      for (unsigned k = few(2); k < 8; k += 1 + few(4) / 3) {
        FamilySample& sample = family.samples.emplace_back();
        sample.labels = Labels::Of(
            {{"__name__", family.name}, {"device", std::to_string(k)}, {"odd", few(9) ? "" : "\"\n"}});
        sample.value = static_cast<double>(few(1000)) / 8;
        if (few(15) == 0) sample.t_ms = 7;
        if (few(15) == 0) sample.histogram = std::make_shared<Histogram>();
      }
    }
    std::vector<const MetricFamily*> borrowed;
    for (const MetricFamily& family : families) borrowed.push_back(&family);
    const WriteOptions options{.allow_utf8 = few(5) != 0, .blank_labels = &blanks};
    ASSERT_EQ(kept.Write(borrowed, options), WriteText(families, options));
  }
}

}  // namespace
}  // namespace vedette::exposition
