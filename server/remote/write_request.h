#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/remote/series_cache.h"
#include "server/storage/appender.h"

namespace vedette::remote {

// WriteRequest reads the body of a remote write (1.0: prometheus.WriteRequest, 2.0:
// io.prometheus.write.v2.Request) straight from its protobuf wire form into what an Appender takes.
// Written by hand, because at millions of samples a second a generated message costs more than the
// storage: here a sample is two reads, and nothing is allocated per sample.
//
//   WriteRequest request;                       // Kept by a connection: its buffers are reused.
//   VEDETTE_RETURN_IF_ERROR(request.ReadV1(body, &cache));
//   request.plain() ? appender.WriteSamples(request.refs(), request.plain_samples())
//                   : appender.WriteKnown(request.series(), request.refs());
//   request.Remember(cache);
//
// A series that the cache knows has a ref and no labels. From a sender's second request on nearly
// all are plain: one sample of each of series that are known.
//
// Field numbers: the published prompb/types.proto and io/prometheus/write/v2/types.proto.
// Memory: a few times the body, which is limited by the door, and never more than kMaxDecodedBytes:
// two bytes on the wire can be an empty histogram of hundreds in memory. Not thread-safe.
class WriteRequest {
 public:
  // A vector that doubles holds twice as much and, while it moves, half as much again: with the body
  // as it came and unpacked (32 MiB each) a request stays below 128 MiB.
  static constexpr size_t kMaxDecodedBytes = 24 << 20;
  void set_max_decoded_bytes(size_t bytes) { max_decoded_bytes_ = bytes; }
  static constexpr size_t kMaxLabels = 1000;  // Of one series.

  // INVALID_ARGUMENT: the bytes are not such a message, or say more than the limits above allow. What
  // was read before is dropped.
  Status ReadV1(std::string_view body, const SeriesCache* cache = nullptr);
  Status ReadV2(std::string_view body, const SeriesCache* cache = nullptr);

  // Of each of series(): from the cache, or 0 and to be filled in by the storage.
  std::span<storage::SeriesRef> refs() { return refs_; }
  // Teaches the cache the series that it did not know, once refs() are filled in.
  void Remember(SeriesCache& cache);

  // Every series is known and has one sample and nothing else: of refs()[i] it is
  // plain_samples()[i].
  bool plain() const { return plain_ && !refs_.empty(); }
  std::span<const Sample> plain_samples() const { return samples_; }

  // Valid until the next read. Series with labels that no series may have are left out here and
  // counted below. Gathered at the first call.
  const std::vector<storage::SeriesBatch>& series();
  const std::vector<std::pair<std::string, Metadata>>& metadata() const { return metadata_; }

  uint64_t samples() const { return samples_.size(); }
  uint64_t histograms() const { return histograms_.size(); }
  uint64_t exemplars() const { return exemplars_.size(); }
  uint64_t invalid_series() const { return invalid_series_; }
  // Why the first of them was left out.
  const std::string& invalid_reason() const { return invalid_reason_; }

 private:
  struct Extent {
    size_t samples, histograms, exemplars;
  };

  void Clear();
  Status ReadSeriesV1(std::string_view message);
  Status ReadSeriesV2(std::string_view message);
  // The number of bytes at the front of the message that are the labels of a series the cache
  // knows, with known_ set to it; 0 where it does not know them.
  size_t FindV1(std::string_view message);
  Status ReadMetadataV1(std::string_view message);
  Status ReadSample(std::string_view message);
  Status ReadHistogram(std::string_view message);
  Status ReadExemplar(std::string_view message, bool v2);
  Status LabelsFromRefs(std::string_view packed);
  // Takes labels_ and everything read since `from`, or drops it when no series may have such
  // labels.
  void FinishSeries(const Extent& from);
  void TakeSeries(Labels labels);
  void Drop(const Extent& from);
  void FinishRequest();
  // Whether what was read may still grow.
  Status Room() const;

  std::vector<Label> labels_;  // Of the series that is being read; views into the body.
  std::vector<std::string_view> symbols_;
  std::vector<Sample> samples_;
  std::vector<storage::SeriesBatch::HistogramSample> histograms_;
  std::vector<Exemplar> exemplars_;
  // Start timestamps of samples_ and histograms_: empty, or filled as far as one was given.
  std::vector<int64_t> sample_starts_;
  std::vector<int64_t> histogram_starts_;
  std::vector<Extent> ends_;  // One per series: where its part of the three vectors ends.
  std::vector<std::pair<size_t, Labels>> new_labels_;  // Of the series without a ref.
  std::vector<storage::SeriesBatch> series_;           // Empty until somebody asks.
  bool plain_ = true;                                  // So far.
  std::vector<storage::SeriesRef> refs_;
  const SeriesCache* cache_ = nullptr;
  std::optional<SeriesCache::Cursor> cursor_;
  uint64_t symbols_hash_ = 0;
  SeriesCache::Entry known_;                 // Of the series that is being read.
  std::vector<SeriesCache::Entry> entries_;  // One per series while there is a cache.
  std::vector<std::pair<std::string, Metadata>> metadata_;
  size_t max_decoded_bytes_ = kMaxDecodedBytes;
  size_t bucket_bytes_ = 0;  // Of the buckets in histograms_.
  uint64_t invalid_series_ = 0;
  std::string invalid_reason_;
};

}  // namespace vedette::remote
