#include "server/tsdb/index/series_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"

namespace vedette::tsdb {
namespace {

using Op = Matcher::Op;

std::vector<Labels> SomeSeries() {
  std::vector<Labels> out;
  for (const char* metric : {"up", "node_load1", "http_requests_total"}) {
    for (const char* instance : {"a:1", "b:1", "c:2"}) {
      out.push_back(Labels::Of({{"__name__", metric}, {"instance", instance}, {"job", "node"}}));
      out.push_back(Labels::Of({{"__name__", metric}, {"instance", instance}, {"code", "500"}}));
    }
  }
  out.push_back(Labels());
  out.push_back(Labels::Of({{"A", std::string(300, 'x')}, {"zone", std::string(70000, 'y')}}));
  return out;
}

TEST(SeriesIndex, EqualLabelsAreOneSeriesAndComeBack) {
  SeriesIndex index;
  const std::vector<Labels> all = SomeSeries();
  bool added;
  for (uint32_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(index.FindOrAdd(all[i], &added), i);
    EXPECT_TRUE(added);
    EXPECT_EQ(index.FindOrAdd(all[i], &added), i);
    EXPECT_FALSE(added);
  }
  for (uint32_t i = 0; i < all.size(); ++i) EXPECT_EQ(index.LabelsOf(i), all[i]);
  EXPECT_FALSE(index.Find(Labels::Of({{"job", "node"}})).has_value());
  std::vector<Labels> asked = all;
  asked.push_back(Labels::Of({{"job", "node"}}));
  std::vector<uint32_t> found;
  index.FindMany(asked.size(), [&](size_t i) -> const Labels& { return asked[i]; }, found);
  for (uint32_t i = 0; i < all.size(); ++i) EXPECT_EQ(found[i], i);
  EXPECT_EQ(found.back(), SeriesIndex::kUnknown);
}

// The law: the index answers as if every series were asked by itself.
TEST(SeriesIndex, SelectAgreesWithTheMatchers) {
  SeriesIndex index;
  const std::vector<Labels> all = SomeSeries();
  bool added;
  for (const Labels& l : all) index.FindOrAdd(l, &added);

  std::vector<Matcher> matchers;
  for (Op op : {Op::kEqual, Op::kNotEqual, Op::kRegex, Op::kNotRegex}) {
    for (const char* name : {"__name__", "instance", "job", "code", "nothing"}) {
      for (const char* value : {"", "up", "a:1", "node", "node_.*", ".*", ".+", "a:1|c:2", "a:1|",
                                "(b|c).*", "no.*d.?", "500", "x?"}) {
        matchers.push_back(*Matcher::Make(op, name, value));
      }
    }
  }
  auto check = [&](std::vector<Matcher> asked) {
    std::vector<uint32_t> want;
    for (uint32_t i = 0; i < all.size(); ++i) {
      bool matches = true;
      for (const Matcher& m : asked) matches = matches && m.Matches(all[i].Get(m.name()));
      if (matches) want.push_back(i);
    }
    EXPECT_EQ(index.Select(asked).ToVector(), want)
        << asked[0].ToString() << " and " << asked.back().ToString();
  };
  for (const Matcher& a : matchers) {
    check({a});
    for (size_t i = 0; i < matchers.size(); i += 7) check({a, matchers[i]});
  }
}

TEST(SeriesIndex, TheJournalMakesTheSameIndexAgain) {
  SeriesIndex index;
  SeriesIndex copy;
  const std::vector<Labels> all = SomeSeries();
  bool added;
  for (size_t i = 0; i < all.size(); ++i) {
    index.FindOrAdd(all[i], &added);
    if (i % 3 == 0) {
      const SeriesIndex::Journal journal = index.TakeJournal();
      ASSERT_TRUE(copy.Restore(journal.bytes).ok());
      index.JournalStored(journal);
    }
  }
  (void)index.TakeJournal();  // Could not be stored: nothing is lost.
  const SeriesIndex::Journal last = index.TakeJournal();
  index.JournalStored(last);
  EXPECT_TRUE(index.journal_empty());
  ASSERT_TRUE(copy.Restore(last.bytes).ok());
  copy.FinishRestore();
  ASSERT_EQ(copy.size(), all.size());
  for (const Labels& l : all) {
    for (const Label& pair : l) {
      const std::vector<Matcher> one = {Matcher::Equal(std::string(pair.name), std::string(pair.value))};
      EXPECT_EQ(copy.Select(one).ToVector(), index.Select(one).ToVector());
    }
  }
  EXPECT_EQ(copy.Names(nullptr), index.Names(nullptr));
  for (uint32_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(copy.LabelsOf(i), all[i]);
    EXPECT_EQ(copy.Find(all[i]), i);
    EXPECT_EQ(copy.MetricOf(i), index.MetricOf(i));
  }
  EXPECT_FALSE(copy.Restore("\x05garbage").ok());
}

TEST(SeriesIndex, ALostJournalCostsItsOwnSeriesAndNoOther) {
  SeriesIndex index;
  const std::vector<Labels> all = SomeSeries();
  std::vector<std::string> journals;
  bool added;
  for (const Labels& l : all) {
    index.FindOrAdd(l, &added);
    const SeriesIndex::Journal journal = index.TakeJournal();
    journals.push_back(journal.bytes);
    index.JournalStored(journal);
  }
  for (size_t gone = 0; gone < journals.size(); ++gone) {
    SeriesIndex copy;
    for (size_t i = 0; i < journals.size(); ++i) {
      std::string bytes = journals[i];
      if (i == gone) bytes[gone % bytes.size()] = static_cast<char>(bytes[gone % bytes.size()] ^ 4);
      ASSERT_EQ(copy.Restore(bytes).ok(), i != gone);
    }
    copy.FinishRestore();
    copy.Reserve(static_cast<uint32_t>(all.size()));
    ASSERT_EQ(copy.size(), all.size());
    EXPECT_GE(copy.lost(), 1u);
    uint64_t empty = 0;
    for (uint32_t i = 0; i < all.size(); ++i) {
      // Right or none: never another's.
      if (copy.LabelsOf(i).empty()) {
        empty += copy.Find(all[i]) != i;  // One has no labels indeed.
        continue;
      }
      EXPECT_EQ(copy.LabelsOf(i), all[i]);
      EXPECT_EQ(copy.Find(all[i]), i);
    }
    EXPECT_EQ(empty, copy.lost());
    EXPECT_EQ(copy.Select({}).size(), all.size() - empty);
    // New series get numbers that nobody had.
    EXPECT_EQ(copy.FindOrAdd(Labels::Of({{"new", "one"}}), &added), all.size());
  }
}

// 100,000 short-lived series, a thousand at a time, beside some that stay: what is given up costs
// neither memory nor journal, is not found, and its numbers are not given again.
TEST(SeriesIndex, WhatIsGivenUpCostsNothingAndIsNotGivenAgain) {
  SeriesIndex index;
  bool added = false;
  std::vector<Labels> stay;
  for (int i = 0; i < 100; ++i) {
    stay.push_back(Labels::Of({{"__name__", "stays"}, {"host", std::to_string(i)}}));
    EXPECT_EQ(index.FindOrAdd(stay.back(), &added), static_cast<uint32_t>(i));
  }
  struct Stored {
    bool thinned = false;
    std::string bytes;
  };
  std::vector<Stored> journals;
  const auto store = [&] {
    const SeriesIndex::Journal j = index.TakeJournal();
    journals.push_back({false, j.bytes});
    index.JournalStored(j);
  };
  store();
  uint64_t least = 0, most_journal = 0;
  uint32_t next = 100;
  const auto brief = [](int round, int i) {
    return Labels::Of({{"__name__", "brief"}, {"pod", std::to_string(round * 1000 + i)}, {"job", "j"}});
  };
  for (int round = 0; round < 100; ++round) {
    Postings gone;
    for (int i = 0; i < 1000; ++i) {
      const uint32_t number = index.FindOrAdd(brief(round, i), &added);
      EXPECT_TRUE(added);
      EXPECT_EQ(number, next++);
      gone.Add(number);
    }
    if (round % 10 == 0) {
      stay.push_back(Labels::Of({{"__name__", "stays"}, {"late", std::to_string(round)}}));
      (void)index.FindOrAdd(stay.back(), &added);
      ++next;
    }
    store();
    index.Forget(gone);
    EXPECT_EQ(index.known(), stay.size());
    EXPECT_FALSE(index.Find(brief(round, 7)).has_value());
    if (round == 9) least = index.memory_bytes();
    if (journals.size() < 9) continue;
    // All but the last become one.
    const auto from = SeriesIndex::StartOf(journals.front().bytes);
    const auto to = SeriesIndex::StartOf(journals.back().bytes);
    ASSERT_TRUE(from.ok() && to.ok());
    std::optional<std::string> thinned = index.Thinned(*from, *to);
    ASSERT_TRUE(thinned.has_value());
    most_journal = std::max<uint64_t>(most_journal, thinned->size());
    journals = {{true, *std::move(thinned)}, std::move(journals.back())};
  }
  // Nine more stay, each in blocks of numbers of its own.
  EXPECT_LE(index.memory_bytes(), least + 9 * 16'384);
  EXPECT_LT(most_journal, 4000u);
  EXPECT_EQ(index.Values("pod", nullptr).size(), 0u);
  EXPECT_EQ(index.Select({}).size(), stay.size());
  EXPECT_TRUE(index.Gone(5000));
  EXPECT_TRUE(index.LabelsOf(5000).empty());

  SeriesIndex copy;
  for (const Stored& j : journals) {
    const Status s = j.thinned ? copy.RestoreThinned(j.bytes) : copy.Restore(j.bytes);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  copy.FinishRestore();
  EXPECT_EQ(copy.size(), index.size());
  EXPECT_EQ(copy.lost(), 0u);
  for (const Labels& l : stay) {
    ASSERT_TRUE(copy.Find(l).has_value()) << l.ToString();
    EXPECT_EQ(copy.Find(l), index.Find(l));
    EXPECT_EQ(copy.MetricOf(*copy.Find(l)), index.MetricOf(*index.Find(l)));
  }
  const std::vector<Matcher> hosts = {Matcher::Equal("__name__", "stays")};
  EXPECT_EQ(copy.Select(hosts).ToVector(), index.Select(hosts).ToVector());
  // And one that was given up, coming again, is a new one.
  const uint32_t size = index.size();
  EXPECT_EQ(index.FindOrAdd(brief(3, 3), &added), size);
  EXPECT_TRUE(added);
}

// Journals are thinned after the index, and not all at once: at a crash in between they have what was
// given up, beside what has come with the same labels since.
TEST(SeriesIndex, WhatComesAgainCountsWhereTheJournalsHaveBoth) {
  const auto pod = [](const char* job, int i) {
    return Labels::Of({{"__name__", "m"}, {"job", job}, {"pod", std::to_string(i)}});
  };
  SeriesIndex index;
  bool added = false;
  std::vector<std::string> journals;
  std::vector<SeriesIndex::JournalStart> starts;
  const auto add = [&](const char* job, int begin, int end) {
    starts.push_back(index.NextJournal());
    Postings numbers;
    for (int i = begin; i < end; ++i) numbers.Add(index.FindOrAdd(pod(job, i), &added));
    const SeriesIndex::Journal journal = index.TakeJournal();
    journals.push_back(journal.bytes);
    index.JournalStored(journal);
    return numbers;
  };
  add("stays", 0, 30);
  Postings gone = add("goes", 30, 60);
  gone.UnionWith(add("goes", 60, 90));
  index.Forget(gone);
  add("goes", 40, 70);   // With labels of their own once more,
  add("stays", 30, 40);  // and one that has the pods' alone.

  for (const bool thinned : {false, true}) {
    SeriesIndex copy;
    for (size_t j = 0; j < journals.size(); ++j) {
      // Of what was given up the first journal is thinned, and defined the job of the second.
      const Status s = thinned && j == 1
                           ? copy.RestoreThinned(*index.Thinned(starts[1], starts[2]))
                           : copy.Restore(journals[j]);
      ASSERT_TRUE(s.ok()) << s.ToString();
    }
    copy.FinishRestore();
    EXPECT_EQ(copy.lost(), 0u) << thinned;
    EXPECT_EQ(copy.size(), index.size());
    for (int i = 0; i < 90; ++i) {
      // Those that did not come again may be there, to be given up again: they have no samples.
      if (i < 40 || i >= 70) continue;
      EXPECT_EQ(copy.Find(pod("goes", i)), index.Find(pod("goes", i))) << i;
      const std::vector<Matcher> its_own = {Matcher::Equal("pod", std::to_string(i))};
      EXPECT_EQ(copy.Select(its_own).ToVector(), index.Select(its_own).ToVector()) << i;
    }
    const std::vector<Matcher> stays = {Matcher::Equal("job", "stays")};
    EXPECT_EQ(copy.Select(stays).ToVector(), index.Select(stays).ToVector());
    const std::vector<std::string> values = copy.Values("pod", nullptr);
    EXPECT_EQ(std::ranges::adjacent_find(values), values.end());
    EXPECT_EQ(copy.FindOrAdd(pod("goes", 50), &added), *index.Find(pod("goes", 50)));
    EXPECT_FALSE(added);
  }
}

// docs/formats/wal.md.
TEST(SeriesIndex, TheBytesOfAThinnedJournalAreFrozen) {
  SeriesIndex index;
  bool added = false;
  for (const char* value : {"a", "b", "c"}) {
    (void)index.FindOrAdd(Labels::Of({{"__name__", "m"}, {"i", value}}), &added);
  }
  Postings gone;
  gone.Add(1);
  index.Forget(gone);
  const std::string bytes = *index.Thinned({0, 1}, {3, 5});
  std::string hex;
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  EXPECT_EQ(hex,
            "0001030503000b085f5f6e616d655f5f016d0104016901610204016901630002010202020104fee3d380");
}

TEST(SeriesIndex, EveryCutAndFlippedBitOfAThinnedJournalIsSeen) {
  SeriesIndex index;
  bool added = false;
  Postings gone;
  for (int i = 0; i < 40; ++i) {
    const uint32_t number = index.FindOrAdd(
        Labels::Of({{"__name__", "m"}, {"i", std::to_string(i)}}), &added);
    if (i % 3 != 0) gone.Add(number);
  }
  index.Forget(gone);
  const std::string whole = *index.Thinned({0, 1}, {index.size(), 1000});
  ASSERT_TRUE(SeriesIndex().RestoreThinned(whole).ok());
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(SeriesIndex().RestoreThinned(whole.substr(0, n)).ok()) << "cut at " << n;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ 1 << bit);
      EXPECT_FALSE(SeriesIndex().RestoreThinned(flipped).ok()) << "bit " << bit << " of " << n;
    }
  }
}

TEST(SeriesIndex, NamesValuesAndCardinality) {
  SeriesIndex index;
  bool added;
  for (const Labels& l : SomeSeries()) index.FindOrAdd(l, &added);
  const Postings with_code = index.Select(std::vector<Matcher>{Matcher::Equal("code", "500")});
  EXPECT_EQ(index.Names(&with_code), (std::vector<std::string>{"__name__", "code", "instance"}));
  EXPECT_EQ(index.Values("instance", nullptr), (std::vector<std::string>{"a:1", "b:1", "c:2"}));
  EXPECT_TRUE(index.Values("nothing", nullptr).empty());
  const SeriesIndex::Cardinality c = index.cardinality(1);
  ASSERT_EQ(c.series_by_metric.size(), 1u);
  EXPECT_EQ(c.series_by_metric[0].count, 6u);
  EXPECT_EQ(c.series_by_pair[0].name, "code=500");
}

TEST(Postings, OneAndManyBehaveAlike) {
  Postings one;
  EXPECT_TRUE(one.Add(5));
  EXPECT_FALSE(one.Add(5));
  Postings many = Postings::Range(3, 10);
  Postings both = many;
  both.IntersectWith(one);
  EXPECT_EQ(both.ToVector(), std::vector<uint32_t>{5});
  many.Subtract(one);
  EXPECT_EQ(many.size(), 6u);
  one.UnionWith(many);
  EXPECT_EQ(one.size(), 7u);
  Result<Postings> read = Postings::FromBytes(one.ToBytes());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->ToVector(), one.ToVector());
  EXPECT_FALSE(Postings::FromBytes("xx").ok());
}

}  // namespace
}  // namespace vedette::tsdb
