#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/rehearsal/memory_storage.h"
#include "server/storage/appender.h"
#include "server/storage/key_value.h"
#include "server/storage/queryable.h"

// The world in which rules are tried out: a clock that is moved by hand, and storages that forget.
namespace vedette::rehearsal {

class SteppedClock final : public Clock {
 public:
  explicit SteppedClock(int64_t now_ms) : now_ms_(now_ms) {}
  int64_t NowMs() const override { return now_ms_.load(); }
  int64_t MonotonicNs() const override { return now_ms_.load() * 1'000'000; }
  void Set(int64_t now_ms) { now_ms_ = now_ms; }

 private:
  std::atomic<int64_t> now_ms_;
};

class ScratchKeyValue final : public storage::KeyValue {
 public:
  Result<std::optional<std::string>> Get(std::string_view key) const override;
  Status Apply(std::span<const Change> changes, bool sync) override;
  Status Scan(std::string_view prefix,
              const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override;

 private:
  std::map<std::string, std::string, std::less<>> pairs_;
};

// What rules write goes into memory; what they read comes from there and from `base`. A metric of
// `produced` is read from memory alone: what a server stored under that name was made by other
// rules. One thread writes, and nobody reads meanwhile.
class ScratchStorage final : public storage::Appender, public storage::Queryable {
 public:
  // `base` may be null, and outlives this.
  explicit ScratchStorage(const storage::Queryable* base, std::set<std::string> produced = {})
      : base_(base), produced_(std::move(produced)) {}

  MemoryStorage& memory() { return memory_; }

  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string& owner) override;
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch> batch) override;
  void SetMetadata(const std::string&, const Metadata&) override {}

  Result<std::unique_ptr<storage::Querier>> Open(int64_t min_t_ms, int64_t max_t_ms) const override;

 private:
  const storage::Queryable* const base_;
  const std::set<std::string> produced_;
  MemoryStorage memory_;
};

}  // namespace vedette::rehearsal
