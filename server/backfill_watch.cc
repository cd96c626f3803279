#include "server/backfill_watch.h"

#include <utility>
#include <vector>

namespace vedette {
namespace {

class Writer final : public storage::TimelineWriter {
 public:
  Writer(std::unique_ptr<storage::TimelineWriter> inner,
         const std::function<void(int64_t t_ms)>& filled)
      : inner_(std::move(inner)), filled_(filled) {}

  Result<uint32_t> AddSeries(const Labels& labels) override { return inner_->AddSeries(labels); }
  Labels LabelsAt(uint32_t position) const override { return inner_->LabelsAt(position); }
  Result<storage::CommitStats> Commit(const storage::Row& row) override {
    Result<storage::CommitStats> stats = inner_->Commit(row);
    if (row.backfill && stats.ok()) filled_(row.t_ms);
    return stats;
  }
  storage::TimelineWriter& inner() { return *inner_; }

 private:
  const std::unique_ptr<storage::TimelineWriter> inner_;
  const std::function<void(int64_t t_ms)>& filled_;
};

}  // namespace

std::unique_ptr<storage::TimelineWriter> BackfillWatch::OpenTimeline(const std::string& owner) {
  return std::make_unique<Writer>(storage_.OpenTimeline(owner), filled_);
}

Result<storage::CommitStats> BackfillWatch::CommitTogether(
    std::span<const storage::WriterRow> rows, std::span<const storage::KeyValue::Change> notes) {
  std::vector<storage::WriterRow> inner;
  inner.reserve(rows.size());
  for (const storage::WriterRow& r : rows) {
    inner.push_back({&static_cast<Writer&>(*r.writer).inner(), r.row});
  }
  Result<storage::CommitStats> stats = storage_.CommitTogether(inner, notes);
  for (const storage::WriterRow& r : rows) {
    if (r.row.backfill && stats.ok()) filled_(r.row.t_ms);
  }
  return stats;
}

}  // namespace vedette
