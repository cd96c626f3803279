#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/model/histogram.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {

inline uint64_t MixIdentity(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

// Pieces are runs of samples of one series, from blocks, rows and chunks, and become one: put end to
// end where they follow each other in time, else merged, the one that was added first before the
// others at an instant that several have.
//
//   pieces.Clear();
//   if (Decode(..., pieces.Room(instants.size()))) pieces.Add(instants, identity);
//   if (pieces.Join(min_t_ms, max_t_ms)) Use(pieces.columns());
//
// The instants of a piece are not copied: they stay where they are until the next Clear(). One
// thread.
class Pieces {
 public:
  void Clear();

  // Room for the values of the next piece, as they are left in memory. Good until the next call.
  std::span<double> Room(size_t count);
  // A piece whose values begin `skip` places into the room: of equal length with `t_ms`, ascending.
  // Pieces of the same identity have the same instants. `may_be_stale`: a stale marker may be among
  // them.
  void Add(std::span<const int64_t> t_ms, uint64_t identity, bool may_be_stale, size_t skip = 0);
  void AddHistogram(int64_t t_ms, std::shared_ptr<const Histogram> h) {
    histograms_.emplace_back(t_ms, std::move(h));
  }
  // The pieces added since the n-th go in front of it.
  void MoveToFront(size_t n);

  size_t size() const { return pieces_.size(); }
  std::span<const int64_t> t_ms(size_t piece) const { return pieces_[piece].t_ms; }
  bool has_histograms() const { return !histograms_.empty(); }

  // Makes one series of the samples between the two instants, both included, without holes. False:
  // there is none.
  bool Join(int64_t min_t_ms, int64_t max_t_ms);
  // The series, without its labels. Good until the next Clear().
  storage::SeriesColumns& columns() { return columns_; }

 private:
  struct Piece {
    std::span<const int64_t> t_ms;
    size_t values_at = 0;  // In the buffer of values.
    uint64_t identity = 0;
  };
  // Which instants of a piece are in the range.
  struct Part {
    size_t first;
    size_t last;
  };

  static Part InRange(const Piece& p, int64_t min_t_ms, int64_t max_t_ms);
  void JoinInOrder(int64_t min_t_ms, int64_t max_t_ms);
  void Merge(int64_t min_t_ms, int64_t max_t_ms);
  void LeaveOutHoles();

  std::vector<Piece> pieces_;
  std::vector<double> values_;  // Grows alone: what is behind used_ is left over.
  size_t used_ = 0;
  size_t room_at_ = 0;
  bool maybe_stale_ = false;
  std::vector<std::pair<int64_t, std::shared_ptr<const Histogram>>> histograms_;

  std::vector<int64_t> out_t_;
  std::vector<double> out_values_;
  std::vector<std::shared_ptr<const Histogram>> out_histograms_;
  uint64_t out_key_ = 0;  // Of what is in out_t_.
  storage::SeriesColumns columns_;
};

}  // namespace vedette::tsdb
