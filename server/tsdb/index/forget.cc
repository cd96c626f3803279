// Series that are given up, and journals without them.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/index/journal.h"
#include "server/tsdb/index/series_index.h"

namespace vedette::tsdb {

void SeriesIndex::Forget(const Postings& series) {
  WriterLock lock(mu_);
  ForgetLocked(series, {});
}

// With the series that were found to be given up go the pairs that no series has.
void SeriesIndex::ForgetRestored(const Postings& series) {
  WriterLock lock(mu_);
  std::vector<uint32_t> unused;
  if (!given_up_pairs_.empty() || !superseded_pairs_.empty()) {
    for (uint32_t p = 0; p < pairs_.size(); ++p) {
      if (pairs_[p].bytes != nullptr && pairs_[p].series.empty()) unused.push_back(p);
    }
  }
  given_up_pairs_ = {};
  superseded_pairs_ = {};
  if (!series.empty() || !unused.empty()) ForgetLocked(series, std::move(unused));
}

void SeriesIndex::ForgetLocked(const Postings& series, std::vector<uint32_t> touched)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  std::vector<bool> seen(pairs_.size());
  for (const uint32_t p : touched) seen[p] = true;
  for (const uint32_t s : series.ToVector()) {
    if (list_of_[s] == 0) continue;
    for (const uint32_t p : PairsOf(s)) {
      if (!seen[p]) touched.push_back(p);
      seen[p] = true;
    }
    list_of_.At(s) = 0;
    --known_;
  }
  std::vector<bool> fewer(names_.size());
  for (const uint32_t p : touched) {
    Pair& pair = pairs_.At(p);
    pair.series.Subtract(series);
    if (!pair.series.empty()) continue;
    names_[pair.name].bytes -= pair.length;
    fewer[pair.name] = true;
    pair = {};
    --pair_count_;
  }
  for (size_t n = 0; n < names_.size(); ++n) {
    Name& name = names_[n];
    name.series.Subtract(series);
    name.series.Pack();
    if (!fewer[n]) continue;
    std::erase_if(name.pairs, [&](uint32_t p) VEDETTE_THREAD_ATTRIBUTE(
                                  no_thread_safety_analysis) { return pairs_[p].bytes == nullptr; });
    name.pairs.shrink_to_fit();
  }
  given_up_.UnionWith(series);
  given_up_.Subtract(lost_);
  given_up_.Pack();
  Tighten();
}

// Everything that is left, side by side again.
void SeriesIndex::Tighten() VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const std::vector<std::unique_ptr<uint32_t[]>> lists = std::exchange(lists_, {});
  lists_used_ = 0;
  Sparse<uint32_t> list_of;
  list_of.Skip(list_of_.size());
  for (uint32_t s = 0; s < list_of_.size(); ++s) {
    const uint32_t behind = list_of_[s];
    if (behind == 0) continue;
    const uint32_t* list = ListAt(lists, behind);
    list_of.At(s) = PutList({list + 1, list[0]});
  }
  list_of_ = std::move(list_of);

  const std::vector<std::unique_ptr<char[]>> text = std::exchange(text_, {});
  text_left_ = 0;
  text_bytes_ = 0;
  Sparse<Pair> pairs;
  pairs.Skip(pairs_.size());
  for (uint32_t p = 0; p < pairs_.size(); ++p) {
    if (pairs_[p].bytes == nullptr) continue;
    Pair& pair = pairs.At(p);
    pair = std::move(pairs_.At(p));
    pair.bytes = PutText(pair.view());
  }
  pairs_ = std::move(pairs);
  size_t size = kFirstSlots;
  while (pair_count_ * 2 > size) size *= 2;
  pair_slots_.assign(size, 0);
  pair_slots_.shrink_to_fit();
  for (uint32_t p = 0; p < pairs_.size(); ++p) {
    if (pairs_[p].bytes != nullptr) PutPairSlot(p);
  }

  const std::vector<uint64_t> slots = std::exchange(slots_, std::vector<uint64_t>(kFirstSlots));
  MakeSlots(known_);
  for (const uint64_t slot : slots) {
    if (slot != 0 && list_of_[static_cast<uint32_t>(slot) - 1] != 0) InsertSlot(slot);
  }
}

SeriesIndex::JournalStart SeriesIndex::NextJournal() const {
  ReaderLock lock(mu_);
  return {journal_series_, journal_pair_};
}

Result<SeriesIndex::JournalStart> SeriesIndex::StartOf(std::string_view journal) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string_view body, BodyOfJournal(journal));
  ByteReader in(body);
  JournalStart start;
  start.series = in.Varint();
  start.pair = in.Varint();
  return in.ok() ? Result<JournalStart>(start) : DataLoss("series journal: cut short");
}

Status SeriesIndex::Follows(const JournalStart& start) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  // More than fit between two journals that follow each other: a number is wrong.
  constexpr uint64_t kMaxGap = uint64_t{1} << 26;
  if (start.series < list_of_.size() || start.pair < pairs_.size() ||
      start.series - list_of_.size() > kMaxGap || start.pair - pairs_.size() > kMaxGap) {
    return DataLoss("series journal: its numbers do not follow those before");
  }
  return {};
}

// first series varint | first pair varint | end of the series varint | end of the pairs varint |
// number of pairs varint, of each its number less the one before, and its bytes | of each series its
// number less the one before, and the number and the numbers of its pairs | checksum u32
std::optional<std::string> SeriesIndex::Thinned(const JournalStart& from,
                                                const JournalStart& to) const {
  ReaderLock lock(mu_);
  const uint32_t end_series = static_cast<uint32_t>(std::min<uint64_t>(to.series, list_of_.size()));
  const uint32_t end_pair = static_cast<uint32_t>(std::min<uint64_t>(to.pair, pairs_.size()));
  const uint32_t first_series = static_cast<uint32_t>(std::min<uint64_t>(from.series, end_series));
  const uint32_t first_pair = static_cast<uint32_t>(std::min<uint64_t>(from.pair, end_pair));
  if (Postings::Range(first_series, end_series).IntersectionSize(lost_) > 0) return std::nullopt;
  std::string out;
  PutVarint(out, first_series);
  PutVarint(out, first_pair);
  PutVarint(out, end_series);
  PutVarint(out, end_pair);
  std::string entries;
  uint64_t count = 0;
  uint32_t before = first_pair;
  for (uint32_t p = first_pair; p < end_pair; ++p) {
    if (pairs_[p].bytes == nullptr) continue;
    PutVarint(entries, p - before);
    PutBytes(entries, pairs_[p].view());
    before = p;
    ++count;
  }
  PutVarint(out, count);
  out += entries;
  before = first_series;
  for (uint32_t s = first_series; s < end_series; ++s) {
    if (list_of_[s] == 0) continue;
    PutVarint(out, s - before);
    before = s;
    const std::span<const uint32_t> pairs = PairsOf(s);
    PutVarint(out, pairs.size());
    for (const uint32_t p : pairs) PutVarint(out, p);
  }
  PutFixed(out, ChecksumOfJournal(out));
  return out;
}

Status SeriesIndex::RestoreThinned(std::string_view journal) {
  constexpr uint64_t kMaxRange = uint64_t{1} << 26;
  VEDETTE_ASSIGN_OR_RETURN(const std::string_view body, BodyOfJournal(journal));
  ByteReader in(body);
  JournalStart first;
  first.series = in.Varint();
  first.pair = in.Varint();
  const uint64_t end_series = in.Varint();
  const uint64_t end_pair = in.Varint();
  const uint64_t count = in.Varint();
  if (!in.ok() || end_series < first.series || end_series - first.series > kMaxRange ||
      end_pair < first.pair || end_pair - first.pair > kMaxRange || count > in.left()) {
    return DataLoss("series journal: its numbers are wrong");
  }
  WriterLock lock(mu_);
  VEDETTE_RETURN_IF_ERROR(Follows(first));
  while (list_of_.size() < first.series) AddLost();
  uint64_t pair = first.pair;
  for (uint64_t i = 0; i < count; ++i) {
    pair += in.Varint();
    const std::string_view bytes = in.Bytes();
    VEDETTE_ASSIGN_OR_RETURN(const Labels one, Labels::FromBytes(bytes));
    if (!in.ok() || one.empty() || pair < pairs_.size() || pair >= end_pair) {
      return DataLoss("series journal: a label is damaged");
    }
    given_up_pairs_.AddRange(pairs_.size(), static_cast<uint32_t>(pair));
    pairs_.Skip(static_cast<uint32_t>(pair));
    AddPair(bytes, one.begin()->name);
  }
  given_up_pairs_.AddRange(pairs_.size(), static_cast<uint32_t>(end_pair));
  pairs_.Skip(static_cast<uint32_t>(end_pair));
  uint64_t series = first.series;
  std::vector<uint32_t> pairs;
  while (in.left() > 0) {
    series += in.Varint();
    const uint64_t n = in.Varint();
    pairs.clear();
    bool whole = true;
    for (uint64_t i = 0; in.ok() && i < n; ++i) {
      const uint64_t id = in.Varint();
      if (id >= pairs_.size()) return DataLoss("series journal: an unknown label");
      whole = whole && pairs_[static_cast<uint32_t>(id)].bytes != nullptr;
      pairs.push_back(static_cast<uint32_t>(id));
    }
    if (!in.ok() || pairs.size() >= kListBlock || series < list_of_.size() || series >= end_series) {
      return DataLoss("series journal: cut short");
    }
    AddGone(static_cast<uint32_t>(series));
    if (whole) {
      AddList(pairs);
    } else {
      AddLost();
    }
  }
  AddGone(static_cast<uint32_t>(end_series));
  journal_series_ = list_of_.size();
  journal_pair_ = pairs_.size();
  return {};
}

}  // namespace vedette::tsdb
