#include "common/exposition/text_parser.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/number.h"

namespace vedette::exposition {
namespace {

// Offending text is quoted in errors, but a hostile line is not repeated whole.
constexpr size_t kQuotedBytes = 60;

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsNameStart(char c) {
  return (static_cast<unsigned char>((c | 0x20) - 'a') < 26) || c == '_' || c == ':';
}
bool IsNameByte(char c) { return IsNameStart(c) || static_cast<unsigned char>(c - '0') < 10; }
bool IsLabelByte(char c) { return c != ':' && IsNameByte(c); }

std::string Excerpt(std::string_view text) {
  if (text.size() <= kQuotedBytes) return Quoted(text);
  return StrCat(Quoted(text.substr(0, kQuotedBytes)), "...");
}

// The text from `p` to the end of its line.
std::string_view RestOfLine(const char* p, const char* end) {
  const char* newline =
      static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
  return {p, static_cast<size_t>((newline == nullptr ? end : newline) - p)};
}

// OpenMetrics timestamps are seconds with a fraction.
std::optional<int64_t> ParseSeconds(std::string_view text) {
  const std::optional<double> seconds = ParseValue(text);
  if (!seconds || !std::isfinite(*seconds)) return std::nullopt;
  const double ms = *seconds * 1000;
  if (std::fabs(ms) >= 9.2e18) return std::nullopt;
  return static_cast<int64_t>(ms);
}

}  // namespace

TextParser::TextParser(std::string_view body, TextDialect dialect)
    : begin_(body.data()), p_(body.data()), end_(body.data() + body.size()), dialect_(dialect) {}

TextParser::Event TextParser::Fail(const char* at, std::string_view problem) {
  const int64_t line = 1 + std::count(begin_, at, '\n');
  const std::string_view rest = RestOfLine(at, end_);
  status_ =
      InvalidArgument(StrCat("line ", line, ": ", problem, ", got ",
                             rest.empty() ? std::string("the end of the line") : Excerpt(rest)));
  p_ = at;
  ended_ = true;
  return Event::kError;
}

// The text dialect takes any run of blanks, OpenMetrics takes none here.
bool TextParser::SkipBlanks() {
  if (dialect_ == TextDialect::kOpenMetrics) return false;
  const char* before = p_;
  while (p_ < end_ && IsBlank(*p_)) ++p_;
  return p_ != before;
}

TextParser::Event TextParser::EndOfOpenMetrics() {
  if (p_ != end_ && *p_ == '\n') ++p_;
  if (p_ != end_) return Fail(p_, "expected nothing after \"# EOF\"");
  ended_ = true;
  return Event::kEnd;
}

TextParser::Event TextParser::Next() {
  if (ended_) return status_.ok() ? Event::kEnd : Event::kError;
  if (dialect_ == TextDialect::kText) {
    while (p_ < end_ && (*p_ == '\n' || IsBlank(*p_))) ++p_;
    if (p_ == end_) {
      ended_ = true;
      return Event::kEnd;
    }
  } else if (p_ == end_) {
    return Fail(p_, "the body does not end with \"# EOF\"");
  }
  return *p_ == '#' ? ParseComment() : ParseSample();
}

TextParser::Event TextParser::ParseComment() {
  const char* const start = p_;
  const bool open = dialect_ == TextDialect::kOpenMetrics;
  const std::string_view content = RestOfLine(p_, end_);
  const char* const stop = content.data() + content.size();
  const char* const after = stop == end_ ? end_ : stop + 1;
  line_ = {start, static_cast<size_t>(after - start)};
  if (open && content == "# EOF") {
    p_ = stop;
    return EndOfOpenMetrics();
  }
  // The pieces: '#', blanks, the word, blanks, the name, a blank, text.
  ++p_;
  const auto blanks = [&] {
    const char* before = p_;
    if (open) {
      if (p_ < stop && *p_ == ' ') ++p_;
    } else {
      while (p_ < stop && IsBlank(*p_)) ++p_;
    }
    return p_ != before;
  };
  const bool spaced = blanks();
  const char* const word_start = p_;
  while (p_ < stop && !IsBlank(*p_)) ++p_;
  const std::string_view word(word_start, static_cast<size_t>(p_ - word_start));
  Event event = Event::kComment;
  if (word == "HELP") event = Event::kHelp;
  if (word == "TYPE") event = Event::kType;
  if (word == "UNIT" && open) event = Event::kUnit;
  const bool has_name = event != Event::kComment && spaced && blanks() && p_ < stop;
  if (open && !has_name) {
    return Fail(
        start,
        "expected \"# HELP name ...\", \"# TYPE name ...\", \"# UNIT name ...\" or \"# EOF\"");
  }
  if (!has_name) {  // In the text format whatever else begins with '#' is a comment.
    p_ = after;
    return Event::kComment;
  }

  metadata_ = {};
  metadata_.line = line_;
  if (*p_ == '"') {
    if (!ParseQuoted(metadata_.name, metadata_.name_escaped) || p_ > stop) {
      return Fail(start, "expected a closing quote after the metric name");
    }
  } else {
    const char* const name_start = p_;
    if (!IsNameStart(*p_)) return Fail(p_, "expected a metric name");
    while (p_ < stop && IsNameByte(*p_)) ++p_;
    metadata_.name = {name_start, static_cast<size_t>(p_ - name_start)};
  }
  const char* const after_name = p_;
  const bool has_text = blanks();
  if (!has_text && (open || p_ != stop))
    return Fail(after_name, "expected a space after the metric name");
  metadata_.text = {p_, static_cast<size_t>(stop - p_)};
  if (event == Event::kType) {
    std::string_view type = metadata_.text;
    if (!open) type = Trim(type);
    const std::optional<MetricType> known =
        type == "untyped" && !open ? std::optional(MetricType::kUnknown) : MetricTypeFromName(type);
    if (!known || (open && type == "untyped")) return Fail(p_, "expected a metric type");
    metadata_.type = *known;
  }
  if (event == Event::kUnit && !metadata_.text.empty()) {
    const std::string_view name = metadata_.name;
    const std::string_view unit = metadata_.text;
    if (!name.ends_with(unit) || name.size() <= unit.size() ||
        name[name.size() - unit.size() - 1] != '_') {
      return Fail(p_, StrCat("expected a unit that ", Excerpt(name), " ends with"));
    }
  }
  p_ = after;
  return event;
}

// At the opening quote; leaves p_ behind the closing one.
bool TextParser::ParseQuoted(std::string_view& inside, bool& escaped) {
  escaped = false;
  const char* const start = ++p_;
  const bool open = dialect_ == TextDialect::kOpenMetrics;
  for (; p_ < end_; ++p_) {
    const char c = *p_;
    if (c == '"') {
      inside = {start, static_cast<size_t>(p_ - start)};
      ++p_;
      return true;
    }
    if (c == '\n' && open) return false;
    if (c == '\\') {
      escaped = true;
      if (++p_ == end_ || (*p_ == '\n' && open)) return false;
    }
  }
  return false;
}

// At the opening brace; leaves p_ behind the closing one. A quoted text without '=' is the metric's
// name. On failure the status is set.
bool TextParser::ParseLabels(std::vector<LabelSlice>& labels, bool exemplar) {
  labels.clear();
  ++p_;
  bool first = true;
  for (;;) {
    SkipBlanks();
    if (p_ < end_ && *p_ == '}') {
      if (!exemplar) sample_.trailing_comma = !first;
      ++p_;
      return true;
    }
    LabelSlice label;
    const char* const start = p_;
    if (p_ < end_ && *p_ == '"') {
      if (!ParseQuoted(label.name, label.name_escaped)) {
        Fail(start, "expected a closing quote");
        return false;
      }
      SkipBlanks();
      if (p_ < end_ && (*p_ == ',' || *p_ == '}')) {
        if (exemplar || !sample_.name.empty() || label.name.empty()) {
          Fail(start,
               exemplar ? "expected '=' after a label name" : "expected one metric name only");
          return false;
        }
        sample_.name = label.name;
        sample_.name_escaped = label.name_escaped;
        if (*p_ == ',') {
          ++p_;
          first = false;
        } else {
          first = true;
        }
        continue;
      }
    } else {
      if (p_ == end_ || !IsNameStart(*p_) || *p_ == ':') {
        Fail(p_, "expected a label name or '}'");
        return false;
      }
      while (p_ < end_ && IsLabelByte(*p_)) ++p_;
      label.name = {start, static_cast<size_t>(p_ - start)};
      SkipBlanks();
    }
    if (p_ == end_ || *p_ != '=') {
      Fail(p_, "expected '=' after a label name");
      return false;
    }
    ++p_;
    SkipBlanks();
    const char* const value_start = p_;
    if (p_ == end_ || *p_ != '"') {
      Fail(p_, "expected a label value in double quotes");
      return false;
    }
    if (!ParseQuoted(label.value, label.value_escaped)) {
      Fail(value_start, "expected a closing quote after the label value");
      return false;
    }
    labels.push_back(label);
    SkipBlanks();
    if (p_ < end_ && *p_ == ',') {
      ++p_;
      first = false;
      continue;
    }
    first = true;
    if (p_ == end_ || *p_ != '}') {
      Fail(p_, "expected ',' or '}' after a label value");
      return false;
    }
  }
}

TextParser::Event TextParser::ParseSample() {
  const char* const start = p_;
  sample_ = {};
  if (IsNameStart(*p_)) {
    while (p_ < end_ && IsNameByte(*p_)) ++p_;
    sample_.name = {start, static_cast<size_t>(p_ - start)};
    SkipBlanks();
  } else if (*p_ != '{') {
    return Fail(p_, "expected a metric name or '{'");
  }
  const char* const before_labels = p_;
  if (p_ < end_ && *p_ == '{') {
    if (!ParseLabels(labels_, /*exemplar=*/false)) return Event::kError;
    sample_.labels = labels_;
  }
  if (sample_.name.empty()) return Fail(start, "expected a metric name");
  if (dialect_ == TextDialect::kOpenMetrics) {
    if (p_ == end_ || *p_ != ' ') return Fail(p_, "expected one space before the value");
    ++p_;
  } else {
    const bool spaced = SkipBlanks();
    if (!spaced && p_ == before_labels && !IsBlank(p_[-1])) {
      return Fail(p_, "expected a label set or a value after the metric name");
    }
  }
  sample_.key = {start, static_cast<size_t>(p_ - start)};
  return ParseTail() ? Event::kSample : Event::kError;
}

// From the value to behind the newline. On failure the status is set.
bool TextParser::ParseTail() {
  const bool open = dialect_ == TextDialect::kOpenMetrics;
  const auto token = [&] {
    const char* const start = p_;
    while (p_ < end_ && !IsBlank(*p_) && *p_ != '\n') ++p_;
    return std::string_view(start, static_cast<size_t>(p_ - start));
  };
  // One space in OpenMetrics, any number of blanks in text.
  const auto gap = [&] {
    if (!open) return SkipBlanks();
    if (p_ == end_ || *p_ != ' ') return false;
    ++p_;
    return true;
  };
  sample_.value_text = token();
  if (sample_.value_text.empty()) return Fail(p_, "expected a value"), false;
  const std::optional<double> value = ParseValue(sample_.value_text);
  if (!value) return Fail(sample_.value_text.data(), "expected a value"), false;
  sample_.value = *value;

  bool spaced = gap();
  if (p_ < end_ && *p_ != '\n' && *p_ != '#') {
    if (!spaced) return Fail(p_, "expected a space after the value"), false;
    sample_.time_text = token();
    sample_.t_ms = open ? ParseSeconds(sample_.time_text) : ParseInteger(sample_.time_text);
    if (!sample_.t_ms) {
      const char* at = sample_.time_text.empty() ? p_ : sample_.time_text.data();
      return Fail(at, open ? "expected a timestamp in seconds"
                           : "expected a timestamp in milliseconds"),
             false;
    }
    spaced = gap();
  }
  if (open && p_ < end_ && *p_ == '#') {
    const char* const start = p_;
    if (!spaced || end_ - p_ < 3 || p_[1] != ' ' || p_[2] != '{') {
      return Fail(start, "expected an exemplar such as # {trace_id=\"x\"} 1"), false;
    }
    p_ += 2;
    if (!ParseLabels(exemplar_labels_, /*exemplar=*/true)) return false;
    sample_.has_exemplar = true;
    sample_.exemplar_labels = exemplar_labels_;
    if (!gap()) return Fail(p_, "expected a space before the exemplar's value"), false;
    const std::string_view text = token();
    const std::optional<double> exemplar_value = ParseValue(text);
    if (!exemplar_value) return Fail(text.data(), "expected the exemplar's value"), false;
    sample_.exemplar_value = *exemplar_value;
    spaced = gap();
    if (spaced) {
      const std::string_view time = token();
      sample_.exemplar_t_ms = ParseSeconds(time);
      if (!sample_.exemplar_t_ms)
        return Fail(time.data(), "expected the exemplar's timestamp in seconds"), false;
      spaced = false;
    }
  }
  if (open && spaced) return Fail(p_, "expected no space at the end of the line"), false;
  if (p_ < end_ && *p_ != '\n') return Fail(p_, "expected the end of the line"), false;
  if (p_ == end_ && open) return Fail(p_, "expected a newline after the sample"), false;
  if (p_ < end_) ++p_;
  return true;
}

TextParser::Key TextParser::KeyOf(std::string_view text) {
  return {XXH3_64bits(text.data(), text.size()), static_cast<uint32_t>(text.size())};
}

bool TextParser::NextKnown(Key key) {
  if (ended_ || static_cast<size_t>(end_ - p_) <= key.size ||
      XXH3_64bits(p_, key.size) != key.hash) {
    return false;
  }
  const char* const start = p_;
  const char* q = p_ + key.size;
  line_ = {start, key.size};
  // The most likely line: a number and a newline.
  const char* const value_start = q;
  const std::optional<double> value = ParseValueAt(q, end_);
  if (!value) return false;
  if (q < end_ && *q == '\n') {
    sample_.value = *value;
    sample_.t_ms.reset();
    sample_.has_exemplar = false;
    p_ = q + 1;
    return true;
  }
  sample_ = {};
  p_ = value_start;
  if (!ParseTail()) {
    status_ = Status();
    ended_ = false;
    p_ = start;
    return false;
  }
  return true;
}

bool TextParser::SkipKnown(Key line) {
  if (ended_ || line.size == 0 || static_cast<size_t>(end_ - p_) < line.size ||
      XXH3_64bits(p_, line.size) != line.hash) {
    return false;
  }
  // A remembered line without newline was the last of its body; it must be the last again.
  if (p_[line.size - 1] != '\n' && p_ + line.size != end_) return false;
  p_ += line.size;
  return true;
}

void AppendUnescaped(std::string& out, std::string_view escaped) {
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\' && i + 1 < escaped.size()) {
      const char next = escaped[i + 1];
      if (next == '\\' || next == '"' || next == 'n') {
        out.push_back(next == 'n' ? '\n' : next);
        ++i;
        continue;
      }
    }
    out.push_back(escaped[i]);
  }
}

std::string UnescapeHelp(std::string_view escaped, TextDialect dialect) {
  std::string out;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\' && i + 1 < escaped.size()) {
      const char next = escaped[i + 1];
      if (next == '\\' || next == 'n' || (next == '"' && dialect == TextDialect::kOpenMetrics)) {
        out.push_back(next == 'n' ? '\n' : next);
        ++i;
        continue;
      }
    }
    out.push_back(escaped[i]);
  }
  return out;
}

namespace {

// Unescaped copies that views point into while a label set is put together.
class Unescaper {
 public:
  explicit Unescaper(size_t pieces) { copies_.reserve(pieces); }
  std::string_view operator()(std::string_view text, bool escaped) {
    if (!escaped) return text;
    AppendUnescaped(copies_.emplace_back(), text);
    return copies_.back();
  }

 private:
  std::vector<std::string> copies_;  // Reserved: never moves.
};

Result<Labels> Gather(std::vector<Label>& labels) {
  for (const Label& label : labels) {
    if (!IsValidUtf8(label.name) || !IsValidUtf8(label.value)) {
      return InvalidArgument(
          StrCat("label ", Excerpt(label.name), " is not valid UTF-8: ", Excerpt(label.value)));
    }
  }
  std::sort(labels.begin(), labels.end(),
            [](const Label& a, const Label& b) { return a.name < b.name; });
  for (size_t i = 1; i < labels.size(); ++i) {
    if (labels[i].name == labels[i - 1].name) {
      return InvalidArgument(StrCat("label ", Excerpt(labels[i].name), " is given twice"));
    }
  }
  return Labels::Of(std::move(labels));
}

}  // namespace

Result<Labels> ToLabels(const SampleLine& line, MetricType type) {
  Unescaper unescape(1 + 2 * line.labels.size());
  std::vector<Label> labels;
  labels.reserve(line.labels.size() + 1);
  labels.push_back({kMetricNameLabel, unescape(line.name, line.name_escaped)});
  std::string canonical;
  for (const LabelSlice& slice : line.labels) {
    Label label{unescape(slice.name, slice.name_escaped),
                unescape(slice.value, slice.value_escaped)};
    if (((type == MetricType::kHistogram || type == MetricType::kGaugeHistogram) &&
         label.name == "le") ||
        (type == MetricType::kSummary && label.name == "quantile")) {
      if (const std::optional<double> bound = ParseValue(label.value); bound && canonical.empty()) {
        AppendCanonicalFloat(canonical, *bound);
        label.value = canonical;
      }
    }
    labels.push_back(label);
  }
  Result<Labels> set = Gather(labels);
  if (!set.ok()) return set.status().Annotate(Excerpt(line.key));
  return set;
}

Result<Exemplar> ToExemplar(const SampleLine& line) {
  Unescaper unescape(2 * line.exemplar_labels.size());
  std::vector<Label> labels;
  for (const LabelSlice& slice : line.exemplar_labels) {
    labels.push_back(
        {unescape(slice.name, slice.name_escaped), unescape(slice.value, slice.value_escaped)});
  }
  Exemplar exemplar;
  VEDETTE_ASSIGN_OR_RETURN(exemplar.labels, Gather(labels));
  exemplar.value = line.exemplar_value;
  exemplar.t_ms = line.exemplar_t_ms;
  return exemplar;
}

namespace {

// Whether a sample of this name belongs to the family, by the suffixes of its type.
bool BelongsTo(std::string_view sample, std::string_view family, MetricType type) {
  if (!sample.starts_with(family)) return false;
  const std::string_view suffix = sample.substr(family.size());
  if (suffix.empty()) return true;
  switch (type) {
    case MetricType::kCounter:
      return suffix == "_total" || suffix == "_created";
    case MetricType::kHistogram:
      return suffix == "_bucket" || suffix == "_sum" || suffix == "_count" || suffix == "_created";
    case MetricType::kGaugeHistogram:
      return suffix == "_bucket" || suffix == "_gsum" || suffix == "_gcount";
    case MetricType::kSummary:
      return suffix == "_sum" || suffix == "_count" || suffix == "_created";
    case MetricType::kInfo:
      return suffix == "_info";
    default:
      return false;
  }
}

}  // namespace

Result<std::vector<MetricFamily>> ParseText(std::string_view body, TextDialect dialect) {
  std::vector<MetricFamily> families;
  std::unordered_map<std::string, size_t> by_name;
  size_t current = 0;
  const auto family = [&](std::string_view name) -> MetricFamily& {
    const auto [it, fresh] = by_name.try_emplace(std::string(name), families.size());
    if (fresh) families.push_back({.name = std::string(name)});
    current = it->second;
    return families[current];
  };
  const auto named = [&](const MetadataLine& line) -> MetricFamily& {
    std::string name;
    if (line.name_escaped) {
      AppendUnescaped(name, line.name);
    } else {
      name = line.name;
    }
    return family(name);
  };

  TextParser parser(body, dialect);
  for (;;) {
    switch (parser.Next()) {
      case TextParser::Event::kEnd:
        return families;
      case TextParser::Event::kError:
        return parser.status();
      case TextParser::Event::kComment:
        break;
      case TextParser::Event::kHelp:
        named(parser.metadata()).metadata.help = UnescapeHelp(parser.metadata().text, dialect);
        break;
      case TextParser::Event::kType:
        named(parser.metadata()).metadata.type = parser.metadata().type;
        break;
      case TextParser::Event::kUnit:
        named(parser.metadata()).metadata.unit = parser.metadata().text;
        break;
      case TextParser::Event::kSample: {
        const SampleLine& line = parser.sample();
        const bool same = current < families.size();
        VEDETTE_ASSIGN_OR_RETURN(
            Labels labels,
            ToLabels(line, same ? families[current].metadata.type : MetricType::kUnknown));
        const std::string_view name = labels.metric_name();
        MetricFamily& owner =
            same && BelongsTo(name, families[current].name, families[current].metadata.type)
                ? families[current]
                : family(name);
        FamilySample sample{.value = line.value, .t_ms = line.t_ms};
        if (line.has_exemplar) {
          VEDETTE_ASSIGN_OR_RETURN(Exemplar exemplar, ToExemplar(line));
          sample.exemplars.push_back(std::move(exemplar));
        }
        sample.labels = std::move(labels);
        owner.samples.push_back(std::move(sample));
        break;
      }
    }
  }
}

}  // namespace vedette::exposition
