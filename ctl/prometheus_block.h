#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/sample.h"

namespace vedette::ctl {

// A block of Prometheus' own storage on disk: a folder with meta.json, index and chunks/. Read
// only, as its published format has it (index version 2, XOR chunks); native histograms are counted
// and left out.
//
//   VEDETTE_RETURN_IF_ERROR(ReadPrometheusBlock(dir, [&](const Labels& labels,
//                                                        const std::vector<Sample>& samples) {
//     ...
//     return Status();
//   }, &stats));
//
// Everything in it is checked before it is believed. DATA_LOSS says where it is damaged.
struct BlockStats {
  uint64_t series = 0;
  uint64_t samples = 0;
  uint64_t histogram_chunks = 0;  // Left out.
};
using TakeSeries = std::function<Status(const Labels&, const std::vector<Sample>&)>;
Status ReadPrometheusBlock(const std::string& dir, const TakeSeries& take, BlockStats* stats);

// Appends the samples of one XOR chunk (its bytes after the encoding byte, before the checksum).
Status DecodeXorChunk(std::string_view data, std::vector<Sample>* out);

}  // namespace vedette::ctl
