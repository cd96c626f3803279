#include "server/backfill_watch.h"

#include <utility>

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

 private:
  const std::unique_ptr<storage::TimelineWriter> inner_;
  const std::function<void(int64_t t_ms)>& filled_;
};

}  // namespace

std::unique_ptr<storage::TimelineWriter> BackfillWatch::OpenTimeline(const std::string& owner) {
  return std::make_unique<Writer>(storage_.OpenTimeline(owner), filled_);
}

}  // namespace vedette
