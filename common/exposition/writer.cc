#include "common/exposition/writer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/number.h"
#include "common/model/labels.h"

namespace vedette::exposition {
namespace {

enum class Form : uint8_t { kText, kOpenMetrics };

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  // Nearly no text needs it.
  if (std::ranges::none_of(text, [](char c) { return c == '\\' || c == '\n' || c == '"'; })) {
    out.append(text);
    return;
  }
  for (const char c : text) {
    switch (c) {
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '"':
        out.append(quotes ? "\\\"" : "\"");
        break;
      default:
        out.push_back(c);
    }
  }
}

void AppendUnderscored(std::string& out, std::string_view name, bool metric) {
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = static_cast<unsigned char>((c | 0x20) - 'a') < 26 || c == '_';
    const bool digit = static_cast<unsigned char>(c - '0') < 10 && i > 0;
    out.push_back(letter || digit || (metric && c == ':') ? c : '_');
  }
}

// A name in a metadata line, where quotes are allowed around it.
void AppendName(std::string& out, std::string_view name, const WriteOptions& options) {
  if (IsLegacyMetricName(name)) {
    out.append(name);
  } else if (options.allow_utf8) {
    out.push_back('"');
    AppendEscaped(out, name, true);
    out.push_back('"');
  } else {
    AppendUnderscored(out, name, true);
  }
}

void AppendPair(std::string& out, char& separator, const Label& label,
                const WriteOptions& options) {
  out.push_back(separator);
  separator = ',';
  if (IsLegacyLabelName(label.name)) {
    out.append(label.name);
  } else if (options.allow_utf8) {
    out.push_back('"');
    AppendEscaped(out, label.name, true);
    out.push_back('"');
  } else {
    AppendUnderscored(out, label.name, false);
  }
  out.append("=\"");
  AppendEscaped(out, label.value, true);
  out.push_back('"');
}

// name{labels}, up to but without the space before the value.
void AppendSeries(std::string& out, std::string_view name, const Labels& labels,
                  const WriteOptions& options, const std::vector<std::string>* blanks = nullptr) {
  char separator = '{';
  const bool quoted = options.allow_utf8 && !IsLegacyMetricName(name);
  if (quoted) {
    out.append("{\"");
    AppendEscaped(out, name, true);
    out.push_back('"');
    separator = ',';
  } else {
    AppendName(out, name, options);
  }
  for (const Label& label : labels) {
    if (label.name != kMetricNameLabel) AppendPair(out, separator, label, options);
  }
  if (blanks != nullptr) {
    for (const std::string& blank : *blanks) {
      if (!labels.Has(blank)) AppendPair(out, separator, {blank, ""}, options);
    }
  }
  if (separator == ',') out.push_back('}');
}

void AppendSeconds(std::string& out, int64_t t_ms) {
  if (t_ms < 0) out.push_back('-');
  const uint64_t magnitude =
      t_ms < 0 ? uint64_t{0} - static_cast<uint64_t>(t_ms) : static_cast<uint64_t>(t_ms);
  StrAppend(out, magnitude / 1000);
  if (const uint64_t rest = magnitude % 1000; rest != 0) {
    out.push_back('.');
    out.push_back(static_cast<char>('0' + rest / 100));
    out.push_back(static_cast<char>('0' + rest / 10 % 10));
    out.push_back(static_cast<char>('0' + rest % 10));
  }
}

// What follows a series on its line: the value, and its time where it has one.
void AppendRest(std::string& out, const FamilySample& sample, double value, Form form) {
  out.push_back(' ');
  if (form == Form::kOpenMetrics) {
    AppendCanonicalFloat(out, value);
  } else {
    AppendValue(out, value == 0 ? 0 : value);  // Exporters in Go write -0 as 0.
  }
  if (sample.t_ms) {
    out.push_back(' ');
    if (form == Form::kOpenMetrics) {
      AppendSeconds(out, *sample.t_ms);
    } else {
      StrAppend(out, *sample.t_ms);
    }
  }
}

void AppendLine(std::string& out, std::string_view name, const FamilySample& sample, double value,
                Form form, const WriteOptions& options,
                const std::vector<std::string>* blanks = nullptr) {
  AppendSeries(out, name, sample.labels, options, blanks);
  AppendRest(out, sample, value, form);
}

void AppendExemplar(std::string& out, const Exemplar& exemplar, const WriteOptions& options) {
  out.append(" # {");
  char separator = '{';
  std::string labels;
  for (const Label& label : exemplar.labels) AppendPair(labels, separator, label, options);
  if (!labels.empty()) out.append(labels, 1);
  out.append("} ");
  AppendCanonicalFloat(out, exemplar.value);
  if (exemplar.t_ms) {
    out.push_back(' ');
    AppendSeconds(out, *exemplar.t_ms);
  }
}

void AppendMetadata(std::string& out, std::string_view name, std::string_view type,
                    const Metadata& metadata, Form form, const WriteOptions& options) {
  if (!metadata.help.empty()) {
    out.append("# HELP ");
    AppendName(out, name, options);
    out.push_back(' ');
    AppendEscaped(out, metadata.help, form == Form::kOpenMetrics);
    out.push_back('\n');
  }
  out.append("# TYPE ");
  AppendName(out, name, options);
  StrAppend(out, " ", type, "\n");
  if (form == Form::kOpenMetrics && !metadata.unit.empty() &&
      name.ends_with(StrCat("_", metadata.unit))) {
    out.append("# UNIT ");
    AppendName(out, name, options);
    StrAppend(out, " ", metadata.unit, "\n");
  }
}

// What text 0.0.4 calls the types that it does not know.
std::string_view TextType(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
      return "untyped";
    case MetricType::kInfo:
    case MetricType::kStateSet:
      return "gauge";
    case MetricType::kGaugeHistogram:
      return "histogram";
    default:
      return MetricTypeName(type);
  }
}

// Of a native histogram only count and sum have a text form.
void AppendNative(std::string& out, std::string_view name, const FamilySample& sample, Form form,
                  const WriteOptions& options) {
  AppendLine(out, StrCat(name, "_count"), sample, sample.histogram->count, form, options);
  out.push_back('\n');
  AppendLine(out, StrCat(name, "_sum"), sample, sample.histogram->sum, form, options);
  out.push_back('\n');
}

void AppendOpenMetrics(std::string& out, const MetricFamily& family, const WriteOptions& options) {
  std::string_view name = family.name;
  MetricType type = family.metadata.type;
  // A counter's family has no "_total", its samples have; likewise "_info".
  std::string_view suffix;
  if (type == MetricType::kCounter) suffix = "_total";
  if (type == MetricType::kInfo) suffix = "_info";
  if (!suffix.empty() && name.ends_with(suffix) && name.size() > suffix.size()) {
    name.remove_suffix(suffix.size());
  }
  AppendMetadata(out, name, MetricTypeName(type), family.metadata, Form::kOpenMetrics, options);
  for (const FamilySample& sample : family.samples) {
    if (sample.histogram != nullptr) {
      AppendNative(out, sample.labels.metric_name(), sample, Form::kOpenMetrics, options);
      continue;
    }
    std::string sample_name(sample.labels.metric_name());
    if (sample_name == name && !suffix.empty()) sample_name.append(suffix);
    AppendLine(out, sample_name, sample, sample.value, Form::kOpenMetrics, options);
    const bool may_have_exemplar =
        sample_name.ends_with("_total") || sample_name.ends_with("_bucket");
    if (may_have_exemplar && !sample.exemplars.empty()) {
      AppendExemplar(out, sample.exemplars.back(), options);
    }
    out.push_back('\n');
    if (sample.start_ms && (sample_name.ends_with("_total") || sample_name.ends_with("_count"))) {
      const size_t end = sample_name.rfind('_');
      AppendSeries(out, StrCat(sample_name.substr(0, end), "_created"), sample.labels, options);
      out.push_back(' ');
      AppendSeconds(out, *sample.start_ms);
      out.push_back('\n');
    }
  }
}

const std::vector<std::string>* BlanksOf(const std::string& name, const WriteOptions& options) {
  if (options.blank_labels == nullptr) return nullptr;
  const auto at = options.blank_labels->find(name);
  return at == options.blank_labels->end() ? nullptr : &at->second;
}

// Lets list[at] be the one that is wanted: that, or the next if one went away (it moves on and is cut
// off in the end), or else an empty one.
template <typename T, typename IsWanted>
void MakePlace(std::vector<T>& list, size_t at, IsWanted is_wanted) {
  if (at == list.size()) {
    list.emplace_back();
  } else if (!is_wanted(list[at])) {
    if (at + 1 < list.size() && is_wanted(list[at + 1])) {
      std::swap(list[at], list[at + 1]);
    } else {
      list[at] = T();
    }
  }
}

}  // namespace

void AppendText(std::string& out, const MetricFamily& family, const WriteOptions& options) {
  AppendMetadata(out, family.name, TextType(family.metadata.type), family.metadata, Form::kText,
                 options);
  const std::vector<std::string>* blanks = BlanksOf(family.name, options);
  for (const FamilySample& sample : family.samples) {
    if (sample.histogram != nullptr) {
      AppendNative(out, sample.labels.metric_name(), sample, Form::kText, options);
      continue;
    }
    AppendLine(out, sample.labels.metric_name(), sample, sample.value, Form::kText, options,
               blanks);
    out.push_back('\n');
  }
}

std::string KeptText::Write(std::span<const MetricFamily* const> families,
                            const WriteOptions& options) {
  if (options.allow_utf8 != allow_utf8_) families_.clear();
  allow_utf8_ = options.allow_utf8;
  std::string out;
  out.reserve(bytes_ + bytes_ / 8);
  for (size_t i = 0; i < families.size(); ++i) {
    MakePlace(families_, i, [&](const Family& f) { return f.name == families[i]->name; });
    AppendFamily(out, *families[i], options, i);
  }
  families_.resize(families.size());
  bytes_ = out.size();
  return out;
}

void KeptText::AppendFamily(std::string& out, const MetricFamily& family,
                            const WriteOptions& options, size_t at) {
  static const std::vector<std::string> kNone;
  Family& kept = families_[at];
  const std::vector<std::string>* blanks = BlanksOf(family.name, options);
  const bool same_blanks = kept.blanks == (blanks == nullptr ? kNone : *blanks);
  if (kept.name != family.name || kept.metadata != family.metadata || !same_blanks) {
    kept = {.name = family.name,
            .metadata = family.metadata,
            .blanks = blanks == nullptr ? kNone : *blanks,
            .head = {},
            .lines = {}};
    AppendMetadata(kept.head, family.name, TextType(family.metadata.type), family.metadata,
                   Form::kText, options);
  }
  out += kept.head;
  size_t row = 0;
  for (const FamilySample& sample : family.samples) {
    if (sample.histogram != nullptr) {
      AppendNative(out, sample.labels.metric_name(), sample, Form::kText, options);
      continue;
    }
    const std::string_view labels = sample.labels.bytes();
    MakePlace(kept.lines, row, [&](const Line& line) { return line.labels == labels; });
    Line& line = kept.lines[row++];
    if (line.labels != labels || line.text.empty()) {
      line = {std::string(labels), {}};
      AppendSeries(line.text, sample.labels.metric_name(), sample.labels, options, blanks);
    }
    out += line.text;
    AppendRest(out, sample, sample.value, Form::kText);
    out.push_back('\n');
  }
  kept.lines.resize(row);
}

std::string WriteText(std::span<const MetricFamily> families, const WriteOptions& options) {
  std::string out;
  for (const MetricFamily& family : families) AppendText(out, family, options);
  return out;
}

std::string WriteOpenMetrics(std::span<const MetricFamily> families, const WriteOptions& options) {
  std::string out;
  for (const MetricFamily& family : families) AppendOpenMetrics(out, family, options);
  out.append("# EOF\n");
  return out;
}

}  // namespace vedette::exposition
