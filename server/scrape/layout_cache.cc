#include "server/scrape/layout_cache.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/openmetrics_check.h"
#include "common/exposition/protobuf.h"
#include "server/scrape/nhcb.h"
#include "server/scrape/series_rules.h"
#include "server/scrape/shared_metadata.h"

namespace vedette::scrape {

using exposition::SampleLine;
using exposition::TextDialect;
using exposition::TextParser;
using Event = TextParser::Event;

namespace {

// The cache forgets everything when it remembers more than so many lines for each line of a body.
constexpr size_t kKeysPerLine = 3;
constexpr size_t kKeysToSpare = 1024;

// Labels given with an empty value: they are no labels, but honor_labels wants to know.
std::vector<std::string> EmptyNames(const SampleLine& line) {
  std::vector<std::string> names;
  for (const exposition::LabelSlice& slice : line.labels) {
    if (slice.value.empty()) names.emplace_back(slice.name);
  }
  return names;
}

}  // namespace

struct LayoutCache::Context {
  const Labels& target;
  const Job& job;
  Timeline& timeline;
  TextDialect dialect = TextDialect::kText;
  MetricType type = MetricType::kUnknown;  // Of the last TYPE line.
  // A changed copy of metadata_, once there are news, and the families that they are about.
  std::shared_ptr<MetadataMap> metadata;
  std::set<std::string> changed;

  void Note(const MetadataMap& before, const std::string& name, const Metadata& now) {
    if (metadata == nullptr) metadata = std::make_shared<MetadataMap>(before);
    (*metadata)[name] = now;
    changed.insert(name);
  }
  Metadata Known(const MetadataMap& before, const std::string& name) const {
    const MetadataMap& map = metadata == nullptr ? before : *metadata;
    const auto it = map.find(name);
    return it == map.end() ? Metadata() : it->second;
  }
};

void LayoutCache::Forget() {
  keys_.Clear();
  meanings_.clear();
  line_of_.clear();
  lines_.clear();
  starts_ = nullptr;
  metadata_ = std::make_shared<const MetadataMap>();
}

Status LayoutCache::Ingest(std::string_view body, exposition::Protocol protocol,
                           const Labels& target, const Job& job, Timeline& timeline) {
  counts_ = {};
  Context context{.target = target, .job = job, .timeline = timeline};
  if (protocol != protocol_ || keys_.size() > kKeysPerLine * lines_.size() + kKeysToSpare) {
    Forget();
    protocol_ = protocol;
  }
  if (generation_ != timeline.generation()) {
    generation_ = timeline.generation();
    for (uint32_t& meaning : meanings_) {
      if (meaning < kFirstSpecial || meaning == kDropped) meaning = kUnresolved;
    }
  }
  Status status;
  switch (protocol) {
    case exposition::Protocol::kPrometheusProto:
      status = IngestProtobuf(body, context);
      break;
    case exposition::Protocol::kOpenMetrics1_0_0:
    case exposition::Protocol::kOpenMetrics0_0_1:
      if (job.strict_openmetrics) {
        VEDETTE_RETURN_IF_ERROR(exposition::CheckOpenMetrics(body));
      }
      status = job.convert_classic_histograms
                   ? IngestConverted(body, TextDialect::kOpenMetrics, context)
                   : IngestText(body, TextDialect::kOpenMetrics, context);
      break;
    case exposition::Protocol::kText1_0_0:
    case exposition::Protocol::kText0_0_4:
      status = job.convert_classic_histograms ? IngestConverted(body, TextDialect::kText, context)
                                              : IngestText(body, TextDialect::kText, context);
      break;
  }
  VEDETTE_RETURN_IF_ERROR(std::move(status));
  if (job.limits.samples > 0 && counts_.kept > job.limits.samples) {
    return ResourceExhausted(
        StrCat("sample_limit exceeded: ", counts_.kept,
               " samples after metric relabelling, limit: ", job.limits.samples));
  }
  return Status();
}

Status LayoutCache::IngestText(std::string_view body, TextDialect dialect, Context& context) {
  context.dialect = dialect;
  if (context.job.wants_starts() && dialect == TextDialect::kOpenMetrics) {
    if (starts_ == nullptr) starts_ = std::make_unique<StartLines>();
    starts_->Begin();
  }
  TextParser parser(body, dialect);
  size_t line = 0;      // Where in lines_ we believe to be.
  bool in_step = true;  // Nothing has differed so far, so next_lines_ is not kept yet.
  next_lines_.clear();
  for (;;) {
    if (line < lines_.size()) {
      const uint32_t key = lines_[line];
      const uint32_t meaning = meanings_[key];
      const bool comment = meaning >= kFirstType && meaning <= kComment;
      if (comment ? parser.SkipKnown(keys_.key(key)) : parser.NextKnown(keys_.key(key))) {
        ++line;
        ++counts_.in_step;
        if (!in_step) next_lines_.push_back(key);
        if (comment) {
          if (meaning < kComment) context.type = static_cast<MetricType>(meaning - kFirstType);
        } else {
          VEDETTE_RETURN_IF_ERROR(Record(key, parser.line(), parser.sample(), context));
        }
        continue;
      }
    }
    const Event event = parser.Next();
    if (event == Event::kError) return parser.status();
    if (in_step && (event != Event::kEnd || line != lines_.size())) {
      in_step = false;
      IndexLines();
      next_lines_.assign(lines_.begin(), lines_.begin() + static_cast<ptrdiff_t>(line));
    }
    if (event == Event::kEnd) break;
    const bool sample = event == Event::kSample;
    const uint32_t key = KeyOf(sample ? parser.sample().key : parser.line());
    next_lines_.push_back(key);
    if (line_of_[key] != KeyTable::kNone) line = line_of_[key] + 1;
    if (sample) {
      if (meanings_[key] == kUnresolved) {
        VEDETTE_RETURN_IF_ERROR(Resolve(key, parser.sample(), context));
      }
      VEDETTE_RETURN_IF_ERROR(Record(key, parser.sample().key, parser.sample(), context));
    } else {
      NoteMetadata(parser, event, dialect, context);
      meanings_[key] = event == Event::kType
                           ? kFirstType + static_cast<uint32_t>(parser.metadata().type)
                           : static_cast<uint32_t>(kComment);
    }
  }
  if (!in_step) {
    for (const uint32_t key : lines_) line_of_[key] = KeyTable::kNone;
    lines_.swap(next_lines_);
    for (uint32_t i = 0; i < lines_.size(); ++i) line_of_[lines_[i]] = i;
    // Targets are many and seldom change: what was taken to grow into is given back.
    keys_.Tighten();
    meanings_.shrink_to_fit();
    line_of_.shrink_to_fit();
    lines_.shrink_to_fit();
    next_lines_ = {};
  } else {
    // Nothing had to be looked for, and so it will be the next time.
    keys_.DropIndex();
    line_of_ = {};
  }
  if (starts_ != nullptr) {
    starts_->End([&](uint32_t key, int64_t start_ms) {
      if (meanings_[key] < kFirstSpecial) context.timeline.SetStart(meanings_[key], start_ms);
    });
  }
  FlushMetadata(context);
  return Status();
}

void LayoutCache::IndexLines() {
  if (line_of_.size() == keys_.size()) return;
  line_of_.assign(keys_.size(), KeyTable::kNone);
  for (uint32_t i = 0; i < lines_.size(); ++i) line_of_[lines_[i]] = i;
}

Status LayoutCache::IngestProtobuf(std::string_view body, Context& context) {
  const exposition::ProtobufOptions options{
      .native_histograms = context.job.native_histograms,
      .always_classic = context.job.always_classic_histograms};
  uint32_t line = 0;
  VEDETTE_RETURN_IF_ERROR(exposition::ParseProtobuf(
      body, options, [&](MetricFamily& family) { return IngestFamily(family, line, context); }));
  lines_.resize(line);  // Only its length matters here: how many keys are in use.
  FlushMetadata(context);
  return Status();
}

Status LayoutCache::IngestConverted(std::string_view body, TextDialect dialect, Context& context) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<MetricFamily> families,
                           exposition::ParseText(body, dialect));
  uint32_t line = 0;
  for (MetricFamily& family : families) {
    VEDETTE_RETURN_IF_ERROR(IngestFamily(family, line, context));
  }
  lines_.resize(line);
  FlushMetadata(context);
  return Status();
}

Status LayoutCache::IngestFamily(MetricFamily& family, uint32_t& line, Context& context) {
  if (context.Known(*metadata_, family.name) != family.metadata) {
    context.Note(*metadata_, family.name, family.metadata);
  }
  if (context.job.convert_classic_histograms) {
    ConvertClassicHistograms(family, context.job.always_classic_histograms);
  }
  for (FamilySample& sample : family.samples) {
    const uint32_t key = KeyOf(sample.labels.bytes());
    ++line;
    if (meanings_[key] == kUnresolved) {
      VEDETTE_RETURN_IF_ERROR(ResolveLabels(key, sample.labels, {}, context));
    }
    ++counts_.scraped;
    const uint32_t number = meanings_[key];
    if (number == kDropped) continue;
    ++counts_.kept;
    Result<std::shared_ptr<const Histogram>> limited =
        LimitHistogram(std::move(sample.histogram), context.job.limits);
    if (!limited.ok()) return limited.status().Annotate(sample.labels.ToString());
    sample.histogram = *std::move(limited);
    if (context.job.wants_starts()) {
      context.timeline.SetStart(number, sample.start_ms.value_or(0));
    }
    if (sample.t_ms && context.job.honor_timestamps) {
      if (!context.timeline.has_labels(number)) {
        VEDETTE_ASSIGN_OR_RETURN(std::optional<Labels> labels,
                                 SeriesLabels(sample.labels, {}, context.target, context.job));
        if (labels) context.timeline.KeepLabels(number, *labels);
      }
      context.timeline.SetTimed(number, *sample.t_ms, sample.value, sample.histogram,
                                context.job.track_timestamps_staleness);
    } else if (sample.histogram != nullptr
                   ? !context.timeline.SetHistogram(number, sample.histogram)
                   : !context.timeline.Set(number, sample.value)) {
      ++counts_.duplicates;
      continue;
    }
    for (Exemplar& exemplar : sample.exemplars) {
      context.timeline.AddExemplar(number, std::move(exemplar));
    }
  }
  return Status();
}

uint32_t LayoutCache::KeyOf(std::string_view key) {
  if (const uint32_t known = keys_.Find(key); known != KeyTable::kNone) return known;
  meanings_.push_back(kUnresolved);
  line_of_.push_back(KeyTable::kNone);
  return keys_.Add(key);
}

void LayoutCache::NoteMetadata(const TextParser& parser, Event event, TextDialect dialect,
                               Context& context) {
  if (event == Event::kComment) return;
  const exposition::MetadataLine& line = parser.metadata();
  std::string name;
  if (line.name_escaped) {
    exposition::AppendUnescaped(name, line.name);
  } else {
    name = line.name;
  }
  const Metadata before = context.Known(*metadata_, name);
  Metadata metadata = before;
  switch (event) {
    case Event::kHelp:
      metadata.help = exposition::UnescapeHelp(line.text, dialect);
      break;
    case Event::kType:
      metadata.type = line.type;
      context.type = line.type;
      break;
    default:
      metadata.unit = line.text;
  }
  if (metadata != before) context.Note(*metadata_, name, metadata);
}

void LayoutCache::FlushMetadata(Context& context) {
  if (context.metadata == nullptr) return;
  metadata_ = SharedMetadata(std::move(context.metadata));
  if (!on_metadata_) return;
  for (const std::string& name : context.changed) on_metadata_(name, metadata_->at(name));
}

// A key that was known before the timeline started over, or that needs its labels again: the text
// is the line up to its value, so any value makes it a line.
Status LayoutCache::ResolveText(uint32_t key, std::string_view text, Context& context) {
  std::string line(text);
  line.append("0\n");
  TextParser parser(line, context.dialect);
  if (parser.Next() != Event::kSample) return Internal(StrCat("cannot read again ", Quoted(line)));
  return Resolve(key, parser.sample(), context);
}

Status LayoutCache::Resolve(uint32_t key, const SampleLine& line, Context& context) {
  VEDETTE_ASSIGN_OR_RETURN(const Labels exposed, exposition::ToLabels(line, context.type));
  if (starts_ != nullptr &&
      starts_->Note(key, exposed, context.type) == StartLines::Kind::kCreated) {
    meanings_[key] = kCreated;
    return Status();
  }
  return ResolveLabels(key, exposed, EmptyNames(line), context);
}

Status LayoutCache::ResolveLabels(uint32_t key, const Labels& exposed,
                                  std::span<const std::string> empty_names, Context& context) {
  VEDETTE_ASSIGN_OR_RETURN(const std::optional<Labels> labels,
                           SeriesLabels(exposed, empty_names, context.target, context.job));
  if (!labels) {
    meanings_[key] = kDropped;
    return Status();
  }
  const uint32_t number = context.timeline.Number(*labels);
  if (meanings_[key] == number) context.timeline.KeepLabels(number, *labels);
  meanings_[key] = number;
  return Status();
}

Status LayoutCache::Record(uint32_t key, std::string_view text, const SampleLine& line,
                           Context& context) {
  if (meanings_[key] == kUnresolved) {
    VEDETTE_RETURN_IF_ERROR(ResolveText(key, text, context));
  }
  const uint32_t number = meanings_[key];
  if (number == kCreated) {
    starts_->Created(key, line.value);
    return Status();
  }
  ++counts_.scraped;
  if (number == kDropped) return Status();
  ++counts_.kept;
  if (line.t_ms && context.job.honor_timestamps) {
    // Known by place, so its labels may have been let go: read them once more and keep them.
    if (!context.timeline.has_labels(number)) {
      VEDETTE_RETURN_IF_ERROR(ResolveText(key, text, context));
    }
    context.timeline.SetTimed(number, *line.t_ms, line.value, nullptr,
                              context.job.track_timestamps_staleness);
  } else if (!context.timeline.Set(number, line.value)) {
    ++counts_.duplicates;
    return Status();
  }
  if (line.has_exemplar) {
    VEDETTE_ASSIGN_OR_RETURN(Exemplar exemplar, exposition::ToExemplar(line));
    context.timeline.AddExemplar(number, std::move(exemplar));
  }
  return Status();
}

}  // namespace vedette::scrape
