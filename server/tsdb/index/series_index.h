#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/index/shared_mutex.h"
#include "server/tsdb/index/sparse.h"

namespace vedette::tsdb {

// SeriesIndex gives every label set a dense number, once and for ever, and finds the numbers that
// matchers ask for.
//
// A label pair is stored once; a series is the list of its pairs' numbers; the hash table from
// labels to series keeps only numbers and compares with the pairs. So a series of six labels costs
// about 60 bytes with its postings, however long its strings are.
//
// New series are also written into a journal, in the order of their numbers, that the owner takes
// with TakeJournal() and stores; Restore() of the journals in the same order, and FinishRestore(),
// make the same index.
// A journal says which numbers it begins with, so that one that is lost costs its own series and
// no other: their numbers stay taken, by nobody.
//
// Series that have no data any more are given up with Forget(), with the labels that nobody else has.
// Their numbers are never given again: a file that comes back damaged, or a writer who remembers one,
// could take another series for it. Journals of them are written anew, Thinned().
//
// Thread-safe: look-ups run in parallel, additions one at a time.
class SeriesIndex {
 public:
  struct Count {
    std::string name;
    uint64_t count = 0;
  };
  struct Cardinality {
    std::vector<Count> series_by_metric;
    std::vector<Count> values_by_label;
    std::vector<Count> bytes_by_label;
    std::vector<Count> series_by_pair;
  };

  SeriesIndex();

  std::optional<uint32_t> Find(const Labels& labels) const;
  // The numbers of many at once, kUnknown where there is none: one lock for all of them.
  static constexpr uint32_t kUnknown = UINT32_MAX;
  void FindMany(size_t count, const std::function<const Labels&(size_t)>& labels_at,
                std::vector<uint32_t>& out) const;
  uint32_t FindOrAdd(const Labels& labels, bool* added);

  Labels LabelsOf(uint32_t series) const;
  void LabelsOf(std::span<const uint32_t> series, std::vector<Labels>& out) const;
  // With the named labels alone.
  void LabelsOf(std::span<const uint32_t> series, std::span<const std::string> names,
                std::vector<Labels>& out) const;
  // The number of the pair __name__=..., 0 without one: the first part of a chunk's key, so that
  // the series of a metric lie side by side on disk.
  uint32_t MetricOf(uint32_t series) const;
  void MetricsOf(std::span<const uint32_t> series, std::vector<uint32_t>& out) const;

  // Ids that match all matchers, ascending.
  Postings Select(std::span<const Matcher> matchers) const;

  // Sorted. `within` null: of all series.
  std::vector<std::string> Names(const Postings* within) const;
  std::vector<std::string> Values(std::string_view name, const Postings* within) const;

  uint32_t size() const;   // One more than the highest number.
  uint32_t known() const;  // Series with their labels: neither given up nor lost.
  Postings Known() const;
  bool Gone(uint32_t series) const;  // Given up, or lost.
  uint64_t pairs() const;
  uint64_t memory_bytes() const;
  Cardinality cardinality(size_t limit) const;

  // The known series, ascending, and side by side with each what of memory_bytes() it has, a pair
  // divided among those that carry it, and the bytes of its labels as text.
  struct Weights {
    std::vector<uint32_t> series;
    std::vector<double> memory;
    std::vector<uint32_t> text;
  };
  Weights Weigh() const;
  // The value of a label by series, as an index into `values`; values[0] is "", for those without.
  struct Grouping {
    std::vector<std::string> values;
    Sparse<uint32_t> group_of;
  };
  Grouping GroupBy(std::string_view label) const;
  // Every label name with what it has of memory_bytes(); what is left belongs to the series
  // themselves.
  struct NameUse {
    std::string name;
    uint64_t values = 0;
    double memory = 0;
    Postings series;
  };
  std::vector<NameUse> NameUses() const;

  // What was added and is not stored yet; empty bytes for nothing. One taker at a time, who says
  // JournalStored() once it is.
  struct Journal {
    std::string bytes;
    size_t entries_bytes = 0;
    uint32_t next_series = 0;
    uint32_t next_pair = 0;
  };
  Journal TakeJournal() const;
  bool journal_empty() const;
  void JournalStored(const Journal& journal);
  // kDataLoss where the journal is damaged: nothing of it is taken. What is restored is found once
  // FinishRestore() has been called, after the last journal: all at once costs a third. A series that
  // was given up may be in a journal still, and its labels once more in a later one: the later counts.
  Status Restore(std::string_view journal);
  void FinishRestore();
  // Gives these series up: they are not found any more, and have no labels. The caller sees to it that
  // none of them is about to be used. Nobody else gets to the index meanwhile: about 0.1 s for each
  // million of what stays and of what goes.
  void Forget(const Postings& series);
  // Where a journal begins; of any kind. kDataLoss where it is damaged.
  struct JournalStart {
    uint64_t series = 0;
    uint64_t pair = 0;
  };
  static Result<JournalStart> StartOf(std::string_view journal);
  JournalStart NextJournal() const;  // Where the next one will begin: behind all that is stored.
  // One journal instead of all those that begin at `from` or later, and before `to`: without what has
  // been given up. Nothing where series in it are lost, which must not be forgotten.
  std::optional<std::string> Thinned(const JournalStart& from, const JournalStart& to) const;
  // As Restore(), of one that Thinned() made.
  Status RestoreThinned(std::string_view journal);
  // Numbers below `series` are taken from now on, by nobody where they are not in a journal.
  void Reserve(uint32_t series);
  // Series whose labels are lost.
  uint64_t lost() const;

 private:
  struct Pair {
    const char* bytes = nullptr;
    uint32_t length = 0;
    uint32_t name = 0;
    Postings series;
    std::string_view view() const { return {bytes, length}; }
  };
  struct Name {
    std::string name;
    std::vector<uint32_t> pairs;
    Postings series;
    uint64_t bytes = 0;
  };

  std::optional<uint32_t> FindLocked(const Labels& labels, uint64_t hash) const;
  bool Equal(uint32_t series, std::string_view bytes) const;
  uint32_t AddLocked(std::span<const uint32_t> pairs, uint64_t hash);
  uint32_t AddList(std::span<const uint32_t> pairs);
  uint32_t PutList(std::span<const uint32_t> pairs);  // Where it is, for list_of_.
  const char* PutText(std::string_view bytes);
  void PutPairSlot(uint32_t pair);
  void Tighten();
  Status Follows(const JournalStart& start) const;
  void AddGone(uint32_t end);  // All numbers up to, and not with, `end`.
  void MakeSlots(size_t count);  // At least, doubling what there is.
  void AddLost();
  uint32_t FindPair(std::string_view bytes) const;  // kNone where there is none.
  uint32_t AddPair(std::string_view bytes, std::string_view name);
  const Name* FindName(std::string_view name) const;
  uint64_t MemoryLocked() const;
  std::string_view ValueOf(const Pair& pair) const;
  std::span<const uint32_t> PairsOf(uint32_t series) const;
  // Where another series has the same labels it takes its place: that one was given up, as only a
  // journal brings them again. Its number then.
  std::optional<uint32_t> InsertSlot(uint64_t slot);
  // Makes findable what Restore() brought. Gives the series that others have taken the place of.
  Postings FindRestored();
  void ForgetRestored(const Postings& series);
  // `touched`: pairs that may have no series any more, besides those of the series.
  void ForgetLocked(const Postings& series, std::vector<uint32_t> touched);
  // The union of the postings of the values of `name` that `matches` accepts.
  template <typename F>
  Postings UnionWhere(const Name& name, F matches) const;
  Postings SetOf(const Matcher& m, bool* exclude, bool* everything) const;

  mutable SharedMutex mu_;
  Sparse<Pair> pairs_ VEDETTE_GUARDED_BY(mu_);       // 0 is no pair.
  size_t pair_count_ VEDETTE_GUARDED_BY(mu_) = 0;  // That are there.
  std::vector<uint32_t> pair_slots_ VEDETTE_GUARDED_BY(mu_);
  std::deque<Name> names_ VEDETTE_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<char[]>> text_ VEDETTE_GUARDED_BY(mu_);
  size_t text_left_ VEDETTE_GUARDED_BY(mu_) = 0;
  char* text_at_ VEDETTE_GUARDED_BY(mu_) = nullptr;
  uint64_t text_bytes_ VEDETTE_GUARDED_BY(mu_) = 0;

  // Per series: where its list begins in lists_ (block and place) plus one, 0 of one without labels,
  // and (tag, id) slots of the hash table, 0 for free.
  Sparse<uint32_t> list_of_ VEDETTE_GUARDED_BY(mu_);
  uint32_t known_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::vector<std::unique_ptr<uint32_t[]>> lists_ VEDETTE_GUARDED_BY(mu_);
  size_t lists_used_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::vector<uint64_t> slots_ VEDETTE_GUARDED_BY(mu_);
  uint32_t found_ VEDETTE_GUARDED_BY(mu_) = 0;  // Those below are in postings and slots.
  Postings lost_ VEDETTE_GUARDED_BY(mu_);
  Postings given_up_ VEDETTE_GUARDED_BY(mu_);
  // While journals are restored: pairs that a thinned one has not any more, and those that a later
  // one has again.
  Postings given_up_pairs_ VEDETTE_GUARDED_BY(mu_);
  Postings superseded_pairs_ VEDETTE_GUARDED_BY(mu_);
  std::string journal_ VEDETTE_GUARDED_BY(mu_);
  uint32_t journal_series_ VEDETTE_GUARDED_BY(mu_) = 0;  // Where it begins.
  uint32_t journal_pair_ VEDETTE_GUARDED_BY(mu_) = 1;
};

}  // namespace vedette::tsdb
