#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/appender.h"

namespace vedette::remote {

// SeriesCache knows a series by the bytes that its labels have on the wire, so that a writer who
// brings the same series again and again pays for a hash of them and not for their parsing,
// sorting, checking and looking up.
//
// It is a list in the order in which the series came first, and a table into that list. A request
// walks the list with a Cursor: senders keep their order, so the series after this one is nearly
// always the next of the list, and its length is known before it is read. Only where the order
// breaks is the table asked.
//
// The bytes themselves are not kept, but 128 bits of a hash with a secret of this process: a sender
// can neither foresee nor observe it. 24 bytes a series, and about 8 of the table.
//
// Thread-safe: cursors read without a lock, but for the table.
class SeriesCache {
 public:
  struct Entry {
    uint64_t low = 0;
    uint64_t high = 0;
    uint64_t ref_and_length = 0;  // The ref above kLengthBits.

    storage::SeriesRef ref() const { return ref_and_length >> kLengthBits; }
    size_t length() const { return ref_and_length & kMaxLength; }
    bool Same(const Entry& other) const { return low == other.low && high == other.high; }
  };
  static constexpr int kLengthBits = 20;
  static constexpr uint64_t kMaxLength = (1 << kLengthBits) - 1;

  // Series held at most; then the cache begins anew.
  static constexpr uint32_t kMaxEntries = 1 << 21;

  explicit SeriesCache(uint32_t max_entries = kMaxEntries);
  ~SeriesCache();

  // The entry, without a ref, of these bytes. `context` is what else decides what they mean: the
  // symbols of a remote write 2.0.
  Entry Of(std::string_view label_bytes, uint64_t context) const;

  class Cursor;

  // Those that have a ref and are not there yet, side by side in the given order. With `reorder`
  // all of them, so that the next request in this order finds one after the other.
  void Add(std::span<const Entry> entries, bool reorder);
  void Clear();

  uint32_t size() const;

 private:
  struct List;
  std::shared_ptr<List> list() const;

  const uint32_t max_entries_;
  std::array<unsigned char, 192> secret_;
  mutable Mutex mu_;
  std::shared_ptr<List> list_ VEDETTE_GUARDED_BY(mu_);
};

struct SeriesCache::List {
  static constexpr uint32_t kBlock = 4096;
  explicit List(uint32_t max_entries);
  ~List();

  const Entry& at(uint32_t i) const {
    return blocks[i / kBlock].load(std::memory_order_acquire)[i % kBlock];
  }

  std::vector<std::atomic<Entry*>> blocks;
  std::atomic<uint32_t> size{0};  // Entries below it never change.
  Mutex mu;
  // By the low half of the hash: the newest place of an entry plus one, 0 for a free slot.
  std::vector<uint32_t> slots VEDETTE_GUARDED_BY(mu);
  uint32_t used VEDETTE_GUARDED_BY(mu) = 0;

  // The slot that has the entry, or the free one where it belongs.
  size_t SlotOf(const Entry& entry) const VEDETTE_REQUIRES(mu);
  void Widen() VEDETTE_REQUIRES(mu);
};

// One request's walk. It holds on to the list as it was.
class SeriesCache::Cursor {
 public:
  explicit Cursor(const SeriesCache& cache);

  // How long the labels of the next series are if the order is kept; 0: nothing is expected.
  size_t expected_length() const { return next_ < size_ ? list_->at(next_).length() : 0; }
  // Steps on if this is what was expected.
  storage::SeriesRef Expect(const Entry& entry) {
    if (next_ >= size_) return 0;  // Nothing is expected, which is as long as no labels at all.
    const Entry& next = list_->at(next_);
    if (!next.Same(entry)) return 0;
    ++next_;
    return next.ref();
  }
  // Looks for it everywhere; 0 where it is not known.
  storage::SeriesRef Find(const Entry& entry);
  // How often the order broke.
  uint32_t jumps() const { return jumps_; }

 private:
  std::shared_ptr<List> list_;
  uint32_t size_;
  uint32_t next_ = UINT32_MAX;
  uint32_t jumps_ = 0;
};

}  // namespace vedette::remote
