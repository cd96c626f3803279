#include "server/idle_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace vedette {
namespace {

TEST(IdleMemory, WhatIsFreedIsGivenBack) {
  constexpr size_t kPieces = 2000;
  constexpr size_t kBytes = 64 << 10;  // Too small for a mapping of its own.
  std::vector<std::unique_ptr<char[]>> pieces;
  for (size_t i = 0; i < kPieces; ++i) {
    pieces.push_back(std::make_unique<char[]>(kBytes));
    std::memset(pieces.back().get(), static_cast<int>(i), kBytes);
  }
  const IdleMemory full = LookAtMemory();
  if (full.in_use_bytes < static_cast<int64_t>(kPieces * kBytes)) {
    GTEST_SKIP() << "a sanitizer's malloc keeps no such books";
  }
  // One at the end stays, so that the heap cannot just become shorter.
  pieces.erase(pieces.begin(), pieces.end() - 1);
  const IdleMemory freed = LookAtMemory();
  EXPECT_TRUE(freed.worth_giving_back());
  EXPECT_TRUE(GiveBackIdleMemory());
  const IdleMemory after = LookAtMemory();
  EXPECT_LT(after.resident_bytes, full.resident_bytes - static_cast<int64_t>(kPieces * kBytes / 2));
  EXPECT_FALSE(after.worth_giving_back());
}

}  // namespace
}  // namespace vedette
