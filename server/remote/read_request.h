#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "server/storage/queryable.h"

namespace vedette::remote {

// Remote read, Prometheus' way for one server to read samples of another: prometheus.ReadRequest
// in; out either one ReadResponse with all samples, or a stream of frames with XOR chunks in them
// (published: prompb/remote.proto). Read and written by hand, as remote write is.
struct ReadQuery {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  std::vector<Matcher> matchers;
};

struct ReadRequest {
  std::vector<ReadQuery> queries;
  bool streamed = false;  // The first answer that the client accepts and that is known here.
};

// INVALID_ARGUMENT: the bytes are no such message, a matcher is none, or the client accepts only
// answers that are unknown here.
Result<ReadRequest> ReadReadRequest(std::string_view body);

// Collects the answer to one request: for each query in turn Begin, its series, End; then Take.
//
// Costs what it holds: the whole answer in memory. The caller limits samples. Not thread-safe.
class ReadAnswer {
 public:
  // `external` labels are added to series that have no label of that name.
  ReadAnswer(bool streamed, const Labels& external) : streamed_(streamed), external_(external) {}

  void Begin(size_t query) { query_ = query; }
  // UNIMPLEMENTED: native histograms have no streamed form here.
  Status Add(const storage::SeriesColumns& series);
  void End();

  // Uncompressed. "" is the answer without any series to a streamed read.
  std::string Take() { return std::move(out_); }

 private:
  void Flush();

  const bool streamed_;
  const Labels& external_;
  size_t query_ = 0;
  std::string result_;  // Of this query: its series, or the frame that is being filled.
  std::string out_;
};

}  // namespace vedette::remote
