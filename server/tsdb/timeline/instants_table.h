#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// Numbers that are never given twice, over restarts too: a range at a time is reserved in the
// store, and what is left of it after a crash is skipped. Thread-safe.
class IdSource {
 public:
  IdSource(Store& store, std::string key) : store_(store), key_(std::move(key)) {}
  Result<uint32_t> Next();
  // After damage, when what was reserved may not be known any more: goes on from `at_least`, or from
  // far behind what is reserved where that is more. Before the first Next().
  Status Recover(uint32_t at_least);

 private:
  Status Reserve(uint32_t begin) VEDETTE_REQUIRES(mu_);

  Store& store_;
  const std::string key_;
  Mutex mu_;
  uint32_t next_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint32_t end_ VEDETTE_GUARDED_BY(mu_) = 0;
};

// InstantsTable stores the instants of sealed timelines once per content, and keeps a bounded
// number of them decoded. Thread-safe.
class InstantsTable {
 public:
  using Instants = std::shared_ptr<const std::vector<int64_t>>;

  explicit InstantsTable(Store& store) : store_(store), ids_(store, "ids/instants") {}

  struct Interned {
    uint32_t id = 0;
    std::string content;  // "" when they were known before.
  };

  // The id of these instants in the window. What is not stored yet is put into `batch`; once the
  // caller has written it, Publish() lets others share the id.
  Result<Interned> Intern(int32_t window, std::span<const int64_t> instants, StoreBatch& batch);
  void Publish(Interned interned);
  // The same of many that one batch holds, by content. Nobody else shares them before they are written:
  // a batch that fails would take away what others refer to.
  using Pending = std::unordered_map<std::string, uint32_t>;
  Result<uint32_t> Intern(int32_t window, std::span<const int64_t> instants, StoreBatch& batch,
                          Pending& pending);
  void Publish(Pending& pending);  // Empties it.
  // The window's instants are gone from the store.
  void Forget(int32_t window);
  // After damage: no id that may be in use is given again.
  Status RecoverIds();

  Result<Instants> Get(int32_t window, uint32_t id, const StoreSnapshot* snapshot) const;

  uint64_t memory_bytes() const;  // Of what is kept here, about.

 private:
  Store& store_;
  IdSource ids_;
  mutable Mutex mu_;
  // Encoded instants after their window -> id.
  std::unordered_map<std::string, uint32_t> ids_by_content_ VEDETTE_GUARDED_BY(mu_);
  size_t content_bytes_ VEDETTE_GUARDED_BY(mu_) = 0;  // Of the keys.
  mutable std::unordered_map<uint64_t, Instants> decoded_ VEDETTE_GUARDED_BY(mu_);
  mutable size_t decoded_values_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::tsdb
