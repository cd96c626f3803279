#include <xxhash.h>

#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/model/sample.h"
#include "common/wire/bytes.h"
#include "common/wire/column.h"
#include "common/wire/pull.h"
#include "common/wire/pull_frame.h"

namespace vedette::wire {
namespace {

using namespace pull;  // NOLINT: the flags of the format, in the two files that speak it

// What a position costs beside its cell: its value in the frame.
size_t PositionBytes() { return Column::BytesPerCell() + sizeof(uint32_t); }

// Memory that is held for the stream and for the frame, against one limit.
struct Budget {
  size_t limit = 0;
  size_t held = 0;       // By layouts, families and histograms that stay.
  size_t transient = 0;  // By this frame.

  bool Hold(size_t n) {
    held += n;
    return Fits();
  }
  bool Take(size_t n) {
    transient += n;
    return Fits();
  }
  bool Fits() const { return held <= limit && transient <= limit - held; }
  Status Exceeded() const {
    return DataLoss(StrCat("frame needs more than the limit of ", limit, " bytes"));
  }
};

std::shared_ptr<const Histogram> GetHistogram(ByteReader& in, size_t& bytes) {
  auto h = std::make_shared<Histogram>();
  const int64_t schema = in.Signed();
  const uint8_t hint = in.Byte();
  if ((schema != Histogram::kCustomSchema && (schema < -4 || schema > 8)) ||
      hint > static_cast<uint8_t>(Histogram::ResetHint::kGauge)) {
    in.Fail();
    return h;
  }
  h->schema = static_cast<int32_t>(schema);
  h->reset_hint = static_cast<Histogram::ResetHint>(hint);
  h->zero_threshold = GetDouble(in);
  h->zero_count = GetDouble(in);
  h->count = GetDouble(in);
  h->sum = GetDouble(in);
  const auto get_side = [&](std::vector<Histogram::Span>& spans, std::vector<double>& buckets) {
    const size_t span_count = in.Count();
    uint64_t total = 0;
    for (size_t i = 0; i < span_count && in.ok(); ++i) {
      const int64_t offset = in.Signed();
      const uint64_t length = in.Varint();
      if (offset < INT32_MIN || offset > INT32_MAX || length > UINT32_MAX) return in.Fail();
      total += length;
      spans.push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
    }
    const size_t bucket_count = in.Count();
    // Whoever reads the histogram walks spans and buckets together.
    if (bucket_count != total) return in.Fail();
    for (size_t i = 0; i < bucket_count && in.ok(); ++i) buckets.push_back(GetDouble(in));
  };
  get_side(h->positive_spans, h->positive_buckets);
  get_side(h->negative_spans, h->negative_buckets);
  const size_t bounds = in.Count();
  for (size_t i = 0; i < bounds && in.ok(); ++i) h->custom_values.push_back(GetDouble(in));
  bytes = sizeof(Histogram) +
          (h->positive_spans.size() + h->negative_spans.size()) * sizeof(Histogram::Span) +
          (h->positive_buckets.size() + h->negative_buckets.size() + bounds) * sizeof(double);
  return h;
}

using FamilyPointer = std::shared_ptr<const PulledSource::Family>;

// The families of a fleet's agents are the same for all of them: one of each, for as long as a stream
// has it.
class Families {
 public:
  static FamilyPointer Shared(PulledSource::Family family) {
    static Families& all = *new Families();
    return all.Find(std::move(family));
  }

 private:
  static size_t HashOf(const PulledSource::Family& family) {
    size_t hash = static_cast<size_t>(family.metadata.type);
    for (const std::string* s : {&family.name, &family.metadata.help, &family.metadata.unit}) {
      hash = hash * 0x9e3779b97f4a7c15u + XXH3_64bits(s->data(), s->size());
    }
    return hash;
  }

  FamilyPointer Find(PulledSource::Family family) {
    const size_t hash = HashOf(family);
    std::vector<FamilyPointer> held;  // Let go of without the lock, which that takes.
    MutexLock lock(mu_);
    auto [it, end] = known_.equal_range(hash);
    for (; it != end; ++it) {
      // Null: its last stream is just letting go of it.
      const FamilyPointer& known = held.emplace_back(it->second.lock());
      if (known != nullptr && known->name == family.name && known->metadata == family.metadata) {
        return known;
      }
    }
    FamilyPointer added(new PulledSource::Family(std::move(family)),
                        [this, hash](const PulledSource::Family* gone) {
                          Forget(hash);
                          delete gone;
                        });
    known_.emplace(hash, added);
    return added;
  }

  void Forget(size_t hash) {
    MutexLock lock(mu_);
    auto [it, end] = known_.equal_range(hash);
    while (it != end) it = it->second.expired() ? known_.erase(it) : std::next(it);
  }

  Mutex mu_;
  std::unordered_multimap<size_t, std::weak_ptr<const PulledSource::Family>> known_
      VEDETTE_GUARDED_BY(mu_);
};

// What is known of one source.
struct SourceDecoder {
  SourceState state;
  Column column;
  std::vector<FamilyPointer> families;  // By number.
  size_t family_bytes = 0;
  struct Kept {
    std::shared_ptr<const Histogram> histogram;
    size_t bytes = 0;
  };
  std::unordered_map<uint32_t, Kept> histograms_before;

  // Of the last frame; what PulledSource points into.
  std::vector<PulledSource::AddedSeries> added;
  std::vector<PulledSource::Family> named;
  std::vector<PulledSource::HistogramAt> histograms;
  std::vector<PulledSource::ExemplarAt> exemplars;
  std::vector<PulledSource::TimeAt> times, starts;
  uint64_t frame = 0;  // The number of the frame it was last in.

  Status Decode(ByteReader& in, bool is_new, int64_t frame_t_ms, Budget& budget, PulledSource& out);
  Status GetFamilies(ByteReader& in, Budget& budget);
  Status GetAdded(ByteReader& in, Budget& budget);
  Status GetHistograms(ByteReader& in, Budget& budget);
  Status GetExemplars(ByteReader& in, Budget& budget);
  Status GetTimes(ByteReader& in, int64_t base, Budget& budget,
                  std::vector<PulledSource::TimeAt>& out);

  // The position `gap` after `next`, or beyond the layout.
  bool Move(uint64_t gap, uint64_t& next) const {
    if (gap >= column.size() || next + gap >= column.size()) return false;
    next += gap;
    return true;
  }
};

Status CutOff(std::string_view what) { return DataLoss(StrCat(what, " of a source are damaged")); }

Status SourceDecoder::Decode(ByteReader& in, bool is_new, int64_t frame_t_ms, Budget& budget,
                             PulledSource& out) {
  // A layout comes once: the room for it is not kept.
  if (!added.empty()) added = {};
  if (!named.empty()) named = {};
  histograms.clear();
  exemplars.clear();
  times.clear();
  starts.clear();
  const uint64_t flags = in.Varint();
  if (!in.ok() || (flags & ~kAllFlags) != 0) return DataLoss("unknown flags of a source");
  state.up = (flags & kUp) != 0;
  state.duration_seconds = GetDouble(in);
  if (flags & kStateChanged) {
    const uint8_t kind = in.Byte();
    if (kind > static_cast<uint8_t>(SourceState::Kind::kApplication)) {
      return DataLoss(StrCat("unknown kind of source, ", kind));
    }
    state.kind = static_cast<SourceState::Kind>(kind);
    budget.held -= state.error.size() + state.address.size();
    state.error = in.String();
    state.address = in.String();
    if (!budget.Hold(state.error.size() + state.address.size())) return budget.Exceeded();
  } else if (is_new) {
    return DataLoss("a new source without its state");
  }
  if (!in.ok()) return DataLoss("state of a source is cut off");
  if (flags & kLayoutReset) {
    budget.held -= column.size() * PositionBytes();
    for (const auto& [position, kept] : histograms_before) budget.held -= kept.bytes;
    histograms_before.clear();
    column.Resize(0);
    budget.held -= family_bytes;
    family_bytes = 0;
    families.clear();
  }
  if (flags & kFamilies) {
    VEDETTE_RETURN_IF_ERROR(GetFamilies(in, budget));
  }
  if (flags & kAdded) {
    VEDETTE_RETURN_IF_ERROR(GetAdded(in, budget));
  }

  column.Resize(column.size() + added.size());
  VEDETTE_RETURN_IF_ERROR(column.Decode(in));
  if (flags & kHistograms) {
    VEDETTE_RETURN_IF_ERROR(GetHistograms(in, budget));
  } else {
    for (const auto& [position, kept] : histograms_before) budget.held -= kept.bytes;
    histograms_before.clear();
  }
  if (flags & kExemplars) {
    VEDETTE_RETURN_IF_ERROR(GetExemplars(in, budget));
  }
  if (flags & kTimes) {
    VEDETTE_RETURN_IF_ERROR(GetTimes(in, frame_t_ms, budget, times));
  }
  if (flags & kStarts) {
    VEDETTE_RETURN_IF_ERROR(GetTimes(in, frame_t_ms, budget, starts));
  }
  out = {.state = state,
         .layout_reset = is_new || (flags & kLayoutReset) != 0,
         .added = added,
         .families = named,
         .values = column.values(),
         .histograms = histograms,
         .exemplars = exemplars,
         .times = times,
         .starts = starts};
  return {};
}

Status SourceDecoder::GetFamilies(ByteReader& in, Budget& budget) {
  const size_t count = in.Count();
  for (size_t i = 0; i < count; ++i) {
    const uint64_t word = in.Varint();
    const uint64_t id = word >> 1;
    if (!in.ok() || id > families.size()) return CutOff("families");
    if (word & 1) {
      PulledSource::Family family;
      family.name = in.String();
      const uint8_t type = in.Byte();
      family.metadata.help = in.String();
      family.metadata.unit = in.String();
      if (!in.ok() || type > static_cast<uint8_t>(MetricType::kStateSet)) {
        return CutOff("families");
      }
      family.metadata.type = static_cast<MetricType>(type);
      const size_t bytes = sizeof family + family.name.size() + family.metadata.help.size() +
                           family.metadata.unit.size();
      // Names that change for ever are counted for ever: a limit, not an account.
      family_bytes += bytes;
      if (!budget.Hold(bytes)) return budget.Exceeded();
      if (id == families.size()) families.emplace_back();
      families[id] = Families::Shared(std::move(family));
    } else if (id == families.size()) {
      return CutOff("families");
    }
    const PulledSource::Family& family = *families[id];
    if (!budget.Take(sizeof family + family.name.size() + family.metadata.help.size() +
                     family.metadata.unit.size())) {
      return budget.Exceeded();
    }
    named.push_back(family);
  }
  return {};
}

Status SourceDecoder::GetAdded(ByteReader& in, Budget& budget) {
  const size_t count = in.Count();
  if (!budget.Hold(count * PositionBytes())) return budget.Exceeded();
  std::string bytes;
  uint64_t family = 0;
  for (size_t i = 0; i < count; ++i) {
    family += static_cast<uint64_t>(in.Signed());
    const uint64_t shared = in.Varint();
    const std::string_view rest = in.String();
    if (!in.ok() || shared > bytes.size() || family >= named.size()) return CutOff("new series");
    bytes.resize(static_cast<size_t>(shared));
    bytes.append(rest);
    if (!budget.Take(sizeof(PulledSource::AddedSeries) + bytes.size())) return budget.Exceeded();
    VEDETTE_ASSIGN_OR_RETURN(Labels labels, Labels::FromBytes(bytes));
    added.push_back({std::move(labels), static_cast<uint32_t>(family)});
  }
  return {};
}

Status SourceDecoder::GetHistograms(ByteReader& in, Budget& budget) {
  const size_t count = in.Count();
  std::unordered_map<uint32_t, Kept> now;
  uint64_t position = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t word = in.Varint();
    if (!in.ok() || !Move(word >> 1, position)) return CutOff("histograms");
    const auto p = static_cast<uint32_t>(position);
    Kept kept;
    if (word & 1) {
      kept.histogram = GetHistogram(in, kept.bytes);
      if (!in.ok()) return CutOff("histograms");
      if (!budget.Hold(kept.bytes)) return budget.Exceeded();
    } else {
      const auto before = histograms_before.find(p);
      if (before == histograms_before.end()) return CutOff("histograms");
      kept = std::move(before->second);
      histograms_before.erase(before);
    }
    histograms.push_back({p, kept.histogram});
    if (!now.emplace(p, std::move(kept)).second) return CutOff("histograms");
  }
  for (const auto& [p, kept] : histograms_before) budget.held -= kept.bytes;
  histograms_before = std::move(now);
  return {};
}

Status SourceDecoder::GetExemplars(ByteReader& in, Budget& budget) {
  const size_t count = in.Count();
  uint64_t position = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t word = in.Varint();
    const std::string_view bytes = in.String();
    if (!in.ok() || !Move(word >> 1, position)) return CutOff("exemplars");
    if (!budget.Take(sizeof(PulledSource::ExemplarAt) + bytes.size())) return budget.Exceeded();
    Exemplar e;
    VEDETTE_ASSIGN_OR_RETURN(e.labels, Labels::FromBytes(bytes));
    e.value = GetDouble(in);
    if (word & 1) e.t_ms = in.Signed();
    if (!in.ok()) return CutOff("exemplars");
    exemplars.push_back({static_cast<uint32_t>(position), std::move(e)});
  }
  return {};
}

Status SourceDecoder::GetTimes(ByteReader& in, int64_t base, Budget& budget,
                               std::vector<PulledSource::TimeAt>& out) {
  const size_t count = in.Count();
  if (!budget.Take(count * sizeof(PulledSource::TimeAt))) return budget.Exceeded();
  uint64_t position = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t gap = in.Varint();
    base = static_cast<int64_t>(static_cast<uint64_t>(base) + static_cast<uint64_t>(in.Signed()));
    if (!in.ok() || !Move(gap, position)) return CutOff("times");
    out.push_back({static_cast<uint32_t>(position), base});
  }
  return {};
}

}  // namespace

struct PullDecoder::State {
  Budget budget;
  bool started = false;
  uint32_t checksum = 0;
  uint64_t frames = 0;
  std::deque<std::pair<std::string, SourceDecoder>> sources;
  PullFrame frame;

  void StartOver() {
    budget = {.limit = budget.limit};
    started = false;
    sources.clear();
    frame = {};
  }
  Status Read(ByteReader& in);
};

Status PullDecoder::State::Read(ByteReader& in) {
  budget.transient = 0;
  ++frames;
  const uint8_t version = in.Byte();
  if (version != kPullVersion) return DataLoss(StrCat("frame of unknown version ", version));
  const uint8_t flags = in.Byte();
  if ((flags & ~(kStart | kRun)) != 0) return DataLoss("unknown flags of a frame");
  if (flags & kStart) {
    StartOver();
    started = true;
  }
  frame.sources.clear();
  if (flags & kRun) frame.run_id = in.Fixed(8);
  frame.sequence += static_cast<uint64_t>(in.Signed());
  frame.t_ms =
      static_cast<int64_t>(static_cast<uint64_t>(frame.t_ms) + static_cast<uint64_t>(in.Signed()));
  const size_t count = in.Count();
  if (!in.ok() || count > kMaxSources) return DataLoss("head of a frame is damaged");
  for (size_t i = 0; i < count; ++i) {
    const uint64_t number = in.Varint();
    if (!in.ok() || number > sources.size() || number >= kMaxSources) {
      return DataLoss("unknown source in a frame");
    }
    const bool is_new = number == sources.size();
    if (is_new) {
      const std::string_view name = in.String();
      if (!budget.Hold(sizeof(SourceDecoder) + name.size())) return budget.Exceeded();
      sources.emplace_back();
      sources.back().first = name;
      sources.back().second.state.name = name;
    }
    SourceDecoder& source = sources[static_cast<size_t>(number)].second;
    if (source.frame == frames) return DataLoss("a source twice in a frame");
    source.frame = frames;
    frame.sources.emplace_back();
    VEDETTE_RETURN_IF_ERROR(source.Decode(in, is_new, frame.t_ms, budget, frame.sources.back()));
  }
  if (!in.ok()) return DataLoss("frame is cut off");
  if (in.left() != 0) return DataLoss(StrCat(in.left(), " bytes too many in a frame"));
  return {};
}

PullDecoder::PullDecoder(size_t max_bytes) : state_(std::make_unique<State>()) {
  state_->budget.limit = max_bytes;
}
PullDecoder::~PullDecoder() = default;

Result<const PullFrame*> PullDecoder::Decode(std::string_view bytes) {
  State& s = *state_;
  if (bytes.size() < 2 + kChecksumBytes) return DataLoss("frame is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(body.size()));
  const auto checksum = static_cast<uint32_t>(tail.Fixed(kChecksumBytes));
  const bool start = (static_cast<uint8_t>(body[1]) & kStart) != 0;
  if (!start && !s.started) return DataLoss("frame without the one before it");
  if (XXH32(body.data(), body.size(), start ? 0 : s.checksum) != checksum) {
    s.StartOver();
    return DataLoss("checksum of a frame does not match: damaged, or not the next one");
  }
  ByteReader in(body);
  if (Status status = s.Read(in); !status.ok()) {
    s.StartOver();
    return status;
  }
  s.checksum = checksum;
  return &s.frame;
}

}  // namespace vedette::wire
