#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/push/group.h"
#include "server/push/group_series.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"

namespace vedette::push {

// PushStore is Pushgateway inside the server: groups of metrics that stay as they were pushed until
// they are replaced or deleted, or until their time to live is over.
//
//   auto store = PushStore::Open(options, key_value, appender, clock);
//   (*store)->Start();
//   Status s = (*store)->Push(key, families, /*replace=*/true, ttl);
//
// A push is durable when Push returns, and its series can be queried. From then on the group's
// values are committed again every interval, as if somebody scraped a Pushgateway with
// honor_labels, so that they do not fall out of the lookback window. What is gone gets stale
// markers. A restart finds every group again.
//
// Thread-safe. Changes go one after the other; readers wait for none of them.
class PushStore {
 public:
  struct Options {
    std::function<int64_t()> interval_ms;  // Asked at every turn.
    int64_t default_ttl_ms = 0;            // Of groups whose pushes name none; 0: for ever.
    size_t max_groups = 10'000;
    // Types are compared over all groups; without it whatever can be read is taken.
    bool check_consistency = true;
    // What went wrong in the background: for the log.
    std::function<void(const Status& why)> problem;
  };

  // DATA_LOSS of a single group is told to `problem`, and the others are there.
  static Result<std::unique_ptr<PushStore>> Open(Options options, storage::KeyValue& key_value,
                                                 storage::Appender& appender, const Clock& clock);
  ~PushStore();  // Stops.
  PushStore(const PushStore&) = delete;
  PushStore& operator=(const PushStore&) = delete;

  // `replace`: the group is what is pushed and nothing else (PUT); otherwise families of the same
  // names are replaced and the others stay (POST). INVALID_ARGUMENT: refused, and the group's
  // push_failure_time_seconds says so. UNAVAILABLE: the storage took nothing.
  Status Push(const Labels& key, std::vector<MetricFamily> families, bool replace,
              std::optional<int64_t> ttl_ms) VEDETTE_EXCLUDES(change_mu_, mu_);
  // A group that is not there is deleted already.
  Status Delete(const Labels& key) VEDETTE_EXCLUDES(change_mu_, mu_);
  Status Wipe() VEDETTE_EXCLUDES(change_mu_, mu_);

  // In order of their keys.
  std::vector<std::shared_ptr<const Group>> Groups() const VEDETTE_EXCLUDES(mu_);
  size_t size() const VEDETTE_EXCLUDES(mu_);
  uint64_t expired() const { return expired_; }
  bool checks_consistency() const { return options_.check_consistency; }

  // One thread that calls Tick.
  void Start();
  void Stop() VEDETTE_EXCLUDES(wake_mu_);
  // Commits what is due and ends what has expired; returns milliseconds until the next look. For
  // tests without the thread.
  int64_t Tick() VEDETTE_EXCLUDES(change_mu_, mu_);

 private:
  struct Slot {
    std::shared_ptr<const Group> group;
    std::unique_ptr<GroupSeries> series;
  };
  struct TypeUse {
    MetricType type;
    size_t groups;
  };

  PushStore(Options options, storage::KeyValue& key_value, storage::Appender& appender,
            const Clock& clock);

  Status Load() VEDETTE_EXCLUDES(change_mu_, mu_);
  Status CheckTypes(const Group* before, const std::vector<MetricFamily>& families, bool replace)
      const VEDETTE_REQUIRES(change_mu_);
  // Stores the group, publishes it and commits its series.
  Status Put(Group group, int64_t now_ms) VEDETTE_REQUIRES(change_mu_);
  Status Remove(const std::string& key, int64_t now_ms) VEDETTE_REQUIRES(change_mu_);
  void CommitSlot(Slot& slot, int64_t now_ms) VEDETTE_REQUIRES(change_mu_);
  void CountTypes(const Group& group, bool add) VEDETTE_REQUIRES(change_mu_);
  void Problem(const Status& why) const;

  const Options options_;
  storage::KeyValue& key_value_;
  storage::Appender& appender_;
  const Clock& clock_;
  std::atomic<uint64_t> expired_{0};

  Mutex change_mu_;  // One change at a time, with what it writes; taken before mu_.
  std::map<std::string, Slot> slots_ VEDETTE_GUARDED_BY(change_mu_);  // By the key's bytes.
  std::unordered_map<std::string, TypeUse> types_ VEDETTE_GUARDED_BY(change_mu_);
  int64_t next_commit_ms_ VEDETTE_GUARDED_BY(change_mu_) = 0;

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<const Group>> published_ VEDETTE_GUARDED_BY(mu_);

  Mutex wake_mu_;
  CondVar wake_;
  bool stopping_ VEDETTE_GUARDED_BY(wake_mu_) = false;
  std::thread thread_;
};

}  // namespace vedette::push
