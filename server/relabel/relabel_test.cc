#include "server/relabel/relabel.h"

#include <gtest/gtest.h>

namespace vedette::relabel {
namespace {

using config::RelabelConfig;
using A = config::RelabelAction;

struct Case {
  const char* name;
  std::vector<RelabelConfig> rules;
  Labels in;
  bool kept;
  Labels out;  // Where kept.
};

const Labels kIn = Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}});

std::vector<Case> Cases() {
  return {
      {"replace joins, matches and expands",
       {{.source_labels = {"a", "b"},
         .regex = "f(.*);(?P<rest>.*)r",
         .target_label = "d",
         .replacement = "$1-${rest}-${1}x"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "oo-ba-oox"}})},
      {"$1x is a group named 1x, which is empty",
       {{.source_labels = {"a"}, .target_label = "d", .replacement = "[$1x]$$"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "[]$"}})},
      {"a dollar that begins nothing stands for itself",
       {{.source_labels = {"a"}, .target_label = "d", .replacement = "${1 $"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "${1 $"}})},
      {"expressions are anchored",
       {{.source_labels = {"a"}, .regex = "o+", .target_label = "d", .replacement = "x"}},
       kIn,
       true,
       kIn},
      {"an empty result deletes",
       {{.source_labels = {"a"}, .regex = "foo()", .target_label = "b"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"c", "baz"}})},
      {"no source labels sets a constant",
       {{.target_label = "d", .replacement = "x"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "x"}})},
      {"the target may be expanded",
       {{.source_labels = {"a"}, .regex = "(f)oo", .target_label = "l_$1", .replacement = "v"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"l_f", "v"}})},
      {"a target expanded to nothing changes nothing",
       {{.source_labels = {"a"}, .regex = "foo()", .target_label = "$1", .replacement = "v"}},
       kIn,
       true,
       kIn},
      {"a missing source label is empty",
       {{.source_labels = {"nope", "a"}, .target_label = "d"}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", ";foo"}})},
      {"dot matches newline",
       {{.source_labels = {"a"}, .regex = "x.y", .action = A::kDrop}},
       Labels::Of({{"a", "x\ny"}}),
       false,
       {}},
      {"keep keeps",
       {{.source_labels = {"a"}, .regex = "fo.", .action = A::kKeep}},
       kIn,
       true,
       kIn},
      {"keep drops the rest",
       {{.source_labels = {"a"}, .regex = "o", .action = A::kKeep}},
       kIn,
       false,
       {}},
      {"drop drops",
       {{.source_labels = {"a"}, .regex = "foo", .action = A::kDrop}},
       kIn,
       false,
       {}},
      {"keepequal",
       {{.source_labels = {"a"}, .target_label = "b", .action = A::kKeepEqual}},
       kIn,
       false,
       {}},
      {"dropequal",
       {{.source_labels = {"a"}, .target_label = "b", .action = A::kDropEqual}},
       kIn,
       true,
       kIn},
      {"dropequal of equals",
       {{.source_labels = {"a"}, .target_label = "a", .action = A::kDropEqual}},
       kIn,
       false,
       {}},
      // md5("foo") = acbd18db4cc2f85c edef654fccc4a4d8; 0xedef654fccc4a4d8 % 1000 = 696.
      {"hashmod takes the last eight bytes",
       {{.source_labels = {"a"}, .modulus = 1000, .target_label = "d", .action = A::kHashMod}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "696"}})},
      {"labelmap copies under new names",
       {{.regex = "__meta_(.+)", .replacement = "$1", .action = A::kLabelMap}},
       Labels::Of({{"__meta_zone", "eu"}, {"a", "foo"}}),
       true,
       Labels::Of({{"__meta_zone", "eu"}, {"a", "foo"}, {"zone", "eu"}})},
      {"labeldrop",
       {{.regex = "[ab]", .action = A::kLabelDrop}},
       kIn,
       true,
       Labels::Of({{"c", "baz"}})},
      {"labelkeep",
       {{.regex = "[ab]", .action = A::kLabelKeep}},
       kIn,
       true,
       Labels::Of({{"a", "foo"}, {"b", "bar"}})},
      {"uppercase knows more than ASCII",
       {{.source_labels = {"a"}, .target_label = "a", .action = A::kUppercase}},
       Labels::Of({{"a", "größe жук"}}),
       true,
       Labels::Of({{"a", "GRÖßE ЖУК"}})},
      {"lowercase",
       {{.source_labels = {"a"}, .target_label = "a", .action = A::kLowercase}},
       Labels::Of({{"a", "ÀB7"}}),
       true,
       Labels::Of({{"a", "àb7"}})},
      {"rules see what those before them did",
       {{.source_labels = {"a"}, .target_label = "d"},
        {.source_labels = {"d"}, .regex = "foo", .action = A::kDrop}},
       kIn,
       false,
       {}},
  };
}

TEST(Relabeler, DoesWhatPrometheusDoes) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    Result<Relabeler> rules = Relabeler::Compile(c.rules);
    ASSERT_TRUE(rules.ok()) << rules.status().ToString();
    LabelsBuilder builder(c.in);
    ASSERT_EQ(rules->Apply(builder), c.kept);
    if (c.kept) {
      EXPECT_EQ(builder.Build().ToString(), c.out.ToString());
    }
    const std::vector<Relabeler::Step> steps = rules->Trace(c.in);
    ASSERT_FALSE(steps.empty());
    EXPECT_EQ(steps.back().kept, c.kept);
    if (c.kept) {
      EXPECT_EQ(steps.back().labels, c.out);
    }
  }
}

TEST(Relabeler, TraceEndsWhereTheSetIsDropped) {
  const std::vector<RelabelConfig> rules = {
      {.target_label = "x", .replacement = "1"},
      {.source_labels = {"x"}, .regex = "1", .action = A::kDrop},
      {.target_label = "y", .replacement = "2"}};
  const std::vector<Relabeler::Step> steps = Relabeler::Compile(rules)->Trace(Labels());
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].labels, Labels::Of({{"x", "1"}}));
  EXPECT_TRUE(steps[0].kept);
  EXPECT_FALSE(steps[1].kept);
}

TEST(Relabeler, NamesTheRuleThatDoesNotCompile) {
  Result<Relabeler> bad =
      Relabeler::Compile(std::vector<RelabelConfig>{{.target_label = "x"}, {.regex = "("}});
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.status().message().find("rule 2: regex \"(\""), std::string::npos);
  Result<Relabeler> zero = Relabeler::Compile(std::vector<RelabelConfig>{{.action = A::kHashMod}});
  EXPECT_FALSE(zero.ok());
}

TEST(Relabeler, WithoutRulesKeepsEverything) {
  LabelsBuilder builder(kIn);
  EXPECT_TRUE(Relabeler().Apply(builder));
  EXPECT_EQ(builder.Build(), kIn);
  EXPECT_TRUE(Relabeler().empty());
}

}  // namespace
}  // namespace vedette::relabel
