#include "server/tsdb/head/row.h"

#include <gtest/gtest.h>

#include <bit>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/model/sample.h"
#include "tests/support/rounds.h"

namespace vedette::tsdb {
namespace {

uint64_t Bits(double v) { return std::bit_cast<uint64_t>(v); }

std::vector<double> RandomRow(std::mt19937_64& random, const std::vector<double>& before) {
  std::vector<double> out(before.size() + random() % 3);
  for (size_t i = 0; i < out.size(); ++i) {
    const double old = i < before.size() ? before[i] : 0;
    switch (random() % 8) {
      case 0:
        out[i] = kAbsent;
        break;
      case 1:
        out[i] = old + static_cast<double>(random() % 100000);
        break;
      case 2:
        out[i] = std::bit_cast<double>(random());
        break;
      case 3:
        out[i] = kStaleNan;
        break;
      case 4:
        out[i] = static_cast<double>(random() % 1000) / 10;
        break;
      default:
        out[i] = old;
        break;
    }
  }
  return out;
}

TEST(RowLog, RowsComeBackAgainstTheRowBefore) {
  std::mt19937_64 random(11);
  OpenRow before;
  OpenRow decoded_before;
  for (int i = 0; i < testing::Rounds(500); ++i) {
    const std::vector<double> row = RandomRow(random, before.values);
    std::string bytes;
    EncodeRowValues(row, i % 16 == 0 ? nullptr : &before, bytes);
    std::vector<double> got;
    ByteReader in(bytes);
    ASSERT_TRUE(DecodeRowValues(in, i % 16 == 0 ? nullptr : &decoded_before, got));
    ASSERT_TRUE(in.done());
    ASSERT_EQ(got.size(), row.size());
    for (size_t p = 0; p < row.size(); ++p) ASSERT_EQ(Bits(got[p]), Bits(row[p])) << p;
    for (size_t n = 0; n < bytes.size(); ++n) {
      ByteReader cut(std::string_view(bytes).substr(0, n));
      std::vector<double> none;
      ASSERT_FALSE(DecodeRowValues(cut, i % 16 == 0 ? nullptr : &decoded_before, none));
    }
    before.values = row;
    decoded_before.values = got;
  }
}

TEST(Block, EveryPositionComesBackAndDamageIsSeen) {
  std::mt19937_64 random(5);
  std::vector<std::shared_ptr<const OpenRow>> rows;
  std::vector<double> values(100);
  for (int i = 0; i < 16; ++i) {
    values = RandomRow(random, values);
    auto row = std::make_shared<OpenRow>();
    row->t_ms = i * 15'000 + (i == 7);
    row->values = values;
    rows.push_back(row);
  }
  const std::shared_ptr<const Block> block = Block::Make(3, values.size(), rows);
  Result<std::shared_ptr<const Block>> read = Block::FromBytes(block->bytes());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ((*read)->epoch(), 3u);
  for (size_t p = 0; p < values.size() + 2; ++p) {
    std::vector<double> column(16);
    ASSERT_TRUE((*read)->Decode(p, column));
    for (size_t i = 0; i < 16; ++i) ASSERT_EQ(Bits(column[i]), Bits(rows[i]->at(p)));
  }
  for (size_t i = 0; i < block->bytes().size(); ++i) {
    std::string bad = block->bytes();
    bad[i] = static_cast<char>(bad[i] ^ 4);
    EXPECT_EQ(Block::FromBytes(bad).status().code(), StatusCode::kDataLoss);
    EXPECT_FALSE(Block::FromBytes(block->bytes().substr(0, i)).ok());
  }
}

TEST(OpenRow, AgainstAnotherHasTheSameValues) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    const size_t n = random() % 400;
    auto base = std::make_shared<OpenRow>();
    for (size_t p = 0; p < random() % 400; ++p) {
      base->values.push_back(random() % 20 == 0 ? kAbsent : static_cast<double>(random() % 1000));
    }
    OpenRow row;
    row.t_ms = 77;
    const uint64_t one_in = 1 + random() % 10;
    for (size_t p = 0; p < n; ++p) {
      row.values.push_back(random() % one_in == 0  ? static_cast<double>(random())
                           : random() % 50 == 0 ? kStaleNan
                                                : base->at(p));
    }
    const std::shared_ptr<const OpenRow> thin = row.Against(base);
    if (thin == nullptr) continue;
    ASSERT_GE(n, 64u);
    EXPECT_EQ(thin->t_ms, 77);
    EXPECT_EQ(thin->size(), n);
    const std::shared_ptr<OpenRow> again = thin->Whole();
    ASSERT_EQ(again->values.size(), n);
    for (size_t p = 0; p < n + 2; ++p) {
      ASSERT_EQ(std::bit_cast<uint64_t>(thin->at(p)), std::bit_cast<uint64_t>(row.at(p))) << p;
      ASSERT_EQ(std::bit_cast<uint64_t>(again->at(p)), std::bit_cast<uint64_t>(row.at(p))) << p;
    }
  }
}

TEST(OpenRow, OneThatStandsStillIsSmallAndOneThatMovesStaysWhole) {
  auto base = std::make_shared<OpenRow>();
  base->values.assign(1000, 1);
  OpenRow row = *base;
  for (size_t p = 0; p < 1000; p += 10) row.values[p] = 2;
  ASSERT_NE(row.Against(base), nullptr);
  EXPECT_LT(row.Against(base)->bytes(), row.bytes() / 6);
  for (double& v : row.values) v = 3;
  EXPECT_EQ(row.Against(base), nullptr);
}

}  // namespace
}  // namespace vedette::tsdb
