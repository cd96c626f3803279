#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/storage/key_value.h"

namespace vedette::storage {

// What became of the samples of one commit. A bad sample costs itself, never its neighbours: the
// rest of the commit is stored, and the caller counts what was not.
struct CommitStats {
  uint64_t appended = 0;
  uint64_t duplicate = 0;      // The same instant again with another value; the first one stays.
  uint64_t out_of_order = 0;   // Older than the series' newest and outside the window for such.
  uint64_t too_old = 0;        // Out of order and beyond storage.tsdb.out_of_order_time_window.
  uint64_t too_far_ahead = 0;  // In the future by more than the storage accepts.
  uint64_t series_limit = 0;   // Of a series that was refused because a budget is used up.
  // How many of `appended`, and of refused(), are native histograms.
  uint64_t appended_histograms = 0;
  uint64_t refused_histograms = 0;
  // Taken, and those that were there already. Not among the samples.
  uint64_t exemplars = 0;

  uint64_t refused() const {
    return duplicate + out_of_order + too_old + too_far_ahead + series_limit;
  }
  CommitStats& operator+=(const CommitStats& more) {
    appended += more.appended;
    duplicate += more.duplicate;
    out_of_order += more.out_of_order;
    too_old += more.too_old;
    too_far_ahead += more.too_far_ahead;
    series_limit += more.series_limit;
    appended_histograms += more.appended_histograms;
    refused_histograms += more.refused_histograms;
    exemplars += more.exemplars;
    return *this;
  }
};

// A native histogram at one position of a row, or a full sample of a loose series.
struct HistogramAt {
  uint32_t position = 0;
  std::shared_ptr<const Histogram> histogram;
};

struct ExemplarAt {
  uint32_t position = 0;
  Exemplar exemplar;
};

// Since when the sample at one position of a row counts, in milliseconds.
struct StartAt {
  uint32_t position = 0;
  int64_t start_ms = 0;
};

// One instant of a timeline: values[p] is the sample of the series at position p of the layout;
// kAbsent where that series was not sampled. `values` may be shorter than the layout: the rest is
// absent. A position named in `histograms` has a histogram instead of its value.
struct Row {
  int64_t t_ms = 0;
  std::span<const double> values;
  std::span<const HistogramAt> histograms;
  std::span<const ExemplarAt> exemplars;
  // The row fills a gap: it may be older than rows already there, as old as retention goes.
  bool backfill = false;
  // Where it is known; a storage that keeps no start timestamps looks away.
  std::span<const StartAt> starts;
  // Made up by the writer: what is refused of it is nobody's loss, and is not counted.
  bool optional = false;
};

// TimelineWriter is one writer's place in the storage: a scrape target, or a rule group. Its series
// are sampled at the same instants, so a commit is one timestamp and one column of values.
//
//   uint32_t p = *writer->AddSeries(labels);   // Once per series.
//   writer->Commit(row);                       // Once per scrape: no hashing, no labels.
//
// Positions count from 0 in the order of AddSeries and are never reused while the writer lives. A
// series that is gone keeps its position with kAbsent (after one kStaleNan); a writer whose layout
// is mostly gone is replaced by a new one. A series that another writer already holds may be added:
// its samples are merged by time.
//
// Not thread-safe: one thread at a time. Different writers run in parallel. Destroying a writer
// keeps what it committed.
class TimelineWriter {
 public:
  virtual ~TimelineWriter() = default;

  // kResourceExhausted when a series budget is used up; the position is not taken then.
  virtual Result<uint32_t> AddSeries(const Labels& labels) = 0;

  // The labels that a position was given. Not for hot paths.
  virtual Labels LabelsAt(uint32_t position) const = 0;

  // All or nothing towards a reader: the row's samples become visible together. When it returns OK
  // the row survives kill -9. kUnavailable: nothing was stored (a full disk); the caller goes on.
  virtual Result<CommitStats> Commit(const Row& row) = 0;
};

// The row of one of several writers whose rows are one commit.
struct WriterRow {
  TimelineWriter* writer = nullptr;
  Row row;
};

// Many samples of one series, as remote write, OTLP and imports bring them. Times in any order.
struct SeriesBatch {
  Labels labels;
  std::span<const Sample> samples;
  struct HistogramSample {
    int64_t t_ms;
    std::shared_ptr<const Histogram> histogram;
  };
  std::span<const HistogramSample> histograms;
  std::span<const Exemplar> exemplars;
  // Start timestamps of the samples and of the histograms: each empty, or as long as what it is
  // about; 0 where none was given.
  std::span<const int64_t> sample_starts;
  std::span<const int64_t> histogram_starts;
};

// Stands for a series that the storage knows; 0 for none. Good while the process lives, or until the
// storage says that it has forgotten the series.
using SeriesRef = uint64_t;

// Appender is the one door through which samples enter the storage: scrapes, rules, remote write,
// pushes and imports all use it, so budgets, order and durability are decided in one place.
// Thread-safe.
class Appender {
 public:
  virtual ~Appender() = default;

  // `owner` says who is charged for the series in budgets and cost accounts: a job's name.
  virtual std::unique_ptr<TimelineWriter> OpenTimeline(const std::string& owner) = 0;

  // Rows of several of this appender's writers, each writer once, as one commit: one record of the
  // log for all, and all or nothing. `notes` are pairs of KeyValue that are stored with them, such
  // as how far the reader of the rows has come. None of the rows is optional. As here, one commit after the other and without
  // notes, it will do for an appender that forgets everything with the process.
  virtual Result<CommitStats> CommitTogether(std::span<const WriterRow> rows,
                                             std::span<const KeyValue::Change> notes) {
    (void)notes;
    CommitStats sum;
    for (const WriterRow& r : rows) {
      VEDETTE_ASSIGN_OR_RETURN(const CommitStats stats, r.writer->Commit(r.row));
      sum += stats;
    }
    return sum;
  }

  // One commit of series that share no timeline. Durable when it returns, like a row.
  virtual Result<CommitStats> Write(std::span<const SeriesBatch> batch) = 0;

  // The same for a caller that brings the same series again and again. Where refs[i] is not 0 it
  // stands for the labels of batch[i], which may be empty then; where it is 0 it is filled in, and
  // stays 0 when the series was refused. kNotFound: a ref is no longer known and nothing was stored;
  // bring the labels. An appender without refs leaves them all 0.
  virtual Result<CommitStats> WriteKnown(std::span<const SeriesBatch> batch,
                                         std::span<SeriesRef> refs) {
    (void)refs;
    return Write(batch);
  }

  // The same of one sample each of series that are known: samples[i] is of refs[i], which is not 0.
  virtual Result<CommitStats> WriteSamples(std::span<const SeriesRef> refs,
                                           std::span<const Sample> samples) {
    (void)refs;
    (void)samples;
    return NotFound("this appender has given no references");
  }

  // Remembers type, help and unit of a metric name (without owner: the last one wins).
  virtual void SetMetadata(const std::string& metric_name, const Metadata& metadata) = 0;
};

}  // namespace vedette::storage
