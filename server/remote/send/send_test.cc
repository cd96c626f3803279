#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/model/histogram.h"
#include "common/model/sample.h"
#include "server/remote/send/entry.h"
#include "server/remote/send/queue.h"
#include "server/remote/send/queueing_appender.h"
#include "server/remote/send/remote_write.h"
#include "server/remote/send/request_body.h"
#include "server/remote/write_request.h"
#include "tests/support/memory_appender.h"
#include "tests/support/memory_key_value.h"

namespace vedette::remote {
namespace {

using testing::MemoryAppender;
using testing::MemoryKeyValue;

// A receiver as strict as Prometheus: a request with one sample out of order is refused whole.
class Receiver {
 public:
  Result<PostAnswer> Take(const std::string& body, const PostHeaders& headers) {
    MutexLock lock(mu_);
    ++requests_;
    for (const auto& [name, value] : headers) headers_[name] = value;
    if (!plan_.empty()) {
      const int status = plan_.front();
      plan_.erase(plan_.begin());
      if (status == 0) return Unavailable("connection refused");
      if (status != 200) return PostAnswer{.status = status, .body = "as planned"};
    }
    if (down_) return Unavailable("connection refused");
    std::string message;
    EXPECT_TRUE(compress::Decompress(compress::Encoding::kSnappy, body, 64 << 20, message).ok());
    WriteRequest request;
    const bool v2 = headers_["Content-Type"].ends_with("v2.Request");
    EXPECT_TRUE((v2 ? request.ReadV2(message) : request.ReadV1(message)).ok());
    EXPECT_EQ(request.invalid_series(), 0u) << request.invalid_reason();
    auto next = newest_;
    for (const storage::SeriesBatch& s : request.series()) {
      for (const Sample& sample : s.samples) {
        int64_t& newest = next.try_emplace(s.labels.ToString(), INT64_MIN).first->second;
        if ((sample.t_ms < newest && !takes_twice_) || sample.value == refused_value_) {
          return PostAnswer{.status = 400, .body = "out of order sample"};
        }
        newest = sample.t_ms;
      }
    }
    newest_ = next;
    for (const storage::SeriesBatch& s : request.series()) {
      for (const Sample& sample : s.samples) got_[s.labels.ToString()][sample.t_ms] = sample.value;
      histograms_ += s.histograms.size();
      for (const Exemplar& e : s.exemplars) exemplars_.push_back(e);
    }
    for (const auto& [name, m] : request.metadata()) metadata_[name] = m;
    if (lose_answer_) {
      lose_answer_ = false;
      return Unavailable("the connection broke before the answer");
    }
    return PostAnswer{.status = 204};
  }

  std::map<std::string, std::map<int64_t, double>> got() const {
    MutexLock lock(mu_);
    return got_;
  }
  size_t samples() const {
    size_t n = 0;
    for (const auto& [series, all] : got()) n += all.size();
    return n;
  }
  void Down(bool down) {
    MutexLock lock(mu_);
    down_ = down;
  }
  template <typename T>
  T With(const std::function<T(Receiver&)>& use) {
    MutexLock lock(mu_);
    return use(*this);
  }

  mutable Mutex mu_;
  std::vector<int> plan_;
  bool down_ = false;
  bool lose_answer_ = false;
  double refused_value_ = -1;
  bool takes_twice_ = false;  // As VictoriaMetrics: whatever comes is good.
  int requests_ = 0;
  std::map<std::string, std::string> headers_;
  std::map<std::string, int64_t> newest_;
  std::map<std::string, std::map<int64_t, double>> got_;
  size_t histograms_ = 0;
  std::vector<Exemplar> exemplars_;
  std::map<std::string, Metadata> metadata_;
};

class NoMetadata final : public storage::MetadataQueryable {
 public:
  std::vector<storage::NamedMetadata> Select(const std::string& name) const override {
    if (!name.empty() && name != "requests_total") return {};
    return {{"requests_total", {MetricType::kCounter, "What was asked.", ""}}};
  }
};

bool Eventually(const std::function<bool()>& is) {
  for (int i = 0; i < 6000; ++i) {
    if (is()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

config::RemoteWriteConfig Config(const std::string& name) {
  config::RemoteWriteConfig c;
  c.url = "http://receiver/write";
  c.name = name;
  c.queue.batch_send_deadline_ms = 20;
  c.queue.min_backoff_ms = 1;
  c.queue.max_backoff_ms = 20;
  c.queue.max_samples_per_send = 50;
  c.queue.min_shards = 3;
  return c;
}

// One "process": everything of remote write over a store that survives it.
struct Process {
  Process(MemoryKeyValue& kv, Receiver& receiver, std::vector<config::RemoteWriteConfig> configs,
          uint64_t max_bytes = 0, Labels external = {}, int64_t rewind_ms = 0) {
    RemoteWrite::Options options;
    options.rewind_ms = rewind_ms;
    options.max_queue_bytes = max_bytes;
    options.safe_url = [](const std::string& url) { return url; };
    options.make_post = [&receiver](const config::RemoteWriteConfig&) -> Result<Post> {
      return Post([&receiver](std::string body, const PostHeaders& headers,
                              const std::atomic<bool>&) { return receiver.Take(body, headers); });
    };
    auto opened = RemoteWrite::Open(options, storage, kv, metadata, SystemClock(), registry);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    out = *std::move(opened);
    const Status applied = out->Apply(configs, external);
    EXPECT_TRUE(applied.ok()) << applied.ToString();
  }
  double Value(const std::string& metric, const std::string& label = "") const {
    double sum = 0;
    for (const MetricFamily& f : registry.Collect()) {
      for (const FamilySample& s : f.samples) {
        if (s.labels.metric_name() == metric &&
            (label.empty() || s.labels.Get("reason") == label)) {
          sum += s.value;
        }
      }
    }
    return sum;
  }

  MemoryAppender storage;
  NoMetadata metadata;
  metrics::Registry registry;
  std::unique_ptr<RemoteWrite> out;
};

// A target with `n` series; each commit is one more instant.
class Target {
 public:
  Target(storage::Appender& appender, const std::string& name, int n)
      : writer_(appender.OpenTimeline("job")), values_(static_cast<size_t>(n)) {
    for (int i = 0; i < n; ++i) {
      EXPECT_TRUE(writer_->AddSeries(Labels::Of({{"__name__", name}, {"i", StrCat(i)}})).ok());
    }
  }
  void Commit(int64_t t_ms, double value) {
    std::fill(values_.begin(), values_.end(), value);
    EXPECT_TRUE(writer_->Commit({.t_ms = t_ms, .values = values_}).ok());
  }

 private:
  std::unique_ptr<storage::TimelineWriter> writer_;
  std::vector<double> values_;
};

TEST(RemoteWriteEntry, RowsAndLooseSeriesComeBackAsTheyWere) {
  Histogram h;
  h.count = 0;
  h.schema = 2;
  const storage::HistogramAt at{1, std::make_shared<Histogram>(h)};
  const storage::ExemplarAt e{0, {Labels::Of({{"trace_id", "abc"}}), 1.5, 900}};
  const std::vector<double> values = {1, 0, kStaleNan, kAbsent};
  const std::string row =
      EncodeRow(77, {.t_ms = -5, .values = values, .histograms = {&at, 1}, .exemplars = {&e, 1}});
  Result<Entry> back = DecodeEntry(row);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_TRUE(back->row);
  EXPECT_EQ(back->writer, 77u);
  EXPECT_EQ(back->t_ms, -5);
  EXPECT_EQ(back->counts.samples, 2u);  // The histogram's place and the hole are none.
  EXPECT_EQ(back->values[0], 1);
  EXPECT_TRUE(IsAbsent(back->values[1]));
  EXPECT_TRUE(IsStale(back->values[2]));
  ASSERT_EQ(back->histograms.size(), 1u);
  ASSERT_EQ(back->exemplars.size(), 1u);
  EXPECT_EQ(back->exemplars[0].second.labels.Get("trace_id"), "abc");

  const std::vector<Sample> samples = {{100, 1}, {50, 2}, {INT64_MAX, 3}};
  const storage::SeriesBatch loose{.labels = Labels::Of({{"__name__", "m"}}), .samples = samples};
  back = DecodeEntry(EncodeLoose({&loose, 1}));
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->series.size(), 1u);
  EXPECT_EQ(back->series[0].samples, samples);
  EXPECT_EQ(back->series[0].labels, loose.labels);
}

TEST(RemoteWriteEntry, EveryTruncationIsAnError) {
  const std::vector<double> values = {1, 2, 3};
  const std::string row = EncodeRow(1, {.t_ms = 5, .values = values});
  for (size_t n = 0; n < row.size(); ++n) {
    EXPECT_FALSE(DecodeEntry(std::string_view(row).substr(0, n)).ok()) << n;
  }
}

// Knows series 7, and counts who comes with a reference.
class Referring final : public storage::Appender {
 public:
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string&) override {
    return nullptr;
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch>) override {
    ++by_labels;
    return storage::CommitStats{.appended = 1};
  }
  Result<storage::CommitStats> WriteKnown(std::span<const storage::SeriesBatch>,
                                          std::span<storage::SeriesRef> refs) override {
    for (storage::SeriesRef& ref : refs) {
      by_reference += ref == 7;
      ref = 7;
    }
    return storage::CommitStats{.appended = 1};
  }
  void SetMetadata(const std::string&, const Metadata&) override {}

  int by_labels = 0;
  int by_reference = 0;
};

// A reference saves the storage most of its work; only a copy for a destination needs the labels.
TEST(QueueingAppender, ReferencesReachTheStorageUntilLabelsAreNeeded) {
  MemoryKeyValue kv;
  Queue queue(kv, 0);
  ASSERT_TRUE(queue.Open().ok());
  Referring inner;
  QueueingAppender appender(inner, queue, SystemClock());
  const Sample sample{1000, 1};
  const storage::SeriesBatch whole{.labels = Labels::Of({{"__name__", "m"}}),
                                   .samples = {&sample, 1}};
  const storage::SeriesBatch bare{.samples = {&sample, 1}};
  storage::SeriesRef ref = 0;
  ASSERT_TRUE(appender.WriteKnown({&whole, 1}, {&ref, 1}).ok());
  EXPECT_EQ(ref, 7u);
  ASSERT_TRUE(appender.WriteKnown({&bare, 1}, {&ref, 1}).ok());
  EXPECT_EQ(inner.by_reference, 1);

  ASSERT_TRUE(queue.AddDestination("a").ok());
  EXPECT_EQ(appender.WriteKnown({&bare, 1}, {&ref, 1}).status().code(), StatusCode::kNotFound);
  ref = 0;
  ASSERT_TRUE(appender.WriteKnown({&whole, 1}, {&ref, 1}).ok());
  EXPECT_EQ(ref, 0u);
  EXPECT_EQ(inner.by_labels, 1);
  Result<std::string> queued = queue.Read(0);
  ASSERT_TRUE(queued.ok());
  Result<Entry> entry = DecodeEntry(*queued);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->series.at(0).labels, whole.labels);
}

TEST(RemoteWriteQueue, FindsItsEndsAfterARestart) {
  for (const int entries : {0, 1, 2, 3, 7, 8, 9, 100}) {
    for (const int acked : {0, 1, entries / 2, entries}) {
      SCOPED_TRACE(StrCat(entries, " entries, ", acked, " delivered"));
      if (acked > entries) continue;
      MemoryKeyValue kv;
      {
        Queue queue(kv, 0);
        ASSERT_TRUE(queue.Open().ok());
        EXPECT_FALSE(queue.active());
        ASSERT_TRUE(queue.AddDestination("a").ok());
        for (int i = 0; i < entries; ++i) {
          ASSERT_TRUE(queue.Append(StrCat("entry ", i), std::nullopt).ok());
        }
        ASSERT_TRUE(
            queue.Ack("a", static_cast<uint64_t>(acked), static_cast<uint64_t>(acked)).ok());
      }
      Queue queue(kv, 0);
      ASSERT_TRUE(queue.Open().ok());
      EXPECT_TRUE(queue.active());
      EXPECT_EQ(queue.head(), static_cast<uint64_t>(entries));
      EXPECT_EQ(queue.Cursor("a"), static_cast<uint64_t>(acked));
      if (acked < entries) {
        EXPECT_EQ(*queue.Read(static_cast<uint64_t>(acked)), StrCat("entry ", acked));
      }
      if (acked > 0) {
        EXPECT_FALSE(queue.Read(static_cast<uint64_t>(acked - 1)).ok());
      }
    }
  }
}

TEST(RemoteWriteQueue, TheSlowestDestinationDecidesWhatStays) {
  MemoryKeyValue kv;
  Queue queue(kv, 0);
  ASSERT_TRUE(queue.Open().ok());
  ASSERT_TRUE(queue.AddDestination("slow").ok());
  ASSERT_TRUE(queue.AddDestination("fast").ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(queue.Append("x", std::nullopt).ok());
  ASSERT_TRUE(queue.Ack("fast", 9, 9).ok());
  EXPECT_TRUE(queue.Read(0).ok());
  ASSERT_TRUE(queue.Ack("slow", 4, 4).ok());
  EXPECT_FALSE(queue.Read(3).ok());
  EXPECT_TRUE(queue.Read(4).ok());
  ASSERT_TRUE(queue.RemoveDestination("slow").ok());
  EXPECT_FALSE(queue.Read(8).ok());
  EXPECT_TRUE(queue.Read(9).ok());
}

TEST(RemoteWriteQueue, TheBoundTakesTheOldestAndSaysSo) {
  MemoryKeyValue kv;
  const std::vector<double> values(100, 1.5);
  const std::string entry = EncodeRow(1, {.t_ms = 5, .values = values});
  Queue queue(kv, entry.size() * 10);
  ASSERT_TRUE(queue.Open().ok());
  ASSERT_TRUE(queue.AddDestination("a").ok());
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(queue.Append(entry, std::nullopt).ok());
  EXPECT_EQ(queue.tail(), 15u);
  EXPECT_LE(queue.bytes(), entry.size() * 10);
  EXPECT_EQ(queue.TakeDropped("a").samples, 1500u);
  EXPECT_EQ(queue.TakeDropped("a").samples, 0u);
}

TEST(RemoteWrite, WhatIsCommittedArrivesInOrder) {
  MemoryKeyValue kv;
  Receiver receiver;
  Process process(kv, receiver, {Config("a")}, 0, Labels::Of({{"region", "eu"}}));
  Target target(process.out->appender(), "m", 40);
  for (int t = 1; t <= 50; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 2000; })) << receiver.samples();
  const auto got = receiver.got();
  EXPECT_EQ(got.size(), 40u);
  EXPECT_EQ(got.begin()->first, R"({__name__="m", i="0", region="eu"})");
  for (const auto& [series, samples] : got) {
    ASSERT_EQ(samples.size(), 50u);
    for (const auto& [t_ms, value] : samples) EXPECT_EQ(value, static_cast<double>(t_ms) / 1000);
  }
  EXPECT_EQ(process.storage.commits(), 50u);
  // The counter moves when the answer is back, a moment after the receiver has it.
  EXPECT_TRUE(
      Eventually([&] { return process.Value("prometheus_remote_storage_samples_total") == 2000; }));
  EXPECT_EQ(process.Value("prometheus_remote_storage_samples_in_total"), 2000);
  EXPECT_EQ(process.Value("prometheus_remote_storage_samples_failed_total"), 0);
  EXPECT_TRUE(
      Eventually([&] { return process.Value("vedette_remote_storage_queue_entries") == 0; }));
}

TEST(RemoteWrite, AnOutageAndARestartLoseNothing) {
  MemoryKeyValue kv;
  Receiver receiver;
  receiver.Down(true);
  {
    Process process(kv, receiver, {Config("a")});
    Target target(process.out->appender(), "m", 10);
    for (int t = 1; t <= 100; ++t) target.Commit(t * 1000, t);
    receiver.Down(false);
    ASSERT_TRUE(Eventually([&] { return receiver.samples() > 50; }));
    receiver.Down(true);
    for (int t = 101; t <= 200; ++t) target.Commit(t * 1000, t);
  }
  receiver.Down(false);
  // Another number of shards deals the series otherwise: what had arrived is refused, and has to
  // be told from what had not.
  config::RemoteWriteConfig config = Config("a");
  config.queue.min_shards = 2;
  Process process(kv, receiver, {config});
  Target target(process.out->appender(), "m", 10);
  for (int t = 201; t <= 220; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 2200; })) << receiver.samples();
}

TEST(RemoteWrite, ALostAnswerDoesNotCostTheNextSamples) {
  MemoryKeyValue kv;
  Receiver receiver;
  receiver.lose_answer_ = true;
  config::RemoteWriteConfig config = Config("a");
  config.queue.min_shards = 1;
  Process process(kv, receiver, {config});
  Target target(process.out->appender(), "m", 5);
  for (int t = 1; t <= 100; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 500; })) << receiver.samples();
}

TEST(RemoteWrite, AReceiverThatForgotWhatItAcknowledgedGetsItAgain) {
  MemoryKeyValue kv;
  Receiver receiver;
  receiver.takes_twice_ = true;
  Process process(kv, receiver, {Config("a")}, 0, {}, 3'600'000);
  Target target(process.out->appender(), "m", 5);
  for (int t = 1; t <= 20; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 100; }));
  receiver.With<int>([](Receiver& r) {
    r.down_ = true;
    r.got_.clear();
    return 0;
  });
  for (int t = 21; t <= 30; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually(
      [&] { return process.Value("prometheus_remote_storage_samples_retried_total") > 0; }));
  receiver.Down(false);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 150; })) << receiver.samples();
}

TEST(RemoteWrite, AReceiverThatRemembersIsNotBotheredTwice) {
  MemoryKeyValue kv;
  Receiver receiver;
  Process process(kv, receiver, {Config("a")}, 0, {}, 3'600'000);
  Target target(process.out->appender(), "m", 5);
  for (int t = 1; t <= 20; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 100; }));
  receiver.Down(true);
  for (int t = 21; t <= 30; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually(
      [&] { return process.Value("prometheus_remote_storage_samples_retried_total") > 0; }));
  receiver.Down(false);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 150; })) << receiver.samples();
  EXPECT_EQ(process.Value("prometheus_remote_storage_samples_failed_total"), 0);
}

TEST(RemoteWrite, ABadSampleCostsOnlyItself) {
  MemoryKeyValue kv;
  Receiver receiver;
  receiver.refused_value_ = 7;
  Process process(kv, receiver, {Config("a")});
  Target target(process.out->appender(), "m", 1);
  for (int t = 1; t <= 40; ++t) target.Commit(t * 1000, t);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 39; })) << receiver.samples();
  EXPECT_TRUE(Eventually(
      [&] { return process.Value("prometheus_remote_storage_samples_failed_total") == 1; }));
}

TEST(RemoteWrite, AnswersThatPassAreTriedAgainAndOthersAreNot) {
  MemoryKeyValue kv;
  Receiver receiver;
  receiver.plan_ = {503, 0, 500};
  config::RemoteWriteConfig config = Config("a");
  config.queue.min_shards = 1;
  Process process(kv, receiver, {config});
  Target target(process.out->appender(), "m", 1);
  target.Commit(1000, 1);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 1; }));
  EXPECT_EQ(process.Value("prometheus_remote_storage_samples_retried_total"), 3);
  receiver.With<int>([](Receiver& r) { return (r.plan_ = {404}, 0); });
  target.Commit(2000, 2);
  EXPECT_TRUE(Eventually(
      [&] { return process.Value("prometheus_remote_storage_samples_failed_total") == 1; }));
  receiver.With<int>([](Receiver& r) { return (r.plan_ = {429}, 0); });
  target.Commit(3000, 3);  // retry_on_http_429 is off, as in Prometheus.
  EXPECT_TRUE(Eventually(
      [&] { return process.Value("prometheus_remote_storage_samples_failed_total") == 2; }));
}

TEST(RemoteWrite, RelabellingDropsAndChanges) {
  MemoryKeyValue kv;
  Receiver receiver;
  const auto parsed = config::ParsePrometheusConfig(
      "remote_write:\n- url: http://r/w\n  name: a\n  queue_config: {batch_send_deadline: 20ms}\n"
      "  write_relabel_configs:\n"
      "  - {source_labels: [i], regex: '1|2', action: keep}\n"
      "  - {target_label: i, action: replace, source_labels: [i], replacement: 'n$1'}\n",
      "p.yml");
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  Process process(kv, receiver, parsed->remote_write);
  Target target(process.out->appender(), "m", 5);
  target.Commit(1000, 1);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 2; }));
  EXPECT_EQ(receiver.got().begin()->first, R"({__name__="m", i="n1"})");
  EXPECT_EQ(process.Value("prometheus_remote_storage_samples_dropped_total", "dropped_series"), 3);
}

TEST(RemoteWrite, OldSamplesAreLeftOutWhereAskedFor) {
  MemoryKeyValue kv;
  Receiver receiver;
  config::RemoteWriteConfig config = Config("a");
  config.queue.sample_age_limit_ms = 3'600'000;
  Process process(kv, receiver, {config});
  Target target(process.out->appender(), "m", 1);
  target.Commit(1000, 1);
  target.Commit(SystemClock().NowMs(), 2);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 1; }));
  EXPECT_TRUE(Eventually([&] {
    return process.Value("prometheus_remote_storage_samples_dropped_total", "too_old") == 1;
  }));
}

TEST(RemoteWrite, HistogramsExemplarsAndMetadataGoInBothVersions) {
  for (const bool v2 : {false, true}) {
    SCOPED_TRACE(v2 ? "2.0" : "1.0");
    MemoryKeyValue kv;
    Receiver receiver;
    config::RemoteWriteConfig config = Config("a");
    config.version2 = v2;
    config.send_exemplars = true;
    config.send_native_histograms = true;
    config.metadata.send_interval_ms = 20;
    config.headers["X-Scope-OrgID"] = "team";
    Process process(kv, receiver, {config});
    Histogram h;
    h.count = 3;
    h.sum = 4.5;
    h.positive_spans = {{0, 2}};
    h.positive_buckets = {1, 2};
    const std::vector<Sample> samples = {{1000, 1}};
    const std::vector<Exemplar> exemplars = {{Labels::Of({{"trace_id", "t1"}}), 1, 1000}};
    const std::vector<storage::SeriesBatch::HistogramSample> histograms = {
        {1000, std::make_shared<Histogram>(h)}};
    const std::vector<storage::SeriesBatch> batch = {
        {.labels = Labels::Of({{"__name__", "requests_total"}}),
         .samples = samples,
         .exemplars = exemplars},
        {.labels = Labels::Of({{"__name__", "latency"}}), .histograms = histograms}};
    ASSERT_TRUE(process.out->appender().Write(batch).ok());
    ASSERT_TRUE(Eventually([&] {
      return receiver.With<bool>([](Receiver& r) {
        return r.histograms_ == 1 && r.exemplars_.size() == 1 && r.metadata_.size() == 1 &&
               r.got_.size() == 1;
      });
    }));
    receiver.With<int>([](Receiver& r) {
      EXPECT_EQ(r.exemplars_[0].labels.Get("trace_id"), "t1");
      EXPECT_EQ(r.metadata_["requests_total"].help, "What was asked.");
      EXPECT_EQ(r.headers_["X-Scope-OrgID"], "team");
      return 0;
    });
  }
}

TEST(RemoteWrite, ADestinationCanComeAndGoByReload) {
  MemoryKeyValue kv;
  Receiver receiver;
  Process process(kv, receiver, {});
  Target target(process.out->appender(), "m", 2);
  target.Commit(1000, 1);
  // Turned on while the writer is at work: its series are known from the storage.
  ASSERT_TRUE(process.out->Apply({Config("a")}, {}).ok());
  target.Commit(2000, 2);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 2; }));
  ASSERT_TRUE(process.out->Apply({}, {}).ok());
  target.Commit(3000, 3);
  ASSERT_TRUE(process.out->Apply({Config("a")}, {}).ok());
  target.Commit(4000, 4);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 4; }));
  EXPECT_EQ(receiver.got().begin()->second.count(3000), 0u);
}

TEST(RemoteWrite, AFullDiskCostsTheCopyAndNotTheCommit) {
  MemoryKeyValue kv;
  Receiver receiver;
  Process process(kv, receiver, {Config("a")});
  Target target(process.out->appender(), "m", 1);
  kv.FailWrites(true);
  target.Commit(1000, 1);
  EXPECT_EQ(process.storage.commits(), 1u);
  EXPECT_EQ(process.Value("vedette_remote_storage_queue_failed_commits_total"), 1);
  kv.FailWrites(false);
  target.Commit(2000, 2);
  ASSERT_TRUE(Eventually([&] { return receiver.samples() == 1; }));
}

}  // namespace
}  // namespace vedette::remote
