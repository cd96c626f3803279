#include "server/remote/send/queue.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::remote {
namespace {

constexpr std::string_view kLog = "rw/log/";
constexpr std::string_view kLayout = "rw/layout/";
constexpr std::string_view kCursor = "rw/cursor/";
constexpr std::string_view kTail = "rw/tail";
// Deletions made in one write: the lock is held meanwhile.
constexpr size_t kMostDeletions = 4096;

void BigEndian(std::string* out, uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(v >> shift));
}

uint64_t FromBigEndian(std::string_view bytes) {
  uint64_t v = 0;
  for (const char c : bytes.substr(0, 8)) v = (v << 8) | static_cast<uint8_t>(c);
  return v;
}

std::string LogKey(uint64_t number) {
  std::string key(kLog);
  BigEndian(&key, number);
  return key;
}

std::string LayoutPrefix(uint64_t writer) {
  std::string key(kLayout);
  BigEndian(&key, writer);
  key.push_back('/');
  return key;
}

std::optional<uint64_t> Decimal(std::string_view text) {
  uint64_t v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

}  // namespace

Queue::Queue(storage::KeyValue& key_value, uint64_t max_bytes)
    : key_value_(key_value), max_bytes_(max_bytes) {}

Status Queue::Open() {
  MutexLock lock(mu_);
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> tail, key_value_.Get(kTail));
  uint64_t stored_bytes = 0;
  if (tail) {
    const auto words = Split(*tail, ' ');
    const auto first = Decimal(words[0]);
    const auto bytes = words.size() == 2 ? Decimal(words[1]) : std::nullopt;
    if (!first || !bytes) return DataLoss("remote write: the queue's record of its end is damaged");
    tail_ = *first;
    stored_bytes = *bytes;
  }
  VEDETTE_RETURN_IF_ERROR(key_value_.Scan(
      kCursor, [&](std::string_view key, std::string_view value) VEDETTE_REQUIRES(mu_) {
        const auto words = Split(value, ' ');
        Position at;
        at.next = Decimal(words[0]).value_or(tail_);
        at.keep = words.size() == 2 ? Decimal(words[1]).value_or(at.next) : at.next;
        cursors_[std::string(key.substr(kCursor.size()))] = at;
        return true;
      }));
  // Numbers are dense: gallop to the first that is not there, then halve.
  const auto there = [&](uint64_t number) -> Result<bool> {
    VEDETTE_ASSIGN_OR_RETURN(const std::optional<std::string> entry,
                             key_value_.Get(LogKey(number)));
    return entry.has_value();
  };
  uint64_t low = tail_, step = 1;
  while (true) {
    VEDETTE_ASSIGN_OR_RETURN(const bool is, there(low + step - 1));
    if (!is) break;
    low += step;
    step *= 2;
  }
  uint64_t high = low + step - 1;  // Not there; `low` may be.
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    VEDETTE_ASSIGN_OR_RETURN(const bool is, there(middle));
    if (is) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  head_ = low;
  for (auto& [id, at] : cursors_) {
    at.next = std::clamp(at.next, tail_, head_);
    at.keep = std::clamp(at.keep, tail_, at.next);
  }
  // The sizes of what was there before are known only together.
  const uint64_t entries = head_ - tail_;
  bytes_ = 0;
  for (uint64_t n = 0; n < entries; ++n) {
    sizes_.push_back(static_cast<uint32_t>(std::min<uint64_t>(stored_bytes / entries, 0xffffffff)));
    bytes_ += sizes_.back();
  }
  // Writers of the run before are gone; their layouts go once the last of their rows has.
  VEDETTE_RETURN_IF_ERROR(
      key_value_.Scan(kLayout, [&](std::string_view key, std::string_view) VEDETTE_REQUIRES(mu_) {
        const uint64_t writer = FromBigEndian(key.substr(kLayout.size()));
        if (closed_.empty() || closed_.back().first != writer) closed_.emplace_back(writer, head_);
        return true;
      }));
  active_.store(!cursors_.empty(), std::memory_order_release);
  return {};
}

Status Queue::AddDestination(const std::string& id) {
  MutexLock lock(mu_);
  if (cursors_.contains(id)) return {};
  const storage::KeyValue::Change change{StrCat(kCursor, id), StrCat(head_, " ", head_)};
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(std::span(&change, 1), false));
  cursors_[id] = {head_, head_};
  active_.store(true, std::memory_order_release);
  return {};
}

Status Queue::RemoveDestination(const std::string& id) {
  MutexLock lock(mu_);
  if (cursors_.erase(id) == 0) return {};
  const storage::KeyValue::Change change{StrCat(kCursor, id), std::nullopt};
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(std::span(&change, 1), false));
  if (!cursors_.empty()) return Trim(LowestCursor(), nullptr);
  active_.store(false, std::memory_order_release);
  return Clear();
}

std::vector<std::string> Queue::Destinations() const {
  MutexLock lock(mu_);
  std::vector<std::string> out;
  for (const auto& [id, at] : cursors_) out.push_back(id);
  return out;
}

Status Queue::Append(std::string entry, const std::optional<LayoutPiece>& layout) {
  std::vector<storage::KeyValue::Change> changes(layout ? 2 : 1);
  if (layout) {
    changes[1].key = LayoutPrefix(layout->writer);
    BigEndian(&changes[1].key, layout->position);
    changes[1].value = layout->labels;
  }
  const auto size = static_cast<uint32_t>(std::min<size_t>(entry.size(), 0xffffffff));
  changes[0].value = std::move(entry);
  // The write is made under the lock: numbers stay dense on disk whatever moment the process dies.
  MutexLock lock(mu_);
  if (cursors_.empty()) return {};  // The last destination went a moment ago.
  changes[0].key = LogKey(head_);
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(changes, false));
  ++head_;
  sizes_.push_back(size);
  bytes_ += size;
  grown_.NotifyAll();
  return max_bytes_ > 0 && bytes_ > max_bytes_ ? EnforceBound() : Status();
}

void Queue::CloseWriter(uint64_t writer) {
  MutexLock lock(mu_);
  closed_.emplace_back(writer, head_);
  DropLayouts();
}

uint64_t Queue::Cursor(const std::string& id) const {
  MutexLock lock(mu_);
  const auto it = cursors_.find(id);
  return it == cursors_.end() ? head_ : it->second.next;
}

uint64_t Queue::Kept(const std::string& id) const {
  MutexLock lock(mu_);
  const auto it = cursors_.find(id);
  return it == cursors_.end() ? head_ : it->second.keep;
}

uint64_t Queue::head() const {
  MutexLock lock(mu_);
  return head_;
}

uint64_t Queue::tail() const {
  MutexLock lock(mu_);
  return tail_;
}

uint64_t Queue::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

bool Queue::WaitFor(uint64_t number, int64_t timeout_ms) const {
  MutexLock lock(mu_);
  const uint64_t wakes = wakes_;
  if (head_ <= number && timeout_ms > 0) grown_.WaitFor(mu_, timeout_ms);
  return head_ > number && wakes == wakes_;
}

void Queue::Wake() {
  MutexLock lock(mu_);
  ++wakes_;
  grown_.NotifyAll();
}

Result<std::string> Queue::Read(uint64_t number) const {
  VEDETTE_ASSIGN_OR_RETURN(std::optional<std::string> entry, key_value_.Get(LogKey(number)));
  if (!entry) return NotFound(StrCat("remote write: no entry ", number));
  return *std::move(entry);
}

Result<std::vector<Labels>> Queue::Layout(uint64_t writer) const {
  const std::string prefix = LayoutPrefix(writer);
  std::vector<Labels> out;
  Status damage;
  VEDETTE_RETURN_IF_ERROR(
      key_value_.Scan(prefix, [&](std::string_view key, std::string_view value) {
        if (FromBigEndian(key.substr(prefix.size())) != out.size()) {
          damage = DataLoss("remote write: a piece of a layout is missing");
          return false;
        }
        Result<std::vector<Labels>> piece = DecodeLayout(value);
        if (!piece.ok()) {
          damage = piece.status();
          return false;
        }
        for (Labels& l : *piece) out.push_back(std::move(l));
        return true;
      }));
  if (!damage.ok()) return damage;
  return out;
}

Status Queue::Ack(const std::string& id, uint64_t cursor, uint64_t keep) {
  MutexLock lock(mu_);
  const auto it = cursors_.find(id);
  if (it == cursors_.end()) return {};
  const Position before = it->second;
  Position after{std::clamp(cursor, before.next, head_), 0};
  after.keep = std::clamp(keep, before.keep, after.next);
  if (after.next == before.next && after.keep == before.keep) return {};
  storage::KeyValue::Change change{StrCat(kCursor, id), StrCat(after.next, " ", after.keep)};
  it->second = after;
  const Status stored = Trim(LowestCursor(), &change);
  if (!stored.ok()) it->second = before;  // Delivered again after a restart: at least once.
  return stored;
}

EntryCounts Queue::TakeDropped(const std::string& id) {
  MutexLock lock(mu_);
  return std::exchange(dropped_[id], EntryCounts());
}

uint64_t Queue::LowestCursor() const {
  uint64_t lowest = head_;
  for (const auto& [id, at] : cursors_) lowest = std::min(lowest, at.keep);
  return lowest;
}

Status Queue::Trim(uint64_t tail, storage::KeyValue::Change* cursor) {
  std::vector<storage::KeyValue::Change> changes;
  if (cursor != nullptr) changes.push_back(std::move(*cursor));
  // What does not fit goes with the next call.
  tail = std::min<uint64_t>(tail, tail_ + kMostDeletions);
  uint64_t freed = 0;
  for (uint64_t n = tail_; n < tail; ++n) {
    changes.push_back({LogKey(n), std::nullopt});
    freed += sizes_[n - tail_];
  }
  if (tail > tail_ || cursor != nullptr) {
    changes.push_back({std::string(kTail), StrCat(std::max(tail, tail_), " ", bytes_ - freed)});
  }
  if (changes.empty()) return {};
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(changes, false));
  if (tail > tail_) {
    sizes_.erase(sizes_.begin(), sizes_.begin() + static_cast<int64_t>(tail - tail_));
    bytes_ -= freed;
    tail_ = tail;
  }
  DropLayouts();
  return {};
}

Status Queue::EnforceBound() {
  uint64_t tail = tail_, bytes = bytes_;
  while (bytes > max_bytes_ && tail < head_) bytes -= sizes_[tail++ - tail_];
  log::Warn("remote write: the queue is full, the oldest samples are lost to whoever lags behind",
            {{"limit_bytes", max_bytes_}, {"entries_dropped", tail - tail_}});
  for (uint64_t n = tail_; n < tail; ++n) {
    const Result<std::string> entry = Read(n);
    const Result<EntryCounts> counts =
        entry.ok() ? CountsOfEntry(*entry) : Result<EntryCounts>(entry.status());
    if (!counts.ok()) continue;
    for (const auto& [id, at] : cursors_) {
      if (at.next > n) continue;
      EntryCounts& lost = dropped_[id];
      lost.samples += counts->samples;
      lost.histograms += counts->histograms;
      lost.exemplars += counts->exemplars;
    }
  }
  for (auto& [id, at] : cursors_) {
    at.next = std::max(at.next, tail);
    at.keep = std::max(at.keep, tail);
  }
  return Trim(tail, nullptr);
}

void Queue::DropLayouts() {
  if (closed_.empty()) return;
  const uint64_t lowest = LowestCursor();
  std::vector<storage::KeyValue::Change> changes;
  std::erase_if(closed_, [&](const auto& one) {
    if (one.second > lowest) return false;
    const Status found =
        key_value_.Scan(LayoutPrefix(one.first), [&](std::string_view key, std::string_view) {
          changes.push_back({std::string(key), std::nullopt});
          return true;
        });
    return found.ok();
  });
  // Best effort: what stays is found by the next start.
  if (!changes.empty()) (void)key_value_.Apply(changes, false);
}

Status Queue::Clear() {
  std::vector<storage::KeyValue::Change> changes;
  const auto take = [&](std::string_view key, std::string_view) {
    changes.push_back({std::string(key), std::nullopt});
    return true;
  };
  VEDETTE_RETURN_IF_ERROR(key_value_.Scan(kLog, take));
  VEDETTE_RETURN_IF_ERROR(key_value_.Scan(kLayout, take));
  changes.push_back({std::string(kTail), StrCat(head_, " 0")});
  VEDETTE_RETURN_IF_ERROR(key_value_.Apply(changes, false));
  tail_ = head_;
  bytes_ = 0;
  sizes_.clear();
  closed_.clear();
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

}  // namespace vedette::remote
