#include "common/wire/pull.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "common/model/snapshot.h"
#include "common/wire/pull_snapshots.h"
#include "tests/support/rounds.h"

namespace vedette::wire {
namespace {

// What a reader knows of one series after a frame.
struct Known {
  uint64_t bits = 0;
  std::shared_ptr<const Histogram> histogram;
  std::optional<int64_t> t_ms, start_ms;
  std::vector<Exemplar> exemplars;
  std::string family;

  bool operator==(const Known& o) const {
    const bool both = histogram != nullptr && o.histogram != nullptr;
    if (!both && histogram != o.histogram) return false;
    if (both ? !(*histogram == *o.histogram) : bits != o.bits) return false;
    return t_ms == o.t_ms && start_ms == o.start_ms && exemplars == o.exemplars &&
           family == o.family;
  }
};

struct KnownSource {
  SourceState state;
  std::map<std::string, Known> series;  // By label bytes.
  std::map<std::string, Metadata> families;
};

// Rebuilds whole snapshots out of frames, as a server would.
class Mirror {
 public:
  std::map<std::string, KnownSource> Apply(const PullFrame& frame) {
    std::map<std::string, KnownSource> out;
    for (const PulledSource& s : frame.sources) {
      Layout& layout = layouts_[s.state.name];
      if (s.layout_reset) layout = {};
      for (const auto& f : s.families) layout.families[f.name] = f.metadata;
      for (const auto& a : s.added) {
        layout.series.push_back({std::string(a.labels.bytes()), s.families[a.family].name});
      }
      EXPECT_EQ(layout.series.size(), s.values.size());
      KnownSource known{.state = s.state, .families = layout.families};
      std::map<uint32_t, std::shared_ptr<const Histogram>> histograms;
      for (const auto& h : s.histograms) histograms[h.position] = h.histogram;
      std::map<uint32_t, int64_t> times;
      for (const auto& t : s.times) times[t.position] = t.t_ms;
      for (const auto& t : s.starts) layout.starts[t.position] = t.t_ms;
      std::map<uint32_t, std::vector<Exemplar>> exemplars;
      for (const auto& e : s.exemplars) exemplars[e.position].push_back(e.exemplar);
      for (auto& [p, e] : exemplars) layout.exemplars[p] = e;
      for (uint32_t p = 0; p < s.values.size(); ++p) {
        const bool has_histogram = histograms.contains(p);
        EXPECT_TRUE(!has_histogram || IsAbsent(s.values[p]));
        if (IsAbsent(s.values[p]) && !has_histogram) continue;
        Known k{.bits = std::bit_cast<uint64_t>(s.values[p]), .family = layout.series[p].second};
        if (has_histogram) k.histogram = histograms[p];
        if (times.contains(p)) k.t_ms = times[p];
        if (layout.starts.contains(p)) k.start_ms = layout.starts[p];
        if (layout.exemplars.contains(p)) k.exemplars = layout.exemplars[p];
        EXPECT_TRUE(known.series.emplace(layout.series[p].first, k).second);
      }
      out[s.state.name] = std::move(known);
    }
    return out;
  }

 private:
  struct Layout {
    std::vector<std::pair<std::string, std::string>> series;
    std::map<std::string, Metadata> families;
    std::map<uint32_t, int64_t> starts;
    std::map<uint32_t, std::vector<Exemplar>> exemplars;
  };
  std::map<std::string, Layout> layouts_;
};

void ExpectSame(const Snapshot& want, const PullFrame& frame,
                const std::map<std::string, KnownSource>& got) {
  EXPECT_EQ(frame.run_id, want.run_id);
  EXPECT_EQ(frame.sequence, want.sequence);
  EXPECT_EQ(frame.t_ms, want.t_ms);
  ASSERT_EQ(frame.sources.size(), want.sources.size());
  for (size_t i = 0; i < want.sources.size(); ++i) {
    const SourceSnapshot& s = want.sources[i];
    EXPECT_EQ(frame.sources[i].state, s.state);
    const KnownSource& known = got.at(s.state.name);
    std::set<std::string> seen;
    for (const MetricFamily& f : s.families) {
      ASSERT_TRUE(known.families.contains(f.name)) << f.name;
      EXPECT_EQ(known.families.at(f.name), f.metadata);
      for (const FamilySample& sample : f.samples) {
        const std::string key(sample.labels.bytes());
        if (!seen.insert(key).second) continue;
        if (sample.histogram == nullptr && IsAbsent(sample.value)) continue;
        ASSERT_TRUE(known.series.contains(key)) << sample.labels.ToString();
        const Known& k = known.series.at(key);
        EXPECT_EQ(k.family, f.name);
        EXPECT_EQ(k.t_ms, sample.t_ms);
        if (sample.start_ms) {
          EXPECT_EQ(k.start_ms, sample.start_ms);
        }
        if (!sample.exemplars.empty()) {
          EXPECT_EQ(k.exemplars, sample.exemplars);
        }
        if (sample.histogram) {
          ASSERT_NE(k.histogram, nullptr);
          EXPECT_EQ(*k.histogram, *sample.histogram);
        } else {
          ASSERT_EQ(k.histogram, nullptr);
          EXPECT_EQ(k.bits, std::bit_cast<uint64_t>(sample.value))
              << sample.labels.ToString() << " " << sample.value;
        }
      }
    }
    EXPECT_EQ(known.series.size(), seen.size());
  }
}

// An agent that invents: series come and go, families are renamed, counters reset.
class Inventor {
 public:
  explicit Inventor(uint64_t seed) : random_(seed) {}

  Snapshot Next() {
    snapshot_.run_id = 77;
    snapshot_.sequence += 1 + Below(3) / 2;
    snapshot_.t_ms += 15'000 + static_cast<int64_t>(Below(20)) - 10;
    snapshot_.sources.clear();
    for (const char* name : {"host", "container", "app"}) {
      if (Below(12) == 0) continue;  // Gone for a frame.
      snapshot_.sources.push_back(MakeSource(name));
    }
    return snapshot_;
  }

 private:
  size_t Below(size_t n) { return random_() % n; }

  double Value(double before) {
    switch (Below(24)) {
      case 0:
        return std::bit_cast<double>(random_());
      case 1:
        return kNormalNan;
      case 2:
        return kStaleNan;
      case 3:
        return std::numeric_limits<double>::infinity();
      case 4:
        return -0.0;
      case 5:
        return 0;  // A reset.
      case 6:
        return static_cast<double>(Below(1 << 20)) * 1024;
      case 7:
        return static_cast<double>(random_() >> 10);
      case 8:
        return static_cast<double>(Below(1000000)) / 1e6;
      case 9:
        return -std::numeric_limits<double>::denorm_min();
      case 10:
      case 11:
      case 12:
        return before + 0.01;
      case 13:
      case 14:
      case 15:
      case 16:
        return std::isfinite(before) ? std::round(before) + static_cast<double>(Below(100)) : 1;
      default:
        return before;
    }
  }

  std::shared_ptr<const Histogram> MakeHistogram() {
    auto h = std::make_shared<Histogram>();
    h->schema = static_cast<int32_t>(Below(13)) - 4;
    h->count = static_cast<double>(Below(1000));
    h->sum = static_cast<double>(Below(1000)) / 3;
    h->zero_threshold = 1e-128;
    h->reset_hint = static_cast<Histogram::ResetHint>(Below(4));
    const auto length = static_cast<uint32_t>(1 + Below(5));
    h->positive_spans = {{-3, length}};
    for (uint32_t i = 0; i < length; ++i) {
      h->positive_buckets.push_back(static_cast<double>(Below(50)));
    }
    if (Below(3) == 0) {
      h->schema = Histogram::kCustomSchema;
      h->custom_values = {0.1, 1, 10};
    }
    return h;
  }

  SourceSnapshot MakeSource(const std::string& name) {
    SourceSnapshot s;
    s.state = {.name = name,
               .kind = SourceState::Kind::kHost,
               .up = Below(10) != 0,
               .duration_seconds = static_cast<double>(Below(1000)) / 1e6};
    if (!s.state.up) {
      s.state.error = "connection refused";
      return s;
    }
    // Now and then almost everything is new: the layout starts over.
    if (Below(25) == 0) generation_[name]++;
    for (size_t f = 0; f < 12; ++f) {
      if (Below(10) == 0) continue;
      MetricFamily family;
      family.name = name + "_family_" + std::to_string(f);
      family.metadata = {.type = static_cast<MetricType>(f % 8),
                         .help = Below(200) == 0 ? "another help" : "help",
                         .unit = "seconds"};
      const size_t count = f == 0 ? 1 : 12;
      for (size_t i = 0; i < count; ++i) {
        if (Below(15) == 0) continue;
        FamilySample sample;
        sample.labels =
            Labels::Of({{"__name__", family.name},
                        {"generation", std::to_string(generation_[name])},
                        {"i", std::to_string(Below(40) == 0 ? i + 100 + Below(50) : i)}});
        double& value = values_[std::string(sample.labels.bytes())];
        value = Value(value);
        sample.value = value;
        if (f == 3) sample.t_ms = snapshot_.t_ms - static_cast<int64_t>(Below(5));
        if (f == 4) sample.start_ms = snapshot_.t_ms / 100'000;
        if (f == 5 && Below(2) == 0) {
          auto& h = histograms_[std::string(sample.labels.bytes())];
          if (h == nullptr || Below(2) == 0) h = MakeHistogram();
          sample.histogram = h;
        }
        if (f == 6) {
          for (size_t e = Below(3); e > 0; --e) {
            sample.exemplars.push_back(
                {.labels = Labels::Of({{"trace_id", "abc"}}),
                 .value = static_cast<double>(Below(10)),
                 .t_ms = e % 2 ? std::optional(snapshot_.t_ms) : std::nullopt});
          }
        }
        family.samples.push_back(std::move(sample));
      }
      s.families.push_back(std::move(family));
    }
    return s;
  }

  std::mt19937_64 random_;
  Snapshot snapshot_{.t_ms = 1'700'000'000'000};
  std::map<std::string, size_t> generation_;
  std::map<std::string, double> values_;
  std::map<std::string, std::shared_ptr<const Histogram>> histograms_;
};

TEST(Pull, EveryBitOfEverySnapshotCrossesOverManyFrames) {
  for (uint64_t seed = 1; seed <= testing::Rounds(uint64_t{20}); ++seed) {
    SCOPED_TRACE(seed);
    Inventor inventor(seed);
    PullEncoder encoder;
    PullDecoder decoder;
    Mirror mirror;
    for (int i = 0; i < 120; ++i) {
      SCOPED_TRACE(i);
      const Snapshot snapshot = inventor.Next();
      auto frame = decoder.Decode(encoder.Encode(snapshot));
      ASSERT_TRUE(frame.ok()) << frame.status().ToString();
      ExpectSame(snapshot, **frame, mirror.Apply(**frame));
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
  }
}

Snapshot SmallSnapshot(uint64_t sequence, double cpu) {
  Snapshot s{.run_id = 0x1122334455667788, .sequence = sequence};
  s.t_ms = 1'700'000'000'000 + static_cast<int64_t>(sequence) * 15'000;
  SourceSnapshot host;
  host.state = {
      .name = "host", .kind = SourceState::Kind::kHost, .up = true, .duration_seconds = 0.0025};
  MetricFamily family{.name = "node_cpu_seconds_total",
                      .metadata = {.type = MetricType::kCounter, .help = "CPU time."}};
  for (const char* mode : {"idle", "user"}) {
    family.samples.push_back(
        {.labels = Labels::Of({{"__name__", family.name}, {"cpu", "0"}, {"mode", mode}}),
         .value = mode[0] == 'i' ? cpu : 7});
  }
  host.families.push_back(family);
  s.sources.push_back(host);
  return s;
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

TEST(Pull, TheBytesOfVersionOneNeverChange) {
  PullEncoder encoder;
  EXPECT_EQ(Hex(encoder.Encode(SmallSnapshot(1, 1234.56))),
            "0103887766554433221102b08aadfef962010004686f73741d04320100000101166e6f64655f6370755f"
            "7365636f6e64735f746f74616c01094350552074696d652e0002000030085f5f6e616d655f5f166e6f64"
            "655f6370755f7365636f6e64735f746f74616c036370750130046d6f64650469646c65002c0475736572"
            "03000280890f0f11be6afc");
  EXPECT_EQ(Hex(encoder.Encode(SmallSnapshot(2, 1249.5))),
            "010002b0ea0101000104320201ac17c4755f17");
  EXPECT_EQ(Hex(encoder.Encode(SmallSnapshot(3, 1264.44))),
            "010002b0ea0101000104320201ac172d917ab7");
}

TEST(Pull, TruncationsAndFlippedBitsAreDataLoss) {
  Inventor inventor(3);
  PullEncoder encoder;
  std::vector<std::string> frames;
  for (int i = 0; i < 2; ++i) frames.push_back(encoder.Encode(inventor.Next()));
  for (size_t f = 0; f < frames.size(); ++f) {
    const auto expect_lost = [&](std::string_view bytes, size_t at) {
      PullDecoder decoder;
      for (size_t before = 0; before < f; ++before) {
        ASSERT_TRUE(decoder.Decode(frames[before]).ok());
      }
      auto frame = decoder.Decode(bytes);
      ASSERT_FALSE(frame.ok()) << "at " << at;
      EXPECT_EQ(frame.status().code(), StatusCode::kDataLoss);
    };
    for (size_t n = 0; n < frames[f].size(); n += f == 0 ? 7 : 1) {
      expect_lost(std::string_view(frames[f]).substr(0, n), n);
      std::string flipped = frames[f];
      flipped[n] = static_cast<char>(flipped[n] ^ 1 << n % 8);
      expect_lost(flipped, n);
    }
  }
}

// Without the checksum's help: whatever the bytes say, decoding ends, within its memory.
TEST(Pull, DamageUnderAValidChecksumIsSurvived) {
  Inventor inventor(4);
  PullEncoder encoder;
  const std::string first = encoder.Encode(inventor.Next());
  std::mt19937_64 random(9);
  for (int i = 0; i < testing::Rounds(20'000); ++i) {
    std::string bytes = first.substr(0, first.size() - 4);
    for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    if (bytes.size() < 2) continue;
    bytes[1] = static_cast<char>(bytes[1] | 1);
    const uint32_t sum = XXH32(bytes.data(), bytes.size(), 0);
    for (int b = 0; b < 4; ++b) bytes.push_back(static_cast<char>(sum >> (8 * b)));
    PullDecoder decoder(1 << 20);
    auto frame = decoder.Decode(bytes);
    if (!frame.ok()) {
      EXPECT_EQ(frame.status().code(), StatusCode::kDataLoss);
    }
  }
}

TEST(Pull, ALostOrRepeatedFrameIsFoundOut) {
  PullEncoder encoder;
  std::vector<std::string> frames;
  for (uint64_t i = 1; i <= 4; ++i) {
    frames.push_back(encoder.Encode(SmallSnapshot(i, 100.5 * static_cast<double>(i))));
  }
  PullDecoder decoder;
  EXPECT_FALSE(decoder.Decode(frames[1]).ok());  // Without the first.
  ASSERT_TRUE(decoder.Decode(frames[0]).ok());
  ASSERT_TRUE(decoder.Decode(frames[1]).ok());
  EXPECT_FALSE(decoder.Decode(frames[3]).ok());  // The third is missing.
  EXPECT_FALSE(decoder.Decode(frames[2]).ok());  // The stream is over.
  ASSERT_TRUE(decoder.Decode(frames[0]).ok());   // A start is always welcome.
  EXPECT_FALSE(decoder.Decode(frames[2]).ok());
}

TEST(Pull, MemoryBeyondTheLimitIsRefused) {
  Snapshot s = SmallSnapshot(1, 1);
  for (int i = 0; i < testing::Rounds(10'000); ++i) {
    s.sources[0].families[0].samples.push_back(
        {.labels = Labels::Of({{"__name__", "x"}, {"i", std::to_string(i)}}), .value = 1});
  }
  const std::string frame = PullEncoder().Encode(s);
  PullDecoder small(100'000);
  auto refused = small.Decode(frame);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("limit of 100000 bytes"), std::string::npos)
      << refused.status().ToString();
  PullDecoder large;
  EXPECT_TRUE(large.Decode(frame).ok());
}

// What a ring keeps as frames and takes out again says the same, frame for frame, as the original.
TEST(Pull, SnapshotsMadeOfFramesMakeTheSameFrames) {
  Inventor inventor(8);
  PullEncoder first, second;
  PullSnapshots between;
  PullDecoder direct, indirect;
  Mirror a, b;
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const Snapshot snapshot = inventor.Next();
    const std::string frame = first.Encode(snapshot);
    auto again = between.Next(frame);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    auto want = direct.Decode(frame);
    auto got = indirect.Decode(second.Encode(*again));
    ASSERT_TRUE(want.ok() && got.ok());
    const auto want_known = a.Apply(**want);
    const auto got_known = b.Apply(**got);
    ASSERT_EQ(want_known.size(), got_known.size());
    for (const auto& [name, source] : want_known) {
      EXPECT_EQ(source.state, got_known.at(name).state);
      EXPECT_EQ(source.series, got_known.at(name).series);
    }
  }
}

TEST(Pull, ASteadyCounterCostsAlmostNothing) {
  PullEncoder encoder;
  std::string frame;
  for (uint64_t i = 1; i <= 10; ++i) {
    frame = encoder.Encode(SmallSnapshot(i, static_cast<double>(123456 + 1494 * i) / 100));
  }
  // Every value was guessed: version, flags, sequence, time, sources, source, state, column, sum.
  EXPECT_LE(frame.size(), 18u) << Hex(frame);
}

}  // namespace
}  // namespace vedette::wire
