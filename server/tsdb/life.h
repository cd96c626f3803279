#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"

namespace vedette::tsdb {

// A life for a storage, from a seed, and the law it is held to: scrapes of two targets, remote
// writes in and out of order, deletions, merging, retention. The same seed does the same whatever
// the storage answers, so a process that died can be compared with one that remembers.
//
//   Life life(seed);
//   for (...) life.Step(*db);          // Acknowledged or not is noted.
//   EXPECT_EQ(life.Judge(*db), "");    // After crashes and reopens.
class Life {
 public:
  static constexpr int64_t kStart = 1'700'000'000'000;
  static constexpr int64_t kWindow = 3600 * 1000;
  static constexpr int64_t kRetention = 6 * kWindow;
  static constexpr int64_t kRollup = kWindow / 6;

  explicit Life(uint64_t seed);

  // What this life needs of TsdbOptions.
  static TsdbOptions Options(const std::string& path);

  // One thing that happens, to a storage or, with null, to one that is believed to have done it:
  // `acknowledged` then says whether it said so.
  void Step(Tsdb* db, bool acknowledged = true);
  // Writers do not outlive the storage.
  void Detach();
  // Declared behind the storage.
  struct Detacher {
    Life& life;
    ~Detacher() { life.Detach(); }
  };

  enum class Loss : uint8_t {
    kNone,  // Everything acknowledged is there.
    kSaid,  // What is missing is fine where the storage says that something is.
    kAny,   // Only what is there is judged.
  };
  // "" where the storage has everything that was acknowledged and nothing that was not asked for;
  // else what is wrong. A query that fails is one, unless `may_fail`.
  std::string Judge(const Tsdb& db, Loss loss = Loss::kNone, bool may_fail = false);
  // A sample written by somebody else, and acknowledged.
  void Know(const Labels& labels, const Sample& sample);
  // The storage has a rule that keeps this metric so long only; "": all that have none.
  void KeepOnly(const std::string& metric, int64_t keep_ms) { keep_ms_[metric] = keep_ms; }
  // What is written from now on is of other series every while.
  void Churn() { churn_ = true; }
  // What is acknowledged now is on the disk for certain; once only that counts, what came after may
  // be lost.
  void MarkSafe() { safe_ = acknowledged_; }
  void OnlySafeCounts() { only_safe_ = true; }

  uint64_t acknowledged_samples() const;
  uint64_t missing() const { return missing_; }  // At the last Judge().
  const testing::FakeClock& clock() const { return clock_; }
  uint64_t failures() const { return failures_; }

 private:
  using Column = std::map<int64_t, uint64_t>;  // Instant -> bits of the value.
  using Model = std::map<Labels, Column>;
  struct Target;

  static std::string JudgeRollups(storage::Querier& querier, const Model& got, int64_t now_ms);
  void Scrape(Tsdb* db, bool acknowledged, size_t which);
  void Write(Tsdb* db, bool acknowledged);
  void Delete(Tsdb* db, bool acknowledged);
  void Note(const Model& asked, bool acknowledged);
  bool Taken(const Labels& labels, int64_t t_ms) const;
  double Value();

  std::mt19937_64 random_;
  testing::FakeClock clock_{kStart};
  int64_t now_ = kStart;
  struct Target {
    std::unique_ptr<storage::TimelineWriter> writer;
    std::vector<Labels> labels;
    size_t added = 0;
  };
  std::vector<Target> targets_;
  Model acknowledged_;
  Model possible_;  // Asked for, and not acknowledged; or deleted, and not acknowledged.
  Model deleted_;   // And acknowledged as such: back only where damage took the deletion.
  Model safe_;
  std::map<std::string, int64_t> keep_ms_;  // By metric, where a rule keeps less of it.
  bool only_safe_ = false;
  bool churn_ = false;
  size_t writes_ = 0;
  uint64_t missing_ = 0;
  uint64_t failures_ = 0;
};

}  // namespace vedette::tsdb
