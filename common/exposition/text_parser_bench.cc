#include <benchmark/benchmark.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/strings.h"
#include "common/exposition/number.h"
#include "common/exposition/text_parser.h"

namespace vedette::exposition {
namespace {

// A node exporter's kind of body: a thousand series, six label pairs, counters and gauges.
std::string Body() {
  std::string body;
  for (int family = 0; family < 50; ++family) {
    StrAppend(body, "# HELP node_metric_", family, "_total Something about this machine.\n");
    StrAppend(body, "# TYPE node_metric_", family, "_total counter\n");
    for (int i = 0; i < 20; ++i) {
      StrAppend(body, "node_metric_", family, "_total{cpu=\"", i, "\",mode=\"idle\",device=\"sd", i,
                "\"} ", 123456.25 * (i + 1) + family, "\n");
    }
  }
  return body;
}

void BM_ParseWhole(benchmark::State& state) {
  const std::string body = Body();
  int64_t samples = 0;
  for (auto _ : state) {
    TextParser parser(body, TextDialect::kText);
    for (TextParser::Event e; (e = parser.Next()) != TextParser::Event::kEnd;) {
      samples += e == TextParser::Event::kSample;
      benchmark::DoNotOptimize(parser.sample().value);
    }
  }
  state.SetItemsProcessed(samples);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(BM_ParseWhole);

void BM_ParseKnown(benchmark::State& state) {
  const std::string body = Body();
  std::vector<TextParser::Key> keys;
  std::vector<bool> is_sample;
  TextParser first(body, TextDialect::kText);
  for (TextParser::Event e; (e = first.Next()) != TextParser::Event::kEnd;) {
    is_sample.push_back(e == TextParser::Event::kSample);
    keys.push_back(TextParser::KeyOf(is_sample.back() ? first.sample().key : first.line()));
  }
  int64_t samples = 0;
  for (auto _ : state) {
    TextParser parser(body, TextDialect::kText);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (is_sample[i] ? !parser.NextKnown(keys[i]) : !parser.SkipKnown(keys[i])) {
        state.SkipWithError("out of step");
      }
      samples += is_sample[i];
      benchmark::DoNotOptimize(parser.sample().value);
    }
  }
  state.SetItemsProcessed(samples);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(BM_ParseKnown);

void BM_ParseValue(benchmark::State& state) {
  const std::string_view kTexts[] = {"1", "123456.25", "1.6506654720e+10", "0.013300656000000001"};
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(ParseValue(kTexts[i++ & 3]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ParseValue);

}  // namespace
}  // namespace vedette::exposition
