#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/head/commit.h"

namespace vedette::tsdb {
namespace {

constexpr uint8_t kWhole = 0;
constexpr uint8_t kSparse = 1;

Result<std::string_view> Body(std::string_view bytes, std::string_view what) {
  if (bytes.size() < 4) return DataLoss(StrCat("log: ", what, " is too short"));
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  ByteReader tail(bytes.substr(body.size()));
  if (tail.Fixed<uint32_t>() != Checksum(body)) {
    return DataLoss(StrCat("log: ", what, ": checksum differs"));
  }
  return body;
}

}  // namespace

void PutTimeRange(const Store& store, StoreBatch& batch, int64_t min_t_ms, int64_t max_t_ms) {
  std::string value;
  PutSigned(value, min_t_ms);
  PutSigned(value, max_t_ms);
  batch.Put(store, Family::kMeta, kTimeRangeKey, value);
}

std::string WholeRowRecord(uint64_t epoch, const OpenRow& row, const OpenRow* before) {
  std::string out;
  PutVarint(out, epoch);
  out.push_back(kWhole);
  PutSigned(out, row.t_ms);
  EncodeRowValues(row.values, before, out);
  PutFixed(out, Checksum(out));
  return out;
}

std::string SparseRowRecord(uint64_t epoch, int64_t t_ms,
                            const std::vector<std::pair<uint32_t, double>>& values) {
  std::string out;
  PutVarint(out, epoch);
  out.push_back(kSparse);
  PutSigned(out, t_ms);
  PutVarint(out, values.size());
  for (const auto& [position, value] : values) {
    PutVarint(out, position);
    PutFixed(out, value);
  }
  PutFixed(out, Checksum(out));
  return out;
}

std::string LayoutRecord(std::span<const uint32_t> series) {
  std::string out;
  PutVarint(out, series.size());
  uint32_t before = 0;
  for (uint32_t s : series) {  // Mostly one after the other.
    PutSigned(out, static_cast<int64_t>(s) - before);
    before = s;
  }
  PutFixed(out, Checksum(out));
  return out;
}

Status LogReplay::Add(HeadKind kind, uint32_t slot, std::string_view value) {
  switch (kind) {
    case HeadKind::kState: {
      VEDETTE_ASSIGN_OR_RETURN(std::string_view body, Body(value, "state"));
      ByteReader in(body);
      const uint8_t version = in.Fixed<uint8_t>();
      const uint8_t state = in.Fixed<uint8_t>();
      sealed_epoch_ = in.Varint();
      out_.sealed_t_ms = in.Signed();
      out_.owner = std::string(in.Bytes());
      out_.loose = state == static_cast<uint8_t>(Timeline::Kind::kLoose);
      return in.ok() && version == 1 ? Status() : DataLoss("log: state is damaged");
    }
    case HeadKind::kLayout: {
      VEDETTE_ASSIGN_OR_RETURN(std::string_view body, Body(value, "layout"));
      ByteReader in(body);
      const uint64_t n = in.Varint();
      if (!in.ok() || n > in.left() || slot != out_.layout.size()) {
        return DataLoss("log: layout is damaged");
      }
      int64_t series = 0;
      for (uint64_t i = 0; i < n; ++i) {
        series += in.Signed();
        out_.layout.push_back(static_cast<uint32_t>(series));
      }
      return in.ok() ? Status() : DataLoss("log: layout is damaged");
    }
    case HeadKind::kBlock: {
      VEDETTE_ASSIGN_OR_RETURN(std::shared_ptr<const Block> block,
                               Block::FromBytes(std::string(value)));
      if (block->epoch() >= sealed_epoch_) blocks_.push_back(std::move(block));
      return {};
    }
    case HeadKind::kRow:
      rows_.emplace_back(slot, std::string(value));
      return {};
  }
  return DataLoss("log: a record of unknown kind");
}

LogReplay::Restored LogReplay::Finish() {
  std::ranges::sort(blocks_, {}, &Block::epoch);
  out_.epoch = blocks_.empty() ? sealed_epoch_ : blocks_.back()->epoch() + 1;
  // Rows are never ahead of the timeline: where they are, the block before them, or the state, is gone,
  // and costs no more than itself.
  for (const auto& [slot, record] : rows_) {
    const uint64_t epoch = ByteReader(record).Varint();
    if (epoch > out_.epoch && Body(record, "row").ok()) out_.epoch = epoch;
  }
  out_.view = std::make_shared<TimelineView>();
  out_.view->blocks = std::move(blocks_);
  std::ranges::sort(rows_, {}, &std::pair<uint32_t, std::string>::first);

  std::vector<std::shared_ptr<OpenRow>> rows;
  for (const auto& [slot, record] : rows_) {
    Result<std::string_view> body = Body(record, "row");
    // Later rows are written against the ones before: after a hole none of them can be believed.
    if (!body.ok()) {
      ++out_.damaged;
      break;
    }
    ByteReader in(*body);
    if (in.Varint() != out_.epoch) continue;  // Left over from a round before.
    if (slot != out_.next_slot) {
      ++out_.damaged;
      break;
    }
    out_.next_slot = slot + 1;
    const uint8_t form = in.Fixed<uint8_t>();
    const int64_t t_ms = in.Signed();
    if (form == kWhole) {
      auto row = std::make_shared<OpenRow>();
      row->t_ms = t_ms;
      if (DecodeRowValues(in, rows.empty() ? nullptr : rows.back().get(), row->values) &&
          in.done()) {
        rows.push_back(std::move(row));
        continue;
      }
      ++out_.damaged;
      break;
    }
    auto at = std::ranges::lower_bound(rows, t_ms, {}, [](const auto& r) { return r->t_ms; });
    if (at == rows.end() || (*at)->t_ms != t_ms) {
      at = rows.insert(at, std::make_shared<OpenRow>());
      (*at)->t_ms = t_ms;
    }
    const uint64_t n = in.Varint();
    for (uint64_t i = 0; in.ok() && i < n; ++i) {
      const uint64_t position = in.Varint();
      const double value = in.Fixed<double>();
      if (!in.ok() || position >= out_.layout.size()) {
        ++out_.damaged;
        break;
      }
      std::vector<double>& values = (*at)->values;
      if (values.size() <= position) values.resize(position + 1, kAbsent);
      values[position] = value;
    }
  }
  for (auto& row : rows) out_.view->rows.push_back(std::move(row));
  return std::move(out_);
}

}  // namespace vedette::tsdb
