#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"

namespace vedette::remote {

// What one entry of the queue carries, readable without unpacking it.
struct EntryCounts {
  uint64_t samples = 0;
  uint64_t histograms = 0;
  uint64_t exemplars = 0;
  int64_t newest_ms = 0;
};

// A native histogram in the form in which it goes out: a prometheus.Histogram message, its instant
// inside as well as here.
struct EncodedHistogram {
  int64_t t_ms = 0;
  std::string message;
};

// One commit, as it waits in the queue for the senders.
//
//   byte 0        kind: 1 a row, 2 loose series
//   varints       samples, histograms, exemplars, newest instant (zigzag)
//   snappy of     a row: writer, t (zigzag), count, count doubles (little-endian bits; a hole is
//                 kAbsent), then (position, message) of histograms, (position, exemplar)
//                 loose: per series labels, samples (t zigzag from the one before, bits),
//                 histograms, exemplars
// Lists are preceded by their length, strings by their size; all numbers are varints.
struct Entry {
  struct Series {
    Labels labels;
    std::vector<Sample> samples;
    std::vector<EncodedHistogram> histograms;
    std::vector<Exemplar> exemplars;
  };

  EntryCounts counts;
  // A row: the values of one writer's layout at one instant.
  bool row = false;
  uint64_t writer = 0;
  int64_t t_ms = 0;
  std::vector<double> values;
  std::vector<std::pair<uint32_t, std::string>> histograms;
  std::vector<std::pair<uint32_t, Exemplar>> exemplars;
  // Otherwise.
  std::vector<Series> series;
};

std::string EncodeRow(uint64_t writer, const storage::Row& row);
std::string EncodeLoose(std::span<const storage::SeriesBatch> batch);

// DATA_LOSS when the bytes are none that the above wrote. No entry unpacks to more than
// kMaxEntryBytes.
inline constexpr size_t kMaxEntryBytes = 256u << 20;
Result<Entry> DecodeEntry(std::string_view bytes);
Result<EntryCounts> CountsOfEntry(std::string_view bytes);

// Label sets one after the other, as a writer's layout is kept.
void AppendLayout(std::string* out, const Labels& labels);
Result<std::vector<Labels>> DecodeLayout(std::string_view bytes);

}  // namespace vedette::remote
