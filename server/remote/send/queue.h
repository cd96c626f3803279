#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/remote/send/entry.h"
#include "server/storage/key_value.h"

namespace vedette::remote {

// Queue is the durable list of commits that wait to be sent: every commit once, each destination
// with a cursor of its own into it. What no destination needs any more is deleted.
//
//   queue.AddDestination("mimir");               // At its stored cursor, or at the end.
//   queue.Append(EncodeRow(...), {});            // Survives kill -9 when it returns.
//   while (queue.WaitFor(next, 1000)) { auto entry = queue.Read(next++); ... }
//   queue.Ack("mimir", next, next - 10);         // Everything before `next` has been delivered.
//
// The numbers of entries are dense, so an entry is found by its key and never by a walk over what
// was deleted. In the key-value store, below "rw/":
//   log/<number, 8 bytes big-endian>       an entry (entry.h)
//   layout/<writer, 8 bytes>/<position>    label sets of a writer's series, from that position on
//   cursor/<destination>                   decimal: the next entry to deliver, the oldest to keep
//   tail                                   decimal: the oldest entry, and the bytes from there on
//
// Bounded: when the entries take more than `max_bytes`, the oldest go, and a destination that had
// not got them is told by TakeDropped(). Thread-safe.
class Queue {
 public:
  Queue(storage::KeyValue& key_value, uint64_t max_bytes);

  // Finds the ends of what is stored. Before anything else.
  Status Open();

  // A destination that is new here starts at the end: it gets what comes from now on.
  Status AddDestination(const std::string& id);
  // Forgets the cursor, and with the last one everything that waits.
  Status RemoveDestination(const std::string& id);
  // Ids with a cursor, from this run or one before.
  std::vector<std::string> Destinations() const VEDETTE_EXCLUDES(mu_);
  // False: nobody is waiting for anything, and Append is not to be called.
  bool active() const { return active_.load(std::memory_order_acquire); }
  // Changes whenever layouts stored before are gone.
  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  // `layout` is stored with the entry or not at all.
  struct LayoutPiece {
    uint64_t writer = 0;
    uint32_t position = 0;
    std::string labels;  // AppendLayout, one after the other.
  };
  Status Append(std::string entry, const std::optional<LayoutPiece>& layout) VEDETTE_EXCLUDES(mu_);
  // No row of this writer will come any more: its layout goes once every cursor has passed.
  void CloseWriter(uint64_t writer) VEDETTE_EXCLUDES(mu_);

  uint64_t Cursor(const std::string& id) const VEDETTE_EXCLUDES(mu_);
  uint64_t Kept(const std::string& id) const VEDETTE_EXCLUDES(mu_);  // Ack's `keep`.
  uint64_t head() const VEDETTE_EXCLUDES(mu_);  // The number that the next entry gets.
  uint64_t tail() const VEDETTE_EXCLUDES(mu_);
  uint64_t bytes() const VEDETTE_EXCLUDES(mu_);
  // True once there is an entry `number`; false after `timeout_ms` or Wake().
  bool WaitFor(uint64_t number, int64_t timeout_ms) const VEDETTE_EXCLUDES(mu_);
  void Wake();
  // NOT_FOUND: deleted, or not there yet.
  Result<std::string> Read(uint64_t number) const;
  // The label sets that a writer's positions stand for. DATA_LOSS where a piece is missing.
  Result<std::vector<Labels>> Layout(uint64_t writer) const;
  // `keep` <= `cursor`: from there on entries stay, although they have been delivered.
  Status Ack(const std::string& id, uint64_t cursor, uint64_t keep) VEDETTE_EXCLUDES(mu_);
  // What the bound has cost this destination since the last call.
  EntryCounts TakeDropped(const std::string& id) VEDETTE_EXCLUDES(mu_);

 private:
  struct Position {
    uint64_t next = 0;
    uint64_t keep = 0;  // At most `next`.
  };

  uint64_t LowestCursor() const VEDETTE_REQUIRES(mu_);
  Status Trim(uint64_t tail, storage::KeyValue::Change* cursor) VEDETTE_REQUIRES(mu_);
  Status EnforceBound() VEDETTE_REQUIRES(mu_);
  void DropLayouts() VEDETTE_REQUIRES(mu_);
  Status Clear() VEDETTE_REQUIRES(mu_);

  storage::KeyValue& key_value_;
  const uint64_t max_bytes_;
  std::atomic<bool> active_{false};
  std::atomic<uint64_t> epoch_{1};

  mutable Mutex mu_;
  mutable CondVar grown_;
  uint64_t wakes_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t tail_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t head_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::deque<uint32_t> sizes_ VEDETTE_GUARDED_BY(mu_);  // Of the entries from tail_ to head_.
  std::map<std::string, Position> cursors_ VEDETTE_GUARDED_BY(mu_);
  std::map<std::string, EntryCounts> dropped_ VEDETTE_GUARDED_BY(mu_);
  // Writers that are gone, and the head when they went.
  std::vector<std::pair<uint64_t, uint64_t>> closed_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::remote
