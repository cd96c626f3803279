#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette::tsdb {

// What the storage had reached, as the file WITNESS beside RocksDB's own says it. RocksDB takes the
// end of a log for its end: it cannot know that a longer one was cut off, or that a manifest was.
struct WitnessRecord {
  uint64_t sequence = 0;        // Of the last acknowledged write.
  uint64_t manifest = 0;        // Number of the manifest,
  uint64_t manifest_bytes = 0;  // how long it was at least,
  uint64_t manifest_hash = 0;   // and XXH3 of these bytes.

  bool operator==(const WitnessRecord&) const = default;
};

// Keeps the record in the page cache, which survives kill -9: one small write per commit, no sync.
// After a power cut it may be older than the log, which claims too little, or newer, which claims
// what was lost indeed. Thread-safe.
class Witness {
 public:
  explicit Witness(std::string path) : path_(std::move(path)) {}
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  // What is wrong where the log ends with change `reached` and was acknowledged up to another; "" where
  // nothing is.
  static std::string Missed(uint64_t reached, uint64_t acknowledged);

  // Nothing where there is none: a new directory, or a copy. kDataLoss where it is damaged.
  static Result<std::optional<WitnessRecord>> Read(const std::string& path);
  // XXH3 of the first `bytes` of a file; nothing where it is shorter or cannot be read.
  static std::optional<uint64_t> HashOf(const std::string& file, uint64_t bytes);

  // A disk that takes no file has no witness; the storage works without.
  void Start(const WitnessRecord& record);
  void SetSequence(uint64_t sequence);
  uint64_t sequence();  // Of the last acknowledged write.
  void SetManifest(uint64_t number, uint64_t bytes, uint64_t hash);

 private:
  void Put() VEDETTE_REQUIRES(mu_);

  const std::string path_;
  Mutex mu_;
  int file_ VEDETTE_GUARDED_BY(mu_) = -1;
  WitnessRecord record_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
