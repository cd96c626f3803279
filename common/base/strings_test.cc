#include "common/base/strings.h"

#include <gtest/gtest.h>

namespace vedette {
namespace {

TEST(StrCat, WritesNumbersShortest) {
  EXPECT_EQ(StrCat("a", 'b', 3, " ", 0.1, " ", true, uint8_t{7}), "ab3 0.1 true7");
}

TEST(Split, KeepsEmptyPieces) {
  EXPECT_EQ(Split("a,,b", ',').size(), 3u);
  EXPECT_EQ(Split("", ',').size(), 1u);
}

TEST(Trim, TakesSpaceFromBothEndsOnly) {
  EXPECT_EQ(Trim("  a b\n"), "a b");
  EXPECT_EQ(Trim(" \t"), "");
}

TEST(Quoted, EscapesAsGoDoes) {
  EXPECT_EQ(Quoted("a\"\\\n\x01\xff\xc3\xa9"), "\"a\\\"\\\\\\n\\x01\\xff\xc3\xa9\"");
}

TEST(IsValidUtf8, RefusesWhatTheStandardRefuses) {
  EXPECT_TRUE(IsValidUtf8("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8e"));
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

}  // namespace
}  // namespace vedette
