#include "server/tsdb/inspect/accounts.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/model/matcher.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/index/sparse.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

using storage::CostReport;
using storage::CostRequest;
using storage::CostRow;
using storage::ReceivedBytes;

constexpr std::string_view kSharedName = "(shared)";
constexpr std::string_view kSamplesName = "(samples)";
constexpr size_t kHistogramKeyBytes = 16;

// The series that there are, side by side: their numbers may be far apart.
class Ranks {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  explicit Ranks(std::vector<uint32_t> series) : series_(std::move(series)) {
    for (uint32_t r = 0; r < series_.size(); ++r) behind_.At(series_[r]) = r + 1;
  }
  uint32_t Of(uint32_t series) const { return behind_[series] - 1; }  // kNone of one that is not there.
  uint32_t SeriesAt(size_t rank) const { return series_[rank]; }
  size_t size() const { return series_.size(); }

 private:
  std::vector<uint32_t> series_;  // Ascending.
  Sparse<uint32_t> behind_;       // The rank plus one.
};

// Weights by rank; series that came since the walk began are left out.
class Weights {
 public:
  explicit Weights(const Ranks& ranks) : ranks_(ranks), of_(ranks.size()) {}
  void Add(uint32_t series, double weight) {
    if (const uint32_t rank = ranks_.Of(series); rank != Ranks::kNone) AddAt(rank, weight);
  }
  void AddAt(size_t rank, double weight) {
    of_[rank] += weight;
    sum_ += weight;
  }
  // Divides `bytes` by weight; false, and nothing, where there is no weight at all.
  bool Spread(double bytes, std::vector<double>& out) const {
    if (sum_ <= 0) return false;
    for (size_t s = 0; s < of_.size(); ++s) out[s] += bytes * (of_[s] / sum_);
    return true;
  }

 private:
  const Ranks& ranks_;
  std::vector<double> of_;
  double sum_ = 0;
};

// Chunks with their keys, and the instants divided among the chunks that are over them.
struct SealedWeights {
  explicit SealedWeights(const Ranks& ranks)
      : chunks(ranks), rollups(ranks), instants(ranks), histograms(ranks) {}
  Weights chunks;
  Weights rollups;
  Weights instants;
  Weights histograms;
};

class SealedWalk {
 public:
  SealedWalk(const Store& store, SealedWeights& out) : store_(store), out_(out) {}

  Status Run() {
    const std::shared_ptr<const StoreSnapshot> snapshot = store_.TakeSnapshot();
    StoreIterator it = store_.Iterate(Family::kChunks, snapshot.get(), /*long_walk=*/true);
    it.SeekToFirst();
    for (; it.valid() || it.SkipDamage(); it.Next()) {
      if (it.key().size() != ChunkKey::kBytes) continue;
      const ChunkKey key = ChunkKey::From(it.key());
      if (key.window != window_) {
        VEDETTE_RETURN_IF_ERROR(FinishWindow(*snapshot));
      }
      window_ = key.window;
      out_.chunks.Add(key.series, static_cast<double>(it.key().size() + it.value().size()));
      const Result<ChunkHeader> header = ReadChunkHeader(it.value());
      if (header.ok()) users_[header->instants_id].push_back(key.series);
    }
    VEDETTE_RETURN_IF_ERROR(PastDamage(it.status()));
    VEDETTE_RETURN_IF_ERROR(FinishWindow(*snapshot));

    if (store_.has(Family::kRollups)) {
      it = store_.Iterate(Family::kRollups, snapshot.get(), /*long_walk=*/true);
      it.SeekToFirst();
      for (; it.valid() || it.SkipDamage(); it.Next()) {
        if (it.key().size() != kRollupKeyBytes) continue;
        out_.rollups.Add(GetBigEndian32(it.key().data() + 12),
                         static_cast<double>(it.key().size() + it.value().size()));
      }
      VEDETTE_RETURN_IF_ERROR(PastDamage(it.status()));
    }

    it = store_.Iterate(Family::kHistograms, snapshot.get(), /*long_walk=*/true);
    it.SeekToFirst();
    for (; it.valid() || it.SkipDamage(); it.Next()) {
      if (it.key().size() != kHistogramKeyBytes) continue;
      out_.histograms.Add(GetBigEndian32(it.key().data() + 8),
                          static_cast<double>(it.key().size() + it.value().size()));
    }
    return PastDamage(it.status());
  }

 private:
  static Status PastDamage(const Status& status) {
    return status.code() == StatusCode::kDataLoss ? Status() : status;
  }

  Status FinishWindow(const StoreSnapshot& snapshot) {
    if (users_.empty()) return {};
    const std::string prefix = WindowPrefix(window_);
    StoreIterator it = store_.Iterate(Family::kInstants, &snapshot, /*long_walk=*/true);
    it.Seek(prefix);
    for (; it.valid() || it.SkipDamage(); it.Next()) {
      if (!it.key().starts_with(prefix)) break;
      if (it.key().size() != 8) continue;
      const auto users = users_.find(GetBigEndian32(it.key().data() + 4));
      if (users == users_.end()) continue;
      const double share = static_cast<double>(it.key().size() + it.value().size()) /
                           static_cast<double>(users->second.size());
      for (uint32_t series : users->second) out_.instants.Add(series, share);
    }
    users_.clear();
    return PastDamage(it.status());
  }

  const Store& store_;
  SealedWeights& out_;
  int32_t window_ = 0;
  std::unordered_map<uint32_t, std::vector<uint32_t>> users_;  // Instants -> series, of a window.
};

struct SeriesCosts {
  explicit SeriesCosts(size_t n) : disk(n), memory(n), wire(n) {}
  std::vector<double> disk, memory, wire;
};

// What the scrapes of a target brought is divided among its series by the length of their names and
// labels, which is most of a line.
void SpreadWire(const AccountedParts& parts, const CostRequest& request, const Ranks& ranks,
                const std::vector<uint32_t>& text, const std::vector<bool>& loose,
                SeriesCosts& costs, CostReport& report) {
  for (const ReceivedBytes& received : request.received) {
    report.total.wire_bytes += received.bytes;
    Weights weights(ranks);
    if (received.from == ReceivedBytes::From::kWriter) {
      for (size_t r = 0; r < text.size(); ++r) {
        if (loose[r]) weights.AddAt(r, text[r]);
      }
    } else if (!received.labels.empty()) {
      std::vector<Matcher> matchers;
      for (const Label& l : received.labels) {
        matchers.push_back(Matcher::Equal(std::string(l.name), std::string(l.value)));
      }
      const std::vector<uint32_t> series = parts.index.Select(matchers).ToVector();
      bool any_active = false;
      for (uint32_t s : series) any_active = any_active || parts.head.FirstPlaceOf(s).timeline != 0;
      for (uint32_t s : series) {
        const uint32_t rank = ranks.Of(s);
        if (rank != Ranks::kNone && (!any_active || parts.head.FirstPlaceOf(s).timeline != 0)) {
          weights.AddAt(rank, text[rank]);
        }
      }
    }
    (void)weights.Spread(static_cast<double>(received.bytes), costs.wire);  // Else shared.
  }
}

// Whole bytes that add up to what the parts add up to.
class Rounding {
 public:
  uint64_t Next(double part) {
    exact_ += part;
    const uint64_t upto = static_cast<uint64_t>(std::llround(std::max(0.0, exact_)));
    const uint64_t out = upto - std::min(given_, upto);
    given_ += out;
    return out;
  }
  uint64_t given() const { return given_; }

 private:
  double exact_ = 0;
  uint64_t given_ = 0;
};

uint64_t Rest(uint64_t total, uint64_t given) { return total > given ? total - given : 0; }

void SortRows(std::vector<CostRow>& rows) {
  std::ranges::sort(rows, [](const CostRow& a, const CostRow& b) {
    if (a.disk_bytes != b.disk_bytes) return a.disk_bytes > b.disk_bytes;
    if (a.memory_bytes != b.memory_bytes) return a.memory_bytes > b.memory_bytes;
    return a.name < b.name;
  });
}

void RowsByValue(const SeriesIndex& index, const std::string& label, const Ranks& ranks,
                 const SeriesCosts& costs, CostReport& report) {
  const SeriesIndex::Grouping grouping = index.GroupBy(label);
  struct Sum {
    double disk = 0, memory = 0, wire = 0;
    uint64_t series = 0;
  };
  std::vector<Sum> sums(grouping.values.size());
  for (size_t r = 0; r < ranks.size(); ++r) {
    Sum& sum = sums[grouping.group_of[ranks.SeriesAt(r)]];
    sum.disk += costs.disk[r];
    sum.memory += costs.memory[r];
    sum.wire += costs.wire[r];
    ++sum.series;
  }
  Rounding disk, memory, wire;
  for (size_t g = 0; g < sums.size(); ++g) {
    if (sums[g].series == 0) continue;
    report.rows.push_back({.name = grouping.values[g],
                           .series = sums[g].series,
                           .disk_bytes = disk.Next(sums[g].disk),
                           .memory_bytes = memory.Next(sums[g].memory),
                           .wire_bytes = wire.Next(sums[g].wire)});
  }
  report.shared.disk_bytes = Rest(report.total.disk_bytes, disk.given());
  report.shared.memory_bytes = Rest(report.total.memory_bytes, memory.given());
  report.shared.wire_bytes = Rest(report.total.wire_bytes, wire.given());
}

// `shared_*`: what no series owns.
void RowsByName(const SeriesIndex& index, const Ranks& ranks, const SeriesCosts& costs,
                double shared_disk, double shared_memory, CostReport& report) {
  const std::vector<SeriesIndex::NameUse> uses = index.NameUses();
  const double whole = static_cast<double>(report.memory.index);
  Rounding disk, memory;
  for (const SeriesIndex::NameUse& use : uses) {
    const double share = whole > 0 ? use.memory / whole : 0;
    CostRow row{.name = use.name, .series = use.series.size(), .values = use.values};
    row.disk_bytes = disk.Next(static_cast<double>(report.disk.index) * share);
    row.memory_bytes = memory.Next(use.memory);
    double carried_disk = 0;
    double carried_memory = 0;
    for (uint32_t s : use.series.ToVector()) {
      const uint32_t rank = ranks.Of(s);
      if (rank == Ranks::kNone) continue;
      carried_disk += costs.disk[rank];
      carried_memory += costs.memory[rank];
    }
    row.carried_disk_bytes = static_cast<uint64_t>(std::llround(carried_disk));
    row.carried_memory_bytes = static_cast<uint64_t>(std::llround(carried_memory));
    report.rows.push_back(std::move(row));
  }
  report.shared.disk_bytes = static_cast<uint64_t>(std::llround(shared_disk));
  report.shared.memory_bytes = static_cast<uint64_t>(std::llround(shared_memory));
  CostRow samples{.name = std::string(kSamplesName), .series = costs.disk.size()};
  samples.disk_bytes = Rest(report.total.disk_bytes, disk.given() + report.shared.disk_bytes);
  samples.memory_bytes = Rest(report.total.memory_bytes, memory.given() + report.shared.memory_bytes);
  samples.wire_bytes = report.total.wire_bytes;
  samples.carried_disk_bytes = samples.disk_bytes;
  samples.carried_memory_bytes = samples.memory_bytes;
  report.rows.push_back(std::move(samples));
}

}  // namespace

Result<CostReport> TakeAccounts(const AccountedParts& parts, const CostRequest& request) {
  SeriesIndex::Weights index = parts.index.Weigh();
  const Ranks ranks(std::move(index.series));
  const size_t n = ranks.size();
  SealedWeights sealed(ranks);
  VEDETTE_RETURN_IF_ERROR(SealedWalk(parts.store, sealed).Run());
  Weights head(ranks);
  std::vector<bool> loose(n);
  parts.head.Weigh([&](uint32_t series, uint64_t bytes, bool is_loose) {
    head.Add(series, static_cast<double>(bytes));
    const uint32_t rank = ranks.Of(series);
    if (rank != Ranks::kNone && is_loose) loose[rank] = true;
  });
  Weights known(ranks);
  for (size_t r = 0; r < n; ++r) known.AddAt(r, index.memory[r]);

  CostReport report;
  report.shared.name = kSharedName;
  report.total.name = "total";
  report.total.series = n;
  const Store::Files files = parts.store.files();
  const auto tables = [&](Family f) { return files.tables[static_cast<size_t>(f)]; };
  report.disk = {.chunks = tables(Family::kChunks) + tables(Family::kRollups),
                 .histograms = tables(Family::kHistograms),
                 .instants = tables(Family::kInstants),
                 .log = tables(Family::kHead) + files.log,
                 .index = tables(Family::kSeries),
                 .other = tables(Family::kMeta) + files.other};
  report.total.disk_bytes = files.total();
  report.memory.head = parts.head.Open().bytes;
  report.memory.index = parts.index.memory_bytes();
  report.memory.store = parts.store.memory().total();
  report.total.memory_bytes = report.memory.head + report.memory.index + report.memory.store;

  SeriesCosts costs(n);
  double shared_disk = static_cast<double>(report.disk.other);
  double shared_memory = static_cast<double>(report.memory.store);
  const auto spread = [](const Weights& weights, uint64_t bytes, std::vector<double>& out,
                         double& shared) {
    if (!weights.Spread(static_cast<double>(bytes), out)) shared += static_cast<double>(bytes);
  };
  spread(sealed.chunks, tables(Family::kChunks), costs.disk, shared_disk);
  spread(sealed.rollups, tables(Family::kRollups), costs.disk, shared_disk);
  spread(sealed.histograms, report.disk.histograms, costs.disk, shared_disk);
  spread(sealed.instants, report.disk.instants, costs.disk, shared_disk);
  spread(head, report.disk.log, costs.disk, shared_disk);
  spread(known, report.disk.index, costs.disk, shared_disk);
  spread(head, report.memory.head, costs.memory, shared_memory);
  spread(known, report.memory.index, costs.memory, shared_memory);
  SpreadWire(parts, request, ranks, index.text, loose, costs, report);

  if (request.label.empty()) {
    RowsByName(parts.index, ranks, costs, shared_disk, shared_memory, report);
  } else {
    RowsByValue(parts.index, request.label, ranks, costs, report);
  }
  SortRows(report.rows);
  return report;
}

}  // namespace vedette::tsdb
