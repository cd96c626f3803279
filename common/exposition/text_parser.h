#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::exposition {

enum class TextDialect : uint8_t {
  kText,         // text/plain, versions 0.0.4 and 1.0.0
  kOpenMetrics,  // application/openmetrics-text
};

// A label as it stands in the body; views into the body. The bytes between the quotes are still
// escaped where `escaped` says so.
struct LabelSlice {
  std::string_view name;
  std::string_view value;
  bool name_escaped = false;
  bool value_escaped = false;
};

// One sample line. All views are into the body.
struct SampleLine {
  // The line up to its value: equal bytes name the same series, so it is what a caller remembers.
  std::string_view key;
  std::string_view name;  // "" when the name stands in the braces and could not be (an error then).
  bool name_escaped = false;
  std::span<const LabelSlice> labels;
  // Only what OpenMetrics forbids and everybody accepts: {a="b",}.
  bool trailing_comma = false;

  double value = 0;
  std::string_view value_text;
  std::optional<int64_t> t_ms;
  std::string_view time_text;

  bool has_exemplar = false;
  std::span<const LabelSlice> exemplar_labels;
  double exemplar_value = 0;
  std::optional<int64_t> exemplar_t_ms;
};

// A "# HELP", "# TYPE" or "# UNIT" line.
struct MetadataLine {
  std::string_view line;  // With its newline.
  std::string_view name;
  bool name_escaped = false;
  std::string_view text;  // Of HELP still escaped; of UNIT the unit; of TYPE the word.
  MetricType type = MetricType::kUnknown;
};

// TextParser reads an exposition line by line, in place: it owns nothing but two small arrays of
// slices, and a line is looked at only when it is asked for.
//
//   TextParser parser(body, TextDialect::kText);
//   for (;;) {
//     switch (parser.Next()) {
//       case TextParser::Event::kSample: Use(parser.sample()); break;
//       case TextParser::Event::kType: ...
//       case TextParser::Event::kEnd: return Status();
//       case TextParser::Event::kError: return parser.status();
//     }
//   }
//
// A caller that has read the same target before knows what the next line will begin with, and asks
// for just that: NextKnown(key) is one hash and one number, no labels are looked at. It remembers
// 12 bytes of each line, KeyOf(text): the text of all lines of a thousand targets is a lot of
// memory.
//
//   if (parser.NextKnown(remembered.key)) column[remembered.position] = parser.sample().value;
//
// What it accepts is what Prometheus 3 accepts. Text: any blanks, blank lines, comments, no newline
// at the end. OpenMetrics: single spaces, no blank lines, "# EOF" at the end and nothing after; the
// rest of that standard's rules are checked by CheckOpenMetrics (openmetrics_check.h).
//
// Not thread-safe. The body must outlive the parser and everything it hands out.
class TextParser {
 public:
  enum class Event : uint8_t { kEnd, kError, kHelp, kType, kUnit, kComment, kSample };

  // A text by its length and 64 bits of hash: of two lines of one target the odds are good enough.
  struct Key {
    uint64_t hash = 0;
    uint32_t size = 0;
    bool operator==(const Key&) const = default;
  };
  static Key KeyOf(std::string_view text);

  TextParser(std::string_view body, TextDialect dialect);

  // The next line. After kError and kEnd it stays there.
  Event Next();

  // If the next line begins with `key`, which must have been a sample's key of an earlier body of
  // the same dialect: reads its value, timestamp and exemplar into sample() (name and labels are
  // left empty) and returns true. Otherwise nothing has moved. A line whose key is right and whose
  // rest is wrong is not known: Next() then finds the error and says it. line() is the key then.
  bool NextKnown(Key key);

  // If the next line is exactly `line` (a metadata line or a comment, newline included), skips it.
  bool SkipKnown(Key line);

  const SampleLine& sample() const { return sample_; }
  const MetadataLine& metadata() const { return metadata_; }
  // The last line, with its newline, as kHelp, kType, kUnit and kComment leave it.
  std::string_view line() const { return line_; }

  // Why kError: "line 3: expected a value after the series, got \"x\"".
  const Status& status() const { return status_; }

 private:
  Event Fail(const char* at, std::string_view problem);
  Event ParseComment();
  Event ParseSample();
  bool ParseLabels(std::vector<LabelSlice>& labels, bool exemplar);
  bool ParseQuoted(std::string_view& inside, bool& escaped);
  bool ParseTail();
  bool SkipBlanks();
  Event EndOfOpenMetrics();

  const char* begin_;
  const char* p_;
  const char* end_;
  TextDialect dialect_;
  bool ended_ = false;
  SampleLine sample_;
  MetadataLine metadata_;
  std::string_view line_;
  std::vector<LabelSlice> labels_;
  std::vector<LabelSlice> exemplar_labels_;
  Status status_;
};

// What the escapes \\ \" \n stand for; other escapes stay as they are.
void AppendUnescaped(std::string& out, std::string_view escaped);
// HELP texts of the text format: \\ and \n only (in OpenMetrics also \").
std::string UnescapeHelp(std::string_view escaped, TextDialect dialect);

// The labels of a line, unescaped and checked: a label twice and text that is not UTF-8 are errors.
// `type` is that of the last "# TYPE" line: le of a histogram and quantile of a summary come out in
// canonical form ("1" becomes "1.0"), as Prometheus 3 stores them.
Result<Labels> ToLabels(const SampleLine& line, MetricType type);
Result<Exemplar> ToExemplar(const SampleLine& line);

// A whole body as families, for callers that are not in a hurry (tests, relays, promtool's checks).
// Samples without metadata make a family of their own name.
Result<std::vector<MetricFamily>> ParseText(std::string_view body, TextDialect dialect);

}  // namespace vedette::exposition
