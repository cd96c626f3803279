#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// What was looked at, and what is wrong with it.
struct VerifyReport {
  uint64_t files = 0;  // Tables, each read to its end.
  uint64_t series = 0;
  uint64_t chunks = 0;
  uint64_t samples = 0;  // Sealed ones.
  uint64_t histograms = 0;
  uint64_t instants = 0;  // Lists of them.
  uint64_t rollups = 0;

  static constexpr size_t kMaxProblems = 1000;
  uint64_t problems = 0;
  std::vector<std::string> sentences;  // The first kMaxProblems of them.

  bool whole() const { return problems == 0; }
  void Add(std::string sentence) {
    ++problems;
    if (sentences.size() < kMaxProblems) sentences.push_back(std::move(sentence));
  }
};

// Reads everything sealed: the checksums of every table, chunk, histogram and list of instants;
// that each chunk has its instants and each series its labels. Adds to `report`. A Status only
// where nothing can be read at all.
Status VerifySealed(const Store& store, const SeriesIndex& index, VerifyReport& report);

}  // namespace vedette::tsdb
