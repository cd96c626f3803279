#include <xxhash.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/model/sample.h"
#include "common/wire/bytes.h"
#include "common/wire/column.h"
#include "common/wire/pull.h"
#include "common/wire/pull_frame.h"

namespace vedette::wire {
namespace {

using namespace pull;  // NOLINT: the flags of the format, in the two files that speak it

// Below so many positions a layout of holes is not worth starting over.
constexpr size_t kSmallLayout = 64;

struct ViewHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return XXH3_64bits(s.data(), s.size()); }
};

// The bytes of a label set share a beginning with the set before more often than not: the same
// name, the same first labels.
void PutLabels(std::string_view bytes, std::string_view before, std::string& out) {
  const size_t limit = std::min(bytes.size(), before.size());
  size_t shared = 0;
  while (shared < limit && bytes[shared] == before[shared]) ++shared;
  PutVarint(out, shared);
  PutString(out, bytes.substr(shared));
}

void PutSide(const std::vector<Histogram::Span>& spans, const std::vector<double>& buckets,
             std::string& out) {
  PutVarint(out, spans.size());
  for (const Histogram::Span& s : spans) {
    PutSigned(out, s.offset);
    PutVarint(out, s.length);
  }
  PutVarint(out, buckets.size());
  for (const double b : buckets) PutDouble(out, b);
}

void PutHistogram(const Histogram& h, std::string& out) {
  PutSigned(out, h.schema);
  PutByte(out, static_cast<uint8_t>(h.reset_hint));
  PutDouble(out, h.zero_threshold);
  PutDouble(out, h.zero_count);
  PutDouble(out, h.count);
  PutDouble(out, h.sum);
  PutSide(h.positive_spans, h.positive_buckets, out);
  PutSide(h.negative_spans, h.negative_buckets, out);
  PutVarint(out, h.custom_values.size());
  for (const double v : h.custom_values) PutDouble(out, v);
}

bool SameExemplars(const std::vector<Exemplar>& a, const std::vector<Exemplar>& b) {
  // A NaN in an exemplar is unequal to itself and is sent again: harmless.
  return a == b;
}

bool Same(const Histogram& a, const Histogram& b) { return &a == &b || a == b; }

// What was said of one source.
class SourceEncoder {
 public:
  // Whether positions must be given out anew: most of the layout is holes.
  bool Scattered() const {
    return series_.size() > kSmallLayout && seen_now_ > 0 && series_.size() - seen_now_ > seen_now_;
  }

  void Encode(const SourceSnapshot& source, bool known, int64_t frame_t_ms, std::string& out) {
    Place(source);
    const bool reset = Scattered();
    if (reset) {
      Forget();
      Place(source);
    }
    GatherRare(source);

    const SourceState& state = source.state;
    const bool state_changed = !known || state.kind != state_.kind || state.error != state_.error ||
                               state.address != state_.address;
    uint64_t flags = 0;
    if (state.up) flags |= kUp;
    if (reset) flags |= kLayoutReset;
    if (state_changed) flags |= kStateChanged;
    if (!named_.empty()) flags |= kFamilies;
    if (!added_.empty()) flags |= kAdded;
    if (!histograms_now_.empty()) flags |= kHistograms;
    if (!exemplars_now_.empty()) flags |= kExemplars;
    if (!times_.empty()) flags |= kTimes;
    if (!starts_now_.empty()) flags |= kStarts;
    PutVarint(out, flags);
    PutDouble(out, state.duration_seconds);
    if (state_changed) {
      PutByte(out, static_cast<uint8_t>(state.kind));
      PutString(out, state.error);
      PutString(out, state.address);
    }
    state_ = state;
    if (flags & kFamilies) PutFamilies(source, out);
    if (flags & kAdded) PutAdded(out);

    column_.Resize(series_.size());
    column_.Encode(values_, out);
    if (flags & kHistograms) PutHistograms(out);
    if (flags & kExemplars) PutExemplars(out);
    if (flags & kTimes) PutTimes(times_, frame_t_ms, out);
    if (flags & kStarts) PutTimes(starts_now_, frame_t_ms, out);
  }

 private:
  struct Series {
    Labels labels;
    uint32_t family = 0;
  };
  struct Family {
    Metadata metadata;
    uint32_t id = 0;
  };
  // A family to be named in this frame.
  struct Named {
    uint32_t id;
    size_t index;    // Into the snapshot's families.
    bool with_text;  // Its metadata is new.
  };
  struct Time {
    uint32_t position;
    int64_t t_ms;
  };
  struct Seen {
    uint32_t position;
    const FamilySample* sample;
  };

  void Forget() {
    series_.clear();
    positions_.clear();
    families_.clear();
    order_.clear();
    column_.Resize(0);
    histograms_.clear();
    exemplars_.clear();
    starts_.clear();
  }

  // Gives every series of the snapshot its position and fills the column.
  void Place(const SourceSnapshot& source) {
    added_.clear();
    named_.clear();
    values_.assign(series_.size(), kAbsent);
    seen_.clear();
    order_now_.clear();
    present_.assign(series_.size(), false);
    seen_now_ = 0;
    size_t cursor = 0;
    for (size_t f = 0; f < source.families.size(); ++f) {
      const MetricFamily& family = source.families[f];
      const auto [at, is_new] = families_.try_emplace(family.name);
      if (is_new) at->second.id = static_cast<uint32_t>(families_.size() - 1);
      bool named = false;
      if (is_new || at->second.metadata != family.metadata) {
        at->second.metadata = family.metadata;
        named_.push_back({at->second.id, f, true});
        named = true;
      }
      for (const FamilySample& sample : family.samples) {
        const uint32_t position = Find(sample.labels, cursor);
        if (position == added_at_) {
          if (!named) named_.push_back({at->second.id, f, false});
          named = true;
          series_.back().family = static_cast<uint32_t>(named_.size() - 1);
        }
        if (present_[position]) continue;  // The same series twice: the first one counts.
        present_[position] = true;
        ++seen_now_;
        order_now_.push_back(position);
        values_[position] = sample.histogram != nullptr ? kAbsent : sample.value;
        if (sample.histogram != nullptr || !sample.exemplars.empty() || sample.t_ms.has_value() ||
            sample.start_ms.has_value()) {
          seen_.push_back({position, &sample});
        }
      }
    }
    // A source that answered nothing keeps its order for when it comes back.
    if (!order_now_.empty()) std::swap(order_, order_now_);
  }

  // The position of a series: at the place it had in the snapshot before, or by name, or a new one.
  uint32_t Find(const Labels& labels, size_t& cursor) {
    added_at_ = UINT32_MAX;
    if (cursor < order_.size() && series_[order_[cursor]].labels == labels) {
      return order_[cursor++];
    }
    if (cursor + 1 < order_.size() && series_[order_[cursor + 1]].labels == labels) {
      cursor += 2;
      return order_[cursor - 1];
    }
    if (auto at = positions_.find(labels.bytes()); at != positions_.end()) {
      // The rest of the order usually goes on from there.
      for (size_t ahead = cursor; ahead < std::min(order_.size(), cursor + 64); ++ahead) {
        if (order_[ahead] == at->second) {
          cursor = ahead + 1;
          break;
        }
      }
      return at->second;
    }
    const auto position = static_cast<uint32_t>(series_.size());
    series_.push_back({labels, 0});
    positions_.emplace(std::string(labels.bytes()), position);
    values_.push_back(kAbsent);
    present_.push_back(false);
    added_.push_back(position);
    added_at_ = position;
    return position;
  }

  // Histograms, exemplars and times: what few series have.
  void GatherRare(const SourceSnapshot&) {
    histograms_now_.clear();
    exemplars_now_.clear();
    times_.clear();
    starts_now_.clear();
    std::ranges::sort(seen_, {}, &Seen::position);
    std::unordered_map<uint32_t, std::shared_ptr<const Histogram>> histograms;
    for (const auto& [position, sample] : seen_) {
      if (sample->histogram != nullptr) {
        const auto before = histograms_.find(position);
        const bool same = before != histograms_.end() && Same(*before->second, *sample->histogram);
        histograms_now_.push_back({position, same ? nullptr : sample->histogram.get()});
        histograms[position] = sample->histogram;
      }
      if (!sample->exemplars.empty() && !SameExemplars(exemplars_[position], sample->exemplars)) {
        exemplars_[position] = sample->exemplars;
        for (const Exemplar& e : sample->exemplars) exemplars_now_.push_back({position, &e});
      }
      if (sample->t_ms.has_value()) times_.push_back({position, *sample->t_ms});
      if (sample->start_ms.has_value()) {
        const auto [at, is_new] = starts_.try_emplace(position, *sample->start_ms);
        if (is_new || at->second != *sample->start_ms) {
          at->second = *sample->start_ms;
          starts_now_.push_back({position, *sample->start_ms});
        }
      }
    }
    histograms_ = std::move(histograms);
  }

  void PutFamilies(const SourceSnapshot& source, std::string& out) {
    PutVarint(out, named_.size());
    for (const Named& n : named_) {
      PutVarint(out, uint64_t{n.id} << 1 | (n.with_text ? 1 : 0));
      if (!n.with_text) continue;
      const MetricFamily& family = source.families[n.index];
      PutString(out, family.name);
      PutByte(out, static_cast<uint8_t>(family.metadata.type));
      PutString(out, family.metadata.help);
      PutString(out, family.metadata.unit);
    }
  }

  void PutAdded(std::string& out) {
    PutVarint(out, added_.size());
    std::string_view before;
    int64_t family = 0;
    for (const uint32_t position : added_) {
      const Series& s = series_[position];
      PutSigned(out, static_cast<int64_t>(s.family) - family);
      family = s.family;
      PutLabels(s.labels.bytes(), before, out);
      before = s.labels.bytes();
    }
  }

  void PutHistograms(std::string& out) {
    PutVarint(out, histograms_now_.size());
    uint32_t next = 0;
    for (const auto& [position, histogram] : histograms_now_) {
      PutVarint(out, uint64_t{position - next} << 1 | (histogram != nullptr ? 1 : 0));
      next = position;
      if (histogram != nullptr) PutHistogram(*histogram, out);
    }
  }

  void PutExemplars(std::string& out) {
    PutVarint(out, exemplars_now_.size());
    uint32_t next = 0;
    for (const auto& [position, e] : exemplars_now_) {
      PutVarint(out, uint64_t{position - next} << 1 | (e->t_ms.has_value() ? 1 : 0));
      next = position;
      PutString(out, e->labels.bytes());
      PutDouble(out, e->value);
      if (e->t_ms.has_value()) PutSigned(out, *e->t_ms);
    }
  }

  static void PutTimes(const std::vector<Time>& times, int64_t base, std::string& out) {
    PutVarint(out, times.size());
    uint32_t next = 0;
    for (const Time& t : times) {
      PutVarint(out, t.position - next);
      next = t.position;
      // Times come from outside and may be anything: the difference wraps.
      PutSigned(out,
                static_cast<int64_t>(static_cast<uint64_t>(t.t_ms) - static_cast<uint64_t>(base)));
      base = t.t_ms;
    }
  }

  SourceState state_;
  std::vector<Series> series_;
  std::unordered_map<std::string, uint32_t, ViewHash, std::equal_to<>> positions_;
  std::unordered_map<std::string, Family, ViewHash, std::equal_to<>> families_;
  std::vector<uint32_t> order_;  // Positions in the order of the snapshot before.
  Column column_;
  std::unordered_map<uint32_t, std::shared_ptr<const Histogram>> histograms_;
  std::unordered_map<uint32_t, std::vector<Exemplar>> exemplars_;
  std::unordered_map<uint32_t, int64_t> starts_;

  // Of the frame being made.
  std::vector<double> values_;
  std::vector<bool> present_;
  size_t seen_now_ = 0;
  std::vector<uint32_t> order_now_, added_;
  uint32_t added_at_ = UINT32_MAX;
  std::vector<Named> named_;
  std::vector<Seen> seen_;
  std::vector<std::pair<uint32_t, const Histogram*>> histograms_now_;  // Null: as before.
  std::vector<std::pair<uint32_t, const Exemplar*>> exemplars_now_;
  std::vector<Time> times_, starts_now_;
};

}  // namespace

struct PullEncoder::State {
  bool started = false;
  uint64_t run_id = 0;
  uint64_t sequence = 0;
  int64_t t_ms = 0;
  uint32_t checksum = 0;
  // By the order in which they were first named: that is their number on this stream.
  std::unordered_map<std::string, size_t, ViewHash, std::equal_to<>> numbers;
  std::vector<std::unique_ptr<SourceEncoder>> sources;
};

PullEncoder::PullEncoder() : state_(std::make_unique<State>()) {}
PullEncoder::~PullEncoder() = default;

std::string PullEncoder::Encode(const Snapshot& snapshot) {
  State& s = *state_;
  // Agents have a handful of sources; one that names new ones for ever is started over.
  if (s.sources.size() > kMaxSources - std::min(snapshot.sources.size(), kMaxSources)) {
    *state_ = State();
  }
  std::string out;
  PutByte(out, static_cast<uint8_t>(kPullVersion));
  uint8_t flags = 0;
  if (!s.started) flags |= kStart;
  if (!s.started || s.run_id != snapshot.run_id) flags |= kRun;
  PutByte(out, flags);
  if (flags & kRun) PutFixed(out, snapshot.run_id, 8);
  PutSigned(out, static_cast<int64_t>(snapshot.sequence - s.sequence));
  PutSigned(out, static_cast<int64_t>(static_cast<uint64_t>(snapshot.t_ms) -
                                      static_cast<uint64_t>(s.t_ms)));
  const size_t count = std::min(snapshot.sources.size(), kMaxSources);
  PutVarint(out, count);
  for (size_t i = 0; i < count; ++i) {
    const SourceSnapshot& source = snapshot.sources[i];
    const auto [at, is_new] = s.numbers.try_emplace(source.state.name, s.sources.size());
    PutVarint(out, at->second);
    if (is_new) {
      PutString(out, source.state.name);
      s.sources.push_back(std::make_unique<SourceEncoder>());
    }
    s.sources[at->second]->Encode(source, !is_new, snapshot.t_ms, out);
  }
  s.started = true;
  s.run_id = snapshot.run_id;
  s.sequence = snapshot.sequence;
  s.t_ms = snapshot.t_ms;
  // Seeded with the checksum of the frame before, so that a frame that was lost is found out.
  s.checksum = XXH32(out.data(), out.size(), (flags & kStart) ? 0 : s.checksum);
  PutFixed(out, s.checksum, static_cast<int>(kChecksumBytes));
  return out;
}

}  // namespace vedette::wire
