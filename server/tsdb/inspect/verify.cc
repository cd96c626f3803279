#include "server/tsdb/inspect/verify.h"

#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/storage/queryable.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/rollup.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/store/damage.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kHistogramKeyBytes = 16;
constexpr size_t kInstantsKeyBytes = 8;

class Verification {
 public:
  Verification(const Store& store, const SeriesIndex& index, VerifyReport& report)
      : store_(store), index_(index), report_(report), snapshot_(store.TakeSnapshot()) {}

  Status Run() {
    for (std::string& problem : store_.VerifyTables(&report_.files)) {
      report_.Add(std::move(problem));
    }
    VEDETTE_RETURN_IF_ERROR(Instants());
    VEDETTE_RETURN_IF_ERROR(Chunks());
    VEDETTE_RETURN_IF_ERROR(Histograms());
    if (store_.has(Family::kRollups)) {
      VEDETTE_RETURN_IF_ERROR(Rollups());
    }
    for (uint32_t s : unlabelled_) report_.Add(StrCat("series ", s, ": its labels are lost"));
    report_.series = index_.known();
    return {};
  }

 private:
  template <typename Visit>
  Status Walk(Family family, std::string_view what, Visit visit) {
    StoreIterator it = store_.Iterate(family, snapshot_.get(), /*long_walk=*/true);
    const DamageSink say = [this](std::string_view problem) { report_.Add(std::string(problem)); };
    it.SeekToFirst();
    for (; it.valid() || PassDamage(it, what, say); it.Next()) visit(it.key(), it.value());
    return it.status().code() == StatusCode::kDataLoss ? Status() : it.status();
  }

  Status Instants() {
    std::vector<int64_t> instants;
    return Walk(Family::kInstants, "instants", [&](std::string_view key, std::string_view value) {
      ++report_.instants;
      if (key.size() != kInstantsKeyBytes) {
        report_.Add("instants: a key of a wrong length");
      } else if (const Status s = DecodeInstants(value, instants); !s.ok()) {
        report_.Add(StrCat("instants ", GetBigEndian32(key.data() + 4), ": ", s.message()));
      } else {
        lengths_[Id(key)] = instants.size();
      }
    });
  }

  Status Chunks() {
    std::vector<double> values;
    return Walk(Family::kChunks, "chunks", [&](std::string_view bytes, std::string_view value) {
      ++report_.chunks;
      if (bytes.size() != ChunkKey::kBytes) {
        report_.Add("chunks: a key of a wrong length");
        return;
      }
      const ChunkKey key = ChunkKey::From(bytes);
      KnowSeries(key.series);
      const Result<ChunkHeader> header = DecodeChunk(value, values);
      if (!header.ok()) {
        report_.Add(StrCat(Place(key), ": ", header.status().message()));
        return;
      }
      const auto length = lengths_.find(Id(InstantsKey(key.window, header->instants_id)));
      if (length == lengths_.end()) {
        report_.Add(StrCat(Place(key), ": its instants are missing or damaged"));
      } else if (length->second != values.size()) {
        report_.Add(StrCat(Place(key), ": ", values.size(), " values for ", length->second,
                           " instants"));
      }
      for (double v : values) report_.samples += !IsAbsent(v);
    });
  }

  Status Histograms() {
    return Walk(Family::kHistograms, "histograms",
                [&](std::string_view key, std::string_view value) {
                  ++report_.histograms;
                  if (key.size() != kHistogramKeyBytes) {
                    report_.Add("histograms: a key of a wrong length");
                    return;
                  }
                  const uint32_t series = GetBigEndian32(key.data() + 8);
                  KnowSeries(series);
                  if (const auto h = DecodeHistogram(value); !h.ok()) {
                    report_.Add(StrCat("a histogram of ", NameOf(series), ": ",
                                       h.status().message()));
                  }
                });
  }

  Status Rollups() {
    std::vector<storage::RolledUp> stretches;
    return Walk(Family::kRollups, "roll-ups", [&](std::string_view key, std::string_view value) {
      ++report_.rollups;
      if (key.size() != kRollupKeyBytes) {
        report_.Add("roll-ups: a key of a wrong length");
        return;
      }
      const uint32_t series = GetBigEndian32(key.data() + 12);
      KnowSeries(series);
      if (const Status s = DecodeRollup(value, stretches); !s.ok()) {
        report_.Add(StrCat("a roll-up of ", NameOf(series), ": ", s.message()));
      }
    });
  }

  static uint64_t Id(std::string_view instants_key) {
    return static_cast<uint64_t>(GetBigEndian32(instants_key.data())) << 32 |
           GetBigEndian32(instants_key.data() + 4);
  }
  std::string NameOf(uint32_t series) const {
    return series < index_.size() ? index_.LabelsOf(series).ToString() : StrCat("series ", series);
  }
  std::string Place(const ChunkKey& key) const {
    return StrCat("a chunk of ", NameOf(key.series), ", window ", key.window);
  }
  void KnowSeries(uint32_t series) {
    if (series >= index_.size() || index_.LabelsOf(series).empty()) unlabelled_.insert(series);
  }

  const Store& store_;
  const SeriesIndex& index_;
  VerifyReport& report_;
  const std::shared_ptr<const StoreSnapshot> snapshot_;
  std::unordered_map<uint64_t, size_t> lengths_;  // Of lists of instants, by window and id.
  std::set<uint32_t> unlabelled_;
};

}  // namespace

Status VerifySealed(const Store& store, const SeriesIndex& index, VerifyReport& report) {
  return Verification(store, index, report).Run();
}

}  // namespace vedette::tsdb
