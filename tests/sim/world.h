#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/config/alertmanager.h"
#include "common/model/alert.h"
#include "common/model/notification.h"
#include "server/alerting/alerting.h"
#include "server/promql/engine.h"
#include "server/ruler/ruler.h"
#include "server/scrape/scrape_manager.h"
#include "server/tsdb/store/fault_file_system.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"

namespace vedette::sim {

// A server's inside (scraping, storage, rules, alerting) in a world that a seed makes: targets that
// flap, fail and hang, a disk that fails, fills up and forgets what was not synced, receivers that
// do not answer, restarts. Its clock is its own, so that an hour takes a second or so; the same seed
// lives the same life.
//
//   World world(seed, directory);
//   for (...) world.PassHour();
//   EXPECT_EQ(world.fault(), "");
//
// What is held against it, every hour and at every restart:
//   - a sample that was acknowledged (its target was up, its commit succeeded) is in the storage;
//   - no sample is in the storage that no target has served at that time;
//   - a target that is down for long is told of, one that never was is not, and one that has come
//     back for long is told to be well; nobody is told twice but after a restart, whatever the disk
//     does;
//   - what a recording rule has written is what the rule gives.
// One thread.
class World {
 public:
  World(uint64_t seed, std::string directory);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void PassHour();
  // What is wrong, "" for nothing. Nothing goes on after the first.
  const std::string& fault() const { return fault_; }

  struct Tally {
    uint64_t scrapes = 0, acknowledged = 0, told = 0, restarts = 0, power_cuts = 0, disk_faults = 0,
             full_disks = 0, samples_checked = 0, recorded_checked = 0;
  };
  const Tally& tally() const { return tally_; }

 private:
  struct Host;
  class HostSource;
  enum class Weather : uint8_t { kCalm, kDiskErrors, kDiskFull };

  bool Open();
  void Close();
  void Tick();
  void ChangeWeather();
  void ChangeHosts();
  void NoteScrapes();
  void JudgeAlerts();
  void JudgeStorage();
  void JudgeRecorded();
  SendOutcome Tell(const Notification& n);
  void Fail(std::string what);
  uint64_t Dice(uint64_t sides) { return random_() % sides; }
  void Disturbed() { disturbed_until_ms_ = clock_.NowMs() + kSettleMs; }

  // After trouble, so long until everything must be as promised again.
  static constexpr int64_t kSettleMs = 10 * 60'000;

  const uint64_t seed_;
  const std::string directory_;
  std::mt19937_64 random_;
  testing::FakeClock clock_{1'700'000'000'000};
  tsdb::FaultFileSystem disk_;
  Weather weather_ = Weather::kCalm;
  int64_t weather_until_ms_ = 0;
  int64_t disturbed_until_ms_ = 0;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::string fault_;
  Tally tally_;
  uint64_t ids_ = 0;
  bool deaf_ = false;  // The receiver does not answer.

  std::unique_ptr<tsdb::Tsdb> db_;
  std::unique_ptr<promql::Engine> engine_;
  std::unique_ptr<alerting::Alerting> alerting_;
  std::unique_ptr<ruler::Ruler> ruler_;
  std::unique_ptr<scrape::ScrapeManager> scrapes_;
};

}  // namespace vedette::sim
