// Every record of a timeline's log, and a native histogram at rest: their bytes, and that damage to
// any of them is seen.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/head/row.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

struct Record {
  HeadKind kind;
  uint32_t slot;
  std::string bytes;
};

OpenRow Row(int64_t t_ms, std::vector<double> values) {
  OpenRow row;
  row.t_ms = t_ms;
  row.values = std::move(values);
  return row;
}

// version u8 | kind u8 | sealed epoch varint | newest sealed instant zigzag | owner bytes | checksum:
// what Head::StateValue writes.
std::string State(uint64_t sealed_epoch, int64_t sealed_t_ms, std::string_view owner) {
  std::string out("\x01\x01", 2);
  PutVarint(out, sealed_epoch);
  PutSigned(out, sealed_t_ms);
  PutBytes(out, owner);
  PutFixed(out, Checksum(out));
  return out;
}

// One of each kind, in the order of their keys: three series, a block of two rows, three rows.
std::vector<Record> SomeLog() {
  const std::vector<uint32_t> series = {7, 8, 300};
  const auto a = std::make_shared<OpenRow>(Row(1000, {1, 2, 3}));
  const auto b = std::make_shared<OpenRow>(Row(2000, {2, 2, 3.5}));
  const std::vector<std::shared_ptr<const OpenRow>> blocked = {a, b};
  const OpenRow c = Row(3000, {3, 2, kStaleNan});
  const OpenRow d = Row(4000, {4, 1e300, 5});
  return {{HeadKind::kState, 0, State(4, -5, "node")},
          {HeadKind::kLayout, 0, LayoutRecord(series)},
          {HeadKind::kBlock, 4, Block::Make(4, series.size(), blocked)->bytes()},
          {HeadKind::kRow, 0, WholeRowRecord(5, c, nullptr)},
          {HeadKind::kRow, 1, WholeRowRecord(5, d, &c)},
          {HeadKind::kRow, 2, SparseRowRecord(5, 3500, {{0, 3.25}, {2, -0.0}})}};
}

// What is read of the log: whether all of it was believed, and its samples.
struct Read {
  bool whole = true;
  std::vector<std::pair<int64_t, std::vector<uint64_t>>> rows;
};

Read ReadLog(const std::vector<Record>& log) {
  Read out;
  LogReplay replay;
  for (const Record& r : log) out.whole = replay.Add(r.kind, r.slot, r.bytes).ok() && out.whole;
  const LogReplay::Restored restored = replay.Finish();
  out.whole = out.whole && restored.damaged == 0;
  for (const auto& block : restored.view->blocks) {
    for (size_t i = 0; i < block->instants().size(); ++i) {
      std::vector<uint64_t> bits;
      for (size_t p = 0; p < block->positions(); ++p) {
        std::vector<double> column(block->instants().size());
        EXPECT_TRUE(block->Decode(p, column));
        bits.push_back(std::bit_cast<uint64_t>(column[i]));
      }
      out.rows.emplace_back(block->instants()[i], bits);
    }
  }
  for (const auto& row : restored.view->rows) {
    std::vector<uint64_t> bits;
    for (size_t p = 0; p < row->size(); ++p) bits.push_back(std::bit_cast<uint64_t>(row->at(p)));
    out.rows.emplace_back(row->t_ms, bits);
  }
  return out;
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

Histogram SomeHistogram() {
  Histogram h;
  h.schema = 2;
  h.count = 6;
  h.sum = 1.5;
  h.zero_threshold = 0.001;
  h.zero_count = 1;
  h.positive_spans = {{-1, 2}};
  h.positive_buckets = {2, 3};
  return h;
}

TEST(Log, WhatWasWrittenIsRead) {
  const Read read = ReadLog(SomeLog());
  EXPECT_TRUE(read.whole);
  ASSERT_EQ(read.rows.size(), 5u);
  const std::vector<int64_t> instants = {1000, 2000, 3000, 3500, 4000};
  for (size_t i = 0; i < instants.size(); ++i) EXPECT_EQ(read.rows[i].first, instants[i]);
  EXPECT_EQ(read.rows[3].second[2], std::bit_cast<uint64_t>(-0.0));
  EXPECT_EQ(read.rows[4].second[1], std::bit_cast<uint64_t>(1e300));
}

// The law: a log with one record cut short, or with one bit of it flipped, is not taken for whole, and
// every row that is still there is as it was written but for holes.
TEST(Log, EveryTruncationAndBitFlipOfEveryRecordIsSeen) {
  const std::vector<Record> good = SomeLog();
  const Read truth = ReadLog(good);
  const auto judge = [&](size_t record, const std::string& bytes, const std::string& what) {
    SCOPED_TRACE("record " + std::to_string(record) + ", " + what);
    std::vector<Record> bad = good;
    bad[record].bytes = bytes;
    const Read read = ReadLog(bad);
    EXPECT_FALSE(read.whole);
    // The block costs its own rows, and the open ones nobody else's.
    if (good[record].kind == HeadKind::kBlock) {
      EXPECT_EQ(read.rows.size(), 3u);
    }
    for (const auto& [t_ms, bits] : read.rows) {
      bool found = false;
      for (const auto& [true_t_ms, true_bits] : truth.rows) {
        if (t_ms != true_t_ms) continue;
        found = true;
        for (size_t p = 0; p < bits.size(); ++p) {
          if (IsAbsent(std::bit_cast<double>(bits[p]))) continue;
          EXPECT_LT(p, true_bits.size());
          EXPECT_EQ(bits[p], true_bits[p]) << "position " << p << " at " << t_ms;
        }
      }
      EXPECT_TRUE(found) << t_ms << " was never written";
    }
  };
  for (size_t r = 0; r < good.size(); ++r) {
    const std::string& bytes = good[r].bytes;
    for (size_t n = 0; n < bytes.size(); ++n) {
      judge(r, bytes.substr(0, n), "cut at " + std::to_string(n));
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[n] = static_cast<char>(flipped[n] ^ 1 << bit);
        judge(r, flipped, "bit " + std::to_string(bit) + " of byte " + std::to_string(n));
      }
    }
  }
}

// docs/formats/wal.md.
TEST(Log, TheBytesAreFrozen) {
  const std::vector<std::string> frozen = {
      "01010409046e6f6465d2c29228",
      "030e02c80482aacd70",
      "040203d00f00d00f04020402010202010412013c0ac3158b81",
      "0500f02e0307000f0604020000000000f07fd8aba6a7",
      "0500c03e0307f00f029c7500883ce4373e020000000000e43f3835d8ae",
      "0501d83602000000000000000a40020000000000000080480320a5",
  };
  const std::vector<Record> log = SomeLog();
  ASSERT_EQ(log.size(), frozen.size());
  for (size_t i = 0; i < log.size(); ++i) EXPECT_EQ(Hex(log[i].bytes), frozen[i]) << i;
}

// docs/formats/chunk.md.
TEST(HistogramAtRest, EveryTruncationAndBitFlipIsSeenAndTheBytesAreFrozen) {
  const std::string bytes = EncodeHistogram(SomeHistogram());
  EXPECT_EQ(Hex(bytes),
            "0400fca9f1d24d62503f000000000000f03f0000000000001840000000000000f83f0101020002020104020000"
            "7ebeb611");
  const Result<std::shared_ptr<const Histogram>> read = DecodeHistogram(bytes);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ((*read)->positive_buckets, SomeHistogram().positive_buckets);
  EXPECT_EQ((*read)->sum, 1.5);
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(DecodeHistogram(bytes.substr(0, n)).status().code(), StatusCode::kDataLoss) << n;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[n] = static_cast<char>(flipped[n] ^ 1 << bit);
      EXPECT_EQ(DecodeHistogram(flipped).status().code(), StatusCode::kDataLoss)
          << "bit " << bit << " of byte " << n;
    }
  }
}

}  // namespace
}  // namespace vedette::tsdb
