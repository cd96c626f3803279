#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/exposition/openmetrics_check.h"
#include "common/exposition/text_parser.h"

// An exposition is written by a stranger. Whatever the bytes, reading ends, touches nothing else,
// and a line that is known by its key has the value that reading it whole gives.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette;              // NOLINT: a fuzz target is a program of its own.
  using namespace vedette::exposition;  // NOLINT
  if (size == 0) return 0;
  const TextDialect dialect = data[0] & 1 ? TextDialect::kOpenMetrics : TextDialect::kText;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);

  struct Seen {
    std::string_view key;
    uint64_t value;
  };
  std::vector<Seen> seen;
  TextParser parser(body, dialect);
  bool whole = false;
  for (bool more = true; more;) {
    switch (parser.Next()) {
      case TextParser::Event::kEnd:
        whole = true;
        more = false;
        break;
      case TextParser::Event::kError:
        more = false;
        break;
      case TextParser::Event::kSample:
        (void)ToLabels(parser.sample(), MetricType::kHistogram);
        if (parser.sample().has_exemplar) (void)ToExemplar(parser.sample());
        seen.push_back({parser.sample().key, std::bit_cast<uint64_t>(parser.sample().value)});
        break;
      default:
        break;
    }
  }
  TextParser again(body, dialect);
  for (size_t i = 0; i < seen.size();) {
    if (again.NextKnown(TextParser::KeyOf(seen[i].key))) {
      if (std::bit_cast<uint64_t>(again.sample().value) != seen[i].value) std::abort();
      ++i;
    } else {
      const TextParser::Event event = again.Next();
      if (event == TextParser::Event::kEnd || event == TextParser::Event::kError) std::abort();
      if (event == TextParser::Event::kSample) ++i;
    }
  }
  (void)ParseText(body, dialect);
  const bool strict = CheckOpenMetrics(body).ok();
  if (strict && dialect == TextDialect::kOpenMetrics && !whole) std::abort();
  return 0;
}
