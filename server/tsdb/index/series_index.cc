#include "server/tsdb/index/series_index.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/index/journal.h"

namespace vedette::tsdb {
namespace {

constexpr uint32_t kNone = 0;
constexpr size_t kTextBlock = 1 << 16;

// What of the index is whose: of a series, where its list begins, the list's length and its slot; of
// a label in it, the pair's number; of a pair, its text, its entry and its slot.
constexpr double kBytesOfSeries = 4 + 4 + 8;
constexpr double kBytesOfNumber = 4;
constexpr uint64_t kBytesOfPairEntry = 40;
constexpr uint64_t BytesOfPair(uint32_t length) { return length + kBytesOfPairEntry; }

uint64_t HashOf(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// In the hash table: a tag and the series.
uint64_t SlotOf(uint64_t hash, uint32_t series) { return hash >> 32 << 32 | (series + 1); }

// Numbers that come ascending, and mostly one after the other.
struct Run {
  uint32_t begin = 0;
  uint32_t end = 0;

  void Add(uint32_t id, Postings& into) {
    if (id != end || begin == end) {
      Finish(into);
      begin = id;
    }
    end = id + 1;
  }
  void Finish(Postings& into) {
    if (begin != end) into.AddRange(begin, end);
    begin = end;
  }
};

// Calls f(pair bytes, label) for each label of the set.
template <typename F>
void ForEachPair(const Labels& labels, F f) {
  const char* begin = labels.bytes().data();
  for (const Label& l : labels) {
    const char* end = l.value.data() + l.value.size();
    f(std::string_view(begin, static_cast<size_t>(end - begin)), l);
    begin = end;
  }
}

template <typename T>
void KeepLargest(std::vector<T>& counts, size_t limit) {
  auto larger = [](const T& a, const T& b) {
    return a.count != b.count ? a.count > b.count : a.name < b.name;
  };
  const size_t n = std::min(limit, counts.size());
  std::partial_sort(counts.begin(), counts.begin() + static_cast<ptrdiff_t>(n), counts.end(),
                    larger);
  counts.resize(n);
}

}  // namespace

SeriesIndex::SeriesIndex() {
  WriterLock lock(mu_);
  pairs_.Skip(1);
  pair_slots_.resize(kFirstSlots);
  slots_.resize(kFirstSlots);
}

std::string_view SeriesIndex::ValueOf(const Pair& pair) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t name = names_[pair.name].name.size();
  std::string_view rest = pair.view().substr(name < 255 ? 1 + name : 4 + name);
  return rest.substr(static_cast<uint8_t>(rest[0]) < 255 ? 1 : 4);
}

std::span<const uint32_t> SeriesIndex::PairsOf(uint32_t series) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const uint32_t behind = list_of_[series];
  if (behind == 0) return {};
  const uint32_t* list = ListAt(lists_, behind);
  return {list + 1, list[0]};
}

bool SeriesIndex::Equal(uint32_t series, std::string_view bytes) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  for (uint32_t p : PairsOf(series)) {
    const std::string_view pair = pairs_[p].view();
    if (!bytes.starts_with(pair)) return false;
    bytes.remove_prefix(pair.size());
  }
  return bytes.empty();
}

std::optional<uint32_t> SeriesIndex::FindLocked(const Labels& labels, uint64_t hash) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t mask = slots_.size() - 1;
  const uint64_t tag = hash >> 32;
  for (size_t at = tag & mask; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] >> 32 != tag) continue;
    const uint32_t series = static_cast<uint32_t>(slots_[at]) - 1;
    if (Equal(series, labels.bytes())) return series;
  }
  return std::nullopt;
}

std::optional<uint32_t> SeriesIndex::Find(const Labels& labels) const {
  const uint64_t hash = HashOf(labels.bytes());
  ReaderLock lock(mu_);
  return FindLocked(labels, hash);
}

void SeriesIndex::FindMany(size_t count, const std::function<const Labels&(size_t)>& labels_at,
                           std::vector<uint32_t>& out) const {
  out.resize(count);
  std::vector<uint64_t> hashes(count);
  for (size_t i = 0; i < count; ++i) hashes[i] = HashOf(labels_at(i).bytes());
  ReaderLock lock(mu_);
  const size_t mask = slots_.size() - 1;
  // The table is far larger than the caches: the slots of the next ones are fetched meanwhile.
  constexpr size_t kAhead = 8;
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) __builtin_prefetch(&slots_[(hashes[i + kAhead] >> 32) & mask]);
    out[i] = FindLocked(labels_at(i), hashes[i]).value_or(kUnknown);
  }
}

std::optional<uint32_t> SeriesIndex::InsertSlot(uint64_t slot)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t mask = slots_.size() - 1;
  size_t at = (slot >> 32) & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] >> 32 != slot >> 32) continue;
    const uint32_t other = static_cast<uint32_t>(slots_[at]) - 1;
    if (!std::ranges::equal(PairsOf(other), PairsOf(static_cast<uint32_t>(slot) - 1))) continue;
    slots_[at] = slot;
    return other;
  }
  slots_[at] = slot;
  return std::nullopt;
}

uint32_t SeriesIndex::FindPair(std::string_view bytes) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t mask = pair_slots_.size() - 1;
  for (size_t at = HashOf(bytes) & mask; pair_slots_[at] != kNone; at = (at + 1) & mask) {
    if (pairs_[pair_slots_[at]].view() == bytes) return pair_slots_[at];
  }
  return kNone;
}

const char* SeriesIndex::PutText(std::string_view bytes)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  if (bytes.size() > text_left_) {
    const size_t size = std::max(kTextBlock, bytes.size());
    text_.push_back(std::make_unique<char[]>(size));
    text_at_ = text_.back().get();
    text_left_ = size;
    text_bytes_ += size;
  }
  std::memcpy(text_at_, bytes.data(), bytes.size());
  const char* const at = text_at_;
  text_at_ += bytes.size();
  text_left_ -= bytes.size();
  return at;
}

void SeriesIndex::PutPairSlot(uint32_t pair) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t mask = pair_slots_.size() - 1;
  size_t at = HashOf(pairs_[pair].view()) & mask;
  for (; pair_slots_[at] != kNone; at = (at + 1) & mask) {
    if (pairs_[pair_slots_[at]].view() != pairs_[pair].view()) continue;
    superseded_pairs_.Add(pair_slots_[at]);
    break;
  }
  pair_slots_[at] = pair;
}

uint32_t SeriesIndex::AddPair(std::string_view bytes, std::string_view name)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const uint32_t id = pairs_.size();
  Pair& pair = pairs_.Push({});
  pair.bytes = PutText(bytes);
  pair.length = static_cast<uint32_t>(bytes.size());
  ++pair_count_;

  // Names are few: hundreds where pairs are millions.
  size_t n = 0;
  while (n < names_.size() && names_[n].name != name) ++n;
  if (n == names_.size()) names_.emplace_back().name = name;
  names_[n].pairs.push_back(id);
  names_[n].bytes += bytes.size();
  pair.name = static_cast<uint32_t>(n);

  if (pair_count_ * 2 > pair_slots_.size()) {
    std::vector<uint32_t> old(pair_slots_.size() * 2);
    old.swap(pair_slots_);
    for (uint32_t p : old) {
      if (p != kNone) PutPairSlot(p);
    }
  }
  PutPairSlot(id);
  return id;
}

uint32_t SeriesIndex::PutList(std::span<const uint32_t> pairs)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const size_t need = pairs.size() + 1;
  if (lists_.empty() || lists_used_ % kListBlock + need > kListBlock ||
      lists_used_ % kListBlock == 0) {
    lists_.push_back(std::make_unique<uint32_t[]>(kListBlock));
    lists_used_ = (lists_.size() - 1) * kListBlock;
  }
  uint32_t* list = &lists_.back()[lists_used_ % kListBlock];
  list[0] = static_cast<uint32_t>(pairs.size());
  std::ranges::copy(pairs, list + 1);
  const uint32_t at = static_cast<uint32_t>(lists_used_);
  lists_used_ += need;
  return at + 1;
}

uint32_t SeriesIndex::AddList(std::span<const uint32_t> pairs)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const uint32_t series = list_of_.size();
  list_of_.Push(PutList(pairs));
  ++known_;
  return series;
}

void SeriesIndex::MakeSlots(size_t count) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  size_t size = slots_.size();
  while (count * 4 > size * 3) size *= 2;
  if (size == slots_.size()) return;
  std::vector<uint64_t> old(size);
  old.swap(slots_);
  for (uint64_t slot : old) {
    if (slot != 0) InsertSlot(slot);
  }
}

uint32_t SeriesIndex::AddLocked(std::span<const uint32_t> pairs, uint64_t hash)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  const uint32_t series = AddList(pairs);
  for (uint32_t p : pairs) {
    pairs_.At(p).series.Add(series);
    names_[pairs_[p].name].series.Add(series);
  }
  MakeSlots(known_);
  InsertSlot(SlotOf(hash, series));
  found_ = series + 1;
  return series;
}

uint32_t SeriesIndex::FindOrAdd(const Labels& labels, bool* added) {
  const uint64_t hash = HashOf(labels.bytes());
  *added = false;
  {
    ReaderLock lock(mu_);
    if (std::optional<uint32_t> found = FindLocked(labels, hash)) return *found;
  }
  WriterLock lock(mu_);
  if (std::optional<uint32_t> found = FindLocked(labels, hash)) return *found;
  *added = true;
  std::vector<uint32_t> pairs;
  std::string entry;
  ForEachPair(labels, [&](std::string_view bytes, const Label& label)
                          VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
                            uint32_t id = FindPair(bytes);
                            if (id == kNone) {
                              id = AddPair(bytes, label.name);
                              PutVarint(entry, 0);
                              PutBytes(entry, bytes);
                            } else {
                              PutVarint(entry, id);
                            }
                            pairs.push_back(id);
                          });
  PutVarint(journal_, pairs.size());
  journal_ += entry;
  return AddLocked(pairs, hash);
}

void SeriesIndex::AddLost() VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  lost_.Add(list_of_.size());
  list_of_.Skip(list_of_.size() + 1);
}

void SeriesIndex::AddGone(uint32_t end) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  if (list_of_.size() >= end) return;
  given_up_.AddRange(list_of_.size(), end);
  list_of_.Skip(end);
}

void SeriesIndex::Reserve(uint32_t series) {
  WriterLock lock(mu_);
  const bool all_found = found_ == list_of_.size();
  while (list_of_.size() < series) AddLost();
  if (all_found) found_ = list_of_.size();
  if (journal_.empty()) journal_series_ = list_of_.size();
}

uint64_t SeriesIndex::lost() const {
  ReaderLock lock(mu_);
  return lost_.size();
}

// first series varint | first pair varint | entries | checksum u32
Status SeriesIndex::Restore(std::string_view journal) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string_view body, BodyOfJournal(journal));
  ByteReader in(body);
  WriterLock lock(mu_);
  const uint64_t first_series = in.Varint();
  const uint64_t first_pair = in.Varint();
  VEDETTE_RETURN_IF_ERROR(in.ok() ? Follows({first_series, first_pair})
                                  : DataLoss("series journal: cut short"));
  while (list_of_.size() < first_series) AddLost();
  pairs_.Skip(static_cast<uint32_t>(first_pair));  // Those of a journal that is lost.
  std::vector<uint32_t> pairs;
  while (in.left() > 0) {
    const uint64_t n = in.Varint();
    pairs.clear();
    bool whole = true;
    bool gone = false;  // A label of it was given up, so it was, too.
    for (uint64_t i = 0; in.ok() && i < n; ++i) {
      uint64_t id = in.Varint();
      if (id == 0) {
        const std::string_view pair = in.Bytes();
        VEDETTE_ASSIGN_OR_RETURN(Labels one, Labels::FromBytes(pair));
        if (!in.ok() || one.empty()) return DataLoss("series journal: a label is damaged");
        id = AddPair(pair, one.begin()->name);
      }
      if (id >= pairs_.size()) return DataLoss("series journal: an unknown label");
      whole = whole && pairs_[id].bytes != nullptr;
      gone = gone || given_up_pairs_.Contains(static_cast<uint32_t>(id));
      pairs.push_back(static_cast<uint32_t>(id));
    }
    if (!in.ok() || pairs.size() >= kListBlock) return DataLoss("series journal: cut short");
    if (whole) {
      AddList(pairs);
    } else if (gone) {
      AddGone(list_of_.size() + 1);
    } else {
      AddLost();
    }
  }
  journal_series_ = list_of_.size();
  journal_pair_ = pairs_.size();
  return {};
}

void SeriesIndex::FinishRestore() {
  ForgetRestored(FindRestored());
}

Postings SeriesIndex::FindRestored() {
  Postings superseded;
  // Slots are far apart in memory: each is fetched so many series before it is filled.
  constexpr size_t kAhead = 16;
  WriterLock lock(mu_);
  const uint32_t end = list_of_.size();
  MakeSlots(known_);
  const size_t mask = slots_.size() - 1;
  Sparse<Run> of_pairs;
  std::vector<Run> of_names(names_.size());
  std::array<uint64_t, kAhead> waiting{};
  size_t filled = 0;
  std::string bytes;
  for (uint32_t series = found_; series < end; ++series) {
    if (list_of_[series] == 0) continue;
    const std::span<const uint32_t> list = PairsOf(series);
    if (!superseded_pairs_.empty() &&
        std::ranges::any_of(list, [&](uint32_t p) VEDETTE_THREAD_ATTRIBUTE(
                                      no_thread_safety_analysis) {
          return superseded_pairs_.Contains(p);
        })) {
      superseded.Add(series);
      continue;
    }
    bytes.clear();
    for (const uint32_t p : list) {
      Pair& pair = pairs_.At(p);
      bytes += pair.view();
      of_pairs.At(p).Add(series, pair.series);
      of_names[pair.name].Add(series, names_[pair.name].series);
    }
    const uint64_t slot = SlotOf(HashOf(bytes), series);
    __builtin_prefetch(&slots_[(slot >> 32) & mask], /*rw=*/1);
    uint64_t& place = waiting[filled++ % kAhead];
    if (place != 0) {
      if (const std::optional<uint32_t> older = InsertSlot(place)) superseded.Add(*older);
    }
    place = slot;
  }
  std::ranges::sort(waiting, {}, [](uint64_t slot) { return static_cast<uint32_t>(slot); });
  for (const uint64_t slot : waiting) {
    if (slot == 0) continue;
    if (const std::optional<uint32_t> older = InsertSlot(slot)) superseded.Add(*older);
  }
  for (uint32_t p = 0; p < pairs_.size(); ++p) {
    if (pairs_[p].bytes != nullptr) of_pairs.At(p).Finish(pairs_.At(p).series);
  }
  for (size_t n = 0; n < of_names.size(); ++n) of_names[n].Finish(names_[n].series);
  found_ = end;
  return superseded;
}

SeriesIndex::Journal SeriesIndex::TakeJournal() const {
  ReaderLock lock(mu_);
  Journal out;
  out.next_series = list_of_.size();
  out.next_pair = pairs_.size();
  if (journal_.empty()) return out;
  out.entries_bytes = journal_.size();
  PutVarint(out.bytes, journal_series_);
  PutVarint(out.bytes, journal_pair_);
  out.bytes += journal_;
  PutFixed(out.bytes, ChecksumOfJournal(out.bytes));
  return out;
}

bool SeriesIndex::journal_empty() const {
  ReaderLock lock(mu_);
  return journal_.empty();
}

void SeriesIndex::JournalStored(const Journal& journal) {
  WriterLock lock(mu_);
  if (journal.entries_bytes == journal_.size()) {
    journal_.clear();
  } else {
    journal_.erase(0, journal.entries_bytes);
  }
  journal_series_ = journal.next_series;
  journal_pair_ = journal.next_pair;
}

Labels SeriesIndex::LabelsOf(uint32_t series) const {
  std::vector<Labels> out;
  LabelsOf(std::span(&series, 1), out);
  return std::move(out[0]);
}

void SeriesIndex::LabelsOf(std::span<const uint32_t> series, std::vector<Labels>& out) const {
  ReaderLock lock(mu_);
  out.reserve(out.size() + series.size());
  std::string bytes;
  for (uint32_t s : series) {
    bytes.clear();
    for (uint32_t p : PairsOf(s)) bytes += pairs_[p].view();
    Result<Labels> labels = Labels::FromBytes(bytes);
    out.push_back(labels.ok() ? *std::move(labels) : Labels());
  }
}

void SeriesIndex::LabelsOf(std::span<const uint32_t> series, std::span<const std::string> names,
                           std::vector<Labels>& out) const {
  ReaderLock lock(mu_);
  out.reserve(out.size() + series.size());
  std::vector<bool> named(names_.size());
  for (size_t n = 0; n < names_.size(); ++n) {
    named[n] = std::ranges::find(names, names_[n].name) != names.end();
  }
  std::vector<uint32_t> pairs;
  std::vector<uint32_t> before;  // Of the series before: many have the same in a row.
  std::string bytes;
  for (size_t i = 0; i < series.size(); ++i) {
    pairs.clear();
    for (uint32_t p : PairsOf(series[i])) {
      if (named[pairs_[p].name]) pairs.push_back(p);
    }
    if (i > 0 && pairs == before) {
      out.push_back(out.back());
      continue;
    }
    bytes.clear();
    for (uint32_t p : pairs) bytes += pairs_[p].view();
    Result<Labels> labels = Labels::FromBytes(bytes);
    out.push_back(labels.ok() ? *std::move(labels) : Labels());
    before.swap(pairs);
  }
}

uint32_t SeriesIndex::MetricOf(uint32_t series) const {
  std::vector<uint32_t> out;
  MetricsOf(std::span(&series, 1), out);
  return out[0];
}

void SeriesIndex::MetricsOf(std::span<const uint32_t> series, std::vector<uint32_t>& out) const {
  ReaderLock lock(mu_);
  out.reserve(out.size() + series.size());
  for (uint32_t s : series) {
    uint32_t metric = 0;
    for (uint32_t p : PairsOf(s)) {
      if (names_[pairs_[p].name].name == kMetricNameLabel) {
        metric = p;
        break;
      }
    }
    out.push_back(metric);
  }
}

const SeriesIndex::Name* SeriesIndex::FindName(std::string_view name) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  for (const Name& n : names_) {
    if (n.name == name) return &n;
  }
  return nullptr;
}

template <typename F>
Postings SeriesIndex::UnionWhere(const Name& name, F matches) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  std::vector<const Postings*> sets;
  for (uint32_t p : name.pairs) {
    if (matches(ValueOf(pairs_[p]))) sets.push_back(&pairs_[p].series);
  }
  return Postings::UnionOf(sets);
}

// What a matcher says, as a set to intersect with or, with *exclude, to take away.
Postings SeriesIndex::SetOf(const Matcher& m, bool* exclude, bool* everything) const
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  *everything = false;
  *exclude = m.MatchesEmpty();
  const Regex* regex = m.regex();
  if (regex != nullptr && regex->matches_anything()) {
    *everything = m.op() == Matcher::Op::kRegex;
    return {};  // !~".*" accepts nothing, not even "".
  }
  const Name* name = FindName(m.name());
  if (name == nullptr) return {};
  // Every series with the label, where its value cannot matter.
  const bool any_value =
      (m.value().empty() && regex == nullptr) || (regex != nullptr && regex->matches_non_empty());
  if (any_value) return name->series;

  auto of_value = [&](std::string_view value) VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
    const Label label{m.name(), value};
    const Labels one = Labels::Of(std::vector<Label>{label});
    const uint32_t pair = FindPair(one.bytes());
    return pair == kNone ? nullptr : &pairs_[pair].series;
  };
  const bool positive = m.op() == Matcher::Op::kEqual || m.op() == Matcher::Op::kRegex;
  // A positive matcher that does not match "" asks for its values; a negative one that does match
  // "" takes its values away. Both are the values that the bare condition names.
  const bool wants_named = positive != *exclude;
  if (wants_named && regex == nullptr) {
    const Postings* found = of_value(m.value());
    return found == nullptr ? Postings() : *found;
  }
  if (wants_named && !regex->literals().empty()) {
    std::vector<const Postings*> sets;
    for (const std::string& literal : regex->literals()) {
      if (literal.empty()) continue;
      if (const Postings* found = of_value(literal)) sets.push_back(found);
    }
    return Postings::UnionOf(sets);
  }
  const std::string_view prefix = regex != nullptr ? std::string_view(regex->prefix()) : "";
  const bool want = !*exclude;
  return UnionWhere(*name, [&](std::string_view value) {
    if (!prefix.empty() && !value.starts_with(prefix)) {
      // The expression cannot match; the matcher then says `not positive`.
      return positive ? !want : want;
    }
    return m.Matches(value) == want;
  });
}

Postings SeriesIndex::Select(std::span<const Matcher> matchers) const {
  ReaderLock lock(mu_);
  std::vector<Postings> include;
  std::vector<Postings> exclude;
  for (const Matcher& m : matchers) {
    bool taken_away = false;
    bool everything = false;
    Postings set = SetOf(m, &taken_away, &everything);
    if (everything) continue;
    if (!taken_away && set.empty()) return {};
    (taken_away ? exclude : include).push_back(std::move(set));
  }
  std::ranges::sort(include, {}, &Postings::size);
  Postings out = include.empty() ? Postings::Range(0, list_of_.size())
                                 : std::move(include[0]);
  for (size_t i = 1; i < include.size(); ++i) out.IntersectWith(include[i]);
  for (const Postings& e : exclude) out.Subtract(e);
  if (include.empty()) {
    out.Subtract(lost_);
    out.Subtract(given_up_);
  }
  return out;
}

std::vector<std::string> SeriesIndex::Names(const Postings* within) const {
  ReaderLock lock(mu_);
  std::vector<std::string> out;
  for (const Name& n : names_) {
    if (within == nullptr || n.series.IntersectionSize(*within) > 0) out.push_back(n.name);
  }
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> SeriesIndex::Values(std::string_view name, const Postings* within) const {
  ReaderLock lock(mu_);
  std::vector<std::string> out;
  const Name* found = FindName(name);
  if (found == nullptr) return out;
  for (uint32_t p : found->pairs) {
    if (within == nullptr || pairs_[p].series.IntersectionSize(*within) > 0) {
      out.emplace_back(ValueOf(pairs_[p]));
    }
  }
  std::ranges::sort(out);
  return out;
}

uint32_t SeriesIndex::known() const {
  ReaderLock lock(mu_);
  return known_;
}

Postings SeriesIndex::Known() const {
  ReaderLock lock(mu_);
  Postings out = Postings::Range(0, list_of_.size());
  out.Subtract(lost_);
  out.Subtract(given_up_);
  return out;
}

bool SeriesIndex::Gone(uint32_t series) const {
  ReaderLock lock(mu_);
  return list_of_[series] == 0;
}

uint32_t SeriesIndex::size() const {
  ReaderLock lock(mu_);
  return list_of_.size();
}

uint64_t SeriesIndex::pairs() const {
  ReaderLock lock(mu_);
  return pair_count_;
}

uint64_t SeriesIndex::memory_bytes() const {
  ReaderLock lock(mu_);
  return MemoryLocked();
}

uint64_t SeriesIndex::MemoryLocked() const VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  return text_bytes_ + pairs_.bytes() + pair_count_ * 4 + pair_slots_.size() * 4 +
         list_of_.bytes() + lists_.size() * kListBlock * 4 + slots_.size() * 8;
}

SeriesIndex::Cardinality SeriesIndex::cardinality(size_t limit) const {
  Cardinality out;
  ReaderLock lock(mu_);
  for (const Name& n : names_) {
    out.values_by_label.push_back({n.name, n.pairs.size()});
    out.bytes_by_label.push_back({n.name, n.bytes});
    for (uint32_t p : n.pairs) {
      const uint64_t series = pairs_[p].series.size();
      if (n.name == kMetricNameLabel) {
        out.series_by_metric.push_back({std::string(ValueOf(pairs_[p])), series});
      }
      // Names are built only for what may stay: pairs are many.
      if (series > 1 || out.series_by_pair.size() < limit) {
        out.series_by_pair.push_back({StrCat(n.name, "=", ValueOf(pairs_[p])), series});
      }
    }
  }
  KeepLargest(out.series_by_metric, limit);
  KeepLargest(out.values_by_label, limit);
  KeepLargest(out.bytes_by_label, limit);
  KeepLargest(out.series_by_pair, limit);
  return out;
}

SeriesIndex::Weights SeriesIndex::Weigh() const {
  Weights out;
  ReaderLock lock(mu_);
  out.series.reserve(known_);
  out.memory.reserve(known_);
  out.text.reserve(known_);
  double sum = 0;
  for (uint32_t s = 0; s < list_of_.size(); ++s) {
    if (list_of_[s] == 0) continue;
    const std::span<const uint32_t> pairs = PairsOf(s);
    double bytes = kBytesOfSeries + static_cast<double>(pairs.size()) * kBytesOfNumber;
    uint32_t text = 0;
    for (uint32_t p : pairs) {
      bytes += static_cast<double>(BytesOfPair(pairs_[p].length)) /
               static_cast<double>(std::max<uint64_t>(1, pairs_[p].series.size()));
      text += pairs_[p].length;
    }
    out.series.push_back(s);
    out.memory.push_back(bytes);
    out.text.push_back(text);
    sum += bytes;
  }
  // Tables are larger than what is in them: everyone pays a part of it.
  const double scale = sum > 0 ? static_cast<double>(MemoryLocked()) / sum : 0;
  for (double& bytes : out.memory) bytes *= scale;
  return out;
}

SeriesIndex::Grouping SeriesIndex::GroupBy(std::string_view label) const {
  Grouping out;
  out.values.emplace_back();
  ReaderLock lock(mu_);
  const Name* name = FindName(label);
  if (name == nullptr) return out;
  for (uint32_t p : name->pairs) {
    const uint32_t group = static_cast<uint32_t>(out.values.size());
    out.values.emplace_back(ValueOf(pairs_[p]));
    for (uint32_t s : pairs_[p].series.ToVector()) out.group_of.At(s) = group;
  }
  return out;
}

std::vector<SeriesIndex::NameUse> SeriesIndex::NameUses() const {
  std::vector<NameUse> out;
  ReaderLock lock(mu_);
  double sum = static_cast<double>(known_) * kBytesOfSeries;
  for (const Name& n : names_) {
    NameUse use{.name = n.name, .values = n.pairs.size(), .series = n.series};
    use.memory = static_cast<double>(n.series.size()) * kBytesOfNumber;
    for (uint32_t p : n.pairs) use.memory += static_cast<double>(BytesOfPair(pairs_[p].length));
    sum += use.memory;
    out.push_back(std::move(use));
  }
  const double scale = sum > 0 ? static_cast<double>(MemoryLocked()) / sum : 0;
  for (NameUse& use : out) use.memory *= scale;
  return out;
}

}  // namespace vedette::tsdb
