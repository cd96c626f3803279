#include "agent/collector/collector.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

std::string Text(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& f : families) {
    StrAppend(out, f.name, " ", MetricTypeName(f.metadata.type), " ", f.metadata.help, " ",
              f.metadata.unit, "\n");
    for (const FamilySample& s : f.samples) {
      StrAppend(out, s.labels.ToString(), " ", s.value, " ", s.t_ms.value_or(0), " ",
                s.exemplars.size(), "\n");
    }
  }
  return out;
}

TEST(MetricSink, SamplesOfAFamilyThatIsOpenedAgainAreTogether) {
  MetricSink sink;
  for (const char* device : {"a", "b"}) {
    sink.Family("reads", MetricType::kCounter, "Reads.");
    sink.Add({{"device", device}}, 1);
    sink.Family("writes", MetricType::kCounter, "Writes.");
    sink.Add({{"device", device}}, 2);
  }
  EXPECT_EQ(Text(sink.Take()),
            "reads counter Reads. \n{__name__=\"reads\", device=\"a\"} 1 0 0\n"
            "{__name__=\"reads\", device=\"b\"} 1 0 0\n"
            "writes counter Writes. \n{__name__=\"writes\", device=\"a\"} 2 0 0\n"
            "{__name__=\"writes\", device=\"b\"} 2 0 0\n");
}

TEST(MetricSink, LabelsComeInAnyOrderAndEmptyOnesAreBlank) {
  MetricSink sink;
  sink.Family("f", MetricType::kGauge, "");
  sink.Add({{"z", "1"}, {"Up", "2"}, {"m", ""}}, 1);
  EXPECT_EQ(sink.TakeBlanks().at("f"), std::vector<std::string>{"m"});
  const auto families = sink.Take();
  EXPECT_EQ(families[0].samples[0].labels,
            Labels::Of({{"Up", "2"}, {"__name__", "f"}, {"z", "1"}}));
}

// The label set's own memory, to see that it is the same one.
const void* MemoryOf(const FamilySample& sample) { return sample.labels.bytes().data(); }

void Say(MetricSink& sink, double value) {
  sink.Family("a_family_of_a_long_name", MetricType::kGauge, "Help.");
  for (const char* device : {"sda", "sdb", "sdc"}) sink.Add({{"device", device}}, value);
}

TEST(MetricSink, WhatIsSaidAgainKeepsItsMemory) {
  MetricSink first;
  Say(first, 1);
  std::vector<MetricFamily> families = first.Take();
  std::vector<const void*> before;
  for (const FamilySample& s : families[0].samples) before.push_back(MemoryOf(s));
  MetricSink second(std::move(families));
  Say(second, 2);
  families = second.Take();
  ASSERT_EQ(families[0].samples.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(MemoryOf(families[0].samples[i]), before[i]);
    EXPECT_EQ(families[0].samples[i].value, 2);
  }
  // One that went away does not cost those behind it theirs.
  MetricSink third(std::move(families));
  third.Family("a_family_of_a_long_name", MetricType::kGauge, "Help.");
  third.Add({{"device", "sdb"}}, 3);
  third.Add({{"device", "sdc"}}, 3);
  families = third.Take();
  ASSERT_EQ(families[0].samples.size(), 2u);
  EXPECT_EQ(MemoryOf(families[0].samples[0]), before[1]);
  EXPECT_EQ(MemoryOf(families[0].samples[1]), before[2]);
}

TEST(MetricSink, NothingOfAnEarlierCollectionIsLeft) {
  MetricFamily relayed{.name = "f", .metadata = {MetricType::kCounter, "Old.", "bytes"}};
  FamilySample& old = relayed.samples.emplace_back();
  old.labels = Labels::Of({{"__name__", "f"}});
  old.t_ms = 7;
  old.exemplars.emplace_back();
  MetricSink first;
  first.AddFamily(std::move(relayed));
  Say(first, 1);
  MetricSink second(first.Take());
  second.Gauge("f", "New.", 4);
  EXPECT_EQ(Text(second.Take()), "f gauge New. \n{__name__=\"f\"} 4 0 0\n");
}

TEST(MetricSink, AFamilyThatComesWholeIsAddedToWhatIsThere) {
  MetricSink earlier;
  Say(earlier, 1);
  MetricSink sink(earlier.Take());
  sink.Family("a_family_of_a_long_name", MetricType::kGauge, "Help.");
  sink.Add({{"device", "sda"}}, 5);
  MetricFamily more{.name = "a_family_of_a_long_name", .metadata = {}, .samples = {}};
  more.samples.emplace_back().labels = Labels::Of({{"device", "sdz"}});
  sink.AddFamily(std::move(more));
  sink.Family("a_family_of_a_long_name", MetricType::kGauge, "Help.");
  sink.Add({{"device", "sdb"}}, 6);
  EXPECT_EQ(Text(sink.Take()),
            "a_family_of_a_long_name gauge Help. \n"
            "{__name__=\"a_family_of_a_long_name\", device=\"sda\"} 5 0 0\n"
            "{device=\"sdz\"} 0 0 0\n"
            "{__name__=\"a_family_of_a_long_name\", device=\"sdb\"} 6 0 0\n");
}

// Whatever came before, a collection says what a new sink would say.
TEST(MetricSink, AnEarlierCollectionNeverShows) {
  std::mt19937 random(20261128);
  std::vector<MetricFamily> earlier;
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    MetricSink fresh;
    MetricSink kept(std::move(earlier));
    const int steps = static_cast<int>(random() % 200);
    bool opened = false;
    for (int i = 0; i < steps; ++i) {
      const double value = static_cast<double>(random() % 1000);
      const std::string name = StrCat("family_", random() % 90);
      const std::string device = StrCat("device_", random() % 6);
      const auto what = random() % 8;
      for (MetricSink* sink : {&fresh, &kept}) {
        if (what < 3 || !opened) {
          sink->Family(name, MetricType::kGauge, "Help.");
        } else if (what == 3) {
          MetricFamily whole{.name = name, .metadata = {MetricType::kCounter, "Whole.", ""}};
          whole.samples.emplace_back().t_ms = 5;
          sink->AddFamily(std::move(whole));
        } else if (what == 4) {
          sink->AddPart("_sum", {{"z", "1"}, {"device", device}}, value);
        } else {
          sink->Add({{"device", device}}, value);
        }
      }
      opened = true;
    }
    earlier = kept.Take();
    ASSERT_EQ(Text(earlier), Text(fresh.Take()));
  }
}

}  // namespace
}  // namespace vedette::agent
